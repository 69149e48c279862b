"""The shape of masks, and that of a large picture no more is drawn than there is to see."""

import pytest
import torch
from scipy.ndimage import binary_fill_holes, distance_transform_edt

from refdiff_core.fine import LogitMasks
from refdiff_core.finishing import Finish, feather, finish, grow
from refdiff_core.grid import working_grid
from refdiff_core.settings import Settings
from refdiff_core.values import Drawing, Proposals

SHAPES = [
    {},
    {"fill": True},
    {"grow": 9},
    {"grow": -7},
    {"feather": 12},
    {"invert": True},
    {"fill": True, "grow": 5, "feather": 7, "invert": True},
]


def rings(size_hw=(90, 140)):
    """Two rings of one mask, one of them cut off by the picture's edge."""
    y, x = torch.meshgrid(*(torch.arange(side) for side in size_hw), indexing="ij")
    found = torch.zeros(size_hw, dtype=torch.bool)
    for top, left in ((30, 40), (70, 0)):
        far = ((y - top) ** 2 + (x - left) ** 2).sqrt()
        found |= (far < 16) & (far > 6)
    return found


def test_fill_closes_holes():
    ring = torch.ones(5, 7, dtype=torch.bool)
    ring[2, 3] = False
    assert finish(ring, Settings(fill=True)).all()
    assert not finish(ring, Settings())[2, 3]


def test_grow_and_shrink():
    mask = torch.zeros(9, 11, dtype=torch.bool)
    mask[4, 5] = True
    grown = grow(mask, 2)
    assert grown.sum() == 13  # a disc of radius 2
    assert torch.equal(grow(grown, -2), mask)
    assert torch.equal(grow(mask, 0), mask)


@pytest.mark.parametrize("pixels", [-3, 3])
def test_growing_keeps_empty_empty_and_full_full(pixels):
    assert not grow(torch.zeros(4, 6, dtype=torch.bool), pixels).any()
    assert grow(torch.ones(4, 6, dtype=torch.bool), pixels).all()


def test_feather_fades_the_edge_and_keeps_the_middle():
    mask = torch.zeros(40, 60)
    mask[10:30, 20:50] = 1
    soft = feather(mask, 4)
    assert soft[20, 35] == 1 and soft[0, 0] == 0
    assert 0 < soft[20, 20] < 1
    assert soft.sum() == pytest.approx(float(mask.sum()), rel=0.01)


@pytest.mark.parametrize("empty", [True, False])
def test_invert_hands_back_everything_else(empty):
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask[1, 1] = not empty
    assert torch.equal(finish(mask, Settings(invert=True)), 1 - mask.float())


@pytest.mark.parametrize("pixels", [1, 6, 40, -1, -3])
def test_growing_is_by_the_distance_to_the_nearest_pixel(pixels):
    mask = rings()
    towards = mask if pixels > 0 else ~mask
    near = torch.from_numpy(distance_transform_edt(~towards.numpy())) <= abs(pixels)
    assert torch.equal(grow(mask, pixels), near if pixels > 0 else ~near)


def test_what_a_ring_encloses_is_filled_and_what_the_border_opens_is_not():
    mask = rings()
    filled = finish(mask, Settings(fill=True)) > 0
    assert filled[30, 40] and not filled[70, 0]
    assert torch.equal(filled, torch.from_numpy(binary_fill_holes(mask.numpy())))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_mask_drawn_in_its_window_is_as_if_all_were_drawn(shape):
    size_hw = (300, 400)
    logits = torch.full((3, 15, 20), -2.0)
    logits[0, 3:6, 4:9], logits[0, 4, 6] = 1.5, -3.0  # with a hole
    logits[1, 12:, 17:] = 2.0  # at the edge
    logits[2, 9, 1] = 0.1  # a speck
    fine = LogitMasks(logits, (15.0, 20.0))
    found = Proposals(fine.on_grid(working_grid(size_hw)), torch.ones(3), size_hw, fine)
    settings = Settings(**shape)
    for chosen in ([0], [1], [2], [0, 2], [0, 1, 2], []):
        winners = found.select(torch.tensor(chosen).long())
        drawn = Drawing(winners, finish=Finish(settings)).draw()
        assert torch.equal(drawn, finish(winners.union(), settings))
    without = Drawing(found, (found.select(torch.tensor([1])),), Finish(settings)).draw()
    assert torch.equal(without, finish(found.union() & ~found.draw(1), settings))


def test_of_a_large_picture_only_the_window_is_drawn(monkeypatch):
    size_hw, drawn = (3000, 4000), []
    logits = torch.full((1, 48, 64), -1.0)
    logits[0, 10:14, 20:26] = 1
    fine = LogitMasks(logits, (48.0, 64.0))
    found = Proposals(fine.on_grid(working_grid(size_hw)), torch.ones(1), size_hw, fine)
    draw = LogitMasks.draw

    def watched(self, *given):
        drawn.append(draw(self, *given))
        return drawn[-1]

    monkeypatch.setattr(LogitMasks, "draw", watched)
    mask = Drawing(found, finish=Finish(Settings(grow=20, feather=10))).draw()
    assert mask.shape == size_hw and mask.any()
    assert sum(each.numel() for each in drawn) < 0.05 * mask.numel()
