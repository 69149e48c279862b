"""The words' part of the vocabulary, without torch, so that `refdiff parse` answers at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A word at its place: ``expression.text[start:end] == text``, whatever its case."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Order:
    """A place in a row: the ``index``-th (from 1) counted from ``side``.

    side: left, right, top, bottom, front or back.
    """

    index: int
    side: str


@dataclass(frozen=True)
class Relation:
    """A relation to another thing.

    kind: left of, right of, above, below, on, in, in front of, behind, near, between, with,
        holding or wearing.
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
