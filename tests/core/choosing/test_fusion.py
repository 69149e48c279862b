"""From scores to a ranking, and from the winner to the mask."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refdiff_core.choosing.contrast import Compared
from refdiff_core.choosing.fusion import fuse, trust_edges
from refdiff_core.settings import Settings
from refdiff_core.values import Expression, Likeness, Proposals

WORDS = Expression("the square")


def three_masks():
    """Bool (3, 6, 10): left block, right block, a single pixel."""
    masks = torch.zeros(3, 6, 10, dtype=torch.bool)
    masks[0, 1:5, 1:4] = True
    masks[1, 1:5, 6:9] = True
    masks[2, 0, 0] = True
    return Proposals.of(masks)


def fuse_with(generative, discriminative=None, proposals=None, **settings):
    proposals = three_masks() if proposals is None else proposals
    generative = torch.tensor(generative)
    said = None
    if discriminative is not None:
        said = Compared(Likeness.of(torch.tensor(discriminative)))
    return fuse(WORDS, None, proposals, generative, said, Settings(**settings))


def test_the_highest_score_wins():
    result = fuse_with([0.1, 0.7, 0.3])
    assert result.best == 1
    assert result.ranking.tolist() == [1, 2, 0]
    assert result.score == pytest.approx(float(result.scores.match[1]))
    assert torch.equal(result.mask > 0, result.proposals.masks[1])


@pytest.mark.parametrize(("alpha", "winner"), [(1.0, 0), (0.0, 1)])
def test_alpha_of_one_or_zero_leaves_one_term_alone(alpha, winner):
    assert fuse_with([0.9, 0.1, 0.0], [0.1, 0.9, 0.0], alpha=alpha).best == winner


def test_scores_are_weighed_as_in_the_paper():
    result = fuse_with([0.2, 0.4, 0.0], [0.6, 0.1, 0.0], alpha=0.25, fusion="sum")
    assert result.scores.total[:2].tolist() == pytest.approx([0.5, 0.175])
    terms = result.scores.of(0)
    assert terms.pop("match") == pytest.approx(float(result.scores.match[0]))
    assert terms == pytest.approx({"generative": 0.2, "discriminative": 0.6})


def test_a_rejected_proposal_never_wins_even_among_negative_scores():
    result = fuse_with([-0.5, -0.2, 0.9], smallest=0.1)
    assert result.ranking.tolist() == [1, 0]
    assert result.scores.total[2] == -torch.inf


def test_equal_scores_keep_the_order_of_the_proposals():
    assert fuse_with([0.5, 0.5, 0.5]).ranking.tolist() == [0, 1, 2]


@given(st.permutations([0, 1, 2]))
def test_the_order_of_proposals_does_not_matter(order):
    scores, proposals = torch.tensor([0.1, 0.7, 0.3]), three_masks()
    chosen = torch.tensor(order)
    shuffled = fuse_with(scores[chosen].tolist(), proposals=proposals.select(chosen))
    assert torch.equal(shuffled.mask, fuse_with(scores.tolist()).mask)


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_admissible_is_an_empty_mask(count):
    nothing = Proposals.of(torch.ones(count, 6, 10, dtype=torch.bool))
    result = fuse_with([0.9] * count, proposals=nothing)
    assert not result.found
    assert result.best is None and result.score is None
    assert result.mask.shape == (6, 10) and not result.mask.any()


def test_the_mask_may_be_the_union_of_the_best():
    result = fuse_with([0.5, 0.7, 0.3], union=2)
    assert torch.equal(result.mask > 0, result.proposals.masks[:2].any(0))


def test_of_one_things_masks_the_one_that_the_proposer_trusts_most_wins():
    masks = torch.zeros(4, 12, 20, dtype=torch.bool)
    masks[0, 2:8, 2:9] = True  # looks best, but is cut off
    masks[1, 2:8, 2:10] = True
    masks[2, 2:8, 12:18] = True  # another thing, trusted even more
    masks[3, 2:8, 2:18] = True  # both, and what is between
    proposals = Proposals(masks, torch.tensor([0.7, 0.95, 0.99, 0.98]))
    total, match = torch.tensor([0.9, 0.8, 0.3, 0.2]), torch.tensor([0.9, 0.9, 0.4, 0.3])
    found = trust_edges(total, match, proposals)
    assert torch.equal(found, torch.tensor([0.8, 0.9, 0.3, 0.2]))
    assert torch.equal(trust_edges(total, match, Proposals.of(masks)), total)
