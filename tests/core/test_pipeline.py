"""The whole method, on fakes; and what the demo models make of it, where their weights are."""

import re

import pytest
import torch
from squares import BLUE, GREEN, RED_LEFT, RED_LOW, RED_MIDDLE, models

from refdiff_core.backends.tokens import tokenize, words_to_read
from refdiff_core.language.expression import parse
from refdiff_core.pipeline import Models, segment
from refdiff_core.seeing.attention import attention_map, map_of
from refdiff_core.seeing.phrases import find_phrases, without_place
from refdiff_core.seeing.proposals import AttentionProposer, FixedProposals
from refdiff_core.settings import PAPER, Settings
from refdiff_core.testing import FakeAttention, FakeScorer
from refdiff_core.values import AttentionMap, Proposals

QUESTIONS = {
    "the blue square": BLUE,
    "the left red square": RED_LEFT,
    "the bottom red square": RED_LOW,
    "the second red square from the top": None,
    "the rightmost red square above the green square": None,
    "the red square left of the blue square": RED_LEFT,
    "the red square between the blue square and the green square": RED_MIDDLE,
    "the red square closest to the green square": RED_MIDDLE,
    "the right red square, not the bottom one": RED_MIDDLE,
    "the left square, not the red one": BLUE,
}


@pytest.mark.parametrize("parts", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("text", [text for text, index in QUESTIONS.items() if index is not None])
def test_the_words_choose_among_the_red_squares(picture, squares, text, parts):
    (result,) = segment(picture, text, models(squares, *parts))
    assert result.best == QUESTIONS[text]


def test_attention_alone_finds_other_things_in_their_own_map(picture):
    text = "the red square left of the blue square"
    (result,) = segment(picture, text, models(None, True, False))
    assert result.mask[8, 8] == 1 and result.mask[8, 32] == 0


def test_the_picture_is_read_once_for_all_expressions_and_the_things_they_name(picture, squares):
    parts = models(squares)
    lines = ["the red square left of the blue square", "the green square", "not: the blue square"]
    results = segment(picture, lines, parts)
    assert parts.attention.calls == 1
    assert [each.expression.text for each in results] == lines[:2]


def test_the_papers_settings_leave_places_out(picture, squares):
    left, right = segment(
        picture, ["the left red square", "the right red square"], models(squares), PAPER.fusion
    )
    assert left.best == right.best
    assert left.scores.spatial is None


def test_a_better_match_wins_where_geometry_rules_everything_out(picture, squares):
    (result,) = segment(picture, "the ninth red square from the left", models(squares))
    assert result.best in (RED_LEFT, RED_MIDDLE, RED_LOW)


SEVERAL = {
    "the three red squares": {RED_LEFT, RED_MIDDLE, RED_LOW},
    "all the red squares": {RED_LEFT, RED_MIDDLE, RED_LOW},
    "every red square": {RED_LEFT, RED_MIDDLE, RED_LOW},
    "the red squares": {RED_LEFT, RED_MIDDLE, RED_LOW},
    "the two leftmost red squares": {RED_LEFT, RED_MIDDLE},
    "the two lowest red squares": None,
    "all the red squares but the left one": {RED_MIDDLE, RED_LOW},
    "the blue square and the green square": {BLUE, GREEN},
    "blue square . left red square": {BLUE, RED_LEFT},
    "the red squares and the blue square": {RED_LEFT, RED_MIDDLE, RED_LOW, BLUE},
}


@pytest.mark.parametrize("parts", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("text", [text for text, meant in SEVERAL.items() if meant])
def test_several_are_found_as_many_as_the_words_ask_for(picture, squares, text, parts):
    (result,) = segment(picture, text, models(squares, *parts))
    assert {*result.chosen} == SEVERAL[text]
    objects = [mask > 0 for mask in result.drawing.draw_each()]
    assert result.expression.text == text and len(objects) == len(SEVERAL[text])
    assert torch.equal(result.mask > 0, torch.stack(objects).any(0))
    assert {*result.ranking[: len(result.winners)].tolist()} == SEVERAL[text]


def test_of_several_masks_of_a_thing_one_is_counted(picture, squares):
    once = squares.proposals.masks
    inner = once.clone()
    inner[:, ::4] = False
    both = FixedProposals(Proposals.of(torch.cat([once, inner, once[:3].any(0)[None]])))
    (result,) = segment(picture, "all the red squares", models(both, scorer=False))
    assert len(result.winners) == 3
    assert torch.equal(result.mask > 0, once[[RED_LEFT, RED_MIDDLE, RED_LOW]].any(0))


@pytest.mark.parametrize(
    "text", ["the left cup", "the cup left of the mug", "both cups", "the cups"]
)
@pytest.mark.parametrize("count", [0, 1])
def test_no_proposal_and_one_proposal_are_fine(picture, squares, text, count):
    few = FixedProposals(squares.proposals.select(torch.arange(count)))
    (result,) = segment(picture, text, models(few))
    assert result.found == bool(count) and len(result.ranking) == count


@pytest.mark.parametrize("count", [0, 1])
def test_one_proposal_is_no_two(picture, squares, count):
    few = FixedProposals(squares.proposals.select(torch.arange(count)))
    (result,) = segment(picture, "two cups", models(few))
    assert not result.found and len(result.ranking) == count
    assert count == 0 or result.missing == "fewer than 2 look like 'cup' (.00)"


def test_without_attention_there_must_be_masks_from_elsewhere_and_a_scorer(squares):
    for parts in ((None, FakeScorer()), (squares, None), (AttentionProposer(), FakeScorer())):
        with pytest.raises(ValueError, match="Without attention"):
            Models(None, *parts)


def test_maps_without_words_still_give_positions(picture, squares):
    (result,) = segment(picture, "the right red square", Models(FakeAttention(), squares))
    assert result.best in (RED_MIDDLE, RED_LOW)
    (result,) = segment(picture, "the red square above the mug", Models(FakeAttention(), squares))
    assert result.scores.spatial is None


def test_a_noun_that_nothing_was_read_of_is_passed_over(picture, squares):
    text = "the red square left of the blue square and near the mug"
    (result,) = segment(picture, text, models(squares, scorer=False))
    assert result.best == RED_LEFT


def test_spatial_weight_of_zero_leaves_places_to_the_models(picture, squares):
    without = Settings(spatial_weight=0)
    left, right = segment(
        picture, ["the left red square", "the right red square"], models(squares), without
    )
    assert left.best == right.best and left.scores.spatial is None


def test_what_is_not_there_has_an_empty_mask_and_says_so(picture, squares):
    (found,) = segment(picture, "the purple square", models(squares))
    assert not found.found and not found.mask.any() and len(found.ranking)
    assert found.present < 0.15
    assert re.fullmatch(r"nothing looks like 'the purple square' \(\.\d\d\)", found.missing)


def test_asked_for_the_best_there_is_it_is_always_found(picture, squares):
    (found,) = segment(picture, "the purple square", models(squares), Settings(min_present=0))
    assert found.found and not found.missing


def test_nothing_lies_beside_what_is_not_there(picture, squares):
    (found,) = segment(picture, "the red square left of the purple square", models(squares))
    assert not found.found and "'purple square'" in found.missing


def test_a_fourth_of_three_is_not_there(picture, squares):
    asked = [f"the {word} red square from the left" for word in ("third", "fourth")]
    third, fourth = segment(picture, asked, models(squares))
    assert third.found
    assert not fourth.found and fourth.missing.startswith("fewer than 4 look like 'red square'")


def test_attention_alone_always_sees_something(picture, squares):
    (found,) = segment(picture, "the red square", models(squares, scorer=False))
    assert found.found and found.present is None


def test_a_scorer_of_ones_own_may_give_bare_figures(picture, squares):
    class Bare:
        def score(self, image, expressions, proposals):
            return [each.cosine for each in FakeScorer().score(image, expressions, proposals)]

    (found,) = segment(picture, "the blue square", Models(None, squares, Bare()))
    assert found.best == BLUE


def test_no_expression_has_no_answer(picture, squares):
    assert segment(picture, [], models(squares)) == []


def test_other_nouns_words_are_read_after_the_things_own():
    expression = parse("the red cup left of the blue ring")
    found = words_to_read(expression, tokenize(expression.text))
    assert [word.text for word, _ in found] == ["red", "cup", "blue", "ring"]
    assert [positions for _, positions in found] == [(2,), (3,), (7,), (8,)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the red circle", "the red circle"),
        ("the large red circle on the left", "red circle"),
        ("guy far right blue shirt", "guy blue shirt"),
        ("second from left", "second from left"),
        ("man in white shirt behind the bench", "man white shirt"),
    ],
)
def test_models_are_asked_about_the_noun_phrase_where_places_are_said(text, said):
    phrase = without_place(parse(text))
    assert phrase.text == said
    assert all(phrase.text[w.start : w.end] == w.text for w in phrase.target_words)


def test_phrases_are_the_things_and_then_the_others_with_their_owners():
    asked = [parse("the cup left of the blue ring"), parse("man in hat near the big dog")]
    found = find_phrases(asked, [None, None], spatial=True)
    assert [(each.words.text, each.owner) for each in found] == [
        ("cup", 0), ("man hat", 1), ("blue ring", 0), ("big dog", 1)
    ]  # fmt: skip
    asked = [parse("left cup, not the red one near the dog"), parse("left, not the top one")]
    found = find_phrases(asked, [None, None], spatial=True)
    assert [(each.words.text, each.owner, each.excluded) for each in found] == [
        ("cup", 0, None), ("left, not the top one", 1, None),
        ("red cup", 0, 0), ("dog", 0, 0), ("left, not the top one", 1, 0),
    ]  # fmt: skip
    assert len(find_phrases(asked, [None, None], spatial=False)) == 2


def test_the_heat_is_the_things_and_other_nouns_keep_their_own_map():
    expression = parse("the red cup left of the blue ring")
    words = [*expression.target_words, *expression.relations[0].words]
    maps = torch.zeros(4, 2, 3)
    maps[:2, 0, 0], maps[2:, 1, 2] = 1, 1
    attention = attention_map(expression, words, maps, (2, 3))
    assert attention.heat[0, 0] == 1 and attention.heat[1, 2] == 0
    other = map_of(attention, expression.relations[0].words)
    assert other.heat[1, 2] == 1 and other.heat[0, 0] == 0
    assert not map_of(AttentionMap(torch.ones(2, 3)), words).heat.any()
