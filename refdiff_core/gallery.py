"""What was found in a picture, numbered over all lines, to be chosen from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .errors import RefDiffError
from .finishing import finish
from .pictures.images import scale_to, shrink
from .pictures.previews import overlay
from .settings import Settings
from .values import Drawing, Image, Segmentation

MOST = 8
"""Candidates of a line, unless it means more."""
TILE = 512
"""Pixels of a tile's longer side."""


@dataclass(frozen=True)
class Candidate:
    """A mask that may be chosen.

    caption: its score, the chance that there is such a thing, and of several lines the words.
    """

    drawing: Drawing
    caption: str
    meant: bool


@dataclass(frozen=True)
class Gallery:
    """Candidates in one picture, each line's best ones, those that are meant first.

    image: the picture, float32 (H, W, 3).
    candidates: numbered from 1.
    message: what was not found, and what was not understood; "" where there is nothing to say.
    """

    image: Image
    candidates: tuple[Candidate, ...]
    message: str

    @classmethod
    def of(cls, image: Image, results: Sequence[Segmentation]) -> Gallery:
        """Of the answers to one picture's lines."""
        several = len(results) > 1
        found = [each for result in results for each in _candidates(result, several)]
        said = [text for result in results for text in _to_say(result)]
        return cls(image, tuple(found), "\n".join(dict.fromkeys(said)))

    @property
    def meant(self) -> list[int]:
        """The numbers of those that the words mean."""
        return [number for number, each in enumerate(self.candidates, 1) if each.meant]

    def tiles(self) -> list[tuple[Image, str]]:
        """The candidates over a small copy of the picture, with number and caption."""
        small = shrink(self.image, TILE)
        size_hw = (small.shape[0], small.shape[1])
        masks = [scale_to(each.drawing.draw() > 0.5, size_hw) for each in self.candidates]
        captions = [f"{at}   {each.caption}" for at, each in enumerate(self.candidates, 1)]
        return [(overlay(small, mask), text) for mask, text in zip(masks, captions, strict=True)]

    def mask(self, numbers: Sequence[int], shape: Settings = Settings()) -> Tensor:
        """The union of candidates in the picture's own size, float32 (H, W) in [0, 1].

        Args:
            numbers: of candidates.
            shape: how it is grown, feathered, filled, inverted.

        Raises:
            RefDiffError: there are not so many candidates.
        """
        count = len(self.candidates)
        if bad := [each for each in numbers if not 1 <= each <= count]:
            raise RefDiffError(f"There is no candidate {bad[0]}: they are numbered 1 to {count}.")
        union = torch.zeros(self.image.shape[:2], dtype=torch.bool)
        for number in numbers:
            union |= self.candidates[number - 1].drawing.draw() > 0.5
        return finish(union, shape)


def _candidates(result: Segmentation, several: bool) -> list[Candidate]:
    """What may be chosen for a line; of the rest of a picture, that alone."""
    there = "" if result.present is None else f"   there {result.present:.2f}"
    words = there + (f"   {result.expression.text}" if several else "")
    if result.drawing.whole:
        return [Candidate(result.drawing, words.strip(), result.found)]
    meant = result.winners.tolist() if result.found else []
    order = list(dict.fromkeys([*meant, *result.ranking.tolist()]))[: max(MOST, len(meant))]

    def candidate(index: int) -> Candidate:
        alone = result.proposals.select(torch.tensor([index]))
        score = float(result.scores.total[index])
        return Candidate(
            replace(result.drawing, winners=alone), f"{score:.3f}{words}", index in meant
        )

    return [candidate(index) for index in order]


def _to_say(result: Segmentation) -> list[str]:
    missing = f"Nothing found for '{result.expression.text}'. {result.missing}".strip()
    return [*([] if result.found else [missing]), *result.expression.notes]
