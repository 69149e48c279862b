"""The demo benchmark as a data set in the refer format, from a seed.

    python -m refdiff_core.evaluation.write_refer ROOT [--scenes 200] [--seed 0]

One code path then measures the demo and RefCOCO. Split "val" holds the scenes of
docs/which-one.md, at which we have looked; "test" as many at which nobody has, and on which
nothing was tuned.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import PIL.Image
import torch

from ..demo import objects, scenes, wording
from ..demo.scenes import HELD_OUT_SEED, SHAPES, Scene, sample_scene
from ..errors import OutputError
from . import outlines
from . import questions as asking
from . import several as asking_several
from .outlines import encode_mask
from .questions import questions
from .refer import BY
from .several import several

SPLITS = ("val", "test")
TEST_OFFSET = 700_000
"""Seeds between the first scene of "val" and the first of "test". Weights were fitted on those from
100,000 on (`refdiff_core.evaluation.sweep`), the demo's transformer is read as suits those from
500,000 on (`training.transformer`)."""


@dataclass(frozen=True)
class Recipe:
    """What a written data set is made of.

    name, by: of its folder and of the file of references. pictures: their folder below the root.
    scenes: in each split. seed: of the first scene, counted from the first that no model has seen.
    """

    name: str = "demo"
    by: str = BY["demo"]
    pictures: str = "demo/images"
    scenes: int = 200
    seed: int = 0


def write_refer(root: Path, recipe: Recipe = Recipe()) -> Path:
    """Write a data set, unless the same one is there already.

    Args:
        root: folder that will hold the data set's folder.
        recipe: what it is made of.

    Returns:
        ``root``.

    Raises:
        OutputError: it cannot be written.
    """
    made = root / recipe.name / "made.json"
    wanted = json.dumps({**vars(recipe), "code": _code()}, indent=1)
    try:
        if not made.is_file() or made.read_text() != wanted:
            made.unlink(missing_ok=True)
            _write(root, recipe)
            made.write_text(wanted)  # last, so that half a data set is never taken for a whole one
    except OSError as error:
        raise OutputError(
            f"'{root}' cannot be written ({error}). Choose another --root."
        ) from error
    return root


def _code() -> str:
    """What stands for the code that scenes and questions come from: other code, other data."""
    digest = hashlib.sha256()
    for module in (objects, scenes, wording, asking, asking_several, outlines):
        digest.update(Path(str(module.__file__)).read_bytes())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()[:16]


def _write(root: Path, recipe: Recipe) -> None:
    folder, pictures = root / recipe.name, root / recipe.pictures
    for place in (folder, pictures):
        place.mkdir(parents=True, exist_ok=True)
    instances: dict[str, list[dict[str, Any]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": number, "name": name} for number, name in enumerate(SHAPES, 1)],
    }
    refs: list[dict[str, Any]] = []
    for split, seed in _seeds(recipe):
        scene = sample_scene(HELD_OUT_SEED + seed, count=(2, 6))
        image = _image(scene, seed)
        PIL.Image.fromarray(scene.image).save(pictures / image["file_name"])
        found = _annotations(scene, image["id"], 1 + len(instances["annotations"]))
        instances["images"].append(image)
        instances["annotations"] += found
        sentences = sum(len(ref["sentences"]) for ref in refs)
        refs += _refs(scene, seed, split, found, (1 + len(refs), 1 + sentences))
    _replace(folder / "instances.json", json.dumps(instances).encode())
    # protocol 2, as the published files, which Python 2 wrote
    _replace(folder / f"refs({recipe.by}).p", pickle.dumps(refs, protocol=2))


def _seeds(recipe: Recipe) -> Iterator[tuple[str, int]]:
    for split, start in zip(SPLITS, (0, TEST_OFFSET), strict=True):
        for index in range(recipe.scenes):
            yield split, recipe.seed + start + index


def _image(scene: Scene, seed: int) -> dict[str, Any]:
    height, width = scene.image.shape[:2]
    name = f"scene_{seed:06d}.png"
    return {"id": 1 + seed, "file_name": name, "height": height, "width": width}


def _annotations(scene: Scene, image: int, first: int) -> list[dict[str, Any]]:
    return [
        {
            "id": first + index,
            "image_id": image,
            "category_id": 1 + SHAPES.index(item.shape),
            "segmentation": encode_mask(torch.from_numpy(mask)),
            "area": int(mask.sum()),
            "iscrowd": 0,
        }
        for index, (item, mask) in enumerate(zip(scene.objects, scene.masks, strict=True))
    ]


def _refs(
    scene: Scene,
    seed: int,
    split: str,
    objects: Sequence[dict[str, Any]],
    first: tuple[int, int],
) -> list[dict[str, Any]]:
    """One reference for all that is asked for, with all questions that mean it.

    What means several objects or none has a list of annotations, as gRefCOCO's; ``rest`` says that
    everything but these is meant.
    """
    asked = [*questions(scene, seed), *several(scene, seed)]
    refs: list[dict[str, Any]] = []
    sentence = first[1]
    for targets, rest in sorted({(each.targets, each.rest) for each in asked}):
        own = [each for each in asked if (each.targets, each.rest) == (targets, rest)]
        texts = ["\n".join(each.lines) for each in own]
        said = [
            {"raw": text, "sent": text, "tokens": text.split(), "sent_id": number, "group": q.group}
            for number, (text, q) in enumerate(zip(texts, own, strict=True), sentence)
        ]
        sentence += len(said)
        things = [objects[target] for target in targets]
        meant = {key: [each[key] for each in things] for key in ("id", "category_id")}
        one = len(targets) == 1
        refs.append(
            {
                "ref_id": first[0] + len(refs),
                "ann_id": meant["id"][0] if one else meant["id"],
                "category_id": meant["category_id"][0] if one else meant["category_id"],
                "rest": rest,
                "image_id": objects[0]["image_id"],
                "file_name": "",
                "split": split,
                "sent_ids": [each["sent_id"] for each in said],
                "sentences": said,
            }
        )
    return refs


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that it is either whole or not there."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)


@click.command()
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--scenes", default=Recipe.scenes, show_default=True, help="In each split.")
@click.option("--seed", default=Recipe.seed, show_default=True, help="Of the first scene.")
def main(root: Path, scenes: int, seed: int) -> None:
    """Write the demo benchmark to ROOT/demo in the refer format."""
    click.echo(write_refer(root, Recipe(scenes=scenes, seed=seed)) / Recipe.name)


if __name__ == "__main__":
    main()
