"""How regions of a picture are shown to CLIP: pure maths, no model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..grid import in_parts
from ..seeing.proposals import mask_boxes
from ..values import Image


def position_ramp(sides: Sequence[str], size_hw: tuple[int, int]) -> Tensor:
    """The paper's P: brightness that falls from 1 to 0 across the picture, away from a side.

    Args:
        sides: out of left, right, top and bottom; two of them multiply, others do nothing.
        size_hw: (H, W) of the picture.

    Returns:
        float32 (H, W) in [0, 1].

    Source: METHOD.md 1a [KR], which does not say how it falls; a straight line is assumed.
    """
    rows, columns = (torch.linspace(1, 0, side) for side in size_hw)
    ramps = {
        "left": columns[None],
        "right": columns.flip(0)[None],
        "top": rows[:, None],
        "bottom": rows.flip(0)[:, None],
    }
    ramp = torch.ones(size_hw)
    for side in ramps.keys() & {*sides}:
        ramp = ramp * ramps[side]
    return ramp


def darken(image: Image, sides: Sequence[str]) -> Image:
    """A picture (H, W, 3) that darkens away from some sides; see `position_ramp`."""
    if not sides:
        return image
    ramp = position_ramp(sides, (image.shape[0], image.shape[1])).to(image.device)
    return image * ramp[:, :, None]


def patch_grid(size_hw: tuple[int, int], longest: int) -> tuple[int, int]:
    """Patches (h, w) for a picture in its own proportions, ``longest`` along its longer side."""
    scale = longest / max(size_hw)
    rows, columns = (max(1, round(side * scale)) for side in size_hw)
    return rows, columns


def patch_coverage(masks: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    """Which patches belong to each mask: those it covers by half, or else its best-covered one.

    A mask smaller than a patch keeps one, so that no region vanishes (METHOD.md 1c.10).

    Args:
        masks: bool (N, H, W), on any grid of the picture's proportions.
        grid_hw: (h, w) patches.

    Returns:
        bool (N, h * w); all false for an empty mask.
    """
    parts = [F.adaptive_avg_pool2d(part.float(), grid_hw) for part in in_parts(masks)]
    cover = torch.cat(parts).flatten(1)
    best = (cover == cover.amax(1, keepdim=True)) & (cover > 0)
    first = best & (best.cumsum(1) == 1)
    return (cover >= 0.5) | first


def blocked_pairs(inside: Tensor) -> Tensor:
    """Who may not attend to whom among one class token, N region tokens and T patches.

    Args:
        inside: bool (N, T), each region's patches.

    Returns:
        bool (1 + N + T, 1 + N + T), rows look at columns.
    """
    count, patches = inside.shape
    every = 1 + count + patches
    blocked = torch.zeros(every, every, dtype=torch.bool, device=inside.device)
    regions = slice(1, 1 + count)
    blocked[:, regions] = True
    blocked[regions] = True
    blocked[regions, regions] = ~torch.eye(count, dtype=torch.bool, device=inside.device)
    blocked[regions, 1 + count :] = ~inside
    return blocked


def interpolate_positions(
    table: Tensor, trained_hw: tuple[int, int], grid_hw: tuple[int, int]
) -> Tensor:
    """The position table (1 + T, width) interpolated to another grid of patches.

    Args:
        table: the class token first, which stays as it is.
        trained_hw: the grid of the T patches in the table.
        grid_hw: the grid that is wanted.
    """
    if tuple(trained_hw) == grid_hw:
        return table
    patches = table[1:].unflatten(0, tuple(trained_hw)).permute(2, 0, 1)[None]
    resized = F.interpolate(patches.float(), grid_hw, mode="bicubic", align_corners=False)
    return torch.cat([table[:1], resized[0].flatten(1).T.to(table.dtype)])


def cut_out(
    image: Image, masks: Tensor, size: int, surround: str = "black", margin: float = 0.0
) -> Tensor:
    """Regions of a picture as squares, painted over outside the mask, in their proportions.

    Args:
        image: float32 (H, W, 3).
        masks: bool (N, h, w), on any grid of its proportions; an empty one gives only surround.
        size: side of the squares in pixels.
        surround: "black", "mean" (of the picture) or "blur" (the picture itself, blurred).
        margin: share by which the box is widened.

    Returns:
        float32 (N, 3, size, size) in [0, 1].
    """
    planes = image.permute(2, 0, 1)
    paint = _surround(planes, surround)
    scale = max(image.shape[:2]) / max(masks.shape[1:])
    crops = []
    for mask, box in zip(masks, (mask_boxes(masks) * scale).tolist(), strict=True):
        window = _window(box, margin)
        inside = _mask_in(mask, window, scale)
        region = torch.where(inside, _crop(planes, window), _crop(paint, window))
        crops.append(
            F.interpolate(
                region[None], (size, size), mode="bicubic", align_corners=False, antialias=True
            )
        )
    if not crops:
        return torch.zeros(0, 3, size, size, device=image.device)
    return torch.cat(crops).clamp(0, 1)


def _mask_in(mask: Tensor, window: tuple[int, int, int], scale: float) -> Tensor:
    """What of a window of the picture lies in a mask whose cells are ``scale`` pixels wide."""
    if scale == 1:
        return _crop(mask[None], window)
    left, top, side = (each / scale for each in window)
    cells = (math.floor(left), math.floor(top), math.ceil(side) + 1)
    fine = F.interpolate(_crop(mask[None], cells)[None].float(), scale_factor=scale)
    return _crop(fine[0] > 0.5, (round((left % 1) * scale), round((top % 1) * scale), window[2]))


def _surround(planes: Tensor, kind: str) -> Tensor:
    if kind == "blur":
        side = 2 * (min(planes.shape[1:]) // 8) + 1
        padded = F.pad(planes[None], [side // 2] * 4, mode="replicate")
        return F.avg_pool2d(padded, side, stride=1)[0]
    if kind == "mean":
        return planes.mean((1, 2), keepdim=True).expand_as(planes)
    return torch.zeros_like(planes)


def _window(box: Sequence[float], margin: float) -> tuple[int, int, int]:
    """Left, top and side in pixels of the square around a box; it may reach past the picture."""
    x0, y0, x1, y1 = box
    side = max(1, round(max(x1 - x0, y1 - y0) * (1 + margin)))
    return round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2), side


def _crop(planes: Tensor, window: tuple[int, int, int]) -> Tensor:
    """A square out of planes (C, H, W), zero (or False) where it reaches past them."""
    left, top, side = window
    height, width = planes.shape[1:]
    over = (max(0, -left), max(0, left + side - width), max(0, -top), max(0, top + side - height))
    inside = planes[:, max(0, top) : top + side, max(0, left) : left + side]
    return F.pad(inside, over)
