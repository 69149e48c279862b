"""Which one: the geometry of proposals against position, order, extremes and relations.

Everything is a chance in [0, 1]. A proposal fits the noun phrase with some chance (its match,
`refdiff_core.scoring.match_chance`); given the matches of all, where it lies makes it the one that
the words mean with another. "Second from the left" asks for exactly one matching thing further
left, so the table that the cups stand on is not counted, and of several masks of one cup one is.

Positions count among what matches, as people use them (in RefCOCO the "left man" is the leftmost
man wherever he stands); only where the words name no thing ("left") does the picture decide.
Relations come first: the "largest cup on the table" is the largest of those on the table.

Source: ours. METHOD.md 3c, idea 2: explicit geometry in place of the paper's darkened pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .layout import Layout, covered_share, distinct_objects, holds_several, same_object
from .phrases import wanted_extreme, wanted_relations
from .values import Expression, Proposals, Relation

STEP = 0.02
"""Distance at which "further left" is about three quarters sure; lengths are shares of the square
root of the picture's area, so 1 % either way is a tie."""
SIZE_STEP = 0.08
"""The same for sizes, which are compared by their ratio: 8 %."""
NEAR, TOUCHING = 0.2, 0.05
"""Gaps at which nearness, and holding or wearing, have faded to a third."""


# --- ranks ------------------------------------------------------------------------------


def chance_of_exactly(count: int, chances: Tensor) -> Tensor:
    """The chance that exactly ``count`` of R independent events happen.

    Args:
        count: from 0.
        chances: float32 (N, R) in [0, 1].

    Returns:
        float32 (N,) in [0, 1].
    """
    ways = torch.zeros(len(chances), count + 1)
    ways[:, 0] = 1
    for chance in chances.unbind(1):
        one_more = torch.cat([torch.zeros(len(ways), 1), ways[:, :-1]], 1)
        ways = ways.lerp(one_more, chance[:, None])
    return ways[:, count].clamp(0, 1)


def rank_chance(
    keys: Tensor, match: Tensor, same: Tensor, *, index: int = 1, step: float = STEP
) -> Tensor:
    """The chance that each proposal is the ``index``-th of what matches, lowest key first.

    Args:
        keys: float32 (N,).
        match: float32 (N,) in [0, 1], the chance that each counts at all.
        same: bool (N, N), which proposals show one object; each object counts once.
        index: from 1.
        step: difference of keys that decides.
    """
    ahead = torch.sigmoid((keys[:, None] - keys[None]) / step)  # (N, N): j comes before i
    counted = distinct_objects(same, match)
    chances = ahead * match * ~same
    return chance_of_exactly(index - 1, chances[:, counted])


def side_key(layout: Layout, side: str, match: Tensor) -> Tensor:
    """A key (N,) that is lowest at a side: left, right, top, bottom, middle, front or back.

    Front is low in the picture and large, back high and small, as on a photographed floor.
    """
    x, y = layout.centers.unbind(1)
    if side == "middle":
        off: Tensor = (layout.centers - _middle(layout, match)).norm(dim=1)
        return off
    depth = layout.boxes[:, 3] + layout.sides.prod(1).sqrt()
    keys = {"left": x, "right": -x, "top": y, "bottom": -y, "front": -depth, "back": depth}
    return keys[side]


def _middle(layout: Layout, match: Tensor) -> Tensor:
    """The centre (2,) of what matches where that is three things or more, else the picture's."""
    picture = torch.tensor(layout.size) / 2
    if not len(match):
        return picture
    counted = match * distinct_objects(same_object(layout, layout), match)
    group = (counted @ layout.centers) / counted.sum().clamp(min=1e-6)
    return torch.lerp(picture, group, (counted.sum() - 2).clamp(0, 1))


def extreme_chance(extreme: str, layout: Layout, match: Tensor, same: Tensor) -> Tensor:
    """The chance (N,) that each is the largest, smallest, tallest, shortest, closest, farthest."""
    if extreme in ("closest", "farthest"):
        side = "front" if extreme == "closest" else "back"
        return rank_chance(side_key(layout, side, match), match, same)
    width, height = layout.sides.clamp(min=1e-6).log().unbind(1)
    key = height if extreme in ("tallest", "shortest") else (width + height) / 2
    key = -key if extreme in ("largest", "tallest") else key
    return rank_chance(key, match, same, step=SIZE_STEP)


def position_chance(sides: Sequence[str], layout: Layout, match: Tensor, same: Tensor) -> Tensor:
    """The chance (N,) that none that matches lies further towards the sides; a corner is one key.

    In "bottom middle" the middle is the horizontal one.
    """
    key = _position_key(sides, layout, match)
    return rank_chance(key, match, same)


def _position_key(sides: Sequence[str], layout: Layout, match: Tensor) -> Tensor:
    keys = [side_key(layout, side, match) for side in sides if side != "middle"]
    if "middle" in sides:
        off = layout.centers - _middle(layout, match)
        axes = [axis for axis, names in enumerate(_AXES) if not {*names} & {*sides}]
        keys.append(off[:, axes].norm(dim=1))
    return torch.stack(keys).sum(0)


_AXES = (("left", "right"), ("top", "bottom"))


def position_share(sides: Sequence[str], layout: Layout, match: Tensor) -> Tensor:
    """How far (N,) each lies towards the sides, from 0 to 1 over the extent of what matches.

    Where an order or an extreme decides, the position only says among which: "top row, second
    from the left", "the largest on the left".
    """
    key = _position_key(sides, layout, match)
    among = key[match > 0.5 * match.max()] if len(match) else key
    if not len(among):
        return torch.ones_like(key)
    low, high = among.min(), among.max()
    if high - low < 2 * STEP:
        return torch.ones_like(key)
    return torch.sigmoid((0.5 - (key - low) / (high - low)) / 0.1)


# --- relations --------------------------------------------------------------------------

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
    are what it is "with", and it is "on" or "in" what it is a part of.

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
    elif kind in ("in", "on"):
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


# --- all of it --------------------------------------------------------------------------


@dataclass(frozen=True)
class OtherThing:
    """Where a noun that a relation names may be: proposals, and float32 (M,) how well they fit."""

    proposals: Proposals
    match: Tensor


def spatial_score(
    expression: Expression,
    proposals: Proposals,
    match: Tensor,
    others: Sequence[OtherThing | None] = (),
) -> Tensor | None:
    """The chance that each proposal lies where the words say, given what matches them.

    Args:
        expression: what was asked for.
        proposals: N masks.
        match: float32 (N,) in [0, 1], how well each fits the noun phrase; 0 for what is rejected.
        others: one for each of `wanted_relations`, None where it was not looked for; or empty.

    Returns:
        float32 (N,) in [0, 1]; None where the words ask for nothing that geometry can tell.
    """
    extreme, order, position = wanted_extreme(expression), expression.order, expression.position
    asked = zip(wanted_relations(expression), others, strict=bool(others))
    found = [(relation, other) for relation, other in asked if other is not None]
    if not (extreme or order or position or found):
        return None
    if not len(proposals):
        return torch.zeros(0)
    layout = Layout.of(proposals)
    same = same_object(layout, layout)
    score = _all_relations(found, proposals, layout)
    if order or extreme or position:
        score = score * ~holds_several(layout, match)
    if order or extreme:
        if position:
            score = score * position_share(position, layout, match * score)
        among = match * score
        if extreme == "closest" and any(relation.kind == "near" for relation, _ in found):
            score = score * rank_chance(-score, match, same)  # closest to that, not to the viewer
        elif extreme:
            score = score * extreme_chance(extreme, layout, among, same)
        if order:
            key = side_key(layout, order.side, among)
            score = score * rank_chance(key, among, same, index=order.index)
    elif position and expression.target_words:
        score = score * position_chance(position, layout, match * score, same)
    elif position:
        score = score * position_share(position, layout, torch.ones_like(match))
    return score


def _all_relations(
    found: Sequence[tuple[Relation, OtherThing]], proposals: Proposals, layout: Layout
) -> Tensor:
    score = torch.ones(len(layout.boxes))
    places: list[tuple[str, Place]] = []
    for relation, other in found:
        # mostly the same masks, which need not be measured again
        there = layout if other.proposals is proposals else Layout.of(other.proposals)
        places.append((relation.kind, (there, other.match)))
    ends = [place for kind, place in places if kind == "between"]
    if len(ends) > 1:
        score = score * between_chance(layout, ends[0], ends[1])
    for kind, place in places:
        if kind != "between" or len(ends) == 1:
            score = score * relation_chance(kind, layout, place)
    return score
