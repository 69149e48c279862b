"""A U-Net in the original layout (ldm's, sgm's, ComfyUI's, Forge's): where its attention lies.

Parts are told by their class names: every host has classes of its own by these names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

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


def _parts(unet: Any) -> Iterator[tuple[str, int, Any]]:
    """All parts in the order they run in; some distilled U-Nets lack the middle."""
    middle = [] if unet.middle_block is None else [unet.middle_block]
    sides = {"input": unet.input_blocks, "middle": middle, "output": unet.output_blocks}
    for side, blocks in sides.items():
        for number, block in enumerate(blocks):
            yield from ((side, number, part) for part in block)
