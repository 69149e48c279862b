"""What else it could be: which texts a phrase is told from, and what they say against it."""

import pytest
import torch

from refdiff_core.choosing.contrast import COLOR, Compared, gather, questions, swap
from refdiff_core.language.expression import parse
from refdiff_core.seeing.phrases import find_phrases
from refdiff_core.values import Likeness, Word

KINDS = ("person", "cup", "vehicle")


def asked(*lines, together=None, kinds=KINDS):
    expressions = [parse(line) for line in lines]
    phrases = find_phrases(expressions, [None] * len(lines), spatial=True)
    return questions(phrases, kinds, together)


def rivals(*lines, phrase=0, **options):
    found = [each for each in asked(*lines, **options) if each.phrase == phrase and each.rival]
    return [each.words.text for each in found]


def test_phrases_come_first_and_in_their_order():
    found = asked("the cup left of the plate", "the spoon")
    assert [each.words.text for each in found[:3]] == ["cup", "the spoon", "plate"]
    assert all(each.rival is None for each in found[:3])
    assert all(each.rival is not None for each in found[3:])


def test_a_noun_is_told_from_other_kinds_in_its_own_words():
    assert rivals("the wooden cup") == [
        "the wooden person",
        "the wooden vehicle",
        "background",
        "cup",
    ]


def test_a_colour_is_told_from_all_others():
    found = [each for each in asked("the grey cup") if each.rival == COLOR]
    texts = [each.words.text for each in found]
    assert len(texts) == 10 and "the red cup" in texts and "the gray cup" not in texts


def test_the_nouns_of_other_things_are_rivals_in_ones_own_words_but_for_the_same_noun():
    assert "red plate" in rivals("the red cup left of the blue plate")
    assert "spoon" in rivals("the spoon left of the fork", phrase=1)
    assert "blue cup" not in rivals("the cup left of the blue cup")
    assert "the spoon" in rivals("the cup", "the spoon")


def test_lines_of_another_question_are_no_rivals():
    assert "the spoon" not in rivals("the cup", "the spoon", together=[0, 1])


@pytest.mark.parametrize("text", ["the left one", "the thing on the left", "left"])
def test_what_names_no_kind_of_thing_is_told_from_none(text):
    assert rivals(text) == []


def test_where_nothing_is_to_be_contrasted_the_phrases_alone_are_asked():
    assert [each.words.text for each in asked("the red cup", kinds=None)] == ["the red cup"]


def test_another_word_takes_a_words_place_and_moves_those_after_it():
    changed = swap(parse("a red cup with stripes"), Word("red", 2, 5), "purple")
    assert changed.text == "a purple cup with stripes"
    for word in changed.target_words:
        assert changed.text[word.start : word.end] == word.text


def said(*cosines):
    return Likeness.of(torch.tensor(cosines))


def test_every_group_of_rivals_must_be_beaten():
    own, lower, higher = said(0.25, 0.25), said(0.20, 0.20), said(0.20, 0.30)
    assert Compared(own, ((lower,), (lower,))).contrast(1.0).min() > 4
    beside = Compared(own, ((lower,), (higher,))).contrast(1.0)
    assert beside[0] > 4 and beside[1] < -4


def test_one_rival_as_good_among_many_that_are_not_says_little():
    own, low = said(0.25), said(0.20)
    assert Compared(own, ((own, *[low] * 7),)).contrast(1.0) > 1.5


def test_the_less_clip_is_trusted_the_less_a_contrast_says():
    compared = Compared(said(0.25), ((said(0.22),),))
    assert 0 < compared.contrast(0.2) < compared.contrast(2.0)


def test_answers_find_their_phrases():
    every = asked("the red cup", "the spoon")
    answers = [said(float(index)) for index in range(len(every))]
    cup, spoon = gather(every, answers)
    assert (float(cup.own.cosine), float(spoon.own.cosine)) == (0, 1)
    assert sum(map(len, cup.rivals)) + sum(map(len, spoon.rivals)) == len(every) - 2
    assert [len(group) for group in cup.rivals] == [
        len(rivals("the red cup", "the spoon")) - 10,
        10,
    ]
