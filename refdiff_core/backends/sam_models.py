"""Segment Anything from disk (package segment-anything)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..errors import ModelError
from .weights import check_values, described, read_state_dict

_WIDTHS = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}

_PIXELS = {"pixel_mean": (123.675, 116.28, 103.53), "pixel_std": (58.395, 57.12, 57.375)}
"""What SAM subtracts from pixels in [0, 255] and divides them by, as its package builds it."""


def load_sam(path: str | Path) -> Any:
    """A Sam model from a vit_b, vit_l or vit_h checkpoint, told apart by its own widths.

    Raises:
        ModelError: missing, damaged, or not a Segment Anything checkpoint of the first generation.
    """
    from segment_anything import sam_model_registry

    state = read_state_dict(path)
    patches = state.get("image_encoder.patch_embed.proj.weight")
    kind = None if patches is None or patches.ndim != 4 else _WIDTHS.get(patches.shape[0])
    if kind is None or any(key.startswith("mask_decoder.hf_") for key in state):
        raise ModelError(
            f"'{path}' is not a Segment Anything checkpoint of the first generation"
            f"{described(state)}. Use sam_vit_b, sam_vit_l or sam_vit_h as Meta published them "
            "(.pth), or the same weights as .safetensors; masks of other kinds can stand in for it "
            "(--masks, or the proposals of Fuse Masks)."
        )
    with torch.device("meta"):  # weights that nobody would see need not be drawn, nor held
        sam = sam_model_registry[kind]()
    weights = {key: value.float() for key, value in state.items()}
    try:
        sam.load_state_dict(weights, strict=True, assign=True)
    except Exception as error:
        raise ModelError(f"'{path}' is not whole: it does not fit SAM's {kind}.") from error
    check_values(sam, path)
    for name, values in _PIXELS.items():  # in no file
        setattr(sam, name, torch.tensor(values).view(-1, 1, 1))
    return sam.eval().requires_grad_(False)
