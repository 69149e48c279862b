"""The expression parser's parts: a lexicon, a line of tagged words, and passes over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...words import Expression
from .clauses import read_clauses
from .counts import read_count, read_plural
from .line import Line
from .negation import excluded_line, read_exceptions, read_negation
from .places import (
    read_direction,
    read_extreme,
    read_frame,
    read_order,
    read_part,
    read_position,
    read_side_of,
)
from .relations import read_relations, settle_pronouns
from .things import read_head, read_homographs, read_leftovers, read_unknown

__all__ = ["Line", "read_line"]

_PASSES: tuple[Callable[[Line], None], ...] = (
    read_homographs,
    read_count,
    read_exceptions,
    read_negation,
    read_clauses,
    read_frame,
    read_order,
    read_part,
    read_side_of,
    read_extreme,
    read_direction,
    read_relations,
    read_position,
    read_head,
    settle_pronouns,
    read_plural,
    read_leftovers,
    read_unknown,
)


def read_line(line: Line) -> Expression:
    """Run every pass over a tagged line, then over what it excludes."""
    for read in _PASSES:
        read(line)
    found = line.expression()
    excluded, notes = [], [*found.notes]
    for said in line.negations:
        other = read_line(excluded_line(line, said))
        notes += other.notes
        if _tells_apart(other, found):
            excluded.append(replace(other, notes=()))
        else:
            words = line.quote(said.at, said.end)
            notes.append(f"'{words}' does not say which to leave out; it is not used.")
    found = replace(found, excluded=tuple(excluded), notes=tuple(dict.fromkeys(notes)))
    return replace(found, region="picture") if _is_rest_of_picture(found) else found


def _is_rest_of_picture(found: Expression) -> bool:
    """Whether everything but named things is asked for: of the picture, not of some kind."""
    named = found.target_words or found.position or found.order or found.extreme or found.relations
    things = [each.root for each in found.excluded]
    return bool(found.count == "all" and not named and things and all(things))


def _tells_apart(other: Expression, found: Expression) -> bool:
    """Whether it names more than the very thing that is looked for."""
    placed = other.position or other.order or other.extreme or other.relations
    return bool(placed or {*other.target_words} - {*found.target_words})
