"""How often an answer waits for a GPU, counted with the demo's models on one that is not there."""

from contextlib import nullcontext

import pytest
import torch

from refdiff_core import load_demo, segment
from refdiff_core.backends import clip_scorer, sam_proposer
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.seeing.proposals import mask_iou
from refdiff_core.together import Lot, together

if not hasattr(torch._C, "_ensureCUDADeviceGuardSet"):  # 2.1 has none
    pytest.skip("this torch has no devices that are not there", allow_module_level=True)
from elsewhere import Elsewhere, on_device  # noqa: E402

LINES = ("the red circle", "the blue square", "the star on the left", "the largest ring")


def picture():
    scene = sample_scene(HELD_OUT_SEED + 1, size_hw=(96, 160))
    return torch.from_numpy(scene.image).float() / 255


def elsewhere(variant):
    models = load_demo(variant)
    parts = [models.attention.model.unet, models.attention.model.vae]
    parts += models.attention.model.text_encoders
    parts += [models.proposer.sam] if models.proposer else []
    parts += [models.scorer.clip.model] if models.scorer else []
    if models.scorer:
        assert models.scorer.scale > 0  # read once, when it is first asked
    for part in parts:
        on_device(part)
    return models


@pytest.fixture(autouse=True)
def in_full_precision(monkeypatch):
    """Autocast asks the real CUDA, which is not there."""
    for backend in (sam_proposer, clip_scorer):
        monkeypatch.setattr(backend, "autocast", lambda *_: nullcontext())


@pytest.mark.parametrize(("variant", "most"), [("gsd", 3), ("g", 2)])
def test_an_answer_waits_a_fixed_few_times_and_is_right(variant, most):
    models, image = elsewhere(variant), picture()
    with torch.inference_mode(), Elsewhere() as device:
        assert models.device.type == "cuda"
        there = segment(image, LINES, models)
        waits = dict(device.waits)
        masks = [each.mask for each in there]
    assert sum(waits.values()) <= most, waits
    for mask, here in zip(masks, segment(image, LINES, load_demo(variant)), strict=True):
        overlap = mask_iou(mask[None] >= 0.5, here.mask[None] >= 0.5)
        assert overlap > 0.95 or not (mask.any() or here.mask.any())


def test_pictures_that_are_encoded_together_wait_no_more_often():
    models, passes = elsewhere("gsd"), []
    encoders = models.attention.model.vae.encoder, models.proposer.sam.image_encoder
    for each in encoders:
        each.register_forward_pre_hook(lambda _, args: passes.append(len(args[0])))
    pictures = [picture(), picture().flip(0), picture().flip(1)]
    with torch.inference_mode(), Elsewhere() as device, together(Lot(pictures, 3)):
        there = [segment(each, LINES[3], models)[0] for each in pictures]
        waits = dict(device.waits)
        masks = [each.mask for each in there]
    assert passes == [3, 3] and sum(waits.values()) <= 3 * len(pictures), waits
    here = load_demo("gsd")
    for image, mask in zip(pictures, masks, strict=True):
        overlap = mask_iou(mask[None] >= 0.5, segment(image, LINES[3], here)[0].mask[None] >= 0.5)
        assert overlap > 0.95
