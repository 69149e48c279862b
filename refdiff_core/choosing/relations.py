"""Which one: where a thing lies to another, such as "left of the bench" or "with a hat".

Everything is a chance in [0, 1]; where the other thing may be is a set of proposals, each with the
chance that it fits its noun.

Source: ours, as `refdiff_core.choosing.spatial`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..values import Proposals, Relation
from .layout import STEP, Layout, covered_share, same_object

NEAR, TOUCHING, FAR = 0.2, 0.05, 0.5
"""Gaps at which nearness, holding or wearing, and not being far have faded to a third."""

Place = tuple[Layout, Tensor]
"""Where another thing may be: M proposals, and float32 (M,) how well each fits its noun."""


def _offset(a: Layout, b: Layout) -> Tensor:
    """From every centre of ``a`` to every one of ``b``: float32 (N, M, 2)."""
    return b.centers[None] - a.centers[:, None]


def _gap(a: Layout, b: Layout) -> Tensor:
    """Distance between boxes, 0 where they overlap: float32 (N, M)."""
    x, y = (
        torch.maximum(
            b.boxes[None, :, axis] - a.boxes[:, None, axis + 2],
            a.boxes[:, None, axis] - b.boxes[None, :, axis + 2],
        ).clamp(min=0)
        for axis in (0, 1)
    )
    return torch.hypot(x, y)


def _inside(a: Layout, b: Layout) -> Tensor:
    """Share of each box of ``a`` that lies in each box of ``b``: float32 (N, M)."""
    low = torch.maximum(a.boxes[:, None, :2], b.boxes[None, :, :2])
    high = torch.minimum(a.boxes[:, None, 2:], b.boxes[None, :, 2:])
    share: Tensor = (high - low).clamp(min=0).prod(-1) / a.sides.prod(1).clamp(min=1e-9)[:, None]
    return share


def _towards(axis: int, sign: int) -> Callable[[Layout, Layout], Tensor]:
    """In a direction from the other thing: the half plane, strongest straight that way."""

    def chance(a: Layout, b: Layout) -> Tensor:
        offset = _offset(a, b)
        ahead = sign * offset[..., axis]
        straight = ahead.clamp(min=0) / offset.norm(dim=-1).clamp(min=1e-6)
        towards: Tensor = torch.sigmoid(ahead / STEP) * (1 + straight**2) / 2
        return towards

    return chance


def _in_depth(sign: int) -> Callable[[Layout, Layout], Tensor]:
    """In front or behind: near it, and with its foot lower or higher in the picture."""

    def chance(a: Layout, b: Layout) -> Tensor:
        lower = a.boxes[:, None, 3] - b.boxes[None, :, 3]
        return torch.sigmoid(sign * lower / STEP) * (-_gap(a, b) / NEAR).exp()

    return chance


def _on(a: Layout, b: Layout) -> Tensor:
    """Touching it, and inside its box or above its centre."""
    above = torch.sigmoid(_offset(a, b)[..., 1] / STEP)
    return (-_gap(a, b) / TOUCHING).exp() * torch.maximum(above, _inside(a, b))


def _near(reach: float) -> Callable[[Layout, Layout], Tensor]:
    return lambda a, b: (-_gap(a, b) / reach).exp()


PAIRS: dict[str, Callable[[Layout, Layout], Tensor]] = {
    "left of": _towards(0, 1),
    "right of": _towards(0, -1),
    "above": _towards(1, 1),
    "below": _towards(1, -1),
    "on": _on,
    "in": _inside,
    "in front of": _in_depth(1),
    "behind": _in_depth(-1),
    "near": _near(NEAR),
    "far from": lambda a, b: 1 - _near(FAR)(a, b),
    "of": _near(TOUCHING),
    "with": _near(TOUCHING),
    "holding": _near(TOUCHING),
    "wearing": _near(TOUCHING),
}
"""Chance (N, M) in [0, 1] that each of N things stands in the relation to each of M others."""


HAVING = ("with", "holding", "wearing")
"""Relations in which the other thing's mask may lie inside the thing's own."""


def _part_of(a: Layout, b: Layout) -> Tensor:
    """Share of each mask of ``a`` in each of ``b``, less as it is all of that: (N, M) in [0, 1]."""
    return covered_share(a, b) * (1 - covered_share(b, a).T)


def relation_chance(kind: str, layout: Layout, other: Place) -> Tensor:
    """The chance (N,) that each stands in the relation to the other thing, wherever that is.

    The best of all M places where the other thing may be. Nothing is related to itself; its parts
    are what it is "with", and it is "on", "in" or "of" what it is a part of.

    Args:
        kind: one of `PAIRS`, or "between" for two of the same.
        layout: of the N proposals.
        other: where the other thing may be.
    """
    if kind == "between":
        return between_chance(layout, other, other)
    place, match = other
    if not len(match):
        return torch.zeros(len(layout.boxes))
    chances = PAIRS[kind](layout, place) * ~same_object(layout, place)
    if kind in HAVING:
        chances = torch.maximum(chances, _part_of(place, layout).T)
    elif kind in ("in", "on", "of"):
        chances = torch.maximum(chances, _part_of(layout, place))
    return (chances * match).amax(1)


def between_chance(layout: Layout, one: Place, two: Place) -> Tensor:
    """The chance (N,) of lying between two things; 1 half-way, a seventh at either end.

    Args:
        layout: of the N proposals.
        one: where one of the things may be.
        two: where the other may be.
    """
    (a, match_a), (b, match_b) = one, two
    best = torch.zeros(len(layout.boxes))
    self_a, self_b, twins = same_object(layout, a), same_object(layout, b), same_object(a, b)
    # the best eight of each will do: all pairs of a hundred masks are ten thousand
    for i in match_a.argsort(descending=True, stable=True)[:8].tolist():
        for j in match_b.argsort(descending=True, stable=True)[:8].tolist():
            if twins[i, j]:
                continue
            half = (b.centers[j] - a.centers[i]).norm().clamp(min=1e-6) / 2
            off = (layout.centers - (a.centers[i] + b.centers[j]) / 2).norm(dim=1) / half
            chance = match_a[i] * match_b[j] * (-2 * off**2).exp()
            best = torch.maximum(best, chance * ~self_a[:, i] * ~self_b[:, j])
    return best


@dataclass(frozen=True)
class OtherThing:
    """Where a noun that a relation names may be.

    proposals: M masks. match: float32 (M,), how well each fits the noun.
    text: what it was looked for by. present: the chance that there is such a thing at all,
    None where nothing can tell.
    """

    proposals: Proposals
    match: Tensor
    text: str = ""
    present: float | None = None


def all_relations_chance(asked: Sequence[tuple[Relation, OtherThing]], layout: Layout) -> Tensor:
    """The chance (N,) that each stands in all relations; two of "between" name its two ends.

    Args:
        asked: relations, and where the other thing of each may be.
        layout: of N proposals.
    """
    score = torch.ones(len(layout.boxes))
    places: list[tuple[str, Place]] = [
        (relation.kind, (Layout.of(other.proposals), other.match)) for relation, other in asked
    ]
    ends = [place for kind, place in places if kind == "between"]
    if len(ends) > 1:
        score = score * between_chance(layout, ends[0], ends[1])
    for kind, place in places:
        if kind != "between" or len(ends) == 1:
            score = score * relation_chance(kind, layout, place)
    return score
