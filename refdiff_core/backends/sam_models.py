"""Segment Anything from disk (package segment-anything)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ModelError
from .weights import check_values, described, read_state_dict

_WIDTHS = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}


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
    sam = sam_model_registry[kind]()
    try:
        sam.load_state_dict(state, strict=True)
    except Exception as error:
        raise ModelError(f"'{path}' is not whole: it does not fit SAM's {kind}.") from error
    check_values(sam, path)
    return sam.eval().requires_grad_(False)
