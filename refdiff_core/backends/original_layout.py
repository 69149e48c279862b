"""Models in the original layout (ldm's, sgm's, ComfyUI's, Forge's): where the attention lies.

Parts are told by their class names: every host has classes of its own by these names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

Place = tuple[str, int, int]
"""A transformer's block as hosts number it: side, block, depth, such as ("input", 7, 0)."""


def transformers_on(unet: Any, factor: int) -> dict[Place, nn.Module]:
    """The transformers' blocks whose grid is the latent grid divided by ``factor``."""
    found: dict[Place, nn.Module] = {}
    scale = 1
    for side, number, part in _parts(unet):
        kind = type(part).__name__
        if hasattr(part, "transformer_blocks") and scale == factor:
            blocks = enumerate(part.transformer_blocks)
            found |= {(side, number, depth): block for depth, block in blocks}
        elif kind == "Downsample":
            scale *= 2
        elif kind == "Upsample":
            scale //= 2
    return found


def cross_attention_on(unet: Any, factor: int) -> list[str]:
    """Names in the U-Net of the cross-attention layers on that grid."""
    blocks = {id(block) for block in transformers_on(unet, factor).values()}
    return [f"{name}.attn2" for name, module in unet.named_modules() if id(module) in blocks]


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
