"""What is known of masks beyond the working grid, and their drawing at any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .grid import Size, as_numbers, cells_at_hand, draw_above, resample
from .windows import Window, window_of


class FineMasks(Protocol):
    """What is known of N masks beyond the working grid."""

    def draw(self, index: int, size_hw: Size, window: Window | None = None) -> Tensor:
        """One mask, bool (H, W), at any size; of a window only that."""
        ...

    def window(self, index: int, size_hw: Size) -> Window:
        """Outside of it one mask has nothing at that size."""
        ...


@dataclass(frozen=True)
class GridMasks:
    """Masks of which no more is known than the working grid; bool (N, h, w)."""

    masks: Tensor

    def draw(self, index: int, size_hw: Size, window: Window | None = None) -> Tensor:
        """See `FineMasks.draw`."""
        mask = self.masks[index]
        if tuple(mask.shape) == size_hw:
            return mask if window is None else mask[window]
        return draw_above(as_numbers(mask), 0.5, size_hw, window=window)

    def window(self, index: int, size_hw: Size) -> Window:
        """See `FineMasks.window`."""
        return window_of(self.masks[index].cpu(), size_hw)


@dataclass(frozen=True)
class LogitMasks:
    """Masks that a model gives as logits on a small grid of its own.

    logits: float32 (N, h, w). span_hw: how much of that grid shows the picture.
    threshold: above it a place belongs to the mask.
    """

    logits: Tensor
    span_hw: tuple[float, float]
    threshold: float = 0.0

    def draw(self, index: int, size_hw: Size, window: Window | None = None) -> Tensor:
        """See `FineMasks.draw`."""
        return draw_above(self.logits[index], self.threshold, size_hw, self.span_hw, window)

    def window(self, index: int, size_hw: Size) -> Window:
        """See `FineMasks.window`."""
        return window_of((self.logits[index] > self.threshold).cpu(), size_hw, self.span_hw)

    def on_grid(self, size_hw: Size) -> Tensor:
        """All masks, bool (N, H, W)."""
        at_once = max(1, cells_at_hand(self.logits.device) // (size_hw[0] * size_hw[1]))
        parts = self.logits.split(at_once)
        drawn = [resample(part, size_hw, self.span_hw) > self.threshold for part in parts]
        return torch.cat(drawn)


@dataclass(frozen=True)
class PackedMasks:
    """Masks from outside at their own size, eight pixels a byte.

    bits: uint8 (N, ceil(H * W / 8)). size_hw: (H, W).
    """

    bits: Tensor
    size_hw: Size

    def draw(self, index: int, size_hw: Size, window: Window | None = None) -> Tensor:
        """See `FineMasks.draw`."""
        mask = self._unpack(index)
        if size_hw == self.size_hw:
            return mask if window is None else mask[window]
        return draw_above(as_numbers(mask), 0.5, size_hw, window=window)

    def window(self, index: int, size_hw: Size) -> Window:
        """See `FineMasks.window`."""
        return window_of(self._unpack(index), size_hw)

    def _unpack(self, index: int) -> Tensor:
        return unpack(self.bits[index])[: self.size_hw[0] * self.size_hw[1]].view(self.size_hw)


@dataclass(frozen=True)
class JoinedMasks:
    """Masks of several sources, each by its source and its index there."""

    places: tuple[tuple[FineMasks, int], ...]

    def draw(self, index: int, size_hw: Size, window: Window | None = None) -> Tensor:
        """See `FineMasks.draw`."""
        source, at = self.places[index]
        return source.draw(at, size_hw, window)

    def window(self, index: int, size_hw: Size) -> Window:
        """See `FineMasks.window`."""
        source, at = self.places[index]
        return source.window(at, size_hw)


def pack(rows: Tensor) -> Tensor:
    """Rows of booleans (N, C) as bits, uint8 (N, ceil(C / 8)), where they are."""
    if rows.device.type == "cpu":  # many times as fast
        return torch.from_numpy(np.packbits(rows.numpy(), axis=1, bitorder="little"))
    count = -(-rows.shape[1] // 8)
    bits = torch.zeros(len(rows), count, dtype=torch.uint8, device=rows.device)
    for place in range(8):
        each = rows[:, place::8].to(torch.uint8)
        bits[:, : each.shape[1]] |= each << place
    return bits


def unpack(bits: Tensor) -> Tensor:
    """What `pack` packed, bool (..., 8 C), of rows uint8 (..., C) on the CPU."""
    return torch.from_numpy(np.unpackbits(bits.numpy(), axis=-1, bitorder="little")).bool()
