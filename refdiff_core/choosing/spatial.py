"""Which one: the geometry of proposals against position, order, extremes and relations.

Everything is a chance in [0, 1]. A proposal fits the noun phrase with some chance (its match,
`refdiff_core.choosing.scoring.Evidence.match`); given the matches of all, where it lies makes it
the one that the words mean with another. "Second from the left" asks for exactly one matching thing
further left, so the table that the cups stand on is not counted, and of several masks of one cup
one is.

Positions count among what matches, as people use them (in RefCOCO the "left man" is the leftmost
man wherever he stands); only where the words name no thing ("left") does the picture decide.
Relations come first: the "largest cup on the table" is the largest of those on the table.

Source: ours. METHOD.md 3c, idea 2: explicit geometry in place of the paper's darkened pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..seeing.phrases import wanted_extreme, wanted_relations
from ..values import Expression, Proposals
from .layout import STEP, Layout, distinct_objects, holds_several, same_object
from .relations import OtherThing, all_relations_chance

SIZE_STEP = 0.08
"""What `STEP` is to distances, for sizes, which are compared by their ratio: 8 %."""

LONE = 0.25
"""How likely a lone thing is, against several, where it is told by its place, in shares of what it
would be: as if one such line in five were about the only one. Where there are always several, as on
tuning scenes, .05 is best by .02 to .03, but lone things are lost by it (docs/fusion.md)."""


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
    keys: Tensor,
    match: Tensor,
    same: Tensor,
    *,
    index: int = 1,
    count: int = 1,
    step: float = STEP,
) -> Tensor:
    """The chance that each proposal is the ``index``-th of what matches, lowest key first.

    Args:
        keys: float32 (N,).
        match: float32 (N,) in [0, 1], the chance that each counts at all.
        same: bool (N, N), which proposals show one object; each object counts once.
        index: from 1.
        count: it may also be one of the next, so many with it.
        step: difference of keys that decides.
    """
    ahead = torch.sigmoid((keys[:, None] - keys[None]) / step)  # (N, N): j comes before i
    counted = distinct_objects(same, match)
    chances = (ahead * match * ~same)[:, counted]
    ranks = [chance_of_exactly(before, chances) for before in range(index - 1, index - 1 + count)]
    return torch.stack(ranks).sum(0).clamp(0, 1)


def of_several(expression: Expression, proposals: Proposals, match: Tensor) -> Tensor:
    """The chance that each fits, knowing that its place is said.

    Nobody says where a thing lies, or how large it is, that is the only one of its kind: "the
    topmost cup" is one of two cups at least. Sets of fewer count `LONE` times as much as they would
    by the objects' own chances, so that of two objects the doubtful one is believed more, and
    where only one can be meant nothing changes.

    Args:
        expression: what was asked for.
        proposals: N masks.
        match: float32 (N,) in [0, 1], by what each looks like alone.

    Returns:
        float32 (N,) in [0, 1]; as it was where the words tell no thing from others of its kind.

    Source: ours; Grice's maxim of quantity. docs/fusion.md has what it is worth.
    """
    placed = expression.order or expression.position or wanted_extreme(expression)
    told_apart = placed or wanted_relations(expression)
    if not (told_apart and expression.target_words and expression.count == 1 and len(match)):
        return match
    layout = Layout.of(proposals)
    same = same_object(layout, layout)
    counted = distinct_objects(same, match)
    no_other = (1 - match * ~same)[:, counted].prod(1)
    objects = match[None, counted]
    several = 1 - float(chance_of_exactly(0, objects) + chance_of_exactly(1, objects))
    # no lone thing is the second
    lone = LONE if expression.order is None or expression.order.index == 1 else 0.0
    expected = lone + (1 - lone) * several
    return (match * (1 - (1 - lone) * no_other) / max(expected, 1e-6)).clamp(0, 1)


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


def extreme_chance(
    extreme: str, layout: Layout, match: Tensor, same: Tensor, count: int = 1, index: int = 1
) -> Tensor:
    """The chance (N,) that each is the largest, smallest, tallest, shortest, closest, farthest.

    With a count it may be one of so many: "the two largest"; with an index, the second largest.
    """
    if extreme in ("closest", "farthest"):
        side = "front" if extreme == "closest" else "back"
        return rank_chance(side_key(layout, side, match), match, same, index=index, count=count)
    width, height = layout.sides.clamp(min=1e-6).log().unbind(1)
    key = height if extreme in ("tallest", "shortest") else (width + height) / 2
    key = -key if extreme in ("largest", "tallest") else key
    return rank_chance(key, match, same, index=index, count=count, step=SIZE_STEP)


def position_chance(
    sides: Sequence[str], layout: Layout, match: Tensor, same: Tensor, count: int = 1
) -> Tensor:
    """The chance (N,) that none that matches lies further towards the sides; a corner is one key.

    In "bottom middle" the middle is the horizontal one. With a count, fewer than so many do.
    """
    key = _position_key(sides, layout, match)
    return rank_chance(key, match, same, count=count)


def half_chance(sides: Sequence[str], layout: Layout) -> Tensor:
    """The chance (N,) of lying in the picture's half on each side: "all the cups on the left".

    The middle is a third of the picture.
    """
    x, y = (layout.centers - torch.tensor(layout.size) / 2).unbind(1)
    depth = layout.boxes[:, 3] - layout.size[1] / 2
    offs = {"left": -x, "right": x, "top": -y, "bottom": y, "front": depth, "back": -depth}
    middle = torch.tensor(layout.size).min() / 6 - torch.hypot(x, y)
    chances = [torch.sigmoid(offs.get(side, middle) / STEP) for side in sides]
    return torch.stack(chances).prod(0)


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
    every, count = expression.count == "all", _number(expression)
    asked = zip(wanted_relations(expression), others, strict=bool(others))
    found = [(relation, other) for relation, other in asked if other is not None]
    if not (extreme or order or position or found or count > 1 or every):
        return None
    if not len(proposals):
        return torch.zeros(0)
    layout = Layout.of(proposals)
    same = same_object(layout, layout)
    score = all_relations_chance(found, layout)
    if order or extreme or position or count > 1 or every:
        score = score * ~holds_several(layout, match)
    if every and position:
        return score * half_chance(position, layout)
    if order or extreme:
        kinds = [relation.kind for relation, _ in found]
        return _counted_off(expression, kinds, layout, match, same, score)
    if position and expression.target_words:
        score = score * position_chance(position, layout, match * score, same, count)
    elif position:
        score = score * position_share(position, layout, torch.ones_like(match))
    return score


def _counted_off(
    expression: Expression,
    kinds: Sequence[str],
    layout: Layout,
    match: Tensor,
    same: Tensor,
    score: Tensor,
) -> Tensor:
    """A score (N,) times the chance of being the one that an order or an extreme names.

    Args:
        expression: what was asked for.
        kinds: of the relations that were looked for.
        layout: where the N proposals lie.
        match: float32 (N,) in [0, 1].
        same: bool (N, N), which proposals show one object.
        score: float32 (N,), so far.
    """
    extreme, order, position = wanted_extreme(expression), expression.order, expression.position
    count = _number(expression)
    if position:
        score = score * position_share(position, layout, match * score)
    among = match * score
    index = order.index if order and order.side == extreme else 1  # "the second largest"
    if {"closest": "near", "farthest": "far from"}.get(extreme or "") in kinds:
        # closest to that, not to the viewer
        score = score * rank_chance(-score, match, same, index=index, count=count)
    elif extreme:
        score = score * extreme_chance(extreme, layout, among, same, count, index)
    if order and order.side != extreme:
        key = side_key(layout, order.side, among)
        score = score * rank_chance(key, among, same, index=order.index, count=count)
    return score


def _number(expression: Expression) -> int:
    """How many are counted off; of all, as many as lie there are not counted."""
    return 1 if expression.count == "all" else expression.count
