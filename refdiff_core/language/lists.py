"""Whether a line names several things, and where one ends and the next begins.

"face . hair . left hand" does, and so does "the man and the woman"; "guy, blue shirt, far right"
describes one person. Marks that mean nothing else (a full stop, a bar, numbers) settle it; a
comma or "and" is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..words import Expression
from .parsing.lexicon import OWN, look_up
from .parsing.vocabulary import BODY_PARTS, GARMENTS, HOLDERS, PERSONS, SUPPORTS

_NUMBERED = re.compile(r"(?:^|\s)(?:\d{1,2}[.)]|[a-h]\))\s+")
_MARKS = re.compile(r"\s+[|/+]\s+|\s*[|;]\s*|\.(?=\s|$)|(?<=[^\W\d_])/(?=[^\W\d_]{2})")
_BREAKS = re.compile(
    r"\s*,\s*(?:(?:and|&|plus)\b\s*)?|\s+(?:and|plus|or)\s+|\s+&\s+", re.IGNORECASE
)
_BOTH = re.compile(r"both\s+(?=.*\band\b)", re.IGNORECASE)
_OWN = "the a an his her its their two three four both all my this that each every".split()
_WORDS = re.compile(r"[\w'\u2019-]+")

Read = Callable[[str], Expression]


@dataclass(frozen=True)
class Part:
    """A piece of a line.

    start, end: where it lies in ``line``. said: what was read of it. joined: how it follows the
    one before: "," or "and", "" for the first.
    """

    line: str
    start: int
    end: int
    said: Expression
    joined: str = ""

    @property
    def text(self) -> str:
        """As it is written."""
        return self.line[self.start : self.end]

    @property
    def words(self) -> list[str]:
        """Its words in lower case."""
        return [word.lower() for word in _WORDS.findall(self.text)]

    @property
    def determined(self) -> bool:
        """Whether it begins as a noun phrase of its own does."""
        return bool(self.words) and self.words[0] in _OWN

    @property
    def names(self) -> str:
        """The noun that names it."""
        return self.said.root.text if self.said.root else ""


def split_list(text: str, read: Read) -> tuple[list[str], bool]:
    """The texts of the things that a line names.

    Args:
        text: one line.
        read: reads a piece as one thing.

    Returns:
        Two texts or more; or none for one thing, or one that says it better; and whether it is a
        guess that a note should name.
    """
    read = lru_cache(read)
    for marks in (_NUMBERED, _MARKS):
        pieces = [piece.strip(" ,.;") for piece in marks.split(text, MOST)]
        pieces = [piece for piece in pieces if piece]
        if len(pieces) > 1 and all(_names_something(read(piece)) for piece in pieces):
            return pieces, False
    if not 0 < len([*_BREAKS.finditer(text)]) < MOST:
        return [], False
    both = _BOTH.match(text)
    return _by_breaks(text[both.end() :] if both else text, read)


def _names_something(said: Expression) -> bool:
    """Whether a piece is about a thing; "right pic" is about the picture itself."""
    frame = said.root is not None and look_up(said.root.text)[0] == "q"
    return (said.root is not None and not frame) or said.region is not None


def _by_breaks(text: str, read: Read) -> tuple[list[str], bool]:
    parts = _cut(text, read)
    if len(parts) < 2:
        return [], False
    groups: list[list[Part]] = []
    for part in parts:
        if groups and not _stands_alone(part, groups, read):
            groups[-1].append(part)
        else:
            groups.append([part])
    if len(groups) < 2 or not _names_something(groups[0][0].said):
        return [], False
    if _is_where(parts[0]):
        return [f"{_join(parts[1:])} on the {parts[0].text}"], False
    whole = read(text)
    if (
        whole.root
        and whole.root.text in HOLDERS
        and whole.root.text == parts[-1].names != parts[0].names
    ):
        return [], False
    if _is_outfit(groups):
        return [], True
    return [_join(group) for group in groups], True


MOST = 40
"""More pieces than a list has; such a line is read as one thing."""


def _cut(text: str, read: Read) -> list[Part]:
    breaks = [*_BREAKS.finditer(text)]
    starts, ends = [0, *(each.end() for each in breaks)], [each.start() for each in breaks]
    joined = ["", *(each[0].strip().lower() for each in breaks)]
    return [
        Part(text, start, end, read(text[start:end]), how)
        for start, end, how in zip(starts, [*ends, len(text)], joined, strict=True)
        if text[start:end].strip()
    ]


def _join(group: Sequence[Part]) -> str:
    return group[0].line[group[0].start : group[-1].end].strip()


def _stands_alone(part: Part, groups: Sequence[Sequence[Part]], read: Read) -> bool:
    """Whether a part names a thing of its own, rather than to say more of the one before."""
    before = groups[-1]
    if (
        not part.words
        or not _names_something(part.said)
        or look_up(part.words[0])[0] in "irvpgwfcx"
    ):
        return False
    if not _names_something(before[0].said) or read(_join(before)).excluded:
        return False
    person = any(each[0].names in PERSONS or not each[0].names for each in groups)
    if part.names in GARMENTS | BODY_PARTS and person and not part.determined:
        # "the girl, her umbrella" are two, "guy, blue shirt" is one; "face and hands" are two
        return False
    related = read(_join(before)).relations
    if not part.joined.startswith(",") and related:
        return _ends_relation(part, related[-1].kind, related[-1].noun.text)
    return True


def _ends_relation(part: Part, kind: str, noun: str) -> bool:
    """Whether what follows "and" is a thing of its own, not another noun of the relation."""
    if kind == "between" or (kind in OWN and part.names in GARMENTS):
        return False
    placed = part.said.position or part.said.order or part.said.relations
    clothed = noun in GARMENTS and part.names in PERSONS
    return bool(clothed or (placed and part.determined))


def _is_where(part: Part) -> bool:
    """Whether the first part says where to look: "bottom shelf, third bottle from the left"."""
    placed = bool(part.said.position) and not part.said.attributes and not part.determined
    return placed and part.names in SUPPORTS and part.said.count == 1


def _is_outfit(groups: Sequence[Sequence[Part]]) -> bool:
    """Whether clothes with their colours describe who wears them: "brown jeans, black hoodie"."""
    first = groups[0][0]
    dressed = first.names in GARMENTS and bool(first.said.attributes)
    return dressed and not first.determined
