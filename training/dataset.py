"""The training scenes, drawn once and kept on disk, one array per picture size.

Whichever training command comes first draws them; ``python -m training.dataset`` does
nothing else, for when two commands are to begin side by side.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refdiff_core.demo.scenes import (
    HELD_OUT_SEED,
    SIZES_HW,
    Scene,
    SceneExpression,
    SceneObject,
    expressions,
    sample_scene,
)
from training.loop import once

log = logging.getLogger("refdiff.training")

SCENES = 20_000
COUNT = (1, 4)
HELD_OUT_SCENES = 200


@dataclass(frozen=True)
class Bucket:
    """All training scenes of one size.

    images: uint8 (S, H, W, 3).
    packed_masks: uint8 (S, 4, H, W / 8), bits along the last axis, zeros where no object is.
    objects: S tuples of objects.
    """

    images: NDArray[np.uint8]
    packed_masks: NDArray[np.uint8]
    objects: list[tuple[SceneObject, ...]]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.images.shape[1:3]
        return height, width

    def scene(self, index: int) -> Scene:
        """One scene with its masks unpacked."""
        objects = self.objects[index]
        masks = np.unpackbits(self.packed_masks[index, : len(objects)], axis=-1).astype(bool)
        return Scene(self.images[index], masks, objects)


def load_buckets(folder: Path) -> list[Bucket]:
    """The training scenes of every size, drawn first if the folder has none."""
    once(lambda: _draw_missing(folder))
    buckets = []
    for size_hw in SIZES_HW:
        with np.load(_file(folder, size_hw), allow_pickle=False) as data:
            objects = _unpack_objects(data["words"], data["numbers"], data["counts"])
            buckets.append(Bucket(data["images"], data["masks"], objects))
    return buckets


def held_out(count: int = HELD_OUT_SCENES) -> list[Scene]:
    """The test scenes: two to four objects, mixed sizes, seeds never trained on."""
    return [sample_scene(HELD_OUT_SEED + i) for i in range(count)]


def targets(scene: Scene, kind: str) -> Iterator[tuple[SceneExpression, bool]]:
    """Expressions of one kind, each with whether its target's colour is unique in the scene."""
    colors = [item.color for item in scene.objects]
    for expression in expressions(scene):
        if expression.kind == kind:
            yield expression, colors.count(colors[expression.target]) == 1


def _unpack_objects(
    words: NDArray[np.str_], numbers: NDArray[np.float64], counts: NDArray[np.int64]
) -> list[tuple[SceneObject, ...]]:
    scenes = []
    for names, values, count in zip(words.tolist(), numbers.tolist(), counts, strict=True):
        rows = zip(names[:count], values[:count], strict=True)
        scenes.append(
            tuple(SceneObject(color, shape, (x, y), r, a) for (color, shape), (x, y, r, a) in rows)
        )
    return scenes


def _draw_missing(folder: Path) -> None:
    if not all(_file(folder, size_hw).exists() for size_hw in SIZES_HW):
        draw_scenes(folder)


def _file(folder: Path, size_hw: tuple[int, int]) -> Path:
    return folder / f"scenes-{size_hw[0]}x{size_hw[1]}.npz"


def _draw(seed: int) -> Scene:
    return sample_scene(seed, count=COUNT)


def _write(path: Path, scenes: list[Scene]) -> None:
    most = COUNT[1]
    height, width = scenes[0].image.shape[:2]
    masks = np.zeros((len(scenes), most, height, width), bool)
    words = np.zeros((len(scenes), most, 2), "U8")
    numbers = np.zeros((len(scenes), most, 4))
    for i, scene in enumerate(scenes):
        masks[i, : len(scene.masks)] = scene.masks
        for j, item in enumerate(scene.objects):
            words[i, j] = item.color, item.shape
            numbers[i, j] = *item.center_xy, item.radius, item.angle
    np.savez(
        path,
        images=np.stack([scene.image for scene in scenes]),
        masks=np.packbits(masks, axis=-1),
        words=words,
        numbers=numbers,
        counts=np.array([len(scene.objects) for scene in scenes]),
    )


def draw_scenes(folder: Path) -> None:
    """Draw the training scenes, seeds 0 to ``SCENES`` - 1, and write them."""
    folder.mkdir(parents=True, exist_ok=True)
    with Pool(2) as pool:
        scenes = pool.map(_draw, range(SCENES), chunksize=500)
    for size_hw in SIZES_HW:
        chosen = [scene for scene in scenes if scene.image.shape[:2] == size_hw]
        _write(_file(folder, size_hw), chosen)
        log.info("%s: %d scenes", size_hw, len(chosen))


def main() -> None:
    """Draw the training scenes."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for scratch files")
    draw_scenes(parser.parse_args().work)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    main()
