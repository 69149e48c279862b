"""The demo benchmark's questions about several objects, about all the rest, and about none.

"The two circles", "all the red shapes", "the star and the blue ring", "everything but the star",
"the green cross" where there is none. Each means one set of objects to a person.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..demo.objects import COLORS
from ..demo.scenes import SHAPES, Scene
from ..demo.wording import CLEAR_PIXELS
from .questions import CLEARLY_LARGER, PER_GROUP, Question

NUMBER, ALL, LIST, REST, ABSENT = "number", "all", "list", "everything but", "absent"
SEVERAL = (NUMBER, ALL, LIST, REST, ABSENT)
_COUNTS = ("no", "one", "two", "three", "four", "five", "six")


def several(scene: Scene, seed: int = 0) -> list[Question]:
    """At most ``PER_GROUP`` questions of each group, drawn from all that the scene allows."""
    rng = np.random.default_rng(seed)
    found = list(dict.fromkeys(all_several(scene)))
    chosen = []
    for group in SEVERAL:
        own = [each for each in found if each.group == group]
        chosen += [own[index] for index in rng.permutation(len(own))[:PER_GROUP]]
    return chosen


def all_several(scene: Scene) -> Iterator[Question]:
    """Every question of these kinds that a scene allows."""
    for find in (_numbers, _in_rows, _largest, _alls, _on_sides, _lists, _rests, _absent):
        yield from find(scene)


def _names(scene: Scene) -> dict[str, tuple[int, ...]]:
    """Every name (red circle, circle, red shape), with the objects that have it."""
    names: dict[str, list[int]] = {}
    for index, item in enumerate(scene.objects):
        for name in (item.name, item.shape, f"{item.color} shape"):
            names.setdefault(name, []).append(index)
    return {name: tuple(found) for name, found in names.items()}


def _plural(name: str) -> str:
    return f"{name}es" if name.endswith("s") else f"{name}s"


def _numbers(scene: Scene) -> Iterator[Question]:
    for name, found in _names(scene).items():
        if len(found) > 1:
            yield Question(f"the {_COUNTS[len(found)]} {_plural(name)}", found, NUMBER)


def _in_rows(scene: Scene) -> Iterator[Question]:
    """The first two of a row, the second and third of it."""
    for name, found in _names(scene).items():
        for axis, sides in enumerate((("left", "right"), ("top", "bottom"))):
            at = {index: scene.objects[index].center_xy[axis] for index in found}
            row = sorted(found, key=lambda index: at[index])
            gaps = [at[b] - at[a] for a, b in zip(row, row[1:], strict=False)]
            if len(row) < 3 or min(gaps) <= CLEAR_PIXELS:
                continue
            for side, ordered in zip(sides, (row, row[::-1]), strict=True):
                first, middle = _in_order(ordered[:2]), _in_order(ordered[1:3])
                yield Question(f"the two {side}most {_plural(name)}", first, NUMBER)
                yield Question(f"the first two {_plural(name)} from the {side}", first, NUMBER)
                if len(row) > 3:
                    text = f"the second and third {name} from the {side}"
                    yield Question(text, middle, NUMBER)


def _in_order(indices: list[int]) -> tuple[int, ...]:
    return tuple(sorted(indices))


def _largest(scene: Scene) -> Iterator[Question]:
    for name, found in _names(scene).items():
        if len({scene.objects[index].shape for index in found}) > 1:
            continue
        ranked = sorted(found, key=lambda index: -scene.objects[index].radius)
        radii = [scene.objects[index].radius for index in ranked]
        if len(ranked) > 2 and radii[1] > CLEARLY_LARGER * radii[2]:
            yield Question(f"the two largest {_plural(name)}", _in_order(ranked[:2]), NUMBER)


def _alls(scene: Scene) -> Iterator[Question]:
    names = {**_names(scene), "shape": tuple(range(len(scene.objects)))}
    for name, found in names.items():
        if len(found) > 1:
            yield Question(f"all the {_plural(name)}", found, ALL)
            yield Question(f"every {name}", found, ALL)
            yield Question(f"the {_plural(name)}", found, ALL)
        if len(found) == 2:
            yield Question(f"both {_plural(name)}", found, ALL)


def _on_sides(scene: Scene) -> Iterator[Question]:
    height, width = scene.masks.shape[1:]
    for name, found in _names(scene).items():
        for axis, (low, high) in enumerate((("left", "right"), ("top", "bottom"))):
            half = (width, height)[axis] / 2
            off = {index: scene.objects[index].center_xy[axis] - half for index in found}
            if min(map(abs, off.values())) <= CLEAR_PIXELS:
                continue
            for side, sign in ((low, -1), (high, 1)):
                there = tuple(index for index in found if sign * off[index] > 0)
                if len(there) > 1 and len(there) < len(found):
                    where = "on the" if axis == 0 else "at the"
                    yield Question(f"all the {_plural(name)} {where} {side}", there, ALL)


def _lists(scene: Scene) -> Iterator[Question]:
    single = [(name, found[0]) for name, found in _names(scene).items() if len(found) == 1]
    for a, first in single:
        for b, second in single:
            if first >= second:
                continue
            both = (first, second)
            yield Question(f"the {a} and the {b}", both, LIST)
            yield Question(f"{b} . {a}", both, LIST)
            third = next(((c, at) for c, at in single if at not in both), None)
            if third:
                three = _in_order([*both, third[1]])
                yield Question(f"the {a}, the {third[0]} and the {b}", three, LIST)


def _rests(scene: Scene) -> Iterator[Question]:
    every = tuple(range(len(scene.objects)))
    for name, found in _names(scene).items():
        if len(found) == 1:
            for word in ("everything but", "everything except"):
                yield Question(f"{word} the {name}", found, REST, rest=True)
            left = tuple(index for index in every if index not in found)
            yield Question(f"all the shapes except the {name}", left, REST)
        elif len(found) < len(every):
            yield Question(f"everything but the {_plural(name)}", found, REST, rest=True)


def _absent(scene: Scene) -> Iterator[Question]:
    names = _names(scene)
    for color in COLORS:
        for shape in SHAPES:
            if f"{color} {shape}" not in names:
                yield Question(f"the {color} {shape}", (), ABSENT)
    for shape in SHAPES:
        if shape not in names:
            yield Question(f"the {shape}", (), ABSENT)
            yield Question(f"all the {_plural(shape)}", (), ABSENT)
