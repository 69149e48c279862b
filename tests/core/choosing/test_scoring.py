"""Scores of proposals."""

import pytest
import torch

from refdiff_core.choosing.contrast import Compared
from refdiff_core.choosing.layout import thing_weights
from refdiff_core.choosing.scoring import error_variance, generative_score, lit_score, weigh
from refdiff_core.errors import MaskError
from refdiff_core.settings import Calibration, Settings
from refdiff_core.values import Likeness, Proposals


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


def test_attention_is_told_by_how_many_times_the_mean_it_is(heat):
    masks = torch.stack([mask((0, 3), (1, 4)), mask((0, 0)), mask((1, 0)), mask()])
    ground = torch.tensor(0.2)
    lit = lit_score(heat, masks, ground)
    expected = torch.log((torch.tensor([1.0, 0.5, 0.0]) + 0.2) / (heat.mean() + 0.2))
    assert torch.allclose(lit[:3], expected)
    assert lit[3] == -3, "an empty mask has least"


def test_a_map_that_lights_nothing_up_says_nothing_though_it_is_stretched(heat):
    masks = torch.stack([mask((0, 3), (1, 4)), mask((1, 0))])
    clear, dull = (lit_score(heat, masks, torch.tensor(each)) for each in (0.1, 50.0))
    assert clear[0] - clear[1] > 2 and (dull[0] - dull[1]).abs() < 0.05
    assert not lit_score(torch.zeros(3, 5), masks, torch.tensor(1000.0)).any()


def test_two_of_a_kind_are_each_as_lit_as_both_together(heat):
    both, one = mask((0, 3), (2, 4)), mask((0, 3))
    scores = lit_score(heat, torch.stack([both, one]), torch.tensor(0.1))
    assert scores[0] == scores[1]


def test_masks_of_another_size_are_told_with_both_sizes(heat):
    with pytest.raises(MaskError, match=r"6 x 4 .* 5 x 3"):
        generative_score(heat, torch.zeros(1, 4, 6, dtype=torch.bool))


ALL = torch.ones(3, dtype=torch.bool)


def said(*views, rivals=()):
    """What CLIP says of three regions, in cosines; of rivals one view each, in one group."""
    shares = torch.full((len(views),), 1 / len(views))
    others = tuple(Likeness(torch.tensor([each] * len(views)), shares) for each in rivals)
    return Compared(Likeness(torch.tensor(views), shares), (others,) if others else ())


def evidence(
    generative=None,
    compared=None,
    admissible=ALL,
    quality=(1.0, 1.0, 1.0),
    things=None,
    **settings,
):
    seen = None if generative is None else torch.tensor(generative)
    return weigh(seen, compared, torch.tensor(quality), admissible, Settings(**settings), things)


def test_where_views_agree_clip_decides_and_where_they_do_not_the_attention_does():
    attention = [0.0, 0.6, 0.0]
    agreed = said([0.25, 0.22, 0.20], [0.25, 0.22, 0.20])
    apart = said([0.31, 0.16, 0.26], [0.19, 0.28, 0.14])
    assert torch.allclose(agreed.own.cosine, apart.own.cosine)
    assert int(evidence(attention, agreed).odds.argmax()) == 0
    assert int(evidence(attention, apart).odds.argmax()) == 1


def test_the_error_is_what_views_disagree_by():
    """Of two views whose errors are e and -e, the mean's variance is that of e / sqrt 2."""
    generator = torch.Generator().manual_seed(0)
    shown = torch.randn(1, 2000, generator=generator) * 0.01
    views = torch.randn(2, 2000, generator=generator) * 0.02 + shown
    own = Likeness(views, torch.tensor([0.5, 0.5]))
    everything = torch.ones(2000, dtype=torch.bool)
    plain = Calibration(shared=1, floor=0.001)
    assert error_variance(Compared(own), everything, plain) == pytest.approx(2.0, rel=0.1)
    lower = Likeness(views - torch.tensor([[0.1], [0.0]]), own.shares)
    assert error_variance(Compared(lower), everything, plain) == pytest.approx(2.0, rel=0.1)


def test_a_region_matches_as_far_as_it_looks_like_nothing_else():
    own = [0.25, 0.24, 0.18]
    plain = evidence(None, said(own, own, rivals=[[0.20, 0.20, 0.20]] * 4))
    assert plain.match[0] > 0.9 and plain.match[1] > 0.5 and plain.match[2] < 0.1
    other = evidence(None, said(own, own, rivals=[[0.20, 0.20, 0.20]] * 3 + [[0.20, 0.30, 0.20]]))
    assert other.match[1] < 0.1 < 0.9 < other.match[0]


def test_where_everything_looks_more_like_something_else_there_is_no_such_thing():
    own, rivals = [0.20, 0.21, 0.19], [[0.26, 0.22, 0.20], [0.20, 0.25, 0.24]]
    assert evidence(None, said(own, own, rivals=rivals)).present < 0.1
    right = [0.30, 0.21, 0.19]
    assert evidence(None, said(right, right, rivals=rivals)).present > 0.9


def test_a_bad_mask_is_no_elephant_where_the_good_one_of_the_same_thing_is_none():
    own, rivals = [0.27, 0.20, 0.15], [[0.22, 0.27, 0.26]] * 3
    alone = evidence(None, said(own, own, rivals=rivals))
    one_thing = thing_weights(overlapping(0.8, 0.95), ALL)
    together = evidence(None, said(own, own, rivals=rivals), things=one_thing)
    assert alone.present > 0.9 and alone.match[0] > 0.9
    assert together.present < 0.25 and together.match[0] < alone.match[0] - 0.2


def overlapping(*quality):
    """Two masks of one thing, which the proposer trusts so far, and one of another."""
    masks = torch.zeros(3, 20, 50, dtype=torch.bool)
    masks[0, 5:16, 5:17] = masks[1, 5:15, 5:15] = masks[2, 5:15, 30:40] = True
    return Proposals.of(masks, torch.tensor([*quality, 1.0]))


def test_masks_of_one_thing_tell_of_it_by_how_good_they_are():
    weights = thing_weights(overlapping(0.8, 0.9), ALL)
    assert torch.allclose(weights.sum(1), torch.ones(3))
    assert torch.equal(weights[0], weights[1]) and weights[0, 1] > 2 * weights[0, 0] > 0
    assert weights[2].tolist() == [0, 0, 1]
    rejected = thing_weights(overlapping(0.8, 0.9), torch.tensor([True, False, True]))
    assert torch.equal(rejected, torch.eye(3)), "what is not admissible tells of itself alone"


def test_attention_alone_does_not_judge_whether_there_is_such_a_thing():
    assert evidence([0.1, 0.0, 0.0]).present is None


def test_what_is_not_admissible_has_no_chance():
    some = torch.tensor([False, True, True])
    found = evidence([0.9, 0.3, 0.1], admissible=some)
    assert found.match[0] == 0 and found.odds[0] == -torch.inf
    assert torch.equal(found.match[1:], evidence([0.3, 0.3, 0.1]).match[1:])


@pytest.mark.parametrize(("alpha", "alone"), [(1.0, 0), (0.0, 1)])
def test_alpha_of_one_or_zero_ranks_by_one_alone(alpha, alone):
    terms = ([0.5, 0.1, 0.0], said([0.2, 0.3, 0.1], [0.2, 0.3, 0.1]))
    one = [term if index == alone else None for index, term in enumerate(terms)]
    assert torch.equal(evidence(*terms, alpha=alpha).odds, evidence(*one).odds)


def test_the_proposers_own_estimate_is_one_term_and_outweighs_no_attention():
    assert int(evidence([0.4, 0.4, 0.0], quality=(0.9, 1.0, 1.0)).odds.argmax()) == 1
    assert int(evidence([0.5, 0.4, 0.0], quality=(0.9, 1.0, 1.0)).odds.argmax()) == 0


def test_nothing_admissible_matches_nothing():
    none = torch.zeros(3, dtype=torch.bool)
    found = evidence([0.1, 0.2, 0.0], admissible=none)
    assert found.match.tolist() == [0, 0, 0] and found.present == 0
    empty = torch.zeros(0)
    found = weigh(empty, None, empty, torch.zeros(0, dtype=torch.bool), Settings())
    assert found.match.shape == found.likely.shape == (0,)
