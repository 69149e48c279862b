"""The lines of one question: which of them give a mask, and what things each names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..words import Expression
from .expression import shift

_REST = "everything but "


def answered(lines: Sequence[Expression]) -> list[Expression]:
    """The lines that give a mask of their own.

    Negative ones only take away from the others. Where there are no others, everything but what
    they name is meant: "not: the circle" alone gives one mask, of the rest of the picture.
    """
    positive = [line for line in lines if not line.negative]
    return positive or ([everything_but(lines)] if lines else [])


def taken_away(lines: Sequence[Expression]) -> list[Expression]:
    """What the negative lines name, for the others to leave out; none where there are no others."""
    if all(line.negative for line in lines):
        return []
    negative = [thing for line in lines if line.negative for thing in things_of(line)]
    return [replace(thing, negative=True) for thing in negative]


def things_of(line: Expression) -> tuple[Expression, ...]:
    """What is looked for one by one: the things of a list, or the line itself."""
    return line.things or (line,)


def looked_for(lines: Sequence[Expression]) -> list[Expression]:
    """Everything to look for, in the pipeline's order: the lines' things, then what they leave out.

    What is made ahead for the pipeline, such as maps, is made for these one by one.
    """
    things = [thing for line in answered(lines) for thing in things_of(line)]
    return [*things, *taken_away(lines)]


def everything_but(lines: Sequence[Expression]) -> Expression:
    """The rest of the picture, as an expression that excludes what negative lines name."""
    left_out = [thing for line in lines for thing in things_of(line)]
    text = _REST + " and ".join(thing.text for thing in left_out)
    excluded, at = [], len(_REST)
    for thing in left_out:
        excluded.append(shift(thing, text, at))
        at += len(thing.text) + len(" and ")
    notes = tuple(dict.fromkeys(note for line in lines for note in line.notes))
    return Expression(text, count="all", region="picture", excluded=tuple(excluded), notes=notes)
