"""Where proposals lie, and which of them show one object: pure maths on masks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ..grid import as_numbers, count_cells
from ..seeing.proposals import mask_boxes
from ..values import Proposals

SAME = 0.7
"""Masks are one object when they share this much of the smaller one."""

ONE_THING = 0.5
"""IoU beyond which masks are edges of one thing; of .5 to .8 the best on tuning scenes."""

SHARP = 0.1
"""Difference of the proposer's own estimates by which one mask of a thing counts e times as much as
another; of .02 to 10 the best on tuning scenes, where .05 to .2 are about as good."""

STEP = 0.02
"""Distance at which "further left" is about three quarters sure; lengths are shares of the square
root of the picture's area, so 1 % either way is a tie."""

GRID = 256
"""Cells along the longer side on which overlaps are taken, at most."""

_KEPT = "_layout"


@dataclass(frozen=True)
class Layout:
    """Where N proposals lie; lengths in shares of the square root of the picture's area.

    centers: float32 (N, 2), XY of the masks' centres of gravity.
    boxes: float32 (N, 4), XYXY.
    size: (width, height) of the picture.
    cells: bool (N, C), the masks on a coarse grid. All on the CPU.
    """

    centers: Tensor
    boxes: Tensor
    size: tuple[float, float]
    cells: Tensor

    @classmethod
    def of(cls, proposals: Proposals) -> Layout:
        """Measure proposals, which keep what was measured for all who ask of them."""
        if _KEPT not in proposals.__dict__:
            whole, rows = proposals.whole, proposals.rows
            found = cls._measure(whole) if whole is proposals else cls.of(whole).select(rows)
            proposals.__dict__[_KEPT] = found
        measured: Layout = proposals.__dict__[_KEPT]
        return measured

    @classmethod
    def _measure(cls, proposals: Proposals) -> Layout:
        height, width = proposals.grid_hw
        unit, step = (height * width) ** 0.5, -(-max(height, width) // GRID)
        steps = min(step, height), min(step, width)  # a strip has few rows
        down, across = (slice(each // 2, None, each) for each in steps)
        coarse = proposals.masks[:, down, across].contiguous().cpu()
        boxes = mask_boxes(proposals.masks).cpu()
        return cls(
            centers=_centers(as_numbers(coarse), steps, boxes) / unit,
            boxes=boxes / unit,
            size=(width / unit, height / unit),
            cells=coarse.flatten(1),
        )

    def select(self, keep: Tensor) -> Layout:
        """Of some of the proposals, by their indices."""
        chosen = replace(
            self, centers=self.centers[keep], boxes=self.boxes[keep], cells=self.cells[keep]
        )
        chosen.__dict__["areas"] = self.areas[keep]
        return chosen

    @property
    def sides(self) -> Tensor:
        """float32 (N, 2): width and height of the boxes."""
        return self.boxes[:, 2:] - self.boxes[:, :2]

    @cached_property
    def areas(self) -> Tensor:
        """float32 (N,): each mask's cells."""
        return count_cells(self.cells)

    @cached_property
    def shared(self) -> Tensor:
        """float32 (N, N): the cells that each two masks share, counted once for all who ask."""
        order = self.boxes[:, 1].argsort()  # from the top down
        inside, among = self.cells[order], torch.zeros(len(order), len(order))
        cells = as_numbers(inside)
        for first in range(0, len(cells), 64):  # each pair but once, and where there is any of it
            rows = slice(first, first + 64)
            filled = inside[rows].view(torch.uint8).amax(0).nonzero()[:, 0]
            if len(filled):
                there = slice(int(filled[0]), int(filled[-1]) + 1)
                part = cells[rows, there] @ cells[first:, there].T
                among[rows, first:], among[first:, rows] = part, part.T
        back = order.argsort()
        return among[back][:, back]

    def shared_with(self, other: Layout) -> Tensor:
        """float32 (N, M): the cells shared with each mask of another layout, or of this one."""
        return self.shared if other is self else as_numbers(self.cells) @ as_numbers(other.cells).T


def _centers(coarse: Tensor, steps: tuple[int, int], boxes: Tensor) -> Tensor:
    """XY of the centres of gravity in pixels; of a mask between the cells, its box's centre."""
    columns, rows = coarse.sum(1), coarse.sum(2)  # (N, w), (N, h)
    mass = columns.sum(1)
    x, y = (
        sums @ ((torch.arange(sums.shape[1]) + 0.5) * step) / mass.clamp(min=1)
        for sums, step in ((columns, steps[1]), (rows, steps[0]))
    )
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    return torch.where((mass > 0)[:, None], torch.stack([x, y], -1), middle)


def same_object(a: Layout, b: Layout) -> Tensor:
    """Which masks of ``a`` and ``b`` show one object, or one a part of the other; bool (N, M)."""
    smaller = torch.minimum(a.areas[:, None], b.areas[None])
    return a.shared_with(b) > SAME * smaller.clamp(min=1)


def covered_share(a: Layout, b: Layout) -> Tensor:
    """Share of each mask of ``a`` that each mask of ``b`` covers: float32 (N, M) in [0, 1]."""
    return a.shared_with(b) / a.areas.clamp(min=1)[:, None]


def mask_overlap(layout: Layout) -> Tensor:
    """IoU of each mask with every other: float32 (N, N) in [0, 1]."""
    shared, area = layout.shared, layout.areas
    return shared / (area[:, None] + area[None] - shared).clamp(min=1)


def thing_weights(proposals: Proposals, admissible: Tensor) -> Tensor:
    """How much each mask tells of the thing that each shows: float32 (N, N), rows add up to 1.

    A proposer finds a thing many times, with edges that are good, or run out into what lies beside
    it. What a bad one looks like is no evidence; what all of them look like is better evidence
    than what one does.

    Args:
        proposals: N masks, each counted by the proposer's own estimate.
        admissible: bool (N,); what is not tells of itself alone.
    """
    same = (mask_overlap(Layout.of(proposals)) > ONE_THING) & admissible & admissible[:, None]
    same |= torch.eye(len(same), dtype=torch.bool)
    trusted = (proposals.quality.cpu() / SHARP).expand(same.shape)
    return trusted.masked_fill(~same, -torch.inf).softmax(1)


def holds_several(layout: Layout, match: Tensor) -> Tensor:
    """Which masks hold two or more separate things that match about as well; bool (N,).

    A mask of both cups, or of the whole table, is none of the cups.

    Args:
        layout: of N proposals.
        match: float32 (N,).
    """
    inside = covered_share(layout, layout).T > SAME  # (N, N): the first holds the second
    area = layout.areas
    parts = inside & (match > 0.8 * match[:, None]) & (area < 0.6 * area[:, None])
    apart = (layout.shared == 0).float()
    pairs = (parts.float() @ apart * parts).sum(1)
    return pairs > 0


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
