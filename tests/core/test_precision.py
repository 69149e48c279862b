"""Half precision for SAM and CLIP: off on the CPU, and no other answer where it is on."""

import pytest
import torch

from refdiff_core import Models, segment
from refdiff_core.backends.clip_scorer import ClipScorer
from refdiff_core.backends.precision import autocast
from refdiff_core.backends.sam_proposer import SamProposer
from refdiff_core.demo.scenes import HELD_OUT_SEED, expressions, sample_scene


@pytest.mark.parametrize("dtype", [None, torch.float32])
def test_the_cpu_computes_in_full_unless_asked(dtype):
    with autocast(torch.device("cpu"), dtype):
        assert (torch.ones(2, 3) @ torch.ones(3, 2)).dtype == torch.float32
    with autocast(torch.device("cpu"), torch.bfloat16):
        assert (torch.ones(2, 3) @ torch.ones(3, 2)).dtype == torch.bfloat16


@pytest.mark.gpu
def test_cuda_computes_in_half():
    with autocast(torch.device("cuda")):
        assert (torch.ones(2, 3).cuda() @ torch.ones(3, 2).cuda()).dtype == torch.float16


def test_half_precision_finds_the_same_thing(demo_models):
    scene = sample_scene(HELD_OUT_SEED + 3, count=4, size_hw=(96, 160))
    picture = torch.from_numpy(scene.image).float() / 255
    proposer, scorer = demo_models.proposer, demo_models.scorer
    half = Models(
        demo_models.attention,
        SamProposer(proposer.sam, proposer.settings, dtype=torch.bfloat16),
        ClipScorer(scorer.clip, dtype=torch.bfloat16),
    )
    asked = [each.text for each in expressions(scene) if each.kind == "attribute"]
    assert len(asked) >= 2
    for full, rough in zip(
        segment(picture, asked, demo_models), segment(picture, asked, half), strict=True
    ):
        both, either = full.mask.minimum(rough.mask).sum(), full.mask.maximum(rough.mask).sum()
        assert rough.mask.dtype == torch.float32 and both / either > 0.8
