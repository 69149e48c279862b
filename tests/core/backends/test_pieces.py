"""Words in the tokens of any text encoder, by what the tokens' pieces spell."""

import pytest

from refdiff_core.backends.pieces import Placed, Vocabulary, align

SPELLINGS = {
    "CLIP": ["the</w>", "red</w>", "cup</w>"],
    "byte level": ["\u0120the", "\u0120red", "\u0120c", "up"],
    "sentence pieces": ["\u2581the", "\u2581r", "ed", "\u2581cup"],
    "bytes": [b"the", b" red", b" cup"],
}


@pytest.mark.parametrize("kind", SPELLINGS)
def test_a_word_is_found_in_every_way_of_writing_pieces(kind):
    pieces = SPELLINGS[kind]
    vocabulary = Vocabulary(dict(enumerate(pieces)))
    found = align(vocabulary.spell(range(len(pieces))), "The red cup")
    red = set().union(*found[4:7])
    assert "".join(str(pieces[at]) for at in sorted(red)).count("r") == 1
    assert 0 not in red and len(pieces) - 1 not in red


def test_the_last_of_two_equal_places_is_the_texts_own():
    pieces = Vocabulary({0: "the</w>", 1: "cup</w>"}).spell([0, 1, 0, 1])
    assert align(pieces, "the cup")[4] == {3}


def test_around_an_unknown_letter_the_rest_is_found():
    pieces = Vocabulary({0: "\u2581the", 1: "<unk>", 2: "\u2581cup"}, special=[1]).spell([0, 1, 2])
    found = align(pieces, "the \u7ea2 cup")
    assert found[0] == {0} and found[4] == set() and found[6] == {2}


def test_bytes_and_accents_are_one_letter():
    vocabulary = Vocabulary({0: "\u2581caf", 1: "<0xC3>", 2: "<0xA9>"})
    assert align(vocabulary.spell([0, 1, 2]), "Cafe\u0301")[:3] == [{0}] * 3
    assert align(vocabulary.spell([0, 1, 2]), "Caf\u00e9")[3] == {1, 2}


def test_special_tokens_and_embeddings_spell_nothing():
    vocabulary = Vocabulary({0: "the</w>", 1: "cup</w>"}, special=[1])
    assert vocabulary.spell([0, 1, None, 5]) == [b"the", b"", b"", b""]


def test_positions_are_those_of_all_of_a_words_characters():
    from refdiff_core.values import Word

    placed = Placed(((0,), (0, 9), (), (3,)), (0, 3, 9), 12)
    assert placed.positions(Word("abc", 0, 3)) == (0, 9)
    assert placed.chunks == 12
