"""SEGS as other packs make them: a picture's size, and parts of it with masks."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..refdiff_core.errors import MaskError
from ..refdiff_core.values import Proposals

SEG = namedtuple(
    "SEG",
    ("cropped_image", "cropped_mask", "confidence", "crop_region", "bbox", "label",
     "control_net_wrapper"),
    defaults=(None,),
)  # fmt: skip
"""Looks like Impact Pack's, which reads these by name."""

MOST_PIXELS = 2**28
"""Of the picture that SEGS are of: more than any picture that is loaded has."""

_ODD = (AttributeError, OverflowError, RuntimeError, TypeError, ValueError)


def from_segs(segs: Any) -> Proposals:
    """SEGS as candidates.

    Raises:
        MaskError: they are none, or of no size.
    """
    try:
        (height, width), found = segs
        size_hw = int(height), int(width)
        confidence = torch.tensor([_confidence(seg) for seg in found])
    except _ODD as error:
        raise _unread(error) from error
    if min(size_hw) < 1 or size_hw[0] * size_hw[1] > MOST_PIXELS:
        raise MaskError(f"SEGS are of a picture, got the size {size_hw[1]} x {size_hw[0]}.")
    if not len(confidence):
        return Proposals.of(torch.zeros(0, *size_hw, dtype=torch.bool))
    return Proposals.of_parts(_masks(found, size_hw), confidence)


def _masks(found: Sequence[Any], size_hw: tuple[int, int]) -> Iterator[Tensor]:
    for seg in found:
        try:
            yield _whole(seg, size_hw)
        except _ODD as error:
            raise _unread(error) from error


def _unread(error: Exception) -> MaskError:
    told = f"{type(error).__name__}: {error}"
    return MaskError(f"These SEGS cannot be read ({told}). Connect the detector's own SEGS.")


def _whole(seg: Any, size_hw: tuple[int, int]) -> Tensor:
    """The mask of a SEG in its picture, bool (1, H, W)."""
    mask = torch.zeros(1, *size_hw, dtype=torch.bool)
    x0, y0, x1, y1 = (int(edge) for edge in seg.crop_region)
    if seg.cropped_mask is None:  # a box alone
        mask[0, max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = True
        return mask
    part = torch.as_tensor(seg.cropped_mask)
    if part.numel() != math.prod(part.shape[-2:]) or part.shape[-2:] != (y1 - y0, x1 - x0):
        raise MaskError(
            f"A SEG's mask is {tuple(part.shape)}, its crop_region {(y1 - y0, x1 - x0)}. "
            "Connect the detector's own SEGS."
        )
    part = part.reshape(part.shape[-2:])
    # regions are padded by some detectors and then reach past the picture
    inside = part[max(0, -y0) : max(0, size_hw[0] - y0), max(0, -x0) : max(0, size_hw[1] - x0)]
    top, left = max(0, y0), max(0, x0)
    mask[0, top : top + inside.shape[0], left : left + inside.shape[1]] = inside >= 0.5
    return mask


def _confidence(seg: Any) -> float:
    """In [0, 1]; Impact Pack's own detectors give a float, an array of one value, or None."""
    if seg.confidence is None:
        return 1.0
    told = float(torch.as_tensor(seg.confidence).float().mean())
    return 1.0 if math.isnan(told) else min(1.0, max(0.0, told))
