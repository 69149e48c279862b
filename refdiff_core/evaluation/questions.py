"""The demo benchmark's questions: expressions that mean exactly one object to a person.

Grouped by what tells the object from the others. In the groups from size on, something else of
the scene has the same name, so that the noun phrase alone never decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..demo.scenes import HELD_OUT_SEED, Scene, SceneObject, expressions, sample_scene
from ..demo.wording import CLEAR_PIXELS

UNIQUE, RIVAL, SHAPE, COLOR = "colour unique", "same-colour rival", "shape", "colour"
ATTRIBUTES = (UNIQUE, RIVAL, SHAPE, COLOR)
SIZE, POSITION, ORDER, RELATION, NEGATION = "size", "position", "order", "relation", "negation"
INLINE = "in-line negation"
LONE = "lone thing"
GROUPS = (*ATTRIBUTES, SIZE, POSITION, ORDER, RELATION, NEGATION, INLINE)

PER_GROUP = 2
"""Most questions of one group in a scene, or crowded scenes would outweigh all the others."""
CLEARLY_LARGER = 1.25
ORDINALS = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True)
class Question:
    """One expression, its answer, and what it tests.

    text: such as "the second circle from the left".
    targets: indices of the objects that are meant, mostly one.
    group: one of ``GROUPS``, ``LONE``, or of ``several.SEVERAL``.
    without: what a negative line leaves out, None where there is none.
    rest: everything but the targets is meant.
    """

    text: str
    targets: tuple[int, ...]
    group: str
    without: str | None = None
    rest: bool = False

    @property
    def target(self) -> int:
        """The one object that is meant."""
        (target,) = self.targets
        return target

    @property
    def lines(self) -> list[str]:
        """The lines to ask."""
        return [self.text] if self.without is None else [self.text, f"not: {self.without}"]


Asked = Iterator[tuple[str, int]]


def held_out_scenes(count: int) -> Iterator[Scene]:
    """``count`` scenes of 2 to 6 objects that no model was trained on."""
    return (sample_scene(HELD_OUT_SEED + index, count=(2, 6)) for index in range(count))


def questions(scene: Scene, seed: int = 0) -> list[Question]:
    """At most ``PER_GROUP`` questions of each group, drawn from all that the scene allows."""
    rng = np.random.default_rng(seed)
    found = list(dict.fromkeys(all_questions(scene)))
    chosen = []
    for group in GROUPS:
        own = [each for each in found if each.group == group]
        chosen += [own[index] for index in rng.permutation(len(own))[:PER_GROUP]]
    return chosen


def of_lone_things(scene: Scene, seed: int = 0) -> list[Question]:
    """Questions that say where a thing lies though nothing else of the scene has its name.

    No group of the benchmark's: there, words for a place always tell things of one name apart.
    """
    rng = np.random.default_rng(seed)
    shapes = [item.shape for item in scene.objects]
    lone = [index for index, shape in enumerate(shapes) if shapes.count(shape) == 1]
    said = rng.permutation(["the {} on the left", "the topmost {}", "the largest {}"])
    chosen = rng.permutation(lone)[:PER_GROUP].tolist()
    return [
        Question(str(text).format(shapes[index]), (index,), LONE)
        for text, index in zip(said, chosen, strict=False)
    ]


def all_questions(scene: Scene) -> Iterator[Question]:
    """Every question that a scene allows."""
    colors = [item.color for item in scene.objects]
    for each in expressions(scene):
        text, target, kind = each.text, each.target, each.kind
        if kind == "attribute":
            yield Question(text, (target,), RIVAL if colors.count(colors[target]) > 1 else UNIQUE)
        elif kind in ("shape", "color"):
            yield Question(text, (target,), SHAPE if kind == "shape" else COLOR)
        elif kind != "relation" or _has_rival(scene.objects, target, text.split()[1:]):
            yield Question(text, (target,), kind)
    more: tuple[tuple[str, Callable[[Scene], Asked]], ...] = (
        (SIZE, _extremes),
        (POSITION, _middles),
        (ORDER, _orders),
        (RELATION, _nearest),
        (RELATION, _between),
    )
    for group, find in more:
        yield from (Question(text, (target,), group) for text, target in find(scene))
    yield from _negations(scene)


def _has_rival(objects: Sequence[SceneObject], target: int, said: list[str]) -> bool:
    """Whether another object has the name that a relation begins with."""
    item = objects[target]
    name = item.name if said[0] == item.color else item.shape
    return sum(name in (o.shape, o.name) for o in objects) > 1


def _kinds(scene: Scene) -> Iterator[tuple[str, list[int]]]:
    """Each name that fits two objects or more (red circle, circle, red shape, shape), with them."""
    names: dict[str, list[int]] = {"shape": list(range(len(scene.objects)))}
    for index, item in enumerate(scene.objects):
        for name in (item.name, item.shape, f"{item.color} shape"):
            names.setdefault(name, []).append(index)
    return ((name, found) for name, found in names.items() if len(found) > 1)


def _extremes(scene: Scene) -> Asked:
    for name, found in _kinds(scene):
        if len({scene.objects[i].shape for i in found}) > 1:
            continue  # whether a star is larger than a circle is a matter of opinion
        radius = {i: scene.objects[i].radius for i in found}
        ranked = sorted(found, key=lambda i: radius[i])
        if radius[ranked[-1]] > CLEARLY_LARGER * radius[ranked[-2]]:
            yield f"the largest {name}", ranked[-1]
        if radius[ranked[1]] > CLEARLY_LARGER * radius[ranked[0]]:
            yield f"the smallest {name}", ranked[0]


def _middles(scene: Scene) -> Asked:
    height, width = scene.masks.shape[1:]
    for name, found in _kinds(scene):
        if len(found) != 3:
            continue
        for axis, side in enumerate((width, height)):
            at = {i: scene.objects[i].center_xy for i in found}
            first, middle, last = sorted(found, key=lambda i: at[i][axis])
            spread = at[last][axis] - at[first][axis]
            other = [at[i][1 - axis] for i in found]
            in_row = max(other) - min(other) < 0.4 * spread
            central = abs(at[middle][axis] - side / 2) < 0.15 * side
            halves = (at[middle][axis] - at[first][axis]) / spread
            if in_row and central and 0.35 < halves < 0.65:
                yield f"the {name} in the middle", middle


def _orders(scene: Scene) -> Asked:
    axes = (("left", "right", "leftmost", "rightmost"), ("top", "bottom", "topmost", "lowest"))
    for name, found in _kinds(scene):
        for axis, (start, end, first, last) in enumerate(axes):
            at = {i: scene.objects[i].center_xy[axis] for i in found}
            row = sorted(found, key=lambda i: at[i])
            if any(at[b] - at[a] <= CLEAR_PIXELS for a, b in zip(row, row[1:], strict=False)):
                continue
            yield f"the {first} {name}", row[0]
            yield f"the {last} {name}", row[-1]
            for index in range(1, len(row) - 1):
                yield f"the {ORDINALS[index]} {name} from the {start}", row[index]
                yield f"the {ORDINALS[index]} {name} from the {end}", row[-1 - index]


def _nearest(scene: Scene) -> Asked:
    for name, found in _kinds(scene):
        for anchor in _unmistakable(scene):
            apart = {i: _distance(scene, i, anchor) for i in found if i != anchor}
            gaps = {i: far - scene.objects[i].radius for i, far in apart.items()}
            ranked = sorted(gaps, key=lambda i: gaps[i])
            # closer both from edge to edge and from centre to centre
            if len(ranked) > 1 and all(
                by[ranked[1]] > by[ranked[0]] + CLEAR_PIXELS for by in (gaps, apart)
            ):
                yield f"the {name} closest to the {scene.objects[anchor].name}", ranked[0]


def _between(scene: Scene) -> Asked:
    anchors = _unmistakable(scene)
    for name, found in _kinds(scene):
        for a in anchors:
            for b in anchors:
                rivals = [i for i in found if i not in (a, b)]
                if a < b and len(rivals) > 1:
                    off = {i: _off_middle(scene, i, a, b) for i in rivals}
                    ranked = sorted(rivals, key=lambda i: off[i])
                    if off[ranked[0]] < 0.5 and off[ranked[1]] > 1.1:
                        first, second = scene.objects[a].name, scene.objects[b].name
                        yield f"the {name} between the {first} and the {second}", ranked[0]


def _negations(scene: Scene) -> Iterator[Question]:
    for name, found in _kinds(scene):
        for attribute in ("shape", "color"):
            kinds = [str(getattr(scene.objects[i], attribute)) for i in found]
            for kind in dict.fromkeys(kinds):
                left = [i for i, own in zip(found, kinds, strict=True) if own != kind]
                if len(left) == 1:
                    yield from _without(name, kind, attribute == "shape", left[0])


def _without(name: str, kind: str, is_shape: bool, target: int) -> Iterator[Question]:
    """Leaving a shape or a colour out, in a line of its own and in the line itself."""
    said = f"the {kind}" if is_shape else f"the {kind} {name.split()[-1]}"
    yield Question(f"the {name}", (target,), NEGATION, said)
    if is_shape:
        yield Question(f"the {name}, not the {kind}", (target,), INLINE)
        yield Question(f"the {name} that isn't a {kind}", (target,), INLINE)
    else:
        yield Question(f"the {name}, not the {kind} one", (target,), INLINE)
        yield Question(f"the {name} that is not {kind}", (target,), INLINE)


def _unmistakable(scene: Scene) -> list[int]:
    """Objects that colour and shape tell from all others."""
    names = [item.name for item in scene.objects]
    return [index for index, name in enumerate(names) if names.count(name) == 1]


def _distance(scene: Scene, a: int, b: int) -> float:
    return math.dist(scene.objects[a].center_xy, scene.objects[b].center_xy)


def _off_middle(scene: Scene, index: int, a: int, b: int) -> float:
    """Distance from the point half-way between two objects, in halves of their distance."""
    (x0, y0), (x1, y1) = scene.objects[a].center_xy, scene.objects[b].center_xy
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    return math.dist(scene.objects[index].center_xy, middle) / (math.dist((x0, y0), (x1, y1)) / 2)


# --- the mirror -------------------------------------------------------------------------

_MIRRORED = {"left": "right", "right": "left", "leftmost": "rightmost", "rightmost": "leftmost"}


def mirror(scene: Scene) -> Scene:
    """The scene as a mirror shows it; only picture and masks, the objects keep their indices."""
    return replace(
        scene,
        image=np.ascontiguousarray(scene.image[:, ::-1]),
        masks=np.ascontiguousarray(scene.masks[:, :, ::-1]),
    )


def mirror_words(text: str) -> str:
    """The text with left and right exchanged."""
    return " ".join(_MIRRORED.get(word, word) for word in text.split())
