"""What artists type: lists, commands, plurals, exceptions, parts, clauses, and how it is read."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from readings import DATA, FOREIGN, is_right, labelled

from refdiff_core.errors import ExpressionError
from refdiff_core.language.expression import parse
from refdiff_core.language.foreign import foreign_language
from refdiff_core.language.parsing.tagging import MOST_WORDS

ROWS = labelled("artists")
TABLES = {
    "worked against": [row for i, row in enumerate(ROWS) if i % 3 != 2],
    "held back": ROWS[2::3],
    "left to do": labelled("left"),
    "fresh": labelled("fresh"),
    "fresh again": labelled("fresh2"),
}


@pytest.mark.parametrize("rows", TABLES.values(), ids=TABLES)
def test_lines_that_artists_type_are_wholly_read_as_a_person_reads_them(rows):
    wrong = [text for _, text, reading in rows if not is_right(text, reading)]
    right = 1 - len(wrong) / len(rows)
    sys.stdout.write(f"\nwholly right: {right:.3f} of {len(rows)}")
    assert right >= 0.95, wrong


def test_every_kind_of_line_has_a_table_and_is_mostly_read():
    every = [row for rows in TABLES.values() for row in rows]
    for kind in {row[0] for row in every}:
        rows = [row for row in every if row[0] == kind]
        right = sum(is_right(text, reading) for _, text, reading in rows)
        assert len(rows) >= 8 and right >= 0.9 * len(rows), kind


LANGUAGES = [
    row.split("\t")
    for row in (DATA / "languages.tsv").read_text(encoding="utf-8").splitlines()
    if not row.startswith("#")
][1:]


def test_short_lines_in_other_languages_are_told_and_english_ones_never():
    known = [(name, text) for name, text in LANGUAGES if name not in ("", "another")]
    assert len({name for name, _ in known}) >= 12
    assert [text for _, text in known if not foreign_language(text)] == []
    unknown = [text for name, text in LANGUAGES if name == "another"]
    assert sum(foreign_language(text) is not None for text in unknown) >= 0.8 * len(unknown)
    english = [text for name, text in LANGUAGES if not name]
    for table in ("artists", "left", "fresh", "fresh2"):
        english += [text for _, text, reading in labelled(table) if reading != FOREIGN]
    for table in ("", "_kinds", "_wider"):
        lines = (DATA / f"expressions{table}.tsv").read_text(encoding="utf-8").splitlines()
        english += [line.split("\t")[0] for line in lines if not line.startswith("#")][1:]
    assert len(english) > 1900
    assert [text for text in english if foreign_language(text)] == []


def notes(text: str) -> str:
    return " ".join(parse(text).notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("face . hair", "2 things, whose masks are joined: 'face', 'hair'"),
        ("the cat and the dog", "If it is one, put [brackets]"),
        ("brown jeans, black hoodie and a suitcase", "put ' . ' between several"),
        ("replace the sky with a sunset", "'with a sunset'"),
        ("die Katze auf dem Sofa", "German"),
        ("\u043b\u0435\u0432\u0430\u044f \u0447\u0430\u0448\u043a\u0430", "Cyrillic"),
        ("the gren apple", "'gren' was read as 'green'"),
        ("the womna", "'womna' was read as 'woman'"),
        ("the dog bigger than the cat", "'than the cat' is not measured"),
    ],
)
def test_what_was_guessed_or_left_out_is_said(text, said):
    assert said in notes(text)


@pytest.mark.parametrize(
    "text", ["the mountain", "a roof", "cup of coffee", "vintage red car", "the dog's tail"]
)
def test_everyday_words_need_no_note(text):
    assert notes(text) == ""


def test_brackets_make_one_thing_of_what_looks_like_a_list():
    assert len(parse("the cat and the dog").things) == 2
    one = parse("the [cat] and the dog")
    assert (one.things, one.root and one.root.text) == ((), "cat")


def test_things_of_a_list_have_texts_and_words_of_their_own():
    found = parse("the man in white and the red car on the left")
    assert [each.text for each in found.things] == ["the man in white", "the red car on the left"]
    for each in found.things:
        for word in each.target_words:
            assert each.text[word.start : word.end].lower() == word.text
    # for whoever does not know lists, the line itself says its first thing
    assert found.root and found.text[found.root.start : found.root.end] == "man"


@pytest.mark.parametrize("word", "lift font night loft brow behold chop crown fright".split())
def test_real_words_are_no_slips_of_the_pen(word):
    found = parse(f"the {word}")
    assert (found.root and found.root.text, found.position, found.order) == (word, (), None)
    assert not any("was read as" in note for note in found.notes)


LONG = ["red ", "the cat and the dog, ", "not the red one, ", "second and ", "cat | ", "1 ", "xqz "]


@pytest.mark.parametrize("piece", LONG)
def test_of_a_very_long_line_the_beginning_is_read(piece):
    text = piece * (30_000 // len(piece))
    found = parse(text)
    assert any(f"first {MOST_WORDS} words" in note for note in found.notes)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            "the a all both everything but except not and , . | two ones one cups cat his of that "
            "is has on left background remove with blue to farthest from than it nobody".split()
        ),
        max_size=14,
    )
)
def test_any_order_of_small_words_is_read_or_refused(words):
    try:
        found = parse(" ".join(words))
    except ExpressionError:
        return
    assert found.count == "all" or found.count >= 1
    for each in (found, *found.things, *found.excluded):
        for word in (*each.target_words, *each.other_words):
            assert each.text[word.start : word.end].lower() == word.text
