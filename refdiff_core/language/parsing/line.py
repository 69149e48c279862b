"""A line of words while it is being read: one tag a word, "_" once a word is consumed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ...words import Count, Expression, Order, Relation, Word


@dataclass(frozen=True)
class Negation:
    """Words of a line that say what is excluded.

    at: index of the negator. start, end: of the words after it.
    tags: theirs, before they were consumed.
    has: what is excluded is the thing that has what they name ("without hat").
    """

    at: int
    start: int
    end: int
    tags: str
    has: bool


@dataclass
class Line:
    """One line while it is being read.

    asked: the tags before anything but a count was consumed.
    """

    text: str
    negative: bool = False
    words: list[Word] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    tags: str = ""
    asked: str = ""
    root: Word | None = None
    attributes: list[Word] = field(default_factory=list)
    position: list[str] = field(default_factory=list)
    order: Order | None = None
    extreme: str | None = None
    count: Count | None = None
    region: str | None = None
    relations: list[Relation] = field(default_factory=list)
    negations: list[Negation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, word: Word, tag: str, value: str) -> None:
        """Append one word."""
        self.words.append(word)
        self.values.append(value)
        self.tags += tag

    def retag(self, start: int, end: int, tag: str = "_") -> None:
        """Give the words one tag; by default they are consumed."""
        self.tags = self.tags[:start] + tag * (end - start) + self.tags[end:]

    def find(self, pattern: str | re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Matches from left to right, against the tags as they stand after each."""
        at, compiled = 0, re.compile(pattern)
        while match := compiled.search(self.tags, at):
            yield match
            at = max(match.end(), match.start() + 1)

    def sides(self, start: int, end: int) -> list[str]:
        """The sides that the words name."""
        named = [self.values[i] for i in range(start, end) if self.tags[i] == "s"]
        return [side for each in named for side in each.split()]

    def add_position(self, sides: Iterable[str]) -> None:
        """Say where the thing is."""
        self.position += [s for s in dict.fromkeys(sides) if s not in self.position]

    def describe(self, start: int, end: int, tags: str) -> None:
        """Make attributes of the words that have one of these tags."""
        self.attributes += [self.words[i] for i in range(start, end) if self.tags[i] in tags]

    def quote(self, start: int, end: int) -> str:
        """The words as they were written."""
        return self.text[self.words[start].start : self.words[end - 1].end]

    def expression(self) -> Expression:
        """What has been read so far."""
        attributes = {word.start: word for word in self.attributes if word != self.root}
        return Expression(
            text=self.text,
            root=self.root,
            attributes=tuple(attributes[start] for start in sorted(attributes)),
            position=tuple(self.position),
            order=self.order,
            extreme=self.extreme,
            relations=tuple(self.relations),
            count=self.count or 1,
            region=self.region,
            negative=self.negative,
            notes=tuple(dict.fromkeys(self.notes)),
        )
