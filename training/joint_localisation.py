"""How well a transformer's joint attention finds what an expression means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from diffusers import SD3Transformer2DModel
from torch import Tensor
from torch.nn import functional as F

from refdiff_core.backends.checkpoints import StableDiffusion
from refdiff_core.backends.diffusers_attention import encode_text
from refdiff_core.backends.tokens import tokenize, words_to_read
from refdiff_core.backends.transformers_attention import watching
from refdiff_core.demo.scenes import Scene
from refdiff_core.language.expression import parse
from refdiff_core.seeing.attention import word_weights
from refdiff_core.seeing.capture import Capture
from refdiff_core.seeing.joint import READINGS, JointReader, TokenLayout
from training.dataset import targets

MOST_OBJECTS = 6


@dataclass(frozen=True)
class Asked:
    """Expressions about scenes of one size, "the <colour> <shape>" with a colour of its own.

    latents: (R, 4, h, w), one an expression. text: (R, 77, d).
    words: R lists of the two words' positions.
    masks: bool (R, 6, H, W), no object where all is False. target: int64 (R,).
    """

    latents: Tensor
    text: Tensor
    words: list[list[tuple[int, ...]]]
    masks: Tensor
    target: Tensor


@torch.no_grad()
def ask(scenes: Sequence[Scene], latents: Tensor, frozen: StableDiffusion) -> Asked:
    """The expressions of scenes of one size, whose latents are (S, 4, h, w)."""
    asked = [
        (number, expression)
        for number, scene in enumerate(scenes)
        for expression, unique in targets(scene, "attribute")
        if unique
    ]
    parsed = [parse(expression.text) for _, expression in asked]
    tokens = [tokenize(expression.text) for expression in parsed]
    words = [
        [places for _, places in words_to_read(*pair)] for pair in zip(parsed, tokens, strict=True)
    ]
    height, width = scenes[0].image.shape[:2]
    masks = torch.zeros(len(asked), MOST_OBJECTS, height, width, dtype=torch.bool)
    for row, (number, _) in zip(masks, asked, strict=True):
        row[: len(scenes[number].masks)] = torch.from_numpy(scenes[number].masks)
    rows = torch.tensor([number for number, _ in asked])
    text = encode_text(frozen, tokens)[0]
    target = torch.tensor([expression.target for _, expression in asked])
    device = latents.device
    return Asked(latents[rows.to(device)], text, words, masks.to(device), target.to(device))


def read_maps(
    model: SD3Transformer2DModel, asked: Sequence[Asked], sigma: float
) -> dict[str, list[tuple[Tensor, Asked]]]:
    """Each group's maps (R, h, w) by reading and blocks: every block, and every two neighbours."""
    found: dict[str, list[tuple[Tensor, Asked]]] = {}
    for group in asked:
        for reading in READINGS:
            blocks = block_maps(model, group, sigma, reading)
            for first, last in combinations(range(len(blocks) + 1), 2):
                mean = torch.stack(blocks[first:last]).mean(0)
                name = f"{reading}, blocks {first} to {last - 1}"
                found.setdefault(name, []).append((mean, group))
    return found


@torch.no_grad()
def block_maps(
    model: SD3Transformer2DModel, asked: Asked, sigma: float, reading: str
) -> list[Tensor]:
    """The mean of the words' maps, float32 (R, h, w), block by block."""
    height, width = (side // 2 for side in asked.latents.shape[-2:])
    places, length = height * width, asked.text.shape[1]
    layout = TokenLayout(0, places, length, (height, width))
    weights = word_weights(asked.words, length)
    said = torch.zeros(len(asked.words), length, dtype=torch.bool)
    for row, words in zip(said, asked.words, strict=True):
        row[: words[-1][-1] + 2] = True  # start, "the", colour, shape, end
    names = [str(block) for block in range(len(model.transformer_blocks))]
    capture = Capture(names, weights, stop=False)
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(asked.latents[:1].shape, generator=draw).to(asked.latents)
    noisy = (1 - sigma) * asked.latents + sigma * noise
    reader = JointReader(capture, layout, weights, said, reading)
    with watching(reader, model.transformer_blocks):
        time = torch.full((len(noisy),), sigma * 1000.0, device=noisy.device)
        model(noisy, asked.text, asked.text[:, 0], time, return_dict=False)
    return [capture.layer_maps[name].mean(1) for name in names]


def selection(maps: Sequence[tuple[Tensor, Asked]]) -> float:
    """How often the right object is chosen among the true masks: mean inside minus outside."""
    right = [chosen(each, asked) == asked.target for each, asked in maps]
    return float(torch.cat(right).float().mean())


def chosen(maps: Tensor, asked: Asked) -> Tensor:
    """int64 (R,): which mask has most of the map, its mean inside minus outside."""
    size_hw = asked.masks.shape[-2:]
    soft = F.interpolate(maps[:, None].to(asked.target.device), size_hw, mode="bilinear")[:, 0]
    inside = asked.masks.flatten(2).float()  # (R, N, H * W)
    area, pixels = inside.sum(-1), inside.shape[-1]
    within = torch.einsum("rnp,rp->rn", inside, soft.flatten(1))
    outside = (soft.flatten(1).sum(-1, keepdim=True) - within) / (pixels - area)
    score = within / area.clamp(min=1) - outside
    return score.masked_fill(area == 0, -torch.inf).argmax(-1)
