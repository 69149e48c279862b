"""What stays and what grows: nothing of a call but its answer, nothing with the picture's size."""

import gc
import weakref

import pytest
import torch

from refdiff_core import load_demo, segment
from refdiff_core.choosing.layout import Layout
from refdiff_core.choosing.scoring import generative_score, look_inside
from refdiff_core.demo.scenes import HELD_OUT_SEED, expressions, sample_scene
from refdiff_core.grid import GRID_CELLS, WORKING_SIDE, fits, to_grid, working_grid
from refdiff_core.pipeline import Models
from refdiff_core.seeing import capture
from refdiff_core.seeing.proposals import PARTS, THRESHOLDS
from refdiff_core.testing import FakeAttention
from refdiff_core.values import AttentionMap, Proposals


@pytest.fixture
def without_collector():
    """Whatever a cycle of references keeps alive, stays alive."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_queries_and_keys_are_gone_when_a_call_returns(monkeypatch, without_collector):
    models, seen = load_demo(), []
    record = capture.Capture.record

    def watched(self, layer, query, key, **others):
        seen.extend([weakref.ref(query), weakref.ref(key)])
        return record(self, layer, query, key, **others)

    monkeypatch.setattr(capture.Capture, "record", watched)
    segment(torch.rand(96, 160, 3), "the red circle", models)
    assert seen and not any(each() is not None for each in seen)


@pytest.mark.parametrize("size_hw", [(1, 1), (480, 640), (1, 8000), (6000, 8000), (8000, 8000)])
def test_the_grid_is_bounded_and_the_same_for_a_copy_that_models_are_shown(size_hw):
    grid_hw = working_grid(size_hw)
    assert grid_hw[0] * grid_hw[1] <= GRID_CELLS * 1.01 and max(grid_hw) <= WORKING_SIDE
    assert working_grid(grid_hw) == grid_hw or max(size_hw) > WORKING_SIDE
    assert fits(size_hw, size_hw) and fits(grid_hw, size_hw)


def test_noise_makes_no_more_candidates_than_a_map_can_have_parts():
    noise = torch.rand(512, 512, generator=torch.Generator().manual_seed(0))
    image = torch.rand(512, 512, 3)
    models = Models(FakeAttention(lambda *_: noise))
    (result,) = segment(image, "the red circle", models)
    assert len(result.proposals) <= len(THRESHOLDS) * (1 + PARTS)


def test_lines_share_their_candidates_and_each_gets_the_answer_that_it_gets_alone(demo_models):
    scene = sample_scene(HELD_OUT_SEED + 1, size_hw=(96, 160))
    picture = torch.from_numpy(scene.image).float() / 255
    lines = [each.text for each in expressions(scene)][:8]
    together = segment(picture, lines, demo_models)
    assert len({id(each.proposals.whole) for each in together}) == 1
    assert not any("masks" in each.proposals.__dict__ for each in together), "gathered for nobody"
    for line, among in zip(lines, together, strict=True):
        (alone,) = segment(picture, line, demo_models)
        assert torch.equal(among.mask, alone.mask) and among.mask.any()
        assert torch.equal(among.proposals.masks, alone.proposals.masks)
        assert torch.allclose(among.scores.total, alone.scores.total, atol=1e-4)


def test_what_is_chosen_of_masks_is_measured_as_if_there_were_no_others():
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(5, 30, 40, generator=generator) > torch.linspace(0, 1, 5)[:, None, None]
    keep = torch.tensor([3, 0, 4])
    chosen = Proposals.of(masks).select(keep).select(torch.tensor([1, 0]))
    apart = Proposals.of(masks[[0, 3]])
    assert len(chosen) == 2 and torch.equal(chosen.masks, apart.masks)
    assert torch.equal(chosen.areas, apart.areas) and chosen.digests == apart.digests
    assert torch.equal(chosen.of_size((60, 80)).draw(1), apart.of_size((60, 80)).draw(1))
    for name in ("centers", "boxes", "cells", "areas", "shared"):
        assert torch.equal(getattr(Layout.of(chosen), name), getattr(Layout.of(apart), name))
    heats = list(torch.rand(2, 30, 40, generator=generator))
    for heat, inside in zip(heats, look_inside(heats, [chosen, apart]), strict=True):
        assert torch.allclose(generative_score(heat, inside), generative_score(heat, masks[[0, 3]]))


def test_a_cell_of_the_grid_belongs_to_a_mask_that_holds_half_of_it():
    masks = torch.zeros(4, 1024, 1024, dtype=torch.bool)
    masks[0, ::2, ::2] = True  # a quarter of every cell
    masks[1, ::2] = True  # half
    masks[2, 5, 7] = True  # one pixel of the picture
    small = to_grid(masks)
    assert small.dtype == torch.bool and small.shape[1:] == (512, 512)
    assert small.flatten(1).sum(1).tolist() == [512 * 512, 512 * 512, 1, 0]
    masks[0, 100, 100:104] = True  # two cells by half, beside quarters: no thing of quarters
    assert to_grid(masks[:1]).sum() == 2 and to_grid(masks[2:3])[0, 2, 3]


def test_masks_from_outside_come_back_to_the_pixel():
    masks = torch.zeros(3, 900, 1201, dtype=torch.bool)
    masks[0, 100:700, 200:901] = True
    masks[1, 5, 7] = True  # smaller than a cell
    proposals = Proposals.of(masks)
    assert proposals.masks[0].numel() <= GRID_CELLS * 1.01 and proposals.size_hw == (900, 1201)
    for index in range(3):
        assert torch.equal(proposals.draw(index), masks[index])
    assert to_grid(masks)[1].sum() >= 1 and not to_grid(masks)[2].any()
    kept = proposals.select(torch.tensor([True, False, True]))
    assert torch.equal(kept.union(), masks[0])
    joined = proposals.join(kept)
    assert torch.equal(joined.draw(3), masks[0]) and len(joined) == 5


def test_a_mask_of_a_large_picture_is_that_of_its_copy_made_larger():
    models = Models(FakeAttention(lambda image, _: _painted(image)))
    large, small = (
        segment(torch.rand(*size_hw, 3), "the red circle", models)[0].mask
        for size_hw in ((3000, 4000), (1500, 2000))
    )
    twice = small.repeat_interleave(2, 0).repeat_interleave(2, 1)
    both, either = (large > 0) & (twice > 0), (large > 0) | (twice > 0)
    assert both.sum() / either.sum() > 0.99


def _painted(image):
    height, width = image.shape[:2]
    heat = torch.zeros(height, width)
    heat[height // 4 : height // 2, width // 4 : width // 2] = 1
    return heat


def test_a_map_knows_its_picture():
    seen = AttentionMap(torch.zeros(3, 4), picture_hw=(30, 40))
    assert seen.size_hw == (30, 40) and seen.grid_hw == (3, 4)
