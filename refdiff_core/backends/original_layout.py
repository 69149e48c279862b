"""Models in the original layout (ldm's, sgm's, ComfyUI's, Forge's): layers and attention.

Parts are told by their class names: every host has classes of its own by these names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .families import Family

Place = tuple[str, int, int]
"""A transformer's block as hosts number it: side, block, depth, such as ("input", 7, 0)."""


def transformers_in(unet: Any) -> dict[Place, tuple[nn.Module, int]]:
    """All transformers' blocks, and what the latent grid is divided by where they are."""
    found: dict[Place, tuple[nn.Module, int]] = {}
    scale = 1
    for side, number, part in _parts(unet):
        kind = type(part).__name__
        if hasattr(part, "transformer_blocks"):
            blocks = enumerate(part.transformer_blocks)
            found |= {(side, number, depth): (block, scale) for depth, block in blocks}
        elif kind == "Downsample":
            scale *= 2
        elif kind == "Upsample":
            scale //= 2
    return found


def transformers_on(unet: Any, factor: int) -> dict[Place, nn.Module]:
    """The transformers' blocks whose grid is the latent grid divided by ``factor``."""
    every = transformers_in(unet).items()
    return {place: block for place, (block, own) in every if own == factor}


def cross_attention_on(unet: Any, factor: int) -> list[str]:
    """Names in the U-Net of the cross-attention layers on that grid."""
    blocks = {id(block) for block in transformers_on(unet, factor).values()}
    return [f"{name}.attn2" for name, module in unet.named_modules() if id(module) in blocks]


def layers_read(unet: Any, family: Family, *, even: bool = True) -> dict[str, float]:
    """The layers whose attention is read, and what each counts for; see `Family.shares`."""
    on_grid = partial(cross_attention_on, unet)
    return family.shares(on_grid, lambda name: name.startswith("output_blocks"), even=even)


def widths_of(unet: Any) -> tuple[int, int]:
    """Its channels at full size, and the width of the text that it reads."""
    block = next(each for each in unet.modules() if hasattr(each, "attn2"))
    return unet.input_blocks[0][0].out_channels, block.attn2.to_k.in_features


def without_spread(_module: nn.Module, _args: Any, moments: Tensor) -> Tensor:
    """A forward hook for an autoencoder's ``quant_conv``: what is drawn of latents is their mean.

    Args:
        moments: (B, 2 C, h, w), means and log-variances; the latter become next to nothing.
    """
    mean, spread = moments.chunk(2, 1)
    return torch.cat([mean, torch.full_like(spread, -30)], 1)


def _parts(unet: Any) -> Iterator[tuple[str, int, Any]]:
    """All parts in the order they run in; some distilled U-Nets lack the middle."""
    middle = [] if unet.middle_block is None else [unet.middle_block]
    sides = {"input": unet.input_blocks, "middle": middle, "output": unet.output_blocks}
    for side, blocks in sides.items():
        for number, block in enumerate(blocks):
            yield from ((side, number, part) for part in block)


_BLOCK = re.compile(
    r"(input|middle|output)_block(?:s\.(\d{1,4}))?\.\d\.(?:transformer_blocks\.(\d{1,4})\.)?"
)
_MIDDLES = {None: None, 0: "UNetMidBlock2D"}
"""By how many transformers it has; None is no middle at all."""


def depth_config(names: Iterable[str], levels: int) -> dict[str, Any]:
    """What diffusers' configuration says of a U-Net's depth, told by its weights' names.

    Distilled kinds (SSD-1B, Segmind Vega, KOALA, BK-SDM) lack layers of what they were made from,
    some the whole middle.

    Args:
        names: of its weights.
        levels: sizes of its grid.

    Returns:
        For `UNet2DConditionModel`; empty where the blocks are not those of such a U-Net.
    """
    seen: dict[str, dict[int, set[int]]] = {"input": {}, "middle": {}, "output": {}}
    for name in names:
        if found := _BLOCK.match(name):
            blocks = seen[found[1]].setdefault(int(found[2] or 0), set())
            blocks |= {int(found[3])} if found[3] else set()
    every, rest = divmod(len(seen["input"]), levels)
    wanted = set(range(every * levels))
    if rest or every < 2 or set(seen["input"]) != wanted or set(seen["output"]) != wanted:
        return {}
    if any(blocks != set(range(len(blocks))) for side in seen.values() for blocks in side.values()):
        return {}
    deep = {side: [len(blocks[at]) for at in sorted(blocks)] for side, blocks in seen.items()}
    # the first block of all is no layer, and each level's last one halves the grid
    down = [deep["input"][at + 1 : at + every] for at in range(0, len(wanted), every)]
    up = [deep["output"][at : at + every] for at in range(0, len(wanted), every)]
    middle = deep["middle"][0] if deep["middle"] else None
    if not any(down[-1]):  # the middle is built as deep as the level before it
        down[-1] = [middle or 1] * (every - 1)
    return {
        "layers_per_block": every - 1,
        "transformer_layers_per_block": down,
        "reverse_transformer_layers_per_block": up,
        "mid_block_type": _MIDDLES.get(middle, "UNetMidBlock2DCrossAttn"),
    }
