"""Loads the bundled demo SAM and demo CLIP into their libraries' own classes.

The denoiser is a Stable Diffusion single file and is loaded like any other one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .architectures import (
    CLIP_IMAGE_SIZE,
    CLIP_MEAN,
    CLIP_STD,
    VOCABULARY,
    build_clip,
    build_sam,
)
from .objects import SHAPES

if TYPE_CHECKING:
    from open_clip import CLIP
    from segment_anything.modeling import Sam
    from torch import Tensor

WEIGHTS = Path(__file__).parent / "weights"
DENOISER_FILE = WEIGHTS / "denoiser.safetensors"
TRANSFORMER_FILE = WEIGHTS / "transformer.safetensors"
SAM_FILE = WEIGHTS / "sam.safetensors"
CLIP_FILE = WEIGHTS / "clip.safetensors"

Statistics = tuple[float, float, float]


class DemoCLIP(NamedTuple):
    """The demo CLIP and what it takes to feed it.

    tokenizer: texts to word ids, int64 (B, 77).
    mean, std: per channel, for pictures in [0, 1].
    image_size: side of the square input in pixels.
    kinds: what there is in its world. gap: see `refdiff_core.values.Likeness`; with so few things
        to tell apart, the right one is far ahead.
    """

    model: CLIP
    tokenizer: Callable[[str | Sequence[str]], Tensor]
    mean: Statistics
    std: Statistics
    image_size: int
    kinds: tuple[str, ...] = SHAPES
    gap: float = 12.0


def load_sam(path: Path = SAM_FILE) -> Sam:
    """The demo SAM, float32, in eval mode, for pictures of 128 px on their longest side."""
    from safetensors.torch import load_file

    model = build_sam()
    weights = {name: value.float() for name, value in load_file(path).items()}
    model.load_state_dict(weights, strict=True)
    return model.eval()


def load_clip(path: Path = CLIP_FILE) -> DemoCLIP:
    """The demo CLIP, float32, in eval mode."""
    from open_clip import tokenize
    from safetensors.torch import load_file

    weights = load_file(path)
    rows, ids = weights.pop("token_embedding.rows"), weights.pop("token_embedding.ids")
    weights["token_embedding.weight"] = fill_word_table(rows.float(), ids.long())
    model = build_clip()
    model.load_state_dict({name: value.float() for name, value in weights.items()}, strict=True)
    return DemoCLIP(model.eval(), tokenize, CLIP_MEAN, CLIP_STD, CLIP_IMAGE_SIZE)


def fill_word_table(rows: Tensor, ids: Tensor, size: int = VOCABULARY) -> Tensor:
    """The full word table from the rows in use; all other words get their mean.

    Args:
        rows: float32 (K, D).
        ids: int64 (K,), the rows' places in the table.
        size: rows of the full table.

    Returns:
        float32 (size, D).
    """
    table = rows.mean(0, keepdim=True).repeat(size, 1)
    table[ids] = rows
    return table
