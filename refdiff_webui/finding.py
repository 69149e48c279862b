"""From a picture and words to candidates, and from those chosen to the host's mask."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor

from refdiff_core.choosing.fusion import finish
from refdiff_core.errors import ExpressionError, RefDiffError
from refdiff_core.language.expression import parse
from refdiff_core.pictures.images import from_pil, scale_to, shrink, to_pil
from refdiff_core.pictures.previews import overlay
from refdiff_core.pipeline import segment
from refdiff_core.settings import Settings
from refdiff_core.values import Segmentation
from refdiff_webui.models import NONE, loaded

MOST = 8
"""Candidates shown for a line."""
TILE = 512
"""Pixels of a shown candidate's longer side."""


@dataclass(frozen=True)
class Found:
    """What was found in a picture.

    image: the picture. results: the answers to its lines, negative ones among them.
    """

    image: Image.Image
    results: tuple[Segmentation, ...]

    @property
    def lines(self) -> list[Segmentation]:
        """The answers that give a mask."""
        return [each for each in self.results if not each.expression.negative]

    @cached_property
    def candidates(self) -> list[tuple[Segmentation, int]]:
        """Each line's best ones with their ranks from 0, as they are numbered in the gallery."""
        return [(line, rank) for line in self.lines for rank in range(len(line.ranking[:MOST]))]

    @property
    def first(self) -> list[int]:
        """Each line's best one, by its number in the gallery."""
        return [at for at, (line, rank) in enumerate(self.candidates, 1) if not rank and line.found]

    @property
    def message(self) -> str:
        """What was not found, and what was not understood."""
        missing = [f"Nothing found for '{r.expression.text}'." for r in self.lines if not r.found]
        notes = [note for result in self.results for note in result.expression.notes]
        return "\n".join(dict.fromkeys(missing + notes))

    def gallery(self) -> list[tuple[Image.Image, str]]:
        """The candidates over the picture, with number and score."""
        small = shrink(from_pil(self.image), TILE)
        size_hw = (small.shape[0], small.shape[1])
        several = len(self.lines) > 1
        shown = []
        for number, (line, rank) in enumerate(self.candidates, 1):
            index = int(line.ranking[rank])
            mask = scale_to(line.proposals.masks[index].cpu(), size_hw)
            words = f"  {line.expression.text}" if several else ""
            caption = f"{number}   {float(line.scores.total[index]):.3f}{words}"
            shown.append((to_pil(overlay(small, mask)), caption))
        return shown

    def mask(self, numbers: Sequence[int], shape: Settings) -> Image.Image:
        """The union of candidates in the picture's own size, mode L: white is repainted.

        What negative lines name stays out of it.

        Raises:
            RefDiffError: there are not so many candidates.
        """
        count = len(self.candidates)
        if bad := [each for each in numbers if not 1 <= each <= count]:
            raise RefDiffError(f"There is no candidate {bad[0]}: they are numbered 1 to {count}.")
        size_hw = (self.image.height, self.image.width)
        union = torch.zeros(size_hw, dtype=torch.bool)
        for number in numbers:
            union |= _candidate(*self.candidates[number - 1], size_hw)
        for each in self.results:
            if each.expression.negative and each.found:
                union &= ~_candidate(each, 0, size_hw)
        return to_pil(finish(union, shape))


def _candidate(line: Segmentation, rank: int, size_hw: tuple[int, int]) -> Tensor:
    return line.proposals.draw(int(line.ranking[rank]), size_hw)


def find(image: Image.Image | None, words: str, sam: str = NONE, clip: str = NONE) -> Found:
    """Candidates for every line of words.

    Raises:
        RefDiffError: no picture, no words, or a checkpoint that cannot be asked.
    """
    if image is None:
        raise RefDiffError("There is no picture. Put one into this tab first.")
    lines = [parse(line) for line in words.splitlines() if line.strip()]
    if not lines:
        raise ExpressionError("Say which thing is meant, such as 'the red cup on the left'.")
    with loaded(sam, clip) as models:
        results = segment(shrink(from_pil(image)), lines, models)
    return Found(image.convert("RGB"), tuple(results))


def read_numbers(text: str) -> list[int]:
    """Numbers of candidates, such as "1" or "1, 3"."""
    return [int(each) for each in re.findall(r"\d+", text)]
