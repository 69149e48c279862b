"""Where proposals lie, and which of them show one object: pure maths on masks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .proposals import mask_boxes
from .values import Proposals

SAME = 0.7
"""Masks are one object when they share this much of the smaller one."""


@dataclass(frozen=True)
class Layout:
    """Where N proposals lie; lengths in shares of the square root of the picture's area.

    centers: float32 (N, 2), XY of the masks' centres of gravity.
    boxes: float32 (N, 4), XYXY.
    size: (width, height) of the picture.
    cells: float32 (N, C), 0 or 1, the masks on a coarse grid.
    """

    centers: Tensor
    boxes: Tensor
    size: tuple[float, float]
    cells: Tensor

    @classmethod
    def of(cls, proposals: Proposals, grid: int = 256) -> Layout:
        """Measure proposals; overlaps are taken on a grid of so many cells a side at most."""
        height, width = proposals.size_hw
        unit = (height * width) ** 0.5
        step = -(-max(height, width) // grid)
        cells = proposals.masks[:, step // 2 :: step, step // 2 :: step].flatten(1).float()
        return cls(
            centers=_centers(proposals.masks) / unit,
            boxes=mask_boxes(proposals.masks) / unit,
            size=(width / unit, height / unit),
            cells=cells,
        )

    @property
    def sides(self) -> Tensor:
        """float32 (N, 2): width and height of the boxes."""
        return self.boxes[:, 2:] - self.boxes[:, :2]


def _centers(masks: Tensor) -> Tensor:
    """XY of the centre of gravity of masks (N, H, W), in pixels; 0 for an empty mask."""
    columns, rows = masks.sum(1).float(), masks.sum(2).float()  # (N, W), (N, H)
    mass = columns.sum(1).clamp(min=1)
    x = columns @ (torch.arange(columns.shape[1]) + 0.5) / mass
    y = rows @ (torch.arange(rows.shape[1]) + 0.5) / mass
    return torch.stack([x, y], -1)


def same_object(a: Layout, b: Layout) -> Tensor:
    """Which masks of ``a`` and ``b`` show one object, or one a part of the other; bool (N, M)."""
    shared = a.cells @ b.cells.T
    smaller = torch.minimum(a.cells.sum(1)[:, None], b.cells.sum(1)[None])
    return shared > SAME * smaller.clamp(min=1)


def covered_share(a: Layout, b: Layout) -> Tensor:
    """Share of each mask of ``a`` that each mask of ``b`` covers: float32 (N, M) in [0, 1]."""
    return a.cells @ b.cells.T / a.cells.sum(1).clamp(min=1)[:, None]


def distinct_objects(same: Tensor, match: Tensor) -> Tensor:
    """One proposal for each object: of those that show it, the best match; bool (N,).

    Args:
        same: bool (N, N) from `same_object`.
        match: float32 (N,).
    """
    keep = torch.zeros(len(match), dtype=torch.bool)
    for index in match.argsort(descending=True, stable=True).tolist():
        keep[index] = not bool((same[index] & keep).any())
    return keep
