from __future__ import annotations

import sys

import pytest
from told import check_invariants, order_text, relations, rows

from refdiff_core.language.expression import parse


def root(text: str) -> str | None:
    found = parse(text).root
    return found.text if found else None


def attributes(text: str) -> list[str]:
    return [word.text for word in parse(text).attributes]


def right_root(row: dict[str, str]) -> bool:
    return (root(row["expression"]) or "") == row["root"]


def right_place(row: dict[str, str]) -> bool:
    found = parse(row["expression"])
    same = set(found.position) == set(row["position"].split())
    return same and order_text(found.order) == row["order"]


def right_attributes(row: dict[str, str]) -> bool:
    return sorted(attributes(row["expression"])) == sorted(row["attributes"].split())


def right_relations(row: dict[str, str]) -> bool:
    found = [f"{kind} {noun}" for kind, noun in relations(row["expression"])]
    return found == [one.strip() for one in row["relations"].split(",") if one.strip()]


def share(checks: list[bool]) -> float:
    return sum(checks) / len(checks)


TABLES = {
    "RefCOCO, worked against": [r for i, r in enumerate(rows("expressions.tsv")) if i % 3 != 2],
    "RefCOCO, held back": rows("expressions.tsv")[2::3],
    "wider, worked against": rows("expressions_wider.tsv")[:235],
    "wider, run late": rows("expressions_wider.tsv")[235:],
    "of all kinds": rows("expressions_kinds.tsv")[:329],
    "of all kinds, harder": rows("expressions_kinds.tsv")[329:],
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("check", [right_root, right_place])
def test_labelled_expressions_are_read_as_a_person_reads_them(table, check):
    wrong = [row["expression"] for row in table if not check(row)]
    right = 1 - len(wrong) / len(table)
    sys.stdout.write(f"\n{check.__name__}: {right:.3f} of {len(table)}")
    assert right >= 0.98, wrong


@pytest.mark.parametrize("check", [right_attributes, right_relations])
def test_attributes_and_relations_agree_with_the_labels(check):
    assert share([check(row) for row in rows("expressions.tsv")]) >= 0.95


DEMO = {
    "the red circle": ("circle", ["red"], (), ""),
    "the large square on the left": ("square", ["large"], ("left",), ""),
    "the circle left of the blue ring": ("circle", [], (), ""),
    "a red circle, a blue square and a green star": ("circle", ["red"], (), ""),
    "the second star from the right": ("star", [], (), "2 right"),
    "the red shape": ("shape", ["red"], (), ""),
    "the leftmost ring": ("ring", [], (), "1 left"),
    "the smallest cross": ("cross", [], (), ""),
    "the red circle above the green triangle": ("circle", ["red"], (), ""),
}


@pytest.mark.parametrize("text", DEMO)
def test_expressions_of_the_demo_world_are_understood(text):
    found = parse(text)
    assert (root(text), attributes(text), found.position, order_text(found.order)) == DEMO[text]


ROOTS = {
    "the couch opposite the tv": "couch",
    "top of train": "train",
    "right half of sandwich": "sandwich",
    "bowl of soup": "bowl",
    "slice of pizza": "slice",
    "group of people": "people",
    "tennis player": "player",
    "teddy bear on the right": "bear",
    "the one in red": None,
    "second from right": None,
    "left blue": None,
    "man hat": "man",
    "mans hat": "hat",
    "man's hat": "hat",
    "white shirt, guy on left": "guy",
    "orange in middle": "orange",
    "the orange one": None,
    "girl in a pink top": "girl",
    "traffic light": "light",
    "find the mask": "mask",
    "GIRL ON LEFT!!!": "girl",
    "a man in a blue shirt is holding a racket": "man",
}


@pytest.mark.parametrize("text", ROOTS)
def test_the_root_is_the_head_of_the_first_noun_phrase(text):
    assert root(text) == ROOTS[text]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("guy far right blue shirt", ["blue", "shirt"]),
        ("woman in white shirt", ["white", "shirt"]),
        ("man in black", ["black"]),
        ("man in black and white shirt", ["black", "white", "shirt"]),
        ("bowl of white stuff", ["white", "stuff"]),
        ("tall woman sitting down", ["tall", "sitting"]),
        ("man on bike", []),
        ("man behind the red car", []),
    ],
)
def test_attributes_describe_the_root_alone(text, words):
    assert attributes(text) == words


@pytest.mark.parametrize("text", ["not: the red one", "NOT : the red one", "not the red one"])
def test_a_line_that_begins_with_not_is_negative(text):
    found = parse(text)
    assert (found.negative, found.text, attributes(text)) == (True, "the red one", ["red"])


def excluded(text: str) -> list[str]:
    """What a line excludes, in the words of the parts that were understood."""
    found = []
    for each in parse(text).excluded:
        said = [word.text for word in (*each.attributes, *([each.root] if each.root else []))]
        said += [*each.position, order_text(each.order), each.extreme or ""]
        said += [f"{r.kind} {r.noun.text}" for r in each.relations if r.noun.text not in said]
        found.append(" ".join(part for part in said if part))
    return found


EXCLUDED = {
    "the cup, not the red one": ["red cup"],
    "the red shape, not the circle": ["circle"],
    "the circle that is not blue": ["blue circle"],
    "the star that isn't a large one": ["large star"],
    "the red cup, not the left one": ["red cup left"],
    "dog but not the one closest to us": ["dog closest"],
    "the cups except the blue cup": ["blue cup"],
    "dog not on the couch": ["dog on couch"],
    "the ring, not the one left of the star": ["ring left of star"],
    "guy not wearing a hat": ["hat guy"],
    "man without a hat on the left": ["hat man"],
    "man w/o hat": ["hat man"],
    "guy with no shirt": ["shirt guy"],
    "the guy who doesn't have a beard": ["beard guy"],
    "pizza without olives": ["pizza with olives"],
    "one not in red": ["red"],
    "left, not the one on top": ["top"],
    "player no 7": [],
    "the cup": [],
}


@pytest.mark.parametrize("text", EXCLUDED)
def test_a_negation_inside_the_line_says_what_it_excludes(text):
    assert excluded(text) == EXCLUDED[text]
    check_invariants(parse(text))


def test_what_a_line_excludes_does_not_describe_its_thing():
    found = parse("man without a red hat on the left")
    assert (found.negative, found.position, found.relations) == (False, ("left",), ())
    assert [word.text for word in found.target_words] == ["man"]
    assert [word.text for word in found.other_words] == ["red", "hat"]
    assert found.notes == ()


@pytest.mark.parametrize("text", ["the cup, not the other one", "the man not", "cup without"])
def test_a_negation_that_excludes_nothing_in_particular_is_said(text):
    found = parse(text)
    assert found.excluded == () and any("not used" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "said", "name"),
    [
        ("the [cup] on the left", "the cup on the left", "cup"),
        ("the [remote control] there", "the remote control there", "control"),
        ("a [left] turn", "a left turn", "left"),
        ("dog behind [man]", "dog behind man", "man"),
        ("the[ cup ]there", "the cup there", "cup"),
        ("not: the [Red] cup", "the Red cup", "red"),
    ],
)
def test_brackets_force_the_root_and_are_not_said(text, said, name):
    assert (parse(text).text, root(text)) == (said, name)
