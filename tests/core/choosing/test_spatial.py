"""Geometry against the words: meanings on a drawn table, and properties that must hold anywhere."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from refdiff_core.choosing.layout import Layout, covered_share, distinct_objects, same_object
from refdiff_core.choosing.relations import PAIRS, OtherThing, relation_chance
from refdiff_core.choosing.spatial import (
    chance_of_exactly,
    of_several,
    rank_chance,
    spatial_score,
)
from refdiff_core.language.expression import parse
from refdiff_core.values import Proposals

SIZE_HW = (60, 100)


def test_things_on_a_strip_a_few_cells_high_are_told_apart():
    masks = torch.zeros(3, 2, 2000, dtype=torch.bool)
    masks[:2, :, 100:200] = True
    masks[2, :, 1500:1700] = True
    layout = Layout.of(Proposals.of(masks))
    assert same_object(layout, layout).tolist() == [[True, True, False]] * 2 + [
        [False, False, True]
    ]
    assert layout.centers[0, 0] < layout.centers[2, 0]


def draw(*boxes):
    """Proposals of rectangles XYXY on a picture of 60 x 100."""
    masks = torch.zeros(len(boxes), *SIZE_HW, dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    return Proposals.of(masks)


# Four cups in a row, the third one larger and lower, and the table below that they stand on.
CUPS = ((5, 20, 15, 30), (30, 20, 40, 30), (50, 20, 70, 42), (85, 18, 95, 28))
TABLE = (0, 44, 100, 60)
SCENE = draw(*CUPS, TABLE)
CUP = torch.tensor([0.9, 0.8, 0.95, 0.9, 0.05])
IS_TABLE = torch.tensor([0.0, 0.1, 0.0, 0.0, 0.9])
SECOND = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])


def winner(text, match=CUP, others=(), proposals=SCENE):
    found = [OtherThing(proposals, other) for other in others]
    score = spatial_score(parse(text), proposals, match, found)
    return int((match * score).argmax())


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("the left cup", 0),
        ("the cup on the right", 3),
        ("the rightmost cup", 3),
        ("the second cup from the left", 1),
        ("the third cup from the left", 2),
        ("the second cup from the right", 2),
        ("the fourth cup from the left", 3),
        ("the top cup", 3),
        ("the bottom cup", 2),
        ("the lowest cup", 2),
        ("the cup in front", 2),
        ("the largest cup", 2),
        ("the large cup", 2),
        ("the tallest cup", 2),
        ("the closest cup", 2),
        ("top left cup", 0),
        ("second cup from the bottom", 0),
        ("the largest cup on the left", 1),
        ("the second smallest cup", 3),
        ("second largest cup", 1),
        ("the third closest cup", 0),
    ],
)
def test_cups_are_counted_and_the_table_is_not(text, index):
    proposals = draw((5, 22, 15, 30), (28, 20, 40, 30), *CUPS[2:], TABLE)
    assert winner(text, proposals=proposals) == index


@pytest.mark.parametrize(
    ("text", "other", "index"),
    [
        ("the cup left of the second", SECOND, 0),
        ("the cup on the table", IS_TABLE, 2),
        ("the cup above the table", IS_TABLE, 2),
        ("the cup next to the second", SECOND, 2),
        ("the cup closest to the second", SECOND, 2),
        ("the left cup right of the second", SECOND, 2),
        ("the rightmost cup right of the second", SECOND, 3),
    ],
)
def test_relations_go_by_where_the_other_thing_is(text, other, index):
    match = CUP.clone()
    match[1] = 0 if other is SECOND else match[1]
    expression = parse(text.replace("the second", "the mug"))
    found = [OtherThing(SCENE, other)]
    assert int((match * spatial_score(expression, SCENE, match, found)).argmax()) == index


def test_what_is_told_from_others_by_its_place_is_not_the_only_one():
    two = draw(CUPS[0], CUPS[3])
    match = torch.tensor([0.4, 0.9])
    told = of_several(parse("the leftmost cup"), two, match)
    assert winner("the leftmost cup", match, (), two) == 1
    assert winner("the leftmost cup", told, (), two) == 0
    assert (told > match).all() and (told <= 1).all()
    for text in ("the red cup", "left", "both cups", "the cup, not the mug"):
        assert of_several(parse(text), two, match) is match


def test_a_lone_thing_stays_the_one_that_is_meant():
    two = draw(CUPS[0], CUPS[3])
    match = torch.tensor([0.02, 0.98])
    told = of_several(parse("the cup on the left"), two, match)
    assert told[0] < 0.1 and winner("the cup on the left", told, (), two) == 1


def test_who_says_second_has_seen_two():
    match, expression = torch.tensor([0.02, 0.98]), parse("the second cup from the left")
    assert torch.allclose(
        of_several(expression, draw(CUPS[0], CUPS[3]), match), torch.ones(2), atol=1e-5
    )


def test_masks_of_one_object_are_not_several():
    twice = draw(CUPS[0], (6, 21, 15, 30), CUPS[3])
    match = torch.tensor([0.9, 0.8, 0.3])
    one = draw(CUPS[0], CUPS[3])
    expression = parse("the rightmost cup")
    told, expected = (of_several(expression, p, m) for p, m in ((twice, match), (one, match[::2])))
    assert torch.allclose(told[::2], expected)


def test_proposals_are_measured_once():
    proposals = draw(*CUPS)
    layout = Layout.of(proposals)
    assert Layout.of(proposals) is layout and layout.shared is Layout.of(proposals).shared
    assert Layout.of(draw(*CUPS)) is not layout


def test_between_takes_both_things():
    first, last = torch.eye(5)[0], torch.eye(5)[3]
    middle = draw((5, 20, 15, 30), (46, 20, 56, 30), (60, 50, 70, 60), (90, 20, 99, 30), TABLE)
    match = torch.tensor([0.0, 0.8, 0.9, 0.0, 0.0])
    assert winner("the cup between the jug and the pot", match, (first, last), middle) == 1


def test_the_middle_is_the_groups_where_three_match_and_else_the_pictures():
    three = draw((2, 20, 12, 30), (20, 20, 30, 30), (38, 20, 48, 30), TABLE)
    assert winner("the cup in the middle", torch.tensor([0.9, 0.9, 0.9, 0.0]), (), three) == 1
    assert winner("the cup in the middle", torch.tensor([0.9, 0.0, 0.9, 0.0]), (), three) == 2


def test_a_row_is_chosen_before_its_things_are_counted():
    grid = draw(*[(x, y, x + 8, y + 8) for y in (5, 40) for x in (5, 30, 60)])
    match = torch.full((6,), 0.9)
    assert winner("top row second from right", match, (), grid) == 1
    assert winner("bottom row second cup from the left", match, (), grid) == 4


def test_without_a_noun_the_picture_decides_where_left_is():
    score = spatial_score(parse("left"), SCENE, torch.ones(5))
    assert int(score[:4].argmax()) == 0 and int(score[:4].argmin()) == 3


@pytest.mark.parametrize("text", ["the red cup", "cup", "man in white shirt", "the cup on a tray"])
def test_what_geometry_cannot_tell_has_no_score(text):
    assert spatial_score(parse(text), SCENE, CUP) is None


def test_masks_of_one_object_count_once():
    twice = draw(CUPS[0], (6, 21, 15, 30), *CUPS[1:])
    match = torch.tensor([0.9, 0.8, 0.9, 0.9, 0.9])
    assert winner("the second cup from the left", match, (), twice) == 2
    assert winner("the left cup", match, (), twice) == 0
    layout = Layout.of(twice)
    kept = distinct_objects(same_object(layout, layout), match)
    assert kept.tolist() == [True, False, True, True, True]


def test_a_mask_of_several_things_is_none_of_them():
    both = (5, 20, 40, 30)
    scene = draw(*CUPS, both)
    match = torch.tensor([0.9, 0.9, 0.9, 0.9, 0.95])
    assert winner("the left cup", match, (), scene) == 0
    assert winner("the second cup from the left", match, (), scene) == 1
    assert winner("the largest cup", match, (), scene) == 2


def test_a_part_that_fits_badly_leaves_its_whole_one_thing():
    scene = draw(*CUPS, (50, 20, 54, 24), (64, 36, 70, 42))
    match = torch.tensor([0.9, 0.9, 0.9, 0.9, 0.4, 0.4])
    assert winner("the third cup from the left", match, (), scene) == 2


def test_identical_boxes_share_a_score():
    twice = draw(CUPS[1], CUPS[1], CUPS[3])
    for text in ("the left cup", "the second cup from the right", "the smallest cup"):
        score = spatial_score(parse(text), twice, torch.full((3,), 0.9))
        assert score[0] == score[1]


def test_a_thing_is_not_related_to_itself():
    one = Layout.of(draw(CUPS[0]))
    for kind in (*PAIRS, "between"):
        assert relation_chance(kind, one, (one, torch.ones(1))).tolist() == [0]


def test_a_part_belongs_to_its_whole():
    plate, food, other = draw((10, 10, 50, 40)), draw((20, 20, 30, 30)), draw((60, 10, 90, 40))
    both = Layout.of(Proposals.of(torch.cat([plate.masks, other.masks])))
    assert relation_chance("with", both, (Layout.of(food), torch.ones(1)))[0] > 0.9
    assert relation_chance("with", both, (Layout.of(food), torch.ones(1)))[1] < 0.1
    for kind in ("on", "in"):
        assert relation_chance(kind, Layout.of(food), (Layout.of(plate), torch.ones(1)))[0] > 0.9


def test_chance_of_exactly_is_the_binomials():
    half = torch.full((1, 3), 0.5)
    assert [float(chance_of_exactly(k, half)) for k in range(5)] == [0.125, 0.375, 0.375, 0.125, 0]


def test_covered_share_tells_a_part_from_its_whole():
    part, whole = Layout.of(draw((10, 10, 20, 20))), Layout.of(draw((10, 10, 30, 20)))
    assert covered_share(part, whole).tolist() == [[1]]
    assert covered_share(whole, part).tolist() == [[0.5]]
    assert same_object(part, whole).all()


TEXTS = (
    "left cup", "cup on the right", "bottom cup", "cup in the middle", "front cup", "cup in back",
    "second cup from left", "third cup from the right", "tenth cup from the top", "largest cup",
    "smallest cup", "tallest cup", "shortest cup", "closest cup", "farthest cup", "left",
    "top left cup", "middle row second from right", "largest cup on the left",
    "cup left of the mug", "cup right of the mug", "cup above the mug", "cup under the mug",
    "cup on the mug", "cup in the mug", "cup in front of the mug", "cup behind the mug",
    "cup next to the mug", "cup with the mug", "cup between the mug and the mug",
    "cup closest to the mug", "left cup behind the mug",
)  # fmt: skip


def mirrored(text):
    turned = {"left": "right", "right": "left"}
    return " ".join(turned.get(word, word) for word in text.split())


@st.composite
def situations(draw_from):
    count = draw_from(st.integers(0, 5))
    side = st.tuples(st.integers(0, 90), st.integers(0, 50), st.integers(1, 40), st.integers(1, 40))
    corners = [draw_from(side) for _ in range(count)]
    proposals = draw(*[(x, y, min(x + w, 100), min(y + h, 60)) for x, y, w, h in corners])
    chances = st.lists(st.floats(0, 1), min_size=count, max_size=count)
    return proposals, torch.tensor(draw_from(chances)), torch.tensor(draw_from(chances))


def score_of(text, proposals, match, other):
    expression = parse(text)
    found = [OtherThing(proposals, other) for _ in expression.relations]
    return spatial_score(expression, proposals, match, found)


@settings(max_examples=150, deadline=None)
@given(situations(), st.sampled_from(TEXTS))
def test_scores_are_chances_for_any_proposals_none_included(situation, text):
    proposals, match, other = situation
    score = score_of(text, proposals, match, other)
    assert score.shape == (len(proposals),)
    assert ((score >= 0) & (score <= 1)).all()


@settings(max_examples=150, deadline=None)
@given(situations(), st.sampled_from(TEXTS))
def test_mirrored_pictures_and_words_score_the_same(situation, text):
    proposals, match, other = situation
    turned = Proposals.of(proposals.masks.flip(-1))
    straight = score_of(text, proposals, match, other)
    assert torch.allclose(straight, score_of(mirrored(text), turned, match, other), atol=1e-4)


@settings(max_examples=100, deadline=None)
@given(situations(), st.sampled_from(TEXTS), st.randoms(use_true_random=False))
def test_the_order_of_proposals_does_not_matter(situation, text, random):
    proposals, match, other = situation
    # equal matches are told apart by their order, which is then no longer the same
    match = match * 0.9 + torch.arange(len(match)) * 0.01
    order = list(range(len(match)))
    random.shuffle(order)
    shuffled = score_of(text, proposals.select(torch.tensor(order, dtype=torch.int64)),
                        match[order], other[order])  # fmt: skip
    straight = score_of(text, proposals, match, other)
    assert torch.allclose(straight[order], shuffled, atol=1e-4)


def test_ranks_among_things_that_surely_match_are_sure():
    keys, sure = torch.tensor([0.1, 0.5, 0.9]), torch.ones(3)
    alone = torch.eye(3, dtype=torch.bool)
    for index in (1, 2, 3):
        chances = rank_chance(keys, sure, alone, index=index)
        assert torch.allclose(chances, torch.eye(3)[index - 1], atol=1e-4)
