"""Pure maths on masks: boxes, overlaps, duplicates, limits, and proposals without any weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..values import AttentionMap, Image, Proposals

THRESHOLDS = tuple(step / 20 for step in range(1, 20))
"""mu in {5 %, ..., 95 %}, METHOD.md 1a [KR]."""


def mask_boxes(masks: Tensor) -> Tensor:
    """Tight boxes of masks.

    Args:
        masks: bool (N, H, W).

    Returns:
        float32 (N, 4), XYXY in pixels, right and bottom exclusive; [0, 0, 0, 0] for an empty mask.
    """
    boxes = torch.zeros(len(masks), 4)
    for box, mask in zip(boxes, masks, strict=True):
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        if len(rows):
            edges = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            box[:] = torch.tensor([float(edge) for edge in edges])
    return boxes


def mask_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every mask in ``a`` with every mask in ``b``.

    Args:
        a: bool (N, H, W).
        b: bool (M, H, W).

    Returns:
        float32 (N, M) in [0, 1]; two empty masks have 0.
    """
    x, y = a.flatten(1).float(), b.flatten(1).float()
    intersection = x @ y.T
    union = x.sum(1)[:, None] + y.sum(1)[None] - intersection
    return intersection / union.clamp(min=1)


def distinct(masks: Tensor, quality: Tensor, iou: float) -> Tensor:
    """Which masks stay when of any two that overlap by more than ``iou`` the better one stays.

    Args:
        masks: bool (N, H, W).
        quality: float32 (N,); among equals the first stays.
        iou: in [0, 1].

    Returns:
        bool (N,).
    """
    keep = torch.zeros(len(masks), dtype=torch.bool)
    overlap = mask_iou(masks, masks) > iou
    # stable, so that the result never depends on how the sort breaks ties
    for index in quality.argsort(descending=True, stable=True).tolist():
        keep[index] = not bool((overlap[index] & keep).any())
    return keep


def within_limits(proposals: Proposals, smallest: float, largest: float) -> Tensor:
    """Which proposals could be things: neither specks nor the whole picture.

    Args:
        proposals: N of them.
        smallest: share of the picture, in [0, 1]. Never a pixel count, which would put small
            things out of reach (METHOD.md 1c.4).
        largest: share of the picture, in [0, 1].

    Returns:
        bool (N,).
    """
    areas = proposals.areas
    return (areas > 0) & (areas >= smallest) & (areas <= largest)


def propose_from_attention(
    attention: AttentionMap,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    components: bool = True,
    percentiles: bool = False,
) -> Proposals:
    """Proposals without any weights: the map cut at thresholds, and the cuts' connected parts.

    The paper has the whole cuts only; connected parts tell two things of the same kind apart.

    Args:
        attention: heat (H, W) in [0, 1].
        thresholds: in (0, 1].
        components: also each connected part of a cut that falls into several.
        percentiles: the thresholds are percentiles of the map, so that a cut at .95 holds a
            twentieth of the picture; else shares of the map's range.

    Returns:
        Distinct masks; none for a map without contrast. A mask's quality is 1.

    Source: METHOD.md 1a [KR]; connected parts are ours.
    """
    from scipy.ndimage import label  # here, because importing it takes a while

    size_hw = attention.size_hw
    heat = attention.heat.numpy()
    levels = np.quantile(heat, thresholds) if percentiles else thresholds
    found: dict[bytes, np.ndarray] = {}
    for threshold in levels if heat.any() else ():
        cut = heat >= threshold
        parts, count = label(cut)
        masks = [cut, *(parts == part for part in range(1, count + 1))] if components else [cut]
        for mask in masks[: 1 if count == 1 else None]:
            found.setdefault(np.packbits(mask).tobytes(), mask)
    if not found:
        return Proposals.of(torch.zeros(0, *size_hw, dtype=torch.bool))
    return Proposals.of(torch.from_numpy(np.stack(list(found.values()))))


def find_peaks(heat: Tensor, count: int, *, lowest: float = 0.3, grid: int = 32) -> Tensor:
    """The highest places of a map, as points that a promptable segmenter can be asked at.

    Places are taken from the highest down, each at least three cells from those before, so that
    they spread over a broad or flat region (a painted hint) as well as over several peaks.

    Args:
        heat: float32 (H, W) in [0, 1].
        count: at most so many.
        lowest: places below this are left out: they would be prompts on the background.
        grid: cells along the longer side, about as coarse as the grid that the map comes from:
            its finer detail is interpolation.

    Returns:
        float32 (P, 2), XY as shares of the picture, highest first.
    """
    height, width = heat.shape
    scale = min(1.0, grid / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    coarse = F.adaptive_avg_pool2d(heat[None], size)
    # smoothed, so that of a flat region its middle comes before its border
    left = F.avg_pool2d(coarse, 3, stride=1, padding=1, count_include_pad=False)[0]
    left = left.masked_fill(coarse[0] < lowest, 0)
    points: list[list[float]] = []
    while len(points) < count and left.max() >= lowest:
        row, column = divmod(int(left.argmax()), size[1])
        points.append([(column + 0.5) / size[1], (row + 0.5) / size[0]])
        left[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3] = 0
    return torch.tensor(points).reshape(-1, 2)


class AttentionProposer:
    """The weight-free `MaskProposer`: proposals from each expression's own map.

    Args:
        components, percentiles: see `propose_from_attention`.
    """

    def __init__(self, *, components: bool = True, percentiles: bool = False) -> None:
        self.components = components
        self.percentiles = percentiles

    def propose(self, image: Image, attention: Sequence[AttentionMap | None]) -> list[Proposals]:
        """See `MaskProposer.propose`; every expression needs its map."""
        return [
            propose_from_attention(each, components=self.components, percentiles=self.percentiles)
            for each in attention
            if each is not None
        ]


class FixedProposals:
    """A `MaskProposer` of masks that came from outside, the same for every expression."""

    def __init__(self, proposals: Proposals) -> None:
        self.proposals = proposals

    def propose(self, image: Image, attention: Sequence[AttentionMap | None]) -> list[Proposals]:
        """See `MaskProposer.propose`."""
        return [self.proposals] * len(attention)
