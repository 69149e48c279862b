"""The demo's synthetic world: coloured shapes on a soft, textured background.

Everything is drawn from one integer seed with numpy and pillow alone, so a scene can be
named by its seed in a test, in a figure, or in a bug report. The demo models were trained
on seeds below ``HELD_OUT_SEED`` and have never seen one from there on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .objects import COLORS as COLORS
from .objects import SHAPES as SHAPES
from .objects import SceneObject as SceneObject
from .wording import expressions_of, name_all, relate_two

# Sides divide by 16: the denoiser halves its latents (an eighth of the picture) once more.
SIZES_HW = ((128, 128), (96, 160), (160, 96), (112, 144), (144, 112))
HELD_OUT_SEED = 1_000_000
MAX_OBJECTS = 6

SMALL_RADII = (11.0, 17.0)
LARGE_RADII = (21.0, 29.0)
# With four objects or more the largest ones would leave no room for the others.
CROWDED_RADII = (20.0, 25.0)
# Corners reach 1.15 radii from the centre.
REACH = 1.15
# Halves the size of a pixel while drawing, so that borders come out anti-aliased.
SUPERSAMPLING = 2

Floats = NDArray[np.float32]
Random = np.random.Generator


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it.

    image: uint8 (H, W, 3), RGB.
    masks: bool (N, H, W), one object each, disjoint.
    objects: the N objects, in the masks' order.
    """

    image: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    objects: tuple[SceneObject, ...]


@dataclass(frozen=True)
class SceneExpression:
    """A referring expression that fits exactly one object of its scene.

    text: such as ``"the red circle"``.
    target: index of the object it means.
    kind: attribute (colour and shape), color, shape, size, position, order or relation.
    """

    text: str
    target: int
    kind: str


def sample_scene(
    seed: int, *, count: int | tuple[int, int] = (2, 4), size_hw: tuple[int, int] | None = None
) -> Scene:
    """Draw the scene that belongs to a seed.

    Args:
        seed: any non-negative integer; ``HELD_OUT_SEED`` and above were never trained on.
        count: number of objects, or the lowest and highest number; 1 to ``MAX_OBJECTS``.
        size_hw: height and width in pixels, at least 96; ``None`` draws one of ``SIZES_HW``.

    Returns:
        A scene whose objects lie wholly inside the picture and do not touch.

    Raises:
        ValueError: ``count`` or ``size_hw`` is out of range.
    """
    low, high = (count, count) if isinstance(count, int) else count
    if not 1 <= low <= high <= MAX_OBJECTS:
        raise ValueError(f"count is {count}; expected 1 to {MAX_OBJECTS} objects.")
    if size_hw is not None and min(size_hw) < 96:
        raise ValueError(f"size_hw is {size_hw}; expected at least 96 pixels a side.")
    rng = np.random.default_rng(seed)
    size_hw = size_hw or SIZES_HW[rng.integers(len(SIZES_HW))]
    objects = _sample_objects(rng, int(rng.integers(low, high + 1)), size_hw)
    return _render(rng, objects, size_hw)


def expressions(scene: Scene) -> list[SceneExpression]:
    """Every unambiguous referring expression of a scene, grouped by object."""
    return [
        SceneExpression(text, target, kind)
        for target in range(len(scene.objects))
        for kind, text in expressions_of(scene.objects, target)
    ]


def caption(scene: Scene, rng: Random) -> str:
    """A training caption: all objects (42 %), a relation (15 %) or a referring expression."""
    draw = rng.random()
    if draw < 0.42:
        return name_all(scene.objects, rng)
    if draw < 0.57:
        return relate_two(scene.objects, rng) or name_all(scene.objects, rng)
    found = [e for e in expressions(scene) if e.kind not in ("order", "relation")]
    if not found:
        return name_all(scene.objects, rng)
    # By kind first: otherwise the many positions would drown colours and shapes.
    kind = rng.choice(sorted({e.kind for e in found}))
    return str(rng.choice([e.text for e in found if e.kind == kind]))


# --- objects ---------------------------------------------------------------------------


def _sample_objects(rng: Random, count: int, size_hw: tuple[int, int]) -> tuple[SceneObject, ...]:
    while True:
        discs = _place_discs(rng, count, size_hw)
        if discs is not None:
            break
    objects: list[SceneObject] = []
    for x, y, radius in discs:
        color, shape = _draw_name(rng, objects)
        objects.append(SceneObject(color, shape, (x, y), radius, float(rng.uniform(-0.25, 0.25))))
    return tuple(objects)


def _place_discs(
    rng: Random, count: int, size_hw: tuple[int, int]
) -> list[tuple[float, float, float]] | None:
    """Centres and radii that keep clear of each other, or None if one did not fit."""
    height, width = size_hw
    large = LARGE_RADII if count < 4 else CROWDED_RADII
    discs: list[tuple[float, float, float]] = []
    for _ in range(count):
        for _ in range(30):
            radius = float(rng.uniform(*(SMALL_RADII if rng.random() < 0.5 else large)))
            margin = radius * REACH + 2
            x = float(rng.uniform(margin, width - margin))
            y = float(rng.uniform(margin, height - margin))
            if all(math.hypot(x - u, y - v) > (radius + r) * REACH + 2 for u, v, r in discs):
                discs.append((x, y, radius))
                break
        else:
            return None
    return discs


def _draw_name(rng: Random, others: list[SceneObject]) -> tuple[str, str]:
    """Colour and shape; half of the time shared with another object, as a distractor."""
    color = tuple(COLORS)[rng.integers(len(COLORS))]
    shape = SHAPES[rng.integers(len(SHAPES))]
    if not others:
        return color, shape
    other = others[rng.integers(len(others))]
    draw = rng.random()
    if draw < 0.2:
        return color, other.shape
    if draw < 0.4:
        return other.color, shape
    if draw < 0.52:
        return other.color, other.shape
    return color, shape


# --- pixels ----------------------------------------------------------------------------


def _render(rng: Random, objects: tuple[SceneObject, ...], size_hw: tuple[int, int]) -> Scene:
    picture = _background(rng, size_hw)
    masks = np.zeros((len(objects), *size_hw), bool)
    for mask, item in zip(masks, objects, strict=True):
        coverage = _coverage(item, size_hw)
        paint = _paint(rng, item, size_hw)
        picture += coverage[..., None] * (paint - picture)
        mask[:] = coverage > 0.5
    grain = float(rng.uniform(0, 4))
    picture += grain * rng.standard_normal(picture.shape, dtype=np.float32)
    return Scene(np.clip(picture, 0, 255).astype(np.uint8), masks, objects)


def _background(rng: Random, size_hw: tuple[int, int]) -> Floats:
    height, width = size_hw
    tint = (rng.uniform(95, 185) + rng.uniform(-18, 18, 3)).astype(np.float32)
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    slope_y, slope_x = (float(v) for v in rng.uniform(-20, 20, 2))
    picture: Floats = tint + down * slope_y + across * slope_x + _clouds(rng, size_hw)
    if rng.random() < 0.3:
        picture += _stripes(rng, size_hw)
    return picture


def _clouds(rng: Random, size_hw: tuple[int, int]) -> Floats:
    cells = int(rng.choice([3, 6, 12, 24]))
    noise = rng.standard_normal((cells, cells, 3), dtype=np.float32)
    noise = 0.8 * noise.mean(-1, keepdims=True) + 0.3 * noise
    planes = [Image.fromarray(noise[..., i]) for i in range(3)]
    smooth = [np.asarray(p.resize(size_hw[::-1], Image.Resampling.BICUBIC)) for p in planes]
    clouds: Floats = np.stack(smooth, -1) * np.float32(rng.uniform(3, 14))
    return clouds


def _stripes(rng: Random, size_hw: tuple[int, int]) -> Floats:
    distance = _distance_along(rng.uniform(0, math.pi), size_hw)
    wave: Floats = np.sin(distance * np.float32(rng.uniform(0.2, 0.9)))
    wave *= np.float32(rng.uniform(3, 12))
    return wave[..., None]


def _paint(rng: Random, item: SceneObject, size_hw: tuple[int, int]) -> Floats:
    """The object's colour with a slight tint and a slight gradient, float32 (H, W, 3)."""
    color = np.array(COLORS[item.color], np.float32) + rng.normal(0, 9, 3).astype(np.float32)
    distance = _distance_along(rng.uniform(0, 2 * math.pi), size_hw, item.center_xy)
    slope = np.float32(rng.uniform(0, 14) / item.radius)
    paint: Floats = color + (distance * slope)[..., None]
    return paint


def _distance_along(
    angle: float, size_hw: tuple[int, int], origin_xy: tuple[float, float] = (0.0, 0.0)
) -> Floats:
    """Signed distance of every pixel from the origin along a direction, float32 (H, W)."""
    y = np.arange(size_hw[0], dtype=np.float32)[:, None] - np.float32(origin_xy[1])
    x = np.arange(size_hw[1], dtype=np.float32)[None, :] - np.float32(origin_xy[0])
    distance: Floats = x * np.float32(math.cos(angle)) + y * np.float32(math.sin(angle))
    return distance


def _coverage(item: SceneObject, size_hw: tuple[int, int]) -> Floats:
    """Share of every pixel that the object covers, float32 (H, W) in [0, 1]."""
    canvas = Image.new("L", (size_hw[1] * SUPERSAMPLING, size_hw[0] * SUPERSAMPLING), 0)
    draw = ImageDraw.Draw(canvas)
    x, y = (v * SUPERSAMPLING for v in item.center_xy)
    radius = item.radius * SUPERSAMPLING
    if item.shape in ("circle", "ring"):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        if item.shape == "ring":
            hole = radius / 2
            draw.ellipse((x - hole, y - hole, x + hole, y + hole), fill=0)
    else:
        draw.polygon([(x + radius * u, y + radius * v) for u, v in _outline(item)], fill=255)
    smaller = canvas.resize(size_hw[::-1], Image.Resampling.BOX)
    coverage: Floats = np.asarray(smaller, np.float32) / np.float32(255)
    return coverage


# Number of corners, and the first one's direction in turns.
_POLYGONS = {"square": (4, 0.125), "triangle": (3, -0.25), "star": (10, -0.25)}
_CROSS_ARM = 0.36
_STAR_WAIST = 0.5


def _outline(item: SceneObject) -> Iterator[tuple[float, float]]:
    """Corners in units of the radius, around the centre."""
    if item.shape == "cross":
        cos, sin = math.cos(item.angle), math.sin(item.angle)
        for u, v in _cross_corners():
            yield u * cos - v * sin, u * sin + v * cos
        return
    corners, first = _POLYGONS[item.shape]
    for i in range(corners):
        reach = _STAR_WAIST if item.shape == "star" and i % 2 else REACH
        direction = item.angle + 2 * math.pi * (first + i / corners)
        yield reach * math.cos(direction), reach * math.sin(direction)


def _cross_corners() -> Iterator[tuple[float, float]]:
    quarter = [(_CROSS_ARM, 1.0), (_CROSS_ARM, _CROSS_ARM), (1.0, _CROSS_ARM)]
    for _ in range(4):
        yield from quarter
        quarter = [(v, -u) for u, v in quarter]
