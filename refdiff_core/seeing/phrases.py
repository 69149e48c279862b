"""What an expression asks a picture for: the thing itself and the other things it names.

A model that sees one region at a time cannot tell where it is, or which is larger: it is asked
about the noun phrase alone, and geometry (`refdiff_core.choosing.spatial`) about the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..language.parsing.counts import singular
from ..settings import SINKS
from ..values import AttentionMap, Expression, Relation, Word
from .attention import map_of

SIZES = {
    "large": "largest",
    "big": "largest",
    "huge": "largest",
    "giant": "largest",
    "small": "smallest",
    "little": "smallest",
    "tiny": "smallest",
    "tall": "tallest",
}
"""Plain sizes that are read as extremes among what matches; of two things one is the large one.
Not "short" and "long", which mostly describe hair."""


GROUND = ("background", "foreground")
"""Regions that are told by what is no thing."""


def as_read(expression: Expression) -> Expression:
    """What is read of a picture for an expression: of the background, stop words after its text.

    Attention that means nothing in particular goes to such words, so they are strong where no thing
    is; "background" itself is a word of captions, which say little of it.

    Source: RefAM, arXiv 2509.22650, whose sinks take that attention away; here it is looked at.
    """
    if expression.region not in GROUND:
        return expression
    text, words = expression.text, list[Word]()
    for word in SINKS.split():
        if word.isalpha():
            words.append(Word(word, len(text) + 1, len(text) + 1 + len(word)))
        text += f" {word}"
    return replace(expression, text=text, attributes=tuple(words))


@dataclass(frozen=True)
class Phrase:
    """One thing to look for.

    words: what a model is told of it.
    attention: its map, None where its words were not read.
    owner: index of the expression that names it.
    excluded: which of the owner's excluded things it is, or is related to; None for neither.
    """

    words: Expression
    attention: AttentionMap | None
    owner: int
    excluded: int | None = None


def find_phrases(
    expressions: Sequence[Expression], maps: Sequence[AttentionMap | None], *, spatial: bool
) -> list[Phrase]:
    """Everything to look for: the E things themselves, then all other things that they name.

    For each expression, these are the things it is related to; then each thing it excludes,
    followed by what that is related to.

    Args:
        expressions: E of them.
        maps: as many.
        spatial: False for the sentences as they are and no other things, as in the paper, but
            for those that ask for the rest of the picture.
    """
    asked = list(zip(expressions, maps, strict=True))
    found = [
        Phrase(without_place(words) if spatial else words, _guide(words, seen), owner)
        for owner, (words, seen) in enumerate(asked)
    ]
    for owner, (words, seen) in enumerate(asked):
        if not (spatial or words.region):
            continue
        found += _related(words, seen, owner, None)
        for index, other in enumerate(words.excluded):
            same = replace(found[owner], excluded=index)  # "left, not the top one"
            found.append(_excluded(other, same) or same)
            found += _related(other, seen, owner, index)
    return found


def _guide(words: Expression, seen: AttentionMap | None) -> AttentionMap | None:
    """Where to look for candidates: of everything but the dog, where the dog is."""
    if words.region == "picture":
        return _map_of(seen, words.other_words) or seen
    return seen


def _excluded(other: Expression, line: Phrase) -> Phrase | None:
    """What is told of an excluded thing; None where it has no words of its own."""
    words = [*other.attributes, *([other.root] if other.root else [])]
    told = [word for word in words if word.text not in SIZES]
    if not told:
        return None
    seen = _map_of(line.attention, told)
    if seen is None and line.words.region == "picture":
        seen = line.attention  # a map without words, such as a painted one, shows what is left out
    return replace(line, words=noun_phrase(told, other.root), attention=seen)


def _related(
    words: Expression, seen: AttentionMap | None, owner: int, excluded: int | None
) -> list[Phrase]:
    return [
        Phrase(noun_phrase(each.words, each.noun), _map_of(seen, each.words), owner, excluded)
        for each in wanted_relations(words)
    ]


def _map_of(seen: AttentionMap | None, words: Sequence[Word]) -> AttentionMap | None:
    was_read = seen is not None and not {*seen.words}.isdisjoint(words)
    return map_of(seen, words) if seen is not None and was_read else None


def wanted_extreme(expression: Expression) -> str | None:
    """The extreme that the words ask for, plain sizes included; "all the big cups" has none."""
    if expression.extreme or expression.count == "all":
        return expression.extreme
    return next((SIZES[w.text] for w in expression.attributes if w.text in SIZES), None)


def wanted_relations(expression: Expression) -> list[Relation]:
    """The relations to other things: not to what the thing wears or has, which describes it."""
    return [r for r in expression.relations if r.noun not in expression.attributes]


def without_place(expression: Expression) -> Expression:
    """The noun phrase alone, to ask models about that cannot see where a thing is.

    An expression that says nothing of places stays as it is, and so does one that names no thing.
    """
    placed = expression.position or expression.order or expression.relations or expression.excluded
    every = expression.count == "all"
    words = [word for word in expression.target_words if every or word.text not in SIZES]
    if not words or not (placed or wanted_extreme(expression) or expression.count != 1):
        return expression
    return noun_phrase(words, expression.root)


def noun_phrase(words: Sequence[Word], root: Word | None) -> Expression:
    """An expression of these words alone, in this order."""
    text, moved, named = "", list[Word](), None
    for word in words:
        start = len(text) + bool(text)
        # of "all the cups" each candidate is one
        text = f"{text} {singular(word.text) if word == root else word.text}".strip()
        placed = Word(text[start:], start, len(text))
        if word == root:
            named = placed
        else:
            moved.append(placed)
    return Expression(text, root=named, attributes=tuple(moved))
