"""What words leave out: negative lines, exclusions, the rest of a picture; and lists of things."""

from dataclasses import replace

import pytest
import torch
from squares import BLUE, GREEN, RED_LEFT, RED_LOW, RED_MIDDLE, models

from refdiff_core.choosing.fusion import leave_out
from refdiff_core.demo.scenes import COLORS
from refdiff_core.evaluation.questions import held_out_scenes
from refdiff_core.language.expression import parse
from refdiff_core.pipeline import Models, segment
from refdiff_core.seeing.proposals import FixedProposals, mask_iou
from refdiff_core.settings import PAPER, Settings
from refdiff_core.testing import FakeScorer
from refdiff_core.values import Drawing, Proposals, Scores, Segmentation


def test_a_negative_line_keeps_its_thing_out_of_all_others(picture, squares):
    lines = ["the red square", "not: the red square on the left", "not: the bottom red square"]
    (found,) = segment(picture, lines, models(squares))
    assert found.best == RED_MIDDLE


def test_what_a_negative_line_names_is_cut_out_of_a_larger_thing(picture):
    masks = torch.zeros(2, 30, 52, dtype=torch.bool)
    masks[0, 2:14, 2:26] = True
    masks[1, 4:12, 16:24] = True  # the blue square on it
    proposer = FixedProposals(Proposals.of(masks))
    lines = ["the red square", "not: the blue square"]
    both, without = (
        segment(picture, asked, Models(None, proposer, FakeScorer()))[0]
        for asked in (lines[:1], lines)
    )
    assert both.best == without.best == 0
    assert torch.equal(without.mask > 0, masks[0] & ~masks[1])
    assert without.scores.of(0)["excluded"] < without.scores.of(1)["excluded"]


def test_what_a_line_excludes_counts_for_that_line_alone(picture, squares):
    lines = ["the left square, not the red one", "the left square", "the blue square"]
    found = segment(picture, lines, models(squares))
    assert [each.best for each in found] == [BLUE, RED_LEFT, BLUE]
    assert [each.scores.excluded is None for each in found] == [False, True, True]
    (alone,) = segment(picture, lines[0], models(squares))
    assert torch.equal(alone.scores.total, found[0].scores.total)


@pytest.mark.parametrize("parts", [(True, True), (True, False), (False, True)])
def test_excluding_in_the_line_and_in_a_line_of_its_own_are_the_same(picture, squares, parts):
    (inline,) = segment(picture, "the left square, not the red square", models(squares, *parts))
    (plain,) = segment(picture, ["the left square", "not: the red square"], models(squares, *parts))
    assert inline.best == plain.best == BLUE
    assert torch.allclose(inline.scores.excluded, plain.scores.excluded, atol=1e-5)


def test_what_a_line_excludes_is_not_cut_out(picture, squares):
    only = FixedProposals(squares.proposals.select(torch.tensor([BLUE])))
    (found,) = segment(picture, "the square, not the blue one", models(only))
    assert found.best == 0 and torch.equal(found.mask > 0, squares.proposals.masks[BLUE])


def answer(text, total, match, proposals):
    """As `fuse` gives it: the best first, that one meant."""
    ranking = torch.tensor(total).argsort(descending=True)
    scores = Scores(torch.tensor(total), match=torch.tensor(match))
    drawing = Drawing(proposals.select(ranking[:1]))
    return Segmentation(parse(text), drawing, proposals, scores, ranking, winners=ranking[:1])


@pytest.fixture
def cups():
    """Two masks of one cup, the second trusted more, and a dog elsewhere."""
    masks = torch.zeros(3, 30, 52, dtype=torch.bool)
    masks[:2, 4:12, 4:12], masks[1, 4] = True, False
    masks[2, 4:12, 28:36] = True
    return Proposals.of(masks, torch.tensor([0.9, 0.98, 0.9]))


def test_a_negative_line_about_something_elsewhere_changes_nothing(cups):
    """However alike the masks look: the one that had won wins."""
    cup = answer("the cup", [0.0006, 0.9989, 0.0], [0.9959, 0.9959, 0.01], cups)
    dog = answer("not: the dog", [0.0, 0.0, 0.99], [0.0, 0.0, 0.99], cups)
    found, _ = leave_out([cup, dog], Settings())
    assert found.ranking.tolist() == [1, 0, 2] and found.best == 1
    assert torch.equal(found.mask > 0, cups.masks[1])


def test_of_what_a_negative_line_leaves_the_trusted_mask_wins(cups):
    thing = answer("the left thing", [0.0, 0.0, 0.99], [0.96, 0.95, 0.99], cups)
    dog = answer("not: the dog", [0.0, 0.0, 0.99], [0.0, 0.0, 0.99], cups)
    found, _ = leave_out([thing, dog], Settings())
    assert found.ranking.tolist() == [1, 0, 2]


def test_a_thing_without_loses_where_it_has_the_part(picture):
    masks = torch.zeros(3, 30, 52, dtype=torch.bool)
    masks[0, 2:14, 2:26] = True  # red, with the blue square on it
    masks[1, 4:12, 16:24] = True  # that blue square
    masks[2, 4:12, 28:36] = True  # red alone
    picture[2:14, 2:26][~masks[1, 2:14, 2:26]] = torch.tensor(COLORS["red"]) / 255
    proposer = FixedProposals(Proposals.of(masks))
    for text, best in (
        ("the red square with a blue square", 0),
        ("the red square without a blue square", 2),
    ):
        (found,) = segment(picture, text, models(proposer))
        assert found.best == best


def test_nothing_but_the_excluded_is_nothing_found(picture, squares):
    only = FixedProposals(squares.proposals.select(torch.tensor([BLUE])))
    (found,) = segment(picture, ["the blue square", "not: the blue square"], models(only))
    assert not found.found


@pytest.mark.parametrize(
    ("lines", "left_out"),
    [
        (["everything but the blue square"], [BLUE]),
        (["not: the blue square"], [BLUE]),
        (["not: the blue square", "not: the green square"], [BLUE, GREEN]),
        (["not: the blue square . the green square"], [BLUE, GREEN]),
        (["everything except the red squares"], [RED_LEFT, RED_MIDDLE, RED_LOW]),
    ],
)
@pytest.mark.parametrize("settings", [Settings(), PAPER.fusion])
def test_everything_but_is_the_rest_of_the_picture(picture, squares, lines, left_out, settings):
    (result,) = segment(picture, lines, models(squares), settings)
    assert torch.equal(result.mask == 0, squares.proposals.masks[left_out].any(0))
    assert result.found and {*result.chosen} == {*left_out}


def test_the_background_is_what_no_thing_covers(picture, squares):
    wall = torch.zeros(1, 30, 52, dtype=torch.bool)
    wall[:, :12] = True  # reaches three borders
    masks = torch.cat([squares.proposals.masks, wall])
    parts = models(FixedProposals(Proposals.of(masks)), attention=False)
    ground, things = segment(picture, ["background", "the foreground"], parts)
    assert torch.equal(things.mask > 0, squares.proposals.masks.any(0))
    assert torch.equal(ground.mask > 0, ~squares.proposals.masks.any(0))
    assert len(things.winners) == len(squares.proposals) and not len(ground.winners)
    assert things.score is not None and torch.tensor(things.score).isfinite()


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("the blue square . the background", "the blue square"),
        ("background | the blue square | everything but the red square", "the blue square"),
        ("the background . the foreground", "the background"),
    ],
)
def test_what_is_no_thing_cannot_be_one_of_a_list_and_says_so(picture, squares, line, kept):
    (found,), (alone,) = (segment(picture, each, models(squares)) for each in (line, kept))
    assert alone.mask.any() and torch.equal(found.mask, alone.mask)
    assert any("cannot be one of several" in note for note in found.expression.notes)


def test_a_list_keeps_its_negative_line_whatever_stands_first(picture, squares):
    lines = ["the background . the blue square", "not: the bottom red square"]
    (found,) = segment(picture, lines, models(squares))
    assert len(found.drawing.without) == 1


def test_attention_alone_tells_the_background_by_where_stop_words_are(demo_models):
    parts = replace(demo_models, proposer=None, scorer=None)
    overlaps = []
    for scene in held_out_scenes(6):
        image, things = torch.tensor(scene.image) / 255, torch.tensor(scene.masks).any(0)
        for line, truth in (("the background", ~things), ("foreground", things)):
            (found,) = segment(image, line, parts)
            overlaps.append(float(mask_iou(found.mask[None] > 0, truth[None])))
    assert min(overlaps[::2]) > 0.85 and sum(overlaps[::2]) / 6 > 0.95
    assert sum(overlaps[1::2]) / 6 > 0.75


def test_a_list_is_found_as_its_things_are_one_by_one(picture, squares):
    lines = ["the blue square", "the bottom red square"]
    alone = segment(picture, lines, models(squares))
    (listed,) = segment(picture, " . ".join(lines), models(squares))
    assert listed.chosen == [each.best for each in alone]
    assert torch.equal(listed.mask, torch.stack([each.mask for each in alone]).amax(0))


def test_a_lists_map_is_lit_where_any_of_its_things_is(picture, squares):
    lines = ["the blue square", "the red square"]
    (listed,) = segment(picture, " . ".join(lines), models(squares))
    alone = [each.attention.heat for each in segment(picture, lines, models(squares))]
    assert (alone[0] - alone[1]).abs().max() > 0.5
    assert torch.equal(listed.attention.heat, torch.maximum(*alone))


def test_a_list_without_shared_candidates_has_those_of_all_its_things(picture):
    (listed,) = segment(picture, "the blue square . the red square", models(None, True, False))
    alone = segment(picture, ["the blue square", "the red square"], models(None, True, False))
    assert len(listed.proposals) == sum(len(each.proposals) for each in alone)
    assert torch.equal(listed.mask, torch.stack([each.mask for each in alone]).amax(0))
    assert len(listed.winners) == 2


def test_with_inverted_masks_a_list_leaves_all_its_things_out(picture, squares):
    line, turned = "the blue square . the green square", Settings(invert=True)
    plain, inverted = (
        segment(picture, line, models(squares), settings)[0] for settings in (Settings(), turned)
    )
    assert torch.equal(inverted.mask, 1 - plain.mask)
