"""One scene that is drawn here: of two red circles, the left one is meant."""

from __future__ import annotations

import numpy as np
from PIL import Image

from refdiff_core.demo.objects import SceneObject
from refdiff_core.demo.scenes import _render

RED_CIRCLE_LEFT = "the red circle on the left"
SIZE_HW = (128, 192)
OBJECTS = (
    SceneObject("red", "circle", (42.0, 60.0), 24.0, 0.0),
    SceneObject("red", "circle", (150.0, 86.0), 22.0, 0.0),
    SceneObject("blue", "square", (104.0, 34.0), 18.0, 0.1),
    SceneObject("yellow", "star", (90.0, 98.0), 20.0, 0.0),
)
_SCENE = _render(np.random.default_rng(7), OBJECTS, SIZE_HW)


def picture() -> Image.Image:
    return Image.fromarray(_SCENE.image)


def truth(index: int = 0) -> np.ndarray:
    """Where an object was drawn, bool (H, W)."""
    return _SCENE.masks[index]
