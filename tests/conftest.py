"""What tests share: scenes, and the bundled demo models, loaded once."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

# No test may ask a hub for anything.
os.environ["HF_HUB_OFFLINE"] = "1"
if importlib.util.find_spec("refdiff_core") is None:
    # In a checkout that is not installed. Last, so that its folders never hide other packages.
    sys.path.append(str(Path(__file__).parents[1]))

import numpy as np
import torch


@pytest.fixture(scope="session")
def demo_models():
    """The bundled models, all three."""
    from refdiff_core import load_demo

    return load_demo()


@pytest.fixture
def two_squares():
    """A picture 48 high and 80 wide: a red square on the left, a blue one on the right."""
    array = np.full((48, 80, 3), 128, np.uint8)
    array[12:32, 8:28] = (215, 40, 40)
    array[16:40, 50:74] = (45, 80, 215)
    return array


@pytest.fixture
def squares_masks():
    """The two squares' masks, bool (2, 48, 80)."""
    masks = torch.zeros(2, 48, 80, dtype=torch.bool)
    masks[0, 12:32, 8:28] = True
    masks[1, 16:40, 50:74] = True
    return masks
