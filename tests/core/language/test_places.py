"""Places, orders, extremes and relations: where the words say that the thing is."""

from __future__ import annotations

import pytest
from told import order_text, relations

from refdiff_core.language.expression import parse

PLACES = {
    "left": (("left",), ""),
    "top left corner": (("top", "left"), ""),
    "far right": (("right",), ""),
    "right most": ((), "1 right"),
    "leftmost": ((), "1 left"),
    "the left-most cup": ((), "1 left"),
    "cup furthest to the left": ((), "1 left"),
    "second from left": ((), "2 left"),
    "third bottle from the right": ((), "3 right"),
    "2nd guy from the left": ((), "2 left"),
    "second guy left": ((), "2 left"),
    "from the left, second": ((), "2 left"),
    "middle row second from right": (("middle",), "2 right"),
    "second from top": ((), "2 top"),
    "number 2 from left": ((), "2 left"),
    "truck #3 from left": ((), "3 left"),
    "man closest to the left": ((), "1 left"),
    "man closest on the left": (("left",), ""),
    "person furthest back": (("back",), ""),
    "topmost book": ((), "1 top"),
    "person in background": (("back",), ""),
    "guy behind": (("back",), ""),
    "bottomleft cup": (("bottom", "left"), ""),
    "rt guy": (("right",), ""),
    "cup btm lft": (("bottom", "left"), ""),
    "guy on r": (("right",), ""),
    "the rihgt botom cup": (("right", "bottom"), ""),
    "seond from left": ((), "2 left"),
    "phone on top right of the table": (("top", "right"), ""),
    "food on left plate": (("left",), ""),
    "man on the left side of the couch": (("left",), ""),
    "man to the left of the couch": ((), ""),
    "person of the left of the picture": (("left",), ""),
}


@pytest.mark.parametrize("text", PLACES)
def test_places_and_orders_are_told_apart(text):
    found = parse(text)
    assert (found.position, order_text(found.order)) == PLACES[text]


@pytest.mark.parametrize("text", ["number 12", "#12", "player number 12", "jersey 7", "two people"])
def test_a_numeral_is_not_an_order(text):
    assert parse(text).order is None


@pytest.mark.parametrize("number", ["0", "²", "\u0663", "9" * 5000, "#"])
def test_an_impossible_number_from_a_side_is_a_position_alone(number):
    found = parse(f"cup {number} from left")
    assert (found.position, found.order) == (("left",), None)


@pytest.mark.parametrize(
    "text", ["zebra facing left", "man right behind the bus", "guy with his back to us"]
)
def test_a_side_that_is_no_position_is_none(text):
    assert parse(text).position == ()


RELATIONS = {
    "circle left of the square": [("left of", "square")],
    "cat to the right of the dog": [("right of", "dog")],
    "lamp over the bed": [("above", "bed")],
    "cat underneath a chair": [("below", "chair")],
    "bag on top of suitcase": [("on", "suitcase")],
    "spoon in bowl": [("in", "bowl")],
    "man in front of man in white shirt": [("in front of", "man")],
    "seat behind the man": [("behind", "man")],
    "chair next to table": [("near", "table")],
    "chair beside table": [("near", "table")],
    "chair by the window": [("near", "window")],
    "dog between the couch and the table": [("between", "couch"), ("between", "table")],
    "man with dog": [("with", "dog")],
    "hand holding phone": [("holding", "phone")],
    "woman wearing a red hat": [("wearing", "hat")],
    "woman in white shirt": [("in", "shirt")],
    "zebra eating grass": [("with", "grass")],
    "guy riding a horse": [("on", "horse")],
    "man closest to the window": [("near", "window")],
    "man nearest the window": [("near", "window")],
    "man nearest the camera": [],
    "car on left": [],
    "person in front": [],
    "man in black": [],
}


@pytest.mark.parametrize("text", RELATIONS)
def test_relations_name_a_kind_and_a_noun(text):
    assert relations(text) == RELATIONS[text]


@pytest.mark.parametrize(
    ("text", "described"),
    [
        ("the circle left of the blue ring", [("ring", ["blue"])]),
        ("cup behind the two small white bowls", [("bowls", ["two", "small", "white"])]),
        ("dog between the couch and the tennis ball", [("couch", []), ("ball", ["tennis"])]),
        ("woman wearing a red hat", [("hat", ["red"])]),
    ],
)
def test_relations_keep_what_describes_the_other_noun(text, described):
    found = parse(text).relations
    assert [(r.noun.text, [word.text for word in r.attributes]) for r in found] == described
    assert all([word.start for word in r.words] == sorted(w.start for w in r.words) for r in found)


@pytest.mark.parametrize(
    ("text", "extreme"),
    [
        ("the biggest dog", "largest"),
        ("smallest cup", "smallest"),
        ("tallest person", "tallest"),
        ("shorter kid", "shortest"),
        ("nearest bus", "closest"),
        ("elephant closest to the camera", "closest"),
        ("near sheep", "closest"),
        ("farthest bench", "farthest"),
        ("tall guy", None),
    ],
)
def test_superlatives_are_extremes_and_plain_sizes_are_not(text, extreme):
    assert parse(text).extreme == extreme


def test_places_counted_from_the_end_are_not_a_run_of_ordinals():
    assert parse("the second to last and second to last cup").count == 1
