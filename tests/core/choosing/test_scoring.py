"""Scores of proposals."""

import pytest
import torch

from refdiff_core.choosing.scoring import generative_score, match_chance
from refdiff_core.errors import MaskError


@pytest.fixture
def heat():
    values = torch.zeros(3, 5)
    values[:, 3:] = 1
    values[0, 0] = 0.5
    return values


def mask(*cells):
    made = torch.zeros(3, 5, dtype=torch.bool)
    for row, column in cells:
        made[row, column] = True
    return made


def test_score_is_mean_inside_minus_mean_outside(heat):
    masks = torch.stack([mask((0, 0), (0, 3))])
    inside = (0.5 + 1) / 2
    outside = (heat.sum() - 1.5) / 13
    assert generative_score(heat, masks)[0] == pytest.approx(float(inside - outside))


def test_the_hot_region_wins_and_its_complement_loses(heat):
    hot = heat == 1
    scores = generative_score(heat, torch.stack([~hot, hot]))
    assert scores[1] == pytest.approx(1 - 0.5 / 9) and scores[0] == pytest.approx(-scores[1])


def test_empty_mask_scores_lowest_and_the_whole_picture_has_no_outside(heat):
    empty, whole = torch.zeros(3, 5, dtype=torch.bool), torch.ones(3, 5, dtype=torch.bool)
    scores = generative_score(heat, torch.stack([empty, whole]))
    assert scores[0] == -1
    assert scores[1] == pytest.approx(float(heat.mean()))


def test_no_masks_have_no_scores(heat):
    assert generative_score(heat, torch.zeros(0, 3, 5, dtype=torch.bool)).shape == (0,)


def test_a_flat_map_prefers_nothing():
    masks = torch.stack([mask((0, 0)), mask((1, 1), (2, 2))])
    assert generative_score(torch.ones(3, 5), masks).abs().max() < 1e-6


def test_size_exponent_turns_the_papers_preference_for_the_smallest_peak():
    peak = torch.tensor([[0.0, 0.8, 0.9, 1.0, 0.0]])
    masks = torch.tensor([[[False, False, False, True, False]], [[False, True, True, True, False]]])
    assert generative_score(peak, masks[[0, 1]])[0] > 0
    tight, whole = generative_score(peak, masks, size_exponent=0.5)
    assert whole > tight


def test_order_of_proposals_does_not_matter(heat):
    masks = torch.stack([mask((0, 0)), mask((0, 3), (1, 4)), mask((2, 1))])
    shuffled = generative_score(heat, masks[[2, 0, 1]])
    assert torch.equal(generative_score(heat, masks)[[2, 0, 1]], shuffled)


def test_masks_of_another_size_are_told_with_both_sizes(heat):
    with pytest.raises(MaskError, match=r"6 x 4 .* 5 x 3"):
        generative_score(heat, torch.zeros(1, 4, 6, dtype=torch.bool))


def chances(generative, discriminative=None, alpha=0.5, admissible=None):
    terms = [None if term is None else torch.tensor(term) for term in (generative, discriminative)]
    count = len(next(term for term in terms if term is not None))
    allowed = torch.ones(count, dtype=torch.bool) if admissible is None else admissible
    return match_chance(*terms, alpha, allowed)


def test_the_best_matches_and_what_is_far_behind_does_not():
    for terms in (([0.4, 0.35, -0.6],), (None, [1.0, 0.5, 1e-6])):
        best, second, far = chances(*terms).tolist()
        assert best > 0.9 and second > 0.8 and far < 0.1


def test_chances_are_relative_to_the_best_that_is_admissible():
    without = chances([0.9, 0.1, 0.1], admissible=torch.tensor([False, True, True]))
    assert without[0] == 0 and without[1] > 0.9


@pytest.mark.parametrize(("alpha", "alone"), [(1.0, 0), (0.0, 1)])
def test_alpha_of_one_or_zero_asks_one_score_alone(alpha, alone):
    terms = ([0.5, 0.1], [0.2, 1.0])
    one = [term if index == alone else None for index, term in enumerate(terms)]
    assert torch.equal(chances(*terms, alpha=alpha), chances(*one))


def test_nothing_admissible_matches_nothing():
    nothing = torch.zeros(2, dtype=torch.bool)
    assert chances([0.1, 0.2], admissible=nothing).tolist() == [0, 0]
    assert match_chance(None, None, 0.5, torch.zeros(0, dtype=torch.bool)).shape == (0,)
