"""Parts of a picture outside of which a mask has nothing, so that nothing is drawn there."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

Window = tuple[slice, slice]
"""A part of a picture: its rows and its columns."""

Size = tuple[int, int]


def everywhere(size_hw: Size) -> Window:
    """All of a picture."""
    return slice(0, size_hw[0]), slice(0, size_hw[1])


def window_of(mask: Tensor, size_hw: Size, span_hw: tuple[float, float] | None = None) -> Window:
    """Outside of it a mask (h, w) has nothing, drawn on a grid (H, W) by interpolation."""
    found = []
    for axis, span in enumerate(span_hw or mask.shape):
        cells = mask.any(1 - axis).nonzero()[:, 0].tolist()
        if not cells:
            return slice(0, 0), slice(0, 0)
        # a cell reaches as far as the middles of those beside it
        scale = size_hw[axis] / span
        first, last = math.floor((cells[0] - 0.5) * scale), math.ceil((cells[-1] + 1.5) * scale)
        # the outermost cells reach to the edge of the picture
        first = 0 if cells[0] == 0 else max(0, first)
        last = size_hw[axis] if cells[-1] == mask.shape[axis] - 1 else min(size_hw[axis], last)
        found.append(slice(first, last))
    return found[0], found[1]


def widen(windows: Sequence[Window], reach: int, size_hw: Size) -> Window:
    """The least window that holds some others and so many pixels around them."""
    there = [each for each in windows if each[0].stop > each[0].start]
    if not there:
        return slice(0, 0), slice(0, 0)
    sides = [
        slice(
            max(0, min(each[axis].start for each in there) - reach),
            min(size_hw[axis], max(each[axis].stop for each in there) + reach),
        )
        for axis in range(2)
    ]
    return sides[0], sides[1]
