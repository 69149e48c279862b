"""What the demo's scenes are made of."""

from __future__ import annotations

from dataclasses import dataclass

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (215, 40, 40),
    "green": (40, 160, 60),
    "blue": (45, 80, 215),
    "yellow": (240, 215, 50),
    "purple": (140, 55, 175),
    "orange": (245, 140, 35),
    "white": (243, 243, 243),
    "black": (25, 25, 25),
}
SHAPES: tuple[str, ...] = ("circle", "square", "triangle", "star", "cross", "ring")
SIZE_BORDER = 19.0


@dataclass(frozen=True)
class SceneObject:
    """One shape. ``center_xy`` and ``radius`` are in pixels, ``angle`` in radians."""

    color: str
    shape: str
    center_xy: tuple[float, float]
    radius: float
    angle: float

    @property
    def size(self) -> str:
        """``"large"`` or ``"small"``; no radius lies near the border between them."""
        return "large" if self.radius > SIZE_BORDER else "small"

    @property
    def name(self) -> str:
        """Colour and shape, such as ``"red circle"``."""
        return f"{self.color} {self.shape}"
