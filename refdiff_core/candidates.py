"""Candidate masks on the working grid, from whoever proposes them, and their drawing in full."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from hashlib import sha256

import torch
from torch import Tensor

from .errors import MaskError
from .fine import FineMasks, GridMasks, JoinedMasks, PackedMasks, pack, unpack
from .grid import bring, count_cells, in_parts, to_grid, working_grid
from .windows import Window, everywhere, widen


@dataclass(frozen=True)
class Proposals:
    """Candidate masks for one picture; N may be 0.

    masks: bool (N, h, w), the working grid.
    quality: float32 (N,), the proposer's own estimate in [0, 1].
    picture_hw: the picture's size; None where that is the grid's own.
    fine: draws them at other sizes; None where no more is known than the grid.
    """

    masks: Tensor
    quality: Tensor
    picture_hw: tuple[int, int] | None = None
    fine: FineMasks | None = None

    def __post_init__(self) -> None:
        if self.masks.ndim != 3 or self.masks.dtype != torch.bool:
            raise MaskError(
                f"Proposals must be boolean masks (N, H, W); got {tuple(self.masks.shape)} "
                f"of {self.masks.dtype}. Compare soft masks with a threshold first."
            )
        if self.quality.shape != self.masks.shape[:1]:
            raise ValueError(f"{len(self.masks)} masks but {tuple(self.quality.shape)} qualities")

    @classmethod
    def of(cls, masks: Tensor, quality: Tensor | None = None) -> Proposals:
        """Masks from outside, bool (N, H, W) of the picture's own size.

        Args:
            masks: kept as bits where they are larger than the working grid.
            quality: float32 (N,); None for 1 throughout.
        """
        if masks.ndim != 3 or masks.dtype != torch.bool:
            return cls(masks, torch.ones(len(masks)))  # which says what is wrong
        return cls.of_parts(in_parts(masks), quality)

    @classmethod
    def of_parts(cls, parts: Iterable[Tensor], quality: Tensor | None = None) -> Proposals:
        """As `of`, of a few masks (n, H, W) after the other, never all of them at their size."""
        grid, bits = list[Tensor](), list[Tensor]()
        for part in parts:
            size_hw = (part.shape[1], part.shape[2])
            grid.append(to_grid(part))
            if size_hw != working_grid(size_hw):  # else the grid is all there is to know
                bits.append(pack(part.flatten(1)).cpu())  # drawn from there
        masks = torch.cat(grid)
        fine = PackedMasks(torch.cat(bits), size_hw) if bits else None
        quality = torch.ones(len(masks)) if quality is None else quality
        return cls(masks, quality, size_hw, fine)

    def __len__(self) -> int:
        return len(self.quality)

    @property
    def whole(self) -> Proposals:
        """The set that they were chosen of; themselves where they are all of it."""
        return self

    @property
    def rows(self) -> Tensor:
        """int64 (N,), on the CPU: their indices in the whole."""
        return torch.arange(len(self))

    @property
    def device(self) -> torch.device:
        """Where the grid's masks are."""
        return self.whole.masks.device

    @property
    def grid_hw(self) -> tuple[int, int]:
        """The working grid's size."""
        return self.whole.masks.shape[1], self.whole.masks.shape[2]

    @property
    def size_hw(self) -> tuple[int, int]:
        """The picture's size."""
        return self.picture_hw or self.grid_hw

    @cached_property
    def areas(self) -> Tensor:
        """float32 (N,): the share of the picture that each mask covers, in [0, 1]."""
        return self.counts.cpu() / max(1, self.masks[:1].numel())

    @cached_property
    def counts(self) -> Tensor:
        """float32 (N,), where the masks are: how many of the grid's cells each covers."""
        return count_cells(self.masks)

    @cached_property
    def _bits(self) -> Tensor:
        """The grid's masks as bits, which is all of them that is read from a device."""
        return pack(self.masks.flatten(1)).cpu()

    def read(self) -> None:
        """Read the grid's masks from their device, for these and all that are chosen of them."""
        self._bits  # noqa: B018 - kept from now on

    @cached_property
    def digests(self) -> tuple[bytes, ...]:
        """What tells each mask on the grid from any other."""
        return tuple(sha256(row.data).digest() for row in self._bits.numpy())

    def on_cpu(self) -> Proposals:
        """The same proposals with their grid on the CPU, for whoever measures them."""
        return self if self.device.type == "cpu" else self._on_cpu

    def on(self, device: torch.device) -> Proposals:
        """The same proposals with their grid on a device, of which none is ever read back."""
        if self.device == device:
            return self
        moved = replace(self, masks=bring(self.masks, device))
        moved.__dict__["_bits"] = self._bits
        return moved

    @cached_property
    def _on_cpu(self) -> Proposals:
        cells = self.masks[:1].numel()
        return replace(self, masks=unpack(self._bits)[:, :cells].view(self.masks.shape))

    def of_size(self, size_hw: tuple[int, int]) -> Proposals:
        """The same proposals for a picture of another size, made once for all who ask."""
        known: dict[tuple[int, int], Proposals] = self.__dict__.setdefault("_sized", {})
        return known.setdefault(size_hw, replace(self, picture_hw=size_hw))

    def select(self, keep: Tensor) -> Proposals:
        """The proposals that ``keep`` names, by boolean mask or by indices."""
        return Chosen(self.whole, self.rows[keep])

    def join(self, more: Proposals) -> Proposals:
        """These proposals and then others for the same picture."""
        every = (self, more)
        places = [each._place(at) for each in every for at in each.indices]
        masks = torch.cat([each.masks.to(self.device) for each in every])
        quality = torch.cat([each.quality for each in every])
        return Proposals(masks, quality, self.picture_hw, JoinedMasks(tuple(places)))

    @property
    def indices(self) -> range:
        """From 0 to N - 1."""
        return range(len(self))

    def draw(
        self,
        index: int,
        size_hw: tuple[int, int] | None = None,
        window: Window | None = None,
    ) -> Tensor:
        """One mask at the picture's size, or another: bool (H, W) on the CPU; of a window that."""
        fine, at = self._place(index)
        return fine.draw(at, size_hw or self.size_hw, window).cpu()

    def union(self, window: Window | None = None) -> Tensor:
        """What any of these masks covers at the picture's size: bool (H, W) on the CPU.

        Args:
            window: of the picture; only that is drawn.

        Returns:
            Not to be written to: of a single mask it may be the mask itself.
        """
        down, across = window or everywhere(self.size_hw)
        size_hw = down.stop - down.start, across.stop - across.start
        if not self.indices or 0 in size_hw:
            return torch.zeros(size_hw, dtype=torch.bool)
        drawn = (self.draw(index, window=(down, across)) for index in self.indices)
        return reduce(torch.logical_or, drawn)

    def window(self, reach: int = 0) -> Window:
        """Of the picture, outside of which, but for so many pixels around, no mask has anything."""
        places = (self._place(index) for index in self.indices)
        return widen([fine.window(at, self.size_hw) for fine, at in places], reach, self.size_hw)

    def _place(self, index: int) -> tuple[FineMasks, int]:
        """What draws a mask, and by which index."""
        return self.fine or GridMasks(self.masks), index


class Chosen(Proposals):
    """Some proposals of a larger set; what is measured is measured of that, once for all.

    Their own masks are gathered where somebody reads them, and drawn by the larger set: of hundreds
    of expressions, whose candidates are mostly the same, that would be gigabytes. What `Proposals`
    makes by `dataclasses.replace` is made anew here.

    Args:
        whole: the larger set. rows: int64 (N,), on the CPU, their indices there.
    """

    def __init__(self, whole: Proposals, rows: Tensor) -> None:
        known = (("quality", whole.quality[rows]), ("picture_hw", whole.picture_hw))
        self.__dict__.update(known, _whole=whole, _rows=rows)

    @property
    def whole(self) -> Proposals:
        """See `Proposals.whole`."""
        found: Proposals = self.__dict__["_whole"]
        return found

    @property
    def rows(self) -> Tensor:
        """See `Proposals.rows`."""
        found: Tensor = self.__dict__["_rows"]
        return found

    @cached_property
    def masks(self) -> Tensor:
        """See `Proposals`."""
        return self.whole.masks[bring(self.rows, self.device)]

    @cached_property
    def counts(self) -> Tensor:
        """See `Proposals.counts`."""
        return self.whole.counts[bring(self.rows, self.device)]

    @cached_property
    def areas(self) -> Tensor:
        """See `Proposals.areas`."""
        return self.whole.areas[self.rows]

    @cached_property
    def _bits(self) -> Tensor:
        return self.whole._bits[self.rows]

    @cached_property
    def digests(self) -> tuple[bytes, ...]:
        """See `Proposals.digests`."""
        every = self.whole.digests
        return tuple(every[row] for row in self.rows.tolist())

    @cached_property
    def _on_cpu(self) -> Proposals:
        return Chosen(self.whole.on_cpu(), self.rows)

    def on(self, device: torch.device) -> Proposals:
        """See `Proposals.on`."""
        return Chosen(self.whole.on(device), self.rows)

    def of_size(self, size_hw: tuple[int, int]) -> Proposals:
        """See `Proposals.of_size`."""
        return Chosen(self.whole.of_size(size_hw), self.rows)

    def _place(self, index: int) -> tuple[FineMasks, int]:
        return self.whole._place(int(self.rows[index]))
