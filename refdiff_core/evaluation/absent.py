"""Expressions of what a scene does not hold, for asking whether a method says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from ..demo.objects import COLORS, SHAPES
from ..demo.scenes import Scene
from .questions import ORDINALS

UNKNOWN, NOUN, COLOUR, ORDINAL = "unknown noun", "absent noun", "wrong colour", "beyond the count"
ABSENCES = (UNKNOWN, NOUN, COLOUR, ORDINAL)
STRANGERS = ("elephant", "dog", "car", "bench", "pizza", "man", "umbrella", "laptop")
"""Nouns that name nothing in any scene, and that the demo's models never heard."""


def absent(scene: Scene, seed: int = 0) -> Iterator[tuple[str, str]]:
    """One or two expressions of each kind, with their kind."""
    rng = np.random.default_rng(seed)
    objects = scene.objects
    names, shapes = {each.name for each in objects}, {each.shape for each in objects}
    colors = sorted({each.color for each in objects})
    stranger, other = rng.choice(STRANGERS, 2, replace=False)
    yield f"the {stranger}", UNKNOWN
    yield f"the {rng.choice(colors)} {other}", UNKNOWN
    if missing := [shape for shape in SHAPES if shape not in shapes]:
        yield f"the {rng.choice(missing)}", NOUN
        yield f"the {rng.choice(colors)} {rng.choice(missing)}", NOUN
    shape = objects[rng.integers(len(objects))].shape
    wrong = [color for color in COLORS if f"{color} {shape}" not in names]
    yield f"the {rng.choice(wrong)} {shape}", COLOUR
    yield f"the {rng.choice([each for each in COLORS if each not in colors])} shape", COLOUR
    shape, count = sorted(Counter(each.shape for each in objects).items())[0]
    if count < len(ORDINALS):
        yield f"the {ORDINALS[count]} {shape} from the {rng.choice(['left', 'right'])}", ORDINAL
