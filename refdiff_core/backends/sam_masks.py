"""Segment Anything's masks and frames on their way from its decoder."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..seeing.proposals import mask_iou
from ..values import Image


@dataclass(frozen=True)
class Frame:
    """The grids of one picture: its own, the encoder's input, the decoder's masks.

    size_hw, input_hw: (H, W). stride: pixels of the input per cell of a mask. decoder_side: cells.
    """

    size_hw: tuple[int, int]
    input_hw: tuple[int, int]
    stride: int
    decoder_side: int

    @classmethod
    def of(cls, image: Image, encoder_side: int, decoder_side: int) -> Frame:
        """Of a picture, for an encoder's input and a decoder's masks of these sides."""
        height, width = image.shape[0], image.shape[1]
        scale = encoder_side / max(height, width)
        # at least one pixel, for a strip of 1 x 4000
        input_hw = (max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5)))
        # pixels of the input per cell of a mask: 4 for the real ones, 2 for the demo's patches of 8
        return cls((height, width), input_hw, encoder_side // decoder_side, decoder_side)

    @property
    def span_hw(self) -> tuple[float, float]:
        """How much of the decoder's grid shows the picture; the rest is padding."""
        return self.input_hw[0] / self.stride, self.input_hw[1] / self.stride

    @property
    def low_hw(self) -> tuple[int, int]:
        """Cells of the decoder's grid that show any of the picture."""
        return math.ceil(self.span_hw[0]), math.ceil(self.span_hw[1])


@dataclass(frozen=True)
class LowMasks:
    """Masks on the decoder's grid: logits (N, h, w), predicted IoU (N,), -inf for rejected ones."""

    logits: Tensor
    quality: Tensor

    @classmethod
    def none(cls, frame: Frame, device: torch.device) -> LowMasks:
        """No masks of a picture."""
        nothing = torch.zeros(0, *frame.low_hw, device=device)
        return cls(nothing, nothing[:, 0, 0])

    def only(self, passed: Tensor) -> LowMasks:
        """The same masks, without the quality of those that do not pass."""
        return LowMasks(self.logits, self.quality.masked_fill(~passed, -torch.inf))

    def select(self, keep: Tensor) -> LowMasks:
        """Some of them, by boolean mask or by indices."""
        return LowMasks(self.logits[keep], self.quality[keep])

    def best(self, most: int, threshold: float, iou: float) -> LowMasks:
        """At most so many, in their order: those that repeat a better one leave first.

        One large thing may have more good masks than that, and the others but a few.

        Args:
            most: so many.
            threshold: of the logits.
            iou: from which on a mask repeats another.
        """
        if len(self.quality) <= most:
            return self
        order = self.quality.argsort(descending=True, stable=True)
        inside = self.logits[order, ::4, ::4] > threshold
        repeats = (mask_iou(inside, inside) > iou).triu(1).any(0)
        last = repeats | (self.quality[order] == -torch.inf)
        return self.select(order[last.byte().argsort(stable=True)[:most]].sort().values)

    def to(self, device: torch.device) -> LowMasks:
        """The same masks on a device."""
        return LowMasks(self.logits.to(device), self.quality.to(device))


def join(*parts: LowMasks) -> LowMasks:
    """All of them, in their order."""
    return LowMasks(
        torch.cat([part.logits for part in parts]), torch.cat([part.quality for part in parts])
    )


def point_grid(side: int) -> Tensor:
    """Point prompts, evenly spaced: float32 (side * side, 2), XY as shares of the picture."""
    steps = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2)
