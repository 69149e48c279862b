"""The words of the demo's world: names, positions, orders and relations of its objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .objects import SceneObject

# A position or a relation counts as visible from this many pixels on.
CLEAR_PIXELS = 14.0
SIZE_WORD_SHARE = 0.25

# How far the first lies in a direction from the second, in pixels.
_DIRECTIONS: dict[str, Callable[[SceneObject, SceneObject], float]] = {
    "left": lambda a, b: b.center_xy[0] - a.center_xy[0],
    "right": lambda a, b: a.center_xy[0] - b.center_xy[0],
    "top": lambda a, b: b.center_xy[1] - a.center_xy[1],
    "bottom": lambda a, b: a.center_xy[1] - b.center_xy[1],
}
_POSITION_PHRASES = {
    "left": ("the left {}", "the {} on the left"),
    "right": ("the right {}", "the {} on the right"),
    "top": ("the top {}", "the {} at the top"),
    "bottom": ("the bottom {}", "the {} at the bottom"),
}
_RELATION_PHRASES = {
    "left": ("left of", "to the left of"),
    "right": ("right of", "to the right of"),
    "top": ("above",),
    "bottom": ("below",),
}


def expressions_of(objects: tuple[SceneObject, ...], target: int) -> Iterator[tuple[str, str]]:
    """Kind and text of every expression that fits one object of a scene and no other."""
    item = objects[target]
    others = [o for i, o in enumerate(objects) if i != target]
    if all(o.name != item.name for o in others):
        yield "attribute", f"the {item.name}"
    if all(o.shape != item.shape for o in others):
        yield "shape", f"the {item.shape}"
    if all(o.color != item.color for o in others):
        yield "color", f"the {item.color} shape"
    for name in (item.shape, item.name):
        rivals = [o for o in others if name in (o.shape, o.name)]
        if rivals:
            yield from _told_apart(item, rivals, name)
        yield from _by_relation(item, rivals, others, name)


def _told_apart(
    item: SceneObject, rivals: list[SceneObject], name: str
) -> Iterator[tuple[str, str]]:
    """What sets an object apart from others of the same name: size, position, order."""
    if all(o.size != item.size for o in rivals):
        yield "size", f"the {item.size} {name}"
    for side, distance in _DIRECTIONS.items():
        if all(distance(item, o) > CLEAR_PIXELS for o in rivals):
            for phrase in _POSITION_PHRASES[side]:
                yield "position", phrase.format(name)
    if len(rivals) < 2:
        return
    for side in ("left", "right"):
        ahead = [_DIRECTIONS[side](item, o) for o in rivals]
        if all(abs(d) > CLEAR_PIXELS for d in ahead) and sum(d < 0 for d in ahead) == 1:
            yield "order", f"the second {name} from the {side}"


def _by_relation(
    item: SceneObject, rivals: list[SceneObject], others: list[SceneObject], name: str
) -> Iterator[tuple[str, str]]:
    for anchor in others:
        if anchor.name == item.name or any(
            o is not anchor and o.name == anchor.name for o in others
        ):
            continue
        side = _main_side(item, anchor)
        distance = _DIRECTIONS[side]
        # A rival on the same side would make it ambiguous, however far it is.
        if distance(item, anchor) > CLEAR_PIXELS and all(
            o is anchor or distance(o, anchor) < -CLEAR_PIXELS for o in rivals
        ):
            yield "relation", f"the {name} {_RELATION_PHRASES[side][-1]} the {anchor.name}"


def _main_side(item: SceneObject, anchor: SceneObject) -> str:
    return max(_DIRECTIONS, key=lambda side: _DIRECTIONS[side](item, anchor))


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def name_all(objects: tuple[SceneObject, ...], rng: np.random.Generator) -> str:
    """All objects in random order, such as "a red circle and a small blue ring"."""
    names = [
        _with_article(f"{o.size} {o.name}" if rng.random() < SIZE_WORD_SHARE else o.name)
        for o in (objects[i] for i in rng.permutation(len(objects)))
    ]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def relate_two(objects: tuple[SceneObject, ...], rng: np.random.Generator) -> str | None:
    """Two objects and how the first lies from the second; None if they lie too close."""
    if len(objects) < 2:
        return None
    first, second = (objects[i] for i in rng.choice(len(objects), 2, replace=False))
    side = _main_side(first, second)
    if _DIRECTIONS[side](first, second) <= CLEAR_PIXELS:
        return None
    relation = rng.choice(_RELATION_PHRASES[side])
    return f"{_with_article(first.name)} {relation} {_with_article(second.name)}"
