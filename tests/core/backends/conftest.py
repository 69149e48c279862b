"""The demo's denoiser and a picture for tests of backends."""

import pytest
import torch

from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.demo.models import DENOISER_FILE
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene


@pytest.fixture(scope="module")
def source():
    return DiffusersAttention.load(DENOISER_FILE)


@pytest.fixture(scope="module")
def scene():
    return sample_scene(HELD_OUT_SEED + 2, count=3, size_hw=(96, 160))


@pytest.fixture(scope="module")
def image(scene):
    return torch.from_numpy(scene.image).float() / 255
