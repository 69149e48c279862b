"""Every checkpoint family at full size with random weights; slow, off by default.

pytest -m slow tests/core/test_families.py
"""

import pytest
import torch
from checkpoints import write_single_file

from refdiff_core.backends import families
from refdiff_core.backends.checkpoints import load_stable_diffusion
from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.backends.unet_layers import capturing, layers_on
from refdiff_core.language.expression import parse
from refdiff_core.seeing.capture import Capture
from refdiff_core.settings import AttentionSettings

pytestmark = pytest.mark.slow

EXPECTED_LAYERS = {"SD1": 10, "SD2": 10, "SDXL": 70}
CASES = [("SD1", 4), ("SD1", 9), ("SD2", 4), ("SDXL", 4)]
DTYPES = [torch.bfloat16, torch.float16]
# pictures in the precision that many processors only emulate are small
SIDES = {torch.bfloat16: 512, torch.float16: 128}
OTHER_SIZES = {
    torch.bfloat16: {"picture": (384, 640), "SDXL": (384, 672)},
    torch.float16: {"picture": (64, 192), "SDXL": (64, 224)},
}
"""Not square; the multiples of SDXL's sides are finer, so that it rounds otherwise."""


def case_name(value):
    return str(value).removeprefix("torch.") if isinstance(value, torch.dtype) else None


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}ch")
def written(request, tmp_path_factory):
    name, channels = request.param
    path = tmp_path_factory.mktemp(name) / "model.safetensors"
    write_single_file(getattr(families, name), path, channels=channels)
    yield name, path
    path.unlink()


@pytest.fixture(scope="module", params=DTYPES, ids=case_name)
def checkpoint(request, written):
    """Loaded once for all tests of a family and dtype; SDXL in float32 would fill 14 GB."""
    name, path = written
    return name, load_stable_diffusion(path, dtype=request.param)


def test_the_autoencoder_stays_in_float32_where_float16_would_overflow(checkpoint):
    _, model = checkpoint
    half = model.unet.dtype == torch.float16
    assert model.vae.dtype == (torch.float32 if half else torch.bfloat16)
    assert all(each.dtype == model.unet.dtype for each in model.text_encoders)


@pytest.mark.parametrize("square", [True, False])
def test_layers_and_grids_of_square_and_other_pictures(checkpoint, square):
    name, model = checkpoint
    side, other = SIDES[model.unet.dtype], OTHER_SIZES[model.unet.dtype]
    size_hw = (side, side) if square else other["picture"]
    source = DiffusersAttention(model, AttentionSettings(resolution=side))
    image = torch.rand(*size_hw, 3, generator=torch.Generator().manual_seed(1))
    found = source.read(image, [parse("the red cup"), parse("dog")])
    height, width = size_hw if square else other.get(name, size_hw)
    cell = 8 * (2 if name == "SDXL" else 4)
    h, w = height // cell, width // cell
    assert len(source.layers) == EXPECTED_LAYERS[name]
    assert [each.word_maps.shape for each in found] == [(2, h, w), (1, h, w)]
    assert all(each.heat.shape == size_hw for each in found)
    assert all(each.word_maps.isfinite().all() for each in found)


def test_capture_leaves_the_output_as_it_was_bit_for_bit(checkpoint):
    _, model = checkpoint
    side = SIDES[model.unet.dtype] // 2
    source = DiffusersAttention(model, AttentionSettings(resolution=side))
    seen = []

    def run(*args, **kwargs):
        seen.append((args, kwargs))
        return original(*args, **kwargs)

    original = model.unet.forward
    model.unet.forward = run
    try:
        source.read(torch.rand(side, side * 5 // 4, 3), [parse("the red cup")])
    finally:
        del model.unet.forward
    args, kwargs = seen[0]
    with torch.inference_mode():
        before = model.unet(*args, **kwargs).sample
        weights = torch.zeros(1, args[2].shape[1], 1)
        with capturing(model.unet, Capture(source.layers, weights, stop=False)):
            during = model.unet(*args, **kwargs).sample
        after = model.unet(*args, **kwargs).sample
    assert torch.equal(before, during) and torch.equal(before, after)
    assert not layers_on(model.unet, 3)


def test_a_diffusers_folder_is_the_same_model(checkpoint, tmp_path):
    name, model = checkpoint
    model.unet.save_pretrained(tmp_path / "unet")
    model.vae.save_pretrained(tmp_path / "vae")
    for spec, encoder in zip(model.family.text_encoders, model.text_encoders, strict=True):
        encoder.save_pretrained(tmp_path / spec.subfolder)
    folder = load_stable_diffusion(tmp_path, dtype=model.unet.dtype)
    assert folder.family == model.family
    side = SIDES[model.unet.dtype] // 2
    image = torch.rand(side, side * 5 // 4, 3, generator=torch.Generator().manual_seed(1))
    look = AttentionSettings(resolution=side)
    heats = [
        DiffusersAttention(each, look).read(image, [parse("the red cup")])[0].heat
        for each in (model, folder)
    ]
    assert (heats[0] - heats[1]).abs().max() < 0.05
