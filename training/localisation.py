"""How well the denoiser's cross-attention finds what an expression means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor
from torch import Tensor, nn
from torch.nn import functional as F

from refdiff_core.demo.architectures import SCHEDULER_CONFIG
from refdiff_core.demo.scenes import Scene
from training.dataset import targets
from training.words import Words

THRESHOLDS = np.arange(0.1, 0.75, 0.05)


@dataclass(frozen=True)
class Figures:
    """Shares over the expressions of one group; IoU at the best fixed threshold."""

    pointing: float
    selection: float
    iou: float
    threshold: float
    count: int

    def __str__(self) -> str:
        return (
            f"{self.pointing:.3f} / {self.selection:.3f} / {self.iou:.3f} "
            f"(threshold {self.threshold:.2f}, {self.count} expressions)"
        )


class _Recorder:
    """Attention processor that keeps the probabilities' mean over heads."""

    def __init__(self) -> None:
        self.probabilities = torch.empty(0)

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        def split(x: Tensor) -> Tensor:
            return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)

        query = split(attn.to_q(hidden_states))
        key = split(attn.to_k(encoder_hidden_states))
        value = split(attn.to_v(encoder_hidden_states))
        weights = (query @ key.transpose(-1, -2) * attn.scale).softmax(-1)
        self.probabilities = weights.mean(1)
        return attn.to_out[0]((weights @ value).transpose(1, 2).flatten(2))


def record(unet: UNet2DConditionModel) -> dict[str, _Recorder]:
    """Replace every cross-attention's processor by a recording one."""
    recorders = {name: _Recorder() for name in unet.attn_processors if ".attn2." in name}
    unet.set_attn_processor(
        {name: recorders.get(name, AttnProcessor()) for name in unet.attn_processors}
    )
    return recorders


@torch.no_grad()
def layer_maps(
    unet: UNet2DConditionModel,
    text_encoder: nn.Module,
    words: Words,
    latents: Tensor,
    texts: Sequence[str],
    *,
    timestep: int = 100,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Content words' mean probabilities per layer.

    Args:
        latents: scaled, float32 (1, 4, h, w).
        texts: E expressions that end in their two content words, colour and shape.

    Returns:
        Layer name to float32 (E, h', w').
    """
    recorders = record(unet)
    scheduler = DDPMScheduler(**SCHEDULER_CONFIG)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(latents.shape, generator=generator)
    noisy = scheduler.add_noise(latents, noise, torch.tensor([timestep]))
    rows = words.rows(texts)
    hidden = text_encoder(rows).last_hidden_state
    unet(noisy.expand(len(texts), -1, -1, -1), timestep, hidden)
    unet.set_attn_processor(AttnProcessor())
    last = torch.tensor([1 + len(words.encode(text)) for text in texts])
    return {name: _content_maps(r.probabilities, last, latents) for name, r in recorders.items()}


def _content_maps(probabilities: Tensor, end: Tensor, latents: Tensor) -> Tensor:
    height, width = latents.shape[-2:]
    shrink = round((height * width / probabilities.shape[1]) ** 0.5)
    line = torch.arange(len(end))
    mean = (probabilities[line, :, end - 1] + probabilities[line, :, end - 2]) / 2
    return mean.unflatten(-1, (height // shrink, width // shrink))


def finest(maps: dict[str, Tensor]) -> dict[str, Tensor]:
    """Means over every choice of layers of the finest grid; "all" over all of them."""
    largest = max(m[0].numel() for m in maps.values())
    layers = {
        name.removesuffix(".transformer_blocks.0.attn2.processor"): m
        for name, m in maps.items()
        if m[0].numel() == largest
    }
    chosen = {"all": torch.stack(list(layers.values())).mean(0)}
    for count in range(1, len(layers)):
        for names in combinations(layers, count):
            chosen[" + ".join(names)] = torch.stack([layers[n] for n in names]).mean(0)
    return chosen


def judge(maps: Tensor, scene: Scene, wanted: Sequence[int]) -> list[tuple[float, ...]]:
    """Pointing, selection and IoU per threshold for every map of one scene."""
    height, width = scene.image.shape[:2]
    resized = F.interpolate(maps[:, None], (height, width), mode="bilinear", align_corners=False)
    rows = []
    for soft, target in zip(resized[:, 0].numpy(), wanted, strict=True):
        soft = (soft - soft.min()) / (np.ptp(soft) + 1e-8)
        truth = scene.masks[target]
        scores = [soft[mask].mean() - soft[~mask].mean() for mask in scene.masks]
        ious = [(truth & (soft > t)).sum() / (truth | (soft > t)).sum() for t in THRESHOLDS]
        rows.append((truth.flat[soft.argmax()], np.argmax(scores) == target, *ious))
    return rows


def summarise(rows: list[tuple[float, ...]]) -> Figures:
    """Means over expressions; the threshold is the one best for all of them together."""
    means = np.array(rows, float).mean(0)
    best = int(means[2:].argmax())
    return Figures(means[0], means[1], means[2 + best], THRESHOLDS[best], len(rows))


def evaluate(
    unet: UNet2DConditionModel,
    text_encoder: nn.Module,
    words: Words,
    scenes: Sequence[Scene],
    latents: Sequence[Tensor],
    *,
    timestep: int = 100,
) -> dict[str, dict[str, Figures]]:
    """Figures of "the <colour> <shape>" per choice of layers.

    Each is split by whether the target's colour is unique in the scene.
    """
    found: dict[str, dict[str, list[tuple[float, ...]]]] = {}
    for scene, z in zip(scenes, latents, strict=True):
        asked = list(targets(scene, "attribute"))
        if not asked:
            continue
        texts = [expression.text for expression, _ in asked]
        wanted = [expression.target for expression, _ in asked]
        maps = layer_maps(unet, text_encoder, words, z, texts, timestep=timestep)
        for name, chosen in finest(maps).items():
            groups = found.setdefault(name, {"unique colour": [], "colour shared": []})
            for (_, unique), row in zip(asked, judge(chosen, scene, wanted), strict=True):
                groups["unique colour" if unique else "colour shared"].append(row)
    return {
        name: {group: summarise(rows) for group, rows in groups.items()}
        for name, groups in found.items()
    }
