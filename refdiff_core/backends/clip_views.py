"""How regions of a picture are shown to CLIP: pure maths, no model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from ..grid import Size, as_numbers, blank, bring, in_parts
from ..pictures.images import average_whole
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
    ramp = position_ramp(sides, (image.shape[0], image.shape[1]))
    ramp = bring(ramp, image.device)
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
    rows, columns = (
        _windows(size, count, masks.device)
        for size, count in zip(masks.shape[1:], grid_hw, strict=True)
    )
    # as adaptive_avg_pool2d, in half its time
    sums = [rows @ (as_numbers(part) @ columns.T) for part in in_parts(masks, at_hand=True)]
    cover = (torch.cat(sums) / rows.sum(1)[:, None] / columns.sum(1)).flatten(1)
    best = (cover == cover.amax(1, keepdim=True)) & (cover > 0)
    first = best & (best.cumsum(1) == 1)
    return (cover >= 0.5) | first


def _windows(size: int, count: int, device: torch.device) -> Tensor:
    """Which cells each of ``count`` windows of even width holds: float32 (count, size), 0 or 1."""
    cells, window = torch.arange(size, device=device), torch.arange(count, device=device)[:, None]
    return ((cells + 1) * count > window * size).float() * (cells * count < (window + 1) * size)


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

    All are read at once from a pyramid of the picture, each from the level that is about as fine as
    its square, so that nothing depends on where they lie but what is read.

    Args:
        image: float32 (H, W, 3).
        masks: bool (N, h, w), on any grid of its proportions; an empty one gives only surround.
        size: side of the squares in pixels.
        surround: "black", "mean" (of the picture) or "blur" (the picture itself, blurred).
        margin: share by which the box is widened.

    Returns:
        float32 (N, 3, size, size) in [0, 1].
    """
    if not len(masks):
        return torch.zeros(0, 3, size, size, device=image.device)
    scale = max(image.shape[:2]) / max(masks.shape[1:])
    places, sides = _places(mask_boxes(masks) * scale, size, margin)  # in pixels
    inside = _sample_masks(masks, places / scale)
    shown = _sample_picture(image, places, sides / size)
    if surround == "black":
        return shown * inside
    if surround == "mean":
        around = image.mean((0, 1))[:, None, None]
    else:
        around = _sample_picture(_blur(image), places, sides / size)
    return around.lerp(shown, inside)


def _places(boxes: Tensor, size: int, margin: float) -> tuple[Tensor, Tensor]:
    """Where the pixels of squares around boxes lie: XY (N, size, size, 2), and the sides (N,)."""
    low, high = boxes[:, :2], boxes[:, 2:]
    sides = ((high - low).amax(1) * (1 + margin)).round().clamp(min=1)
    corners = ((low + high - sides[:, None]) / 2).round()
    steps = (torch.arange(size, device=boxes.device) + 0.5) / size
    x, y = (corners[:, axis, None] + steps * sides[:, None] for axis in (0, 1))  # (N, size)
    wide, high_ = x[:, None].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)
    return torch.stack([wide, high_], -1), sides


def _sample_masks(masks: Tensor, places: Tensor) -> Tensor:
    """How far places (N, S, S, 2), in cells, lie in the mask of their own: (N, 1, S, S)."""
    height, width = masks.shape[1:]
    grid = torch.stack([places[..., 0] / width, places[..., 1] / height], -1) * 2 - 1
    parts = in_parts(masks, at_hand=True)
    found = [
        F.grid_sample(as_numbers(part[:, None]), own, mode="bicubic", align_corners=False)
        for part, own in zip(parts, grid.split(len(parts[0])), strict=True)
    ]
    return torch.cat(found).clamp(0, 1)


def _sample_picture(image: Image, places: Tensor, steps: Tensor) -> Tensor:
    """Colours (N, 3, S, S) at places (N, S, S, 2) that lie ``steps`` (N,) pixels apart."""
    sizes = _level_sizes((image.shape[0], image.shape[1]), places.shape[1])
    level = steps.log2().round().long().clamp(0, len(sizes) - 1)
    # what is finer than any square is not kept; elsewhere than on a processor, asking would wait
    finest = int(level.min()) if image.device.type == "cpu" else 0
    tower, tops = _pyramid(image, sizes, finest)
    size_xy, top = (
        bring(torch.tensor(each), image.device)[level - finest][:, None, None]
        for each in ([size_hw[::-1] for size_hw in sizes[finest:]], tops)
    )
    at = places / 2.0 ** level[:, None, None, None]
    # to the middle of the level's outermost pixels: beyond them lies another level
    at = torch.minimum(at.clamp(min=0.5), size_xy - 0.5)
    x = at[..., 0] / tower.shape[1] * 2 - 1
    y = (at[..., 1] + top) / tower.shape[0] * 2 - 1
    grid = torch.stack([x, y], -1).flatten(0, 1)[None]  # one below the other
    found = F.grid_sample(tower.movedim(-1, 0)[None], grid, align_corners=False)[0]
    shown: Tensor = found.unflatten(1, places.shape[:2])
    return shown.transpose(0, 1)


def _level_sizes(size_hw: Size, size: int) -> list[Size]:
    """A picture's size and those of its halves, down to about ``size`` pixels."""
    sizes = [size_hw]
    while max(sizes[-1]) > 2 * size and min(sizes[-1]) > 1:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes


def _pyramid(image: Image, sizes: Sequence[Size], finest: int) -> tuple[Tensor, list[int]]:
    """A picture (H, W, C) above its halves, from the ``finest`` of the sizes on.

    Returns:
        All these levels, float32 (sum of H, W, C), and the top of each.
    """
    for size_hw in sizes[1 : finest + 1]:
        halved = blank(*size_hw, image.shape[2], device=image.device)
        average_whole(image, 2, halved)
        image = halved
    *tops, high = accumulate((height for height, _ in sizes[finest:]), initial=0)
    # each made where it belongs: of a large picture, every copy takes longer than all crops
    tower = blank(high, *image.shape[1:], device=image.device)
    places = [
        tower[top:][:height, :width]
        for top, (height, width) in zip(tops, sizes[finest:], strict=True)
    ]
    places[0].copy_(image)
    for larger, place in pairwise(places):
        average_whole(larger, 2, place)
    return tower, tops


def _blur(image: Image) -> Image:
    side = 2 * (min(image.shape[:2]) // 8) + 1
    padded = F.pad(image.movedim(-1, 0)[None], [side // 2] * 4, mode="replicate")
    return F.avg_pool2d(padded, side, stride=1)[0].movedim(0, -1)
