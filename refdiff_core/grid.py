"""The working grid: where everything between a picture and its mask lives.

No model's answer is finer than its own grid (64 cells of attention, 256 of Segment Anything's
masks), so maps, candidates, scores and geometry lie on a grid of bounded size. Only masks that
somebody asks for come to the picture's own size, out of the best that is known of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .windows import Window, everywhere

WORKING_SIDE = 2048
"""Pixels of the longer side that models are shown: of a larger picture, a copy."""

GRID_CELLS = 512 * 512
"""Cells of the working grid at most. A bound of its area, because one of its longer side would
leave a strip a few rows."""

CELLS_AT_HAND = 2**20
"""As many as a processor's own memory holds as numbers, 4 MiB."""

CELLS_AT_ONCE = 2**23
"""Cells held as numbers at once, 32 MiB of them, where there are more masks than that."""

Size = tuple[int, int]


def fit(size_hw: Size, longest: int) -> Size:
    """A size in the same proportions whose longer side is at most ``longest``."""
    scale = min(1.0, longest / max(size_hw))
    return max(1, round(size_hw[0] * scale)), max(1, round(size_hw[1] * scale))


def whole_pixels(size_hw: Size, longest: int) -> int:
    """How many pixels a side are averaged into one of a copy that is about ``longest``."""
    return max(1, round(max(size_hw) / longest))


def copy_size(size_hw: Size, longest: int = WORKING_SIDE) -> Size:
    """The size of the copy of a picture that models are shown; its own where it is no larger.

    Two thirds of ``longest`` at least: whole pixels are averaged, and only what is then still too
    large is resampled, because that takes as long as all the rest.
    """
    times = whole_pixels(size_hw, longest)
    return fit((-(-size_hw[0] // times), -(-size_hw[1] // times)), longest)


def fits(size_hw: Size, picture_hw: Size) -> bool:
    """Whether masks of a size are of a picture's: its own, that of a copy, or its grid's."""
    return size_hw in (picture_hw, copy_size(picture_hw), working_grid(picture_hw))


def working_grid(size_hw: Size) -> Size:
    """The working grid (h, w) of a picture (H, W): its own pixels where those are few."""
    # of the copy that models are shown, so that both round alike
    height, width = copy_size(size_hw)
    scale = min(1.0, math.sqrt(GRID_CELLS / (height * width)))
    return max(1, round(height * scale)), max(1, round(width * scale))


def blank(*sizes: int, device: torch.device = torch.device("cpu")) -> Tensor:
    """Zeros, float32, of which many may stay as they are."""
    if device.type != "cpu":
        return torch.zeros(sizes, device=device)
    # numpy's are the system's own: none is written before it is asked for, and then in large pages
    return torch.from_numpy(np.zeros(sizes, np.float32))


def bring(values: Tensor, device: torch.device) -> Tensor:
    """Values on a device, without waiting for what it is busy with."""
    return values.to(device, non_blocking=device.type != "cpu")


def fetch(values: Sequence[Tensor]) -> list[Tensor]:
    """Values of one type on the CPU, from one device by way of one copy."""
    if len({each.device for each in values}) != 1:
        return [each.cpu() for each in values]
    moved = torch.cat([each.flatten() for each in values]).cpu()
    parts = moved.split([each.numel() for each in values])
    return [part.view(each.shape) for part, each in zip(parts, values, strict=True)]


def in_parts(masks: Tensor, *, at_hand: bool = False) -> tuple[Tensor, ...]:
    """Masks (N, h, w) a few at a time, so that they may be held as numbers; one part at least.

    ``at_hand``: so few that a processor, if they are there, has their numbers at hand.
    """
    cells = cells_at_hand(masks.device) if at_hand else CELLS_AT_ONCE
    return tuple(torch.split(masks, max(1, cells // max(1, masks[:1].numel()))))


def cells_at_hand(device: torch.device) -> int:
    """How many numbers at once are soonest done with on a device."""
    return CELLS_AT_HAND if device.type == "cpu" else CELLS_AT_ONCE


def as_numbers(masks: Tensor) -> Tensor:
    """Masks as float32, 0 and 1, where they are."""
    # as bytes: from booleans it takes torch three times as long
    return masks.view(torch.uint8).float()


def count_cells(masks: Tensor) -> Tensor:
    """How many cells each mask covers: masks bool (N, h, w) to float32 (N,), where they are."""
    # one by one: torch sums several by way of a copy eight times as large
    counts = [torch.count_nonzero(mask) for mask in masks]
    return torch.stack(counts).float() if counts else torch.zeros(0, device=masks.device)


def resample(planes: Tensor, size_hw: Size, span_hw: tuple[float, float] | None = None) -> Tensor:
    """Bilinear interpolation to another grid, without antialiasing.

    Args:
        planes: (..., h, w).
        size_hw: (H, W) that is wanted.
        span_hw: how many of the rows and columns, from the first on, show the picture; it may
            end inside a cell. None for all.

    Returns:
        (..., H, W).
    """
    rows, columns = span_hw or planes.shape[-2:]
    return _along(_along(planes, -1, size_hw[1], columns), -2, size_hw[0], rows)


def box_sum(planes: Tensor, radius: int) -> Tensor:
    """Sums over (2 radius + 1)^2 pixels of planes (C, h, w), edges repeated; in float64."""
    padded = torch.nn.functional.pad(planes[None], [radius] * 4, mode="replicate")[0].double()
    side = 2 * radius + 1
    # by running sums, so that a pixel costs the same whatever the window
    rows = torch.nn.functional.pad(padded, (1, 0)).cumsum(-1)
    rows = rows[..., side:] - rows[..., :-side]
    sums = torch.nn.functional.pad(rows, (0, 0, 1, 0)).cumsum(-2)
    return sums[..., side:, :] - sums[..., :-side, :]


def _along(planes: Tensor, axis: int, size: int, span: float, part: slice = slice(None)) -> Tensor:
    """`resample` along an axis; of the results only a part."""
    last = planes.shape[axis] - 1
    places = (torch.arange(size, device=planes.device)[part] + 0.5) * (span / size) - 0.5
    places = places.clamp(0, last)
    low = places.floor().long()
    share = places - low
    share = share if axis == -1 else share[:, None]
    before = planes.index_select(axis, low)
    return before.lerp_(planes.index_select(axis, (low + 1).clamp(max=last)), share)


def draw_above(
    plane: Tensor,
    threshold: float,
    size_hw: Size,
    span_hw: tuple[float, float] | None = None,
    window: Window | None = None,
) -> Tensor:
    """Where a plane (h, w) is above a threshold, on a grid of any size: bool (H, W).

    As `resample` and a comparison, a band of rows at a time; of a window only that.
    """
    rows, columns = span_hw or plane.shape
    down, across = window or everywhere(size_hw)
    wide = _along(plane, -1, size_hw[1], columns, across)
    high, width = down.stop - down.start, across.stop - across.start
    drawn = torch.empty(high, width, dtype=torch.bool, device=plane.device)
    band = max(1, cells_at_hand(plane.device) // max(1, width))
    for top in range(0, high, band):
        part = slice(down.start + top, min(down.start + top + band, down.stop))
        drawn[top : top + band] = _along(wide, -2, size_hw[0], rows, part) > threshold
    return drawn


def to_grid(masks: Tensor) -> Tensor:
    """Masks bool (N, H, W) on their picture's working grid.

    A cell belongs to a mask that holds two of four places in it; a mask that holds so many of none
    keeps the cells that it covers most, so that no thing is too small to be seen.
    """
    grid_hw = working_grid((masks.shape[1], masks.shape[2]))
    if grid_hw == tuple(masks.shape[1:]):
        return masks
    seen = masks.view(torch.uint8)
    for axis, cells in enumerate(grid_hw, 1):
        seen = _at(seen, axis, cells, 0.25) + _at(seen, axis, cells, 0.75)
    # in bytes throughout: with booleans torch takes many times as long
    seen.ge_(2)
    for index in (seen.flatten(1).amax(1) == 0).nonzero()[:, 0].tolist():
        seen[index] = _most_covered(masks[index], grid_hw)
    return seen.view(torch.bool)


def _at(values: Tensor, axis: int, cells: int, place: float) -> Tensor:
    """Of so many cells along an axis, the values at one place in each."""
    wide = values.shape[axis] / cells
    first = int(place * wide)
    if wide.is_integer():  # many times as fast as by indices
        return values[(slice(None),) * axis + (slice(first, None, int(wide)),)]
    places = ((torch.arange(cells, device=values.device) + place) * wide).long()
    return values.index_select(axis, places)


def _most_covered(mask: Tensor, grid_hw: Size) -> Tensor:
    cover = torch.nn.functional.adaptive_avg_pool2d(as_numbers(mask)[None], grid_hw)[0]
    return (cover == cover.amax()) & (cover > 0)
