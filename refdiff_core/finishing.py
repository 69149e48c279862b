"""The shape of a mask that inpainting is handed: filled, grown, feathered, inverted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .grid import CELLS_AT_ONCE, box_sum
from .settings import Settings


@dataclass(frozen=True)
class Finish:
    """`finish` by these settings, and where a mask has to be drawn for it."""

    settings: Settings = Settings()

    def __call__(self, mask: Tensor) -> Tensor:
        """See `finish`."""
        return finish(mask, self.settings)

    @property
    def reach(self) -> int:
        """Pixels around a mask that may be changed, or that say where it ends."""
        return 1 + max(0, self.settings.grow) + 2 * (max(0, self.settings.feather) // 2)

    @property
    def plain(self) -> bool:
        """Whether a mask stays as it is."""
        look = self.settings
        return not (look.fill or look.grow or look.feather or look.invert)

    @property
    def outside(self) -> float:
        """What is farther than that from any mask."""
        return float(self.settings.invert)


def finish(mask: Tensor, settings: Settings) -> Tensor:
    """Fill, grow, feather and invert a mask, in this order.

    Args:
        mask: bool (H, W), on the CPU.
        settings: its last four fields.

    Returns:
        float32 (H, W) in [0, 1]. An empty mask stays empty (all one when inverted).
    """
    if settings.fill:
        mask = _fill_holes(mask)
    soft = feather(grow(mask, settings.grow).float(), settings.feather)
    return 1 - soft if settings.invert else soft


def grow(mask: Tensor, pixels: int) -> Tensor:
    """Grow a mask bool (H, W), on the CPU, by a disc of that radius; negative values shrink it."""
    if not pixels or not mask.any():
        return mask
    if pixels < 0:
        return ~grow(~mask, -pixels)
    return torch.from_numpy(_dilate(mask.numpy(), pixels))


def _dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    """Every pixel of the mask's edge made a disc, a row of all discs at a time."""
    height, width = mask.shape
    rows, columns = np.nonzero(mask & ~_inner(mask))
    # one more where a row of a disc begins, one less behind its end
    changes = np.zeros((height, width + 1), np.int32)
    for down in range(-radius, radius + 1):
        across = math.isqrt(radius**2 - down**2)
        there = (rows + down >= 0) & (rows + down < height)
        line, middle = (rows[there] + down) * (width + 1), columns[there]
        np.add.at(changes.reshape(-1), line + np.maximum(middle - across, 0), 1)
        np.add.at(changes.reshape(-1), line + np.minimum(middle + across + 1, width), -1)
    np.cumsum(changes, 1, out=changes)
    grown: np.ndarray = mask | (changes[:, :-1] > 0)
    return grown


def _inner(mask: np.ndarray) -> np.ndarray:
    """What of a mask has more of it on all four sides, or the picture's edge."""
    inner: np.ndarray = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    return inner


def feather(mask: Tensor, pixels: int) -> Tensor:
    """Fade a mask's edge out over ``pixels`` to each side: two box blurs, a triangular ramp.

    Args:
        mask: float32 (H, W), of 0 and 1.
        pixels: the ramp's width.
    """
    if pixels <= 0:
        return mask
    radius, height = pixels // 2, mask.shape[0]
    soft, halo = torch.empty_like(mask), 2 * radius
    band = max(1, CELLS_AT_ONCE // 4 // max(1, mask.shape[1]))
    for top in range(0, height, band):
        first, last = max(0, top - halo), min(height, top + band + halo)
        # sums of ones and zeros are exact: far from an edge it is 0 or 1
        sums = box_sum(box_sum(mask[None, first:last], radius), radius)[0]
        part = sums[top - first : top - first + band] / (2 * radius + 1) ** 4
        soft[top : top + band] = part
    return soft


def _fill_holes(mask: Tensor) -> Tensor:
    """With all that a mask encloses: parts of its outside that do not touch the border."""
    from scipy.ndimage import label

    parts, count = label(~mask.numpy())
    open_ = np.zeros(count + 1, bool)
    for border in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        open_[border] = True
    open_[0] = False  # the mask itself
    return torch.from_numpy(~open_[parts])
