"""The whole method, on fakes; and what the demo models make of it, where their weights are."""

import re
from dataclasses import replace

import pytest
import torch

from refdiff_core.backends.tokens import tokenize, words_to_read
from refdiff_core.demo.scenes import COLORS
from refdiff_core.evaluation.questions import held_out_scenes
from refdiff_core.language.expression import parse
from refdiff_core.pipeline import Models, segment
from refdiff_core.seeing.attention import attention_map, map_of
from refdiff_core.seeing.phrases import find_phrases, without_place
from refdiff_core.seeing.proposals import FixedProposals, mask_iou
from refdiff_core.settings import PAPER, Settings
from refdiff_core.testing import FakeAttention, FakeScorer, color_similarity
from refdiff_core.values import AttentionMap, Proposals

# A row: red, blue, red, green; a second red one below.
PLACES = {(4, 4): "red", (4, 16): "blue", (4, 28): "red", (4, 40): "green", (20, 28): "red"}
RED_LEFT, BLUE, RED_MIDDLE, GREEN, RED_LOW = range(5)


@pytest.fixture
def picture():
    image = torch.full((30, 52, 3), 0.5)
    for (top, left), color in PLACES.items():
        image[top : top + 8, left : left + 8] = torch.tensor(COLORS[color]) / 255
    return image


@pytest.fixture
def squares():
    masks = torch.zeros(len(PLACES), 30, 52, dtype=torch.bool)
    for mask, (top, left) in zip(masks, PLACES, strict=True):
        mask[top : top + 8, left : left + 8] = True
    return FixedProposals(Proposals.of(masks))


class WordAttention:
    """Gives each colour word a map of its own, as a denoiser does; counts its passes."""

    def __init__(self):
        self.calls = 0

    def read(self, image, expressions):
        self.calls += 1
        return [self._map(image, each) for each in expressions]

    def _map(self, image, expression):
        named = (*expression.target_words, *expression.other_words)
        words = [word for word in named if word.text in COLORS]
        maps = [color_similarity(image, parse(word.text)) for word in words]
        stacked = torch.stack(maps) if maps else torch.zeros(0, 30, 52)
        return attention_map(expression, words, stacked, (30, 52))


def models(proposer, attention=True, scorer=True):
    source = WordAttention() if attention else None
    return Models(source, proposer, FakeScorer() if scorer else None)


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


# --- phrases and their maps ---------------------------------------------------------------


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
