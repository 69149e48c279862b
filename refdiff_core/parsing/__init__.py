"""The expression parser's parts: a lexicon, a line of tagged words, and passes over it."""

from __future__ import annotations

from collections.abc import Callable

from ..values import Expression
from .line import Line
from .places import (
    read_direction,
    read_extreme,
    read_frame,
    read_order,
    read_part,
    read_position,
    read_side_of,
)
from .relations import read_relations
from .things import read_head, read_homographs, read_leftovers, read_negation, read_unknown

__all__ = ["Line", "read_line"]

_PASSES: tuple[Callable[[Line], None], ...] = (
    read_homographs,
    read_negation,
    read_frame,
    read_order,
    read_part,
    read_side_of,
    read_extreme,
    read_direction,
    read_relations,
    read_position,
    read_head,
    read_leftovers,
    read_unknown,
)


def read_line(line: Line) -> Expression:
    """Run every pass over a tagged line."""
    for read in _PASSES:
        read(line)
    return line.expression()
