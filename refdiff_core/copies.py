"""What models say of a copy of a picture, as of the picture itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from .errors import MaskError
from .grid import working_grid
from .protocols import AttentionSource, MaskProposer
from .seeing.phrases import as_read
from .values import AttentionMap, Expression, Image, Proposals


def read_maps(
    seen: Image, size_hw: tuple[int, int], asked: Sequence[Expression], source: AttentionSource
) -> list[AttentionMap]:
    """Maps of a picture from a copy of it that may be smaller; see `AttentionSource.read`.

    Args:
        seen: the copy, from `refdiff_core.pictures.images.shrink`.
        size_hw: the picture's own size.
        asked: E expressions.
        source: reads them.

    Raises:
        MaskError: the maps lie on another grid than the picture's.
    """
    return [_of_size(each, size_hw) for each in source.read(seen, [as_read(e) for e in asked])]


def propose_masks(
    seen: Image,
    size_hw: tuple[int, int],
    attention: Sequence[AttentionMap | None],
    proposer: MaskProposer,
) -> list[Proposals]:
    """Candidates for a picture from a copy of it that may be smaller; see `MaskProposer.propose`.

    Args:
        seen: the copy, from `refdiff_core.pictures.images.shrink`.
        size_hw: the picture's own size.
        attention: E maps, or None for each that is not there.
        proposer: looks for them.

    Raises:
        MaskError: the masks lie on another grid than the picture's.
    """
    found = proposer.propose(seen, attention)
    # each set once: many expressions mostly share one
    sized = {id(each): _of_size(each, size_hw) for each in found}
    return [sized[id(each)] for each in found]


Seen = TypeVar("Seen", AttentionMap, Proposals)


def _of_size(found: Seen, size_hw: tuple[int, int]) -> Seen:
    if found.size_hw == size_hw:
        return found
    if found.grid_hw != working_grid(size_hw):
        raise MaskError(
            f"Masks of {found.size_hw[1]} x {found.size_hw[0]} pixels do not fit a picture of "
            f"{size_hw[1]} x {size_hw[0]}. Give masks of the picture's size."
        )
    return found.of_size(size_hw)
