"""What travels between our nodes: the core's values for B pictures and E expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from ..refdiff_core.errors import MaskError
from ..refdiff_core.grid import fits, working_grid
from ..refdiff_core.language.lines import looked_for
from ..refdiff_core.pictures.images import scale_to, shrink
from ..refdiff_core.seeing.attention import sharpen_maps
from ..refdiff_core.values import AttentionMap, Expression, Image, Likeness, Proposals, Segmentation

Held = TypeVar("Held")


@dataclass(frozen=True)
class AttentionBatch:
    """REFDIFF_ATTENTION.

    images: B pictures, or blank ones.
    expressions: E lines.
    maps: for each picture, a map of every thing that they name, in the order of `looked_for`.
    sharpen: how far they are to follow the picture's edges; see `Settings.sharpen`.
    """

    images: tuple[Image, ...]
    expressions: tuple[Expression, ...]
    maps: tuple[tuple[AttentionMap, ...], ...]
    sharpen: float = 0

    @classmethod
    def of_masks(
        cls, masks: Tensor, pictures: Sequence[Image], expressions: Sequence[Expression] | None
    ) -> AttentionBatch:
        """Soft masks (T, H, W) as the maps of B pictures, such as a painted hint.

        As many as things serve every picture; else they are image-major. None at all, as core's
        SAM 3 gives where it finds nothing, says that there is nothing.
        """
        size_hw = (pictures[0].shape[0], pictures[0].shape[1])
        if not fits((masks.shape[1], masks.shape[2]), size_hw):
            raise MaskError(
                f"The mask for the attention is {masks.shape[2]} x {masks.shape[1]} pixels, but "
                f"the picture is {size_hw[1]} x {size_hw[0]}. Resize one of them."
            )
        if not len(masks):
            masks = masks.new_zeros(len(looked_for(expressions or ())) or 1, *masks.shape[1:])
        asked = tuple(expressions or _painted(len(masks), len(pictures)))
        count, things = len(masks), len(looked_for(asked))
        if count not in (things, things * len(pictures)):
            raise MaskError(
                f"{count} masks stand in for the attention of {things} expressions in "
                f"{len(pictures)} pictures. Give one mask per expression, for all pictures or for "
                "each, and of a list one for each of its things."
            )
        grids = [scale_to(mask.clamp(0, 1), working_grid(size_hw)) for mask in masks]
        maps = [AttentionMap(grid, picture_hw=size_hw) for grid in grids]
        rows = [maps[at : at + things] for at in range(0, count, things)]
        every = rows if len(rows) == len(pictures) else rows * len(pictures)
        return cls(tuple(pictures), asked, tuple(map(tuple, every)))

    def maps_of(self, picture: int) -> tuple[AttentionMap, ...]:
        """One map per thing."""
        return _of(self.maps, picture, "attention")

    def sharpened(self, picture: int) -> list[AttentionMap]:
        """One map per thing, with the picture's edges."""
        return sharpen_maps(self.maps_of(picture), shrink(self.images[picture]), self.sharpen)


@dataclass(frozen=True)
class ProposalBatch:
    """REFDIFF_PROPOSALS. sets: for each of B pictures, one for each thing, or one for all."""

    sets: tuple[tuple[Proposals, ...], ...]

    def sets_of(self, picture: int) -> tuple[Proposals, ...]:
        """A picture's sets; a single picture's serve every picture."""
        return self.sets[0] if len(self.sets) == 1 else _of(self.sets, picture, "proposals")

    def of(self, picture: int, count: int) -> list[Proposals]:
        """One set per expression."""
        found = self.sets_of(picture)
        if len(found) not in (1, count):
            raise MaskError(
                f"The proposals were made for {len(found)} expressions, but there are {count} "
                "here. Connect the same attention to SAM Proposals and to Fuse Masks."
            )
        return list(found) * count if len(found) == 1 else list(found)


@dataclass(frozen=True)
class PhraseScores:
    """What CLIP says of phrases and their rivals, in the pipeline's order; N regions each."""

    texts: tuple[str, ...]
    scores: tuple[Likeness, ...]


@dataclass(frozen=True)
class ScoreBatch:
    """REFDIFF_SCORES.

    images: B pictures.
    expressions: E.
    scores: for each picture, what `GivenScores` takes, and so are ``kinds``.
    """

    images: tuple[Image, ...]
    expressions: tuple[Expression, ...]
    scores: tuple[tuple[PhraseScores, ...], ...]
    kinds: tuple[str, ...]

    def of(self, picture: int) -> tuple[PhraseScores, ...]:
        """The scores of one picture."""
        return _of(self.scores, picture, "scores")


@dataclass(frozen=True)
class ResultBatch:
    """REFDIFF_CANDIDATES. results: B * E, image-major; images: B."""

    images: tuple[Image, ...]
    results: tuple[Segmentation, ...]

    @property
    def rows(self) -> list[tuple[Image, tuple[Segmentation, ...]]]:
        """Each picture with its results, one per expression."""
        each = len(self.results) // len(self.images)
        return [
            (picture, self.results[at * each : (at + 1) * each])
            for at, picture in enumerate(self.images)
        ]

    @property
    def pairs(self) -> list[tuple[Image, Segmentation]]:
        """Each result with its picture."""
        return [(picture, result) for picture, row in self.rows for result in row]


def _painted(masks: int, pictures: int) -> list[Expression]:
    """What masks show that nobody named: as many things as fall to each picture."""
    each = masks // pictures if masks % pictures == 0 else masks
    return [Expression("the painted thing")] * each


def _of(batch: tuple[Held, ...], picture: int, what: str) -> Held:
    if picture >= len(batch):
        raise MaskError(
            f"There are more pictures than the {len(batch)} that the {what} were made for. "
            "Connect the same IMAGE everywhere."
        )
    return batch[picture]


class GivenAttention:
    """An `AttentionSource` of maps that are there already."""

    def __init__(self, maps: Sequence[AttentionMap]) -> None:
        self.maps = maps

    def read(self, image: Image, expressions: Sequence[Expression]) -> list[AttentionMap]:
        """See `AttentionSource.read`."""
        return list(self.maps)


class GivenProposals:
    """A `MaskProposer` of sets that are there already, one per expression."""

    def __init__(self, sets: Sequence[Proposals]) -> None:
        self.sets = sets

    def propose(self, image: Image, attention: Sequence[AttentionMap | None]) -> list[Proposals]:
        """See `MaskProposer.propose`."""
        return list(self.sets)


class GivenScores:
    """An `ImageTextScorer` of scores that are there already.

    Args:
        scores: of several lists of phrases; the one that is asked for is taken.
        kinds: what the CLIP that gave them was asked to tell things from.
    """

    def __init__(self, scores: Sequence[PhraseScores], kinds: tuple[str, ...]) -> None:
        self.scores = scores
        self.kinds = kinds

    def score(
        self, image: Image, expressions: Sequence[Expression], proposals: Sequence[Proposals]
    ) -> list[Likeness]:
        """See `ImageTextScorer.score`."""
        texts = tuple(each.text for each in expressions)
        counts = [len(each) for each in proposals]
        # rules that know no rivals ask for the phrases alone, which come first
        fitting = (each for each in self.scores if each.texts[: len(texts)] == texts)
        found = next((each.scores[: len(texts)] for each in fitting), None)
        if found is None or [len(each) for each in found] != counts:
            raise MaskError(
                "CLIP scored other expressions or other candidates than these. Connect the same "
                "proposals to CLIP Score and Fuse Masks, and give CLIP Score the same expressions "
                "as Ref-Diff Attention."
            )
        return list(found)


def blank(size_hw: Sequence[int]) -> Image:
    """A grey picture, where only a size is known."""
    return torch.full((int(size_hw[0]), int(size_hw[1]), 3), 0.5)
