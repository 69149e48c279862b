"""What `python -m benchmarks together` runs and says, with the demo's models. Nothing is judged."""

import importlib
import sys
from pathlib import Path

import pytest

from refdiff_core import load_demo

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def together():
    """The benchmarks are no part of the installed package."""
    sys.path.append(str(ROOT))
    yield importlib.import_module("benchmarks.together")
    sys.path.remove(str(ROOT))


def test_one_by_one_and_at_once_are_the_programs_own_passes(together):
    demo, passes = load_demo(), {"autoencoder": [], "sam": []}
    encoders = demo.attention.model.vae.encoder, demo.proposer.sam.image_encoder
    for module, seen in zip(encoders, passes.values(), strict=True):
        module.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(len(args[0])))
    head, *rows = together.try_together(demo.attention, demo.proposer, 128, 1)
    assert len(rows) == 3 and all(len(each) == len(head) for each in rows)
    assert passes["autoencoder"] == [1, 1, 1, 1, 4]
    assert passes["sam"] == [1, 1, 1, 1, 4, 1, 1], "and beside the denoiser, after and with it"
