"""Proposals from Segment Anything, with the bundled small one."""

import pytest
import torch

from refdiff_core.backends.sam_proposer import DEMO, SamProposer
from refdiff_core.demo.models import load_sam
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.proposals import mask_iou
from refdiff_core.values import AttentionMap


@pytest.fixture(scope="module")
def sam():
    return load_sam()


@pytest.mark.parametrize("size_hw", [(128, 128), (96, 160), (160, 96)])
def test_things_are_among_the_proposals_at_any_shape(sam, size_hw):
    best = []
    for seed in range(3):
        scene = sample_scene(HELD_OUT_SEED + seed, size_hw=size_hw)
        image = torch.from_numpy(scene.image).float() / 255
        (found,) = SamProposer(sam, DEMO).propose(image, [None])
        assert found.size_hw == size_hw
        best += mask_iou(found.masks, torch.from_numpy(scene.masks)).max(0).values.tolist()
    assert sum(best) / len(best) > 0.6


def test_an_answer_does_not_depend_on_what_else_was_asked(sam):
    scene = sample_scene(HELD_OUT_SEED)
    image = torch.from_numpy(scene.image).float() / 255
    maps = [AttentionMap(torch.from_numpy(mask).float()) for mask in scene.masks]
    proposer = SamProposer(sam, DEMO)
    together = proposer.propose(image, maps)
    for each, found in zip(maps, together, strict=True):
        (alone,) = proposer.propose(image, [each])
        assert torch.equal(alone.masks, found.masks)


def test_a_strip_of_one_pixel_is_no_error(sam):
    (found,) = SamProposer(sam, DEMO).propose(torch.rand(1, 4000, 3), [None])
    assert found.size_hw == (1, 4000)


def test_progress_counts_prompts_and_may_stop(sam):
    seen = []

    def stop(done, total):
        seen.append((done, total))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SamProposer(sam, DEMO, progress=stop).propose(torch.rand(20, 30, 3), [None])
    assert seen == [(64, 64)]
