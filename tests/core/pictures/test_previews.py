"""Pictures about results."""

import pytest
import torch

from refdiff_core.choosing.fusion import fuse
from refdiff_core.pictures.previews import (
    candidates_sheet,
    heat_colors,
    heat_picture,
    label,
    magnify,
    outline,
    overlay,
    sheet,
)
from refdiff_core.settings import Settings
from refdiff_core.values import Expression, Proposals


@pytest.fixture
def picture(two_squares):
    return torch.from_numpy(two_squares).float() / 255


def result_of(masks):
    scores = torch.linspace(0.1, 0.9, len(masks))
    return fuse(Expression("x"), None, Proposals.of(masks), scores, None, Settings())


def test_overlay_keeps_the_inside_and_dims_the_outside(picture, squares_masks):
    shown = overlay(picture, squares_masks[0])
    assert torch.equal(shown[squares_masks[0]], picture[squares_masks[0]])
    assert (shown[0, 40] < picture[0, 40]).all()
    assert shown.shape == picture.shape


def test_overlay_of_an_empty_mask_has_no_outline(picture):
    shown = overlay(picture, torch.zeros(48, 80))
    assert not (shown == torch.tensor([1.0, 0.85, 0.1])).all(-1).any()


@pytest.mark.parametrize("color", [(1.0, 0.85, 0.1), (0.0, 0.0, 0.0)], ids=["yellow", "black"])
def test_the_outline_is_seen_on_things_of_its_own_colour(color):
    mask = torch.zeros(60, 90, dtype=torch.bool)
    mask[20:40, 30:60] = True
    shown = overlay(torch.tensor(color).expand(60, 90, 3), mask)
    amber = (shown == torch.tensor([1.0, 0.85, 0.1])).all(-1)
    dark = (shown < 0.1).all(-1)
    band = outline(mask, 2)
    assert (amber & band).any() and (dark & band).any()


def test_a_label_lies_at_the_thing_and_not_on_small_pictures():
    picture, mask = torch.full((400, 500, 3), 0.5), torch.zeros(400, 500, dtype=torch.bool)
    mask[200:300, 250:350] = True
    changed = ((label(picture, mask, "1  0.92") - picture).abs() > 0.01).any(-1).nonzero()
    assert 160 <= changed[:, 0].min() and changed[:, 0].max() < 200
    assert changed[:, 1].min() == 250
    small = torch.full((96, 144, 3), 0.5)
    assert torch.equal(label(small, torch.ones(96, 144), "1"), small)
    told = label(picture, torch.zeros(400, 500), "not found: " + 9 * "nothing looks like it ")
    changed = ((told - picture).abs() > 0.01).any(-1).nonzero()
    assert changed.min() <= 4 and changed[:, 0].max() < 40, "of an empty mask at the top, cut"


def test_outline_is_a_band_around_the_mask(squares_masks):
    band = outline(squares_masks[0], 2)
    assert not (band & squares_masks[0]).any()
    assert int(band.sum()) == 24 * 24 - 20 * 20


def test_heat_colors_grow_lighter_with_the_heat():
    lightness = heat_colors(torch.linspace(0, 1, 50)[None]).sum(-1)[0]
    assert (lightness.diff() > 0).all()
    assert heat_colors(torch.tensor([[-1.0, 2.0]])).isfinite().all()


def test_heat_picture_is_a_picture(picture):
    shown = heat_picture(picture, torch.rand(48, 80, generator=torch.Generator().manual_seed(0)))
    assert shown.shape == picture.shape
    assert 0 <= shown.min() and shown.max() <= 1


def test_candidates_sheet_grows_with_the_candidates(picture, squares_masks):
    one = candidates_sheet(picture, result_of(squares_masks[:1]))
    two = candidates_sheet(picture, result_of(squares_masks))
    assert two.shape[1] > one.shape[1]


def test_candidates_sheet_of_nothing_shows_the_picture(picture):
    nothing = result_of(torch.zeros(0, 48, 80, dtype=torch.bool))
    assert candidates_sheet(picture, nothing).shape[-1] == 3


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 4000), (4000, 1)])
def test_previews_of_extreme_shapes(size_hw):
    picture, mask = torch.rand(*size_hw, 3), torch.zeros(size_hw, dtype=torch.bool)
    mask[0, 0] = True
    assert overlay(picture, mask).shape == picture.shape
    assert candidates_sheet(picture, result_of(mask[None])).isfinite().all()


def test_sheet_cuts_captions_that_are_too_long(picture):
    short, long = (sheet([picture], [text]) for text in ("x", "x" * 500))
    assert short.shape == long.shape


def test_magnify_repeats_pixels_and_leaves_large_pictures_alone(picture, squares_masks):
    assert magnify(picture, 400).shape == (240, 400, 3)
    assert torch.equal(magnify(squares_masks[0], 160)[::2, ::2], squares_masks[0])
    assert torch.equal(magnify(picture, 79), picture)
