"""Whatever people write: lines that cannot be read say why, and none ends in another error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from told import check_invariants, rows

from refdiff_core.errors import ExpressionError
from refdiff_core.language.expression import parse, parse_lines, to_json
from refdiff_core.language.parsing.lexicon import PHRASES, look_up


@pytest.mark.parametrize(
    "text",
    ["", "  ", "\n", "not:", "[cup", "cup]", "]cup[", "[a] [b]", "[[a]]", "[]", "[ ]", "[!]"],
)
def test_unusable_lines_say_what_is_wrong_and_what_to_do(text):
    with pytest.raises(ExpressionError, match=r"(?s)The .*(Write|Put)"):
        parse(text)


@pytest.mark.parametrize(
    "text", ["every single \u00b2 the", "2\u00b2 cups", "the \u2461 largest cup"]
)
def test_what_is_a_digit_and_no_number_is_a_word(text):
    assert parse(text).count in (1, "all")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the xyzzy on the left", "xyzzy"),
        ("cat \U0001f355 left", "\U0001f355"),
        ("\U0001f355\U0001f355", "no word"),
        ("\u0441\u043e\u0431\u0430\u043a\u0430", "\u0441\u043e\u0431\u0430\u043a\u0430"),
        ("second guy", "second"),
        ("a red circle, a blue square", "blue square"),
        ("zebra facing left", "facing left"),
        ("person next to", "next to"),
        ("man behind the left car", "left"),
    ],
)
def test_what_was_not_understood_is_said(text, said):
    assert any(said in note for note in parse(text).notes)


@pytest.mark.parametrize(
    "text", ["the red cup on the left", "man in white shirt", "second from left"]
)
def test_what_was_understood_needs_no_note(text):
    assert parse(text).notes == ()


def test_lines_are_read_one_by_one_and_blank_ones_skipped():
    found = parse_lines("the cup\n\n  \r\nnot: the dog\n")
    assert [(e.text, e.negative) for e in found] == [("the cup", False), ("the dog", True)]
    assert parse_lines(["the cup", "not: the dog"]) == found


@pytest.mark.parametrize("lines", ["", " \n ", [], ["", " "]])
def test_no_line_at_all_is_an_error(lines):
    with pytest.raises(ExpressionError, match="every line is blank"):
        parse_lines(lines)


def test_json_has_exactly_the_promised_keys():
    assert to_json(parse("Second man from left in RED shirt")) == {
        "text": "Second man from left in RED shirt",
        "negative": False,
        "root": "man",
        "attributes": ["red", "shirt"],
        "position": [],
        "order": {"index": 2, "from": "left"},
        "extreme": None,
        "relations": [{"kind": "in", "noun": "shirt"}],
        "count": 1,
        "region": None,
        "excluded": [],
        "things": [],
        "notes": [],
    }


def survive(text: str) -> None:
    try:
        check_invariants(parse(text))
    except ExpressionError:
        pass


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    survive(text)


KNOWN = (
    "the left right top row corner second most far from of in on with behind and not man hat red"
)


WORDS = [
    *KNOWN.split(),
    "without",
    "no",
    "one",
    *PHRASES,
    "²",
    "0",
    "7",
    "0th",
    "eating",
    "biggest",
    "dog",
    "#4",
    "[cup]",
    ",",
    "to",
    "us",
    "one",
]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_any_order_of_known_words_is_read_or_refused(words):
    survive(" ".join(words))


@given(st.sampled_from([row["expression"] for row in rows("expressions.tsv")]))
@settings(max_examples=60, deadline=None)
def test_case_and_spaces_do_not_matter(text):
    plain, loud = to_json(parse(text)), to_json(parse(f"  {text.upper()}  ".replace(" ", "   ")))
    assert json.dumps(loud).lower() == json.dumps(plain).lower()


def test_every_word_of_a_phrase_table_has_one_tag():
    assert all(len(look_up(phrase.split()[0])[0]) == 1 for phrase in PHRASES)
