"""Types and layouts by the device, and no other answer by them."""

import pytest
import torch

from refdiff_core import load_demo, segment
from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.backends.precision import autocast, fastest_dtype, place, usable_dtype
from refdiff_core.demo.models import DENOISER_FILE
from refdiff_core.demo.scenes import HELD_OUT_SEED, expressions, sample_scene
from refdiff_core.language.expression import parse


@pytest.mark.parametrize("dtype", [None, torch.float32])
def test_the_cpu_computes_in_full_unless_asked(dtype):
    weight = torch.ones(3, 2)
    with autocast(weight, dtype):
        assert (torch.ones(2, 3) @ weight).dtype == torch.float32
    with autocast(weight, torch.bfloat16):
        assert (torch.ones(2, 3) @ weight).dtype == torch.bfloat16


def test_elsewhere_and_in_half_precision_nothing_is_cast():
    for weight in (torch.ones(2, device="meta"), torch.ones(2, dtype=torch.bfloat16)):
        assert not isinstance(autocast(weight, torch.bfloat16), torch.autocast)


@pytest.mark.parametrize(
    ("known", "dtype"),
    [
        (lambda: {"avx512_bf16": True, "avx2": True}, torch.bfloat16),
        (lambda: {"avx512_bf16": False, "avx512_f": True}, torch.float32),
        (lambda: {"architecture": "aarch64"}, torch.float32),
        (None, torch.float32),
    ],
)
def test_a_processor_computes_in_bfloat16_where_it_has_it(monkeypatch, known, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", known, raising=False)
    assert fastest_dtype("cpu") == dtype
    assert fastest_dtype("cuda:1") == fastest_dtype("mps") == torch.float16


def test_a_type_that_a_processor_has_no_kernels_for_becomes_float32(monkeypatch, caplog):
    def missing(*_):
        raise RuntimeError("\"slow_conv2d_cpu\" not implemented for 'Half'")

    assert usable_dtype(torch.bfloat16, "cpu") == torch.bfloat16
    monkeypatch.setattr("torch.nn.functional.conv2d", missing)
    assert usable_dtype(torch.float16, "cpu") == torch.float32
    assert "cannot compute in torch.float16" in caplog.text
    assert usable_dtype(torch.float16, "cuda") == torch.float16


def test_half_precision_by_name_answers_on_any_processor(two_squares):
    picture = torch.from_numpy(two_squares).float() / 255
    (found,) = segment(picture, "the red square", load_demo(dtype=torch.float16))
    assert found.mask.dtype == torch.float32 and found.mask.any()


def test_kernels_lie_channels_last_on_the_cpu():
    kernel = place(torch.nn.Conv2d(4, 8, 3), "cpu", torch.bfloat16).weight
    assert kernel.dtype == torch.bfloat16 and not kernel.requires_grad
    assert kernel.is_contiguous(memory_format=torch.channels_last)


def test_the_layout_changes_no_map(demo_models, two_squares):
    source = demo_models.attention
    kernel = source.model.vae.encoder.conv_in.weight
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    plain = DiffusersAttention.load(DENOISER_FILE)
    for part in (plain.model.unet, plain.model.vae):
        part.to(memory_format=torch.contiguous_format)
    picture, asked = torch.from_numpy(two_squares).float() / 255, [parse("the red square")]
    (expected,), (found,) = plain.read(picture, asked), source.read(picture, asked)
    assert torch.allclose(found.heat, expected.heat, atol=1e-4)


@pytest.mark.gpu
def test_cuda_computes_in_half():
    weight = torch.ones(3, 2, device="cuda")
    with autocast(weight):
        assert (torch.ones(2, 3, device="cuda") @ weight).dtype == torch.float16


def test_half_precision_finds_the_same_thing(demo_models):
    scene = sample_scene(HELD_OUT_SEED + 3, count=4, size_hw=(96, 160))
    picture = torch.from_numpy(scene.image).float() / 255
    half = load_demo(dtype=torch.bfloat16)
    asked = [each.text for each in expressions(scene) if each.kind == "attribute"]
    assert len(asked) >= 2
    for full, rough in zip(
        segment(picture, asked, demo_models), segment(picture, asked, half), strict=True
    ):
        both, either = full.mask.minimum(rough.mask).sum(), full.mask.maximum(rough.mask).sum()
        assert rough.mask.dtype == torch.float32 and both / either > 0.8
