"""The demo models one by one, before the method combines them; part of docs/results.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..demo.scenes import Scene
from ..settings import DEFAULT
from .demo import by_group, compare, to_markdown
from .metrics import chance, selection
from .questions import ATTRIBUTES, POSITION, SIZE, Question, questions

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

HEAD = """## The models one by one

The denoiser's attention and CLIP choose among the true masks, each alone and without geometry, at
most two expressions of a kind in a scene.
"""

GROUPS = (*ATTRIBUTES, SIZE, POSITION)


def own_figures(scenes: Sequence[Scene]) -> str:
    """The models' own figures as markdown."""
    return "\n".join(
        [HEAD, to_markdown(choosing_alone(scenes)), "", to_markdown(reproducing(scenes))]
    )


def choosing_alone(scenes: Sequence[Scene]) -> list[list[str]]:
    """What attention and CLIP know: share of expressions whose object scores highest."""
    plain = replace(DEFAULT, fusion=replace(DEFAULT.fusion, spatial_weight=0.0))
    methods = {"denoiser": ("gs", plain), "CLIP": ("ds", plain)}
    found = compare(scenes, methods, oracle=True, ask=_about_one_object)
    rows = [["model", *GROUPS, "all"]]
    rows += [[name, *by_group(found[name], selection, GROUPS)] for name in methods]
    return [*rows, ["chance", *by_group(found["CLIP"], chance, GROUPS)]]


def _about_one_object(scene: Scene, number: int) -> list[Question]:
    return [each for each in questions(scene, number) if each.group in GROUPS]


def reproducing(scenes: Sequence[Scene]) -> list[list[str]]:
    """What the SAM makes of a prompt, and what the autoencoder keeps of a picture."""
    from ..backends.checkpoints import load_stable_diffusion
    from ..demo.models import DENOISER_FILE, load_sam

    vae = load_stable_diffusion(DENOISER_FILE).vae
    rows = [[f"SAM, {name}", f"mIoU {iou:.3f}"] for name, iou in sam_iou(load_sam(), scenes)]
    return [["model", "figure"], *rows, ["autoencoder", f"{psnr(vae, scenes):.1f} dB"]]


@torch.no_grad()
def psnr(autoencoder: Any, scenes: Sequence[Scene]) -> float:
    """Mean peak signal-to-noise ratio in dB of pictures that went through the latents."""
    figures = []
    for scene in scenes:
        wanted = torch.from_numpy(scene.image).permute(2, 0, 1)[None] / 127.5 - 1
        latents = autoencoder.encode(wanted).latent_dist.mode()
        found = autoencoder.decode(latents).sample.clamp(-1, 1)
        figures.append(float(10 * torch.log10(4 / (found - wanted).square().mean())))
    return float(np.mean(figures))


def sam_iou(sam: Sam, scenes: Sequence[Scene]) -> list[tuple[str, float]]:
    """Mean IoU through ``SamPredictor``, by kind of prompt and of answer.

    Args:
        sam: at the demo's size.
        scenes: every object of theirs is asked for by a point inside it and by its box.
    """
    from segment_anything import SamPredictor

    predictor, rng = SamPredictor(sam), np.random.default_rng(0)
    rows = []
    for scene in scenes:
        predictor.set_image(scene.image)
        rows += [_judge(predictor, truth, rng) for truth in scene.masks]
    names = ("point, best predicted of three", "point, best of three", "point, single mask", "box")
    return list(zip(names, np.mean(rows, 0).tolist(), strict=True))


def _judge(predictor: Any, truth: NDArray[np.bool_], rng: np.random.Generator) -> tuple[float, ...]:
    def iou(mask: NDArray[np.bool_]) -> float:
        return float((mask & truth).sum() / (mask | truth).sum())

    point, label = points_in(truth, rng, 1), np.ones(1)
    three, quality, _ = predictor.predict(point, label, multimask_output=True)
    single = predictor.predict(point, label, multimask_output=False)[0][0]
    boxed = predictor.predict(box=box_around(truth), multimask_output=False)[0][0]
    found = [iou(mask) for mask in three]
    return found[int(quality.argmax())], max(found), iou(single), iou(boxed)


def points_in(
    mask: NDArray[np.bool_], rng: np.random.Generator, count: int
) -> NDArray[np.floating[Any]]:
    """Random points inside a mask, float64 (count, 2), XY in pixels."""
    found = np.argwhere(mask)
    return found[rng.integers(len(found), size=count), ::-1] + 0.5


def box_around(mask: NDArray[np.bool_]) -> NDArray[np.floating[Any]]:
    """The mask's bounding box, float64 (4,), XYXY in pixels."""
    found = np.argwhere(mask)[:, ::-1]
    return np.concatenate([found.min(0), found.max(0) + 1]).astype(float)
