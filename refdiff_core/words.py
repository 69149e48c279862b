"""The words' part of the vocabulary, without torch, so that `refdiff parse` answers at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Count = int | Literal["all"]
"""How many are asked for: a number from 1, or every one that matches."""


@dataclass(frozen=True)
class Word:
    """A word at its place: ``expression.text[start:end] == text``, whatever its case."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Order:
    """A place in a row: the ``index``-th (from 1) counted from ``side``.

    Where several are asked for, the first of them: "the second and third from the left" is two
    from index 2 on.

    side: left, right, top, bottom, front or back; or the expression's extreme, from which "the
        second largest" is counted.
    """

    index: int
    side: str


@dataclass(frozen=True)
class Relation:
    """A relation to another thing.

    kind: left of, right of, above, below, on, in, in front of, behind, near, far from, between,
        with, holding, wearing, or of (what it is a part of).
    noun: what the other thing is. attributes: the words that describe it.
    """

    kind: str
    noun: Word
    attributes: tuple[Word, ...] = ()

    @property
    def words(self) -> tuple[Word, ...]:
        """The words that name the other thing, in reading order."""
        return tuple(sorted((*self.attributes, self.noun), key=lambda word: word.start))


@dataclass(frozen=True)
class Expression:
    """What the words ask for.

    text: what is said to the models (brackets and a leading ``not:`` removed).
    root: the noun that names the thing, None where there is none ("second from left").
    attributes: the words that describe the root ("red", "large", "in white").
    position: where it is, out of left, right, top, bottom, middle, front, back.
    order: its place in a row. extreme: largest, smallest, tallest, shortest, closest, farthest.
    relations: to other nouns.
    count: how many things it asks for; its mask is their union.
    region: what is no thing: picture (all of it), background (what no thing covers), foreground
        (all things); None for things.
    things: of a list ("face . hair . left hand"), each with a text of its own; the mask is their
        union. All else that is said here is then the first thing's.
    negative: the line asks for what to leave out.
    excluded: what the line itself says it does not mean ("not the red one"), each as an
        expression of its own, with its words at their places in ``text``.
    notes: what was not understood, in words for the user.
    """

    text: str
    root: Word | None = None
    attributes: tuple[Word, ...] = ()
    position: tuple[str, ...] = ()
    order: Order | None = None
    extreme: str | None = None
    relations: tuple[Relation, ...] = ()
    count: Count = 1
    region: str | None = None
    things: tuple[Expression, ...] = ()
    negative: bool = False
    excluded: tuple[Expression, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def target_words(self) -> tuple[Word, ...]:
        """The words that name the thing itself: attributes and root, in reading order."""
        words = (*self.attributes, *((self.root,) if self.root else ()))
        return tuple(sorted(words, key=lambda word: word.start))

    @property
    def other_words(self) -> tuple[Word, ...]:
        """The words that name other things: those it is related to, and those it excludes."""
        words = [word for relation in self.relations for word in relation.words]
        for each in self.excluded:
            words += [*each.target_words, *each.other_words]
        return tuple(dict.fromkeys(word for word in words if word not in self.target_words))
