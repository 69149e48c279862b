"""`refdiff demo`: a synthetic scene whose truth is known, four expressions, and what is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ..demo.scenes import HELD_OUT_SEED, Scene, SceneExpression, expressions, sample_scene
from ..models.loading import load_demo
from ..pictures.images import save_image
from ..pictures.previews import heat_picture, magnify, overlay, sheet
from ..pipeline import segment
from ..runs.batch import file_names, open_folder, write_mask, write_previews
from ..runs.console import table
from ..seeing.proposals import mask_iou
from ..values import Image, Segmentation

SEED = 38
"""A scene in landscape format with three circles, two of its things yellow."""

KINDS = ("attribute", "attribute", "color", "position", "size", "relation", "order", "shape")
"""Which kinds of expression are asked, in the order of preference."""


def show(out: Path, seed: int | None = None, loaded: Callable[[], None] = lambda: None) -> str:
    """Segment a scene, write every picture about it, and report.

    Args:
        out: folder for the pictures; made if need be.
        seed: of the scene, counted from the first that the models have never seen.
        loaded: called once the models are there.

    Returns:
        A table with scores, and IoU against the known truth, and what was written where.

    Raises:
        OutputError: ``out`` cannot be written to.
    """
    open_folder(out)
    scene = sample_scene(HELD_OUT_SEED + (SEED if seed is None else seed), count=4)
    image = torch.from_numpy(scene.image).float() / 255
    asked = choose_expressions(scene)
    models = load_demo()
    loaded()
    results = segment(image, [each.text for each in asked], models)
    save_image(image, out / "scene.png")
    names = file_names([each.text for each in asked])
    for name, result in zip(names, results, strict=True):
        write_mask(result.mask >= 0.5, out / name)
        write_previews(image, result, out / name)
    truth = torch.from_numpy(scene.masks)[[each.target for each in asked]]
    ious = [
        float(mask_iou((result.mask >= 0.5)[None], target[None])[0, 0])
        for result, target in zip(results, truth, strict=True)
    ]
    save_image(summary(image, results, ious), out / "summary.png")
    return _report(scene, results, ious, [f"{out / name}.mask.png" for name in names], out)


def choose_expressions(scene: Scene, count: int = 4) -> list[SceneExpression]:
    """So many expressions of a scene, of different kinds and objects as far as there are."""
    left, chosen = expressions(scene), list[SceneExpression]()
    for kind in KINDS * count:
        fits = [each for each in left if each.kind == kind]
        if fits and len(chosen) < count:
            targets = [each.target for each in chosen]
            pick = min(fits, key=lambda each: targets.count(each.target))
            chosen.append(pick)
            left.remove(pick)
    return chosen


def summary(image: Image, results: Sequence[Segmentation], ious: Sequence[float]) -> Image:
    """The scene, and for each expression its heat map above its mask, on one sheet.

    Args:
        image: float32 (H, W, 3).
        results: from `segment`, with attention.
        ious: of the results' masks with the truth.
    """
    large = magnify(image, 320)
    heats = [
        heat_picture(large, magnify(result.attention.heat, 320))
        for result in results
        if result.attention is not None
    ]
    masks = [overlay(large, magnify(result.mask, 320)) for result in results]
    captions = ["the scene", *(result.expression.text for result in results)]
    captions += ["", *(f"IoU {iou:.2f}" for iou in ious)]
    blank = torch.full_like(large, 0.98)
    return sheet([large, *heats, blank, *masks], captions, columns=1 + len(results))


def _report(
    scene: Scene,
    results: Sequence[Segmentation],
    ious: Sequence[float],
    files: Sequence[str],
    out: Path,
) -> str:
    terms = list(dict.fromkeys(term for result in results for term in _terms(result)))
    rows = [["expression", "score", *terms, "IoU", "mask"]]
    for result, iou, file in zip(results, ious, files, strict=True):
        scores = {"score": result.score, **_terms(result)}
        shown = [_figure(scores.get(term)) for term in ("score", *terms)]
        rows.append([result.expression.text, *shown, _figure(iou), file])
    things = ", ".join(f"{item.size} {item.name}" for item in scene.objects)
    return "\n".join(
        [
            f"The scene ({out / 'scene.png'}): {things}.",
            "",
            table(rows),
            "",
            f"All on one sheet: {out / 'summary.png'}. Beside every mask lie an overlay, the heat",
            "map and the candidates. IoU 1 would be the drawn shape to the pixel.",
            "These demo models know coloured shapes and nothing else. For photographs:",
            "refdiff segment PHOTO --expression 'the cup on the left' --checkpoint FILE",
        ]
    )


def _terms(result: Segmentation) -> dict[str, float]:
    return {} if result.best is None else result.scores.of(result.best)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
