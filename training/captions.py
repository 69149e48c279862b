"""What training pictures are said to show."""

from __future__ import annotations

import numpy as np

from refdiff_core.demo.scenes import Scene, caption, expressions
from refdiff_core.demo.wording import name_all

# Captions that say which colours there are: words of size and place teach attention little.
NAME_ALL_SHARE, NAME_ONE_SHARE = 0.5, 0.25
EMPTY_CAPTIONS = 0.08


def sample_caption(scene: Scene, rng: np.random.Generator) -> str:
    """All objects, one by its colour, or a caption of any kind."""
    draw = rng.random()
    if draw < NAME_ALL_SHARE:
        return name_all(scene.objects, rng)
    named = [e.text for e in expressions(scene) if e.kind in ("attribute", "color")]
    if named and draw < NAME_ALL_SHARE + NAME_ONE_SHARE:
        return str(rng.choice(named))
    return caption(scene, rng)
