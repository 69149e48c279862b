"""From a picture and words to candidates, and from those chosen to the host's mask."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image

from refdiff_core.choosing.fusion import finish
from refdiff_core.errors import ExpressionError, RefDiffError
from refdiff_core.language.expression import parse
from refdiff_core.pictures.images import from_pil, scale_to, shrink, to_pil
from refdiff_core.pictures.previews import overlay
from refdiff_core.pipeline import segment
from refdiff_core.settings import Settings
from refdiff_core.values import Drawing, Segmentation
from refdiff_webui.models import NONE, loaded

MOST = 8
"""Candidates shown for a line."""
TILE = 512
"""Pixels of a shown candidate's longer side."""


@dataclass(frozen=True)
class Candidate:
    """A mask that may be chosen. line: whose answer. score: None for the rest of a picture."""

    line: Segmentation
    drawing: Drawing
    score: float | None
    meant: bool


@dataclass(frozen=True)
class Found:
    """What was found in a picture: the answers to its lines, and what there is to choose from.

    candidates: each line's best ones, those that are meant first, numbered from 1 in the gallery.
    """

    image: Image.Image
    results: tuple[Segmentation, ...]
    candidates: tuple[Candidate, ...]

    @property
    def first(self) -> list[int]:
        """The numbers of those that are meant."""
        return [number for number, each in enumerate(self.candidates, 1) if each.meant]

    @property
    def message(self) -> str:
        """What was not found, and what was not understood."""
        missing = [
            f"Nothing found for '{r.expression.text}'. {r.missing}".strip()
            for r in self.results
            if not r.found
        ]
        notes = [note for result in self.results for note in result.expression.notes]
        return "\n".join(dict.fromkeys(missing + notes))

    def gallery(self) -> list[tuple[Image.Image, str]]:
        """The candidates over the picture, with number and score."""
        picture = from_pil(self.image)
        small = shrink(picture, TILE)
        size_hw = (small.shape[0], small.shape[1])
        shown = []
        for number, each in enumerate(self.candidates, 1):
            mask = scale_to(each.drawing.draw() > 0.5, size_hw)
            score = "" if each.score is None else f"{each.score:.3f}"
            words = each.line.expression.text if len(self.results) > 1 else ""
            shown.append((to_pil(overlay(small, mask)), f"{number}   {score}   {words}".strip()))
        return shown

    def mask(self, numbers: Sequence[int], shape: Settings) -> Image.Image:
        """The union of candidates in the picture's own size, mode L: white is repainted.

        Raises:
            RefDiffError: there are not so many candidates.
        """
        count = len(self.candidates)
        if bad := [each for each in numbers if not 1 <= each <= count]:
            raise RefDiffError(f"There is no candidate {bad[0]}: they are numbered 1 to {count}.")
        union = torch.zeros(self.image.height, self.image.width, dtype=torch.bool)
        for number in numbers:
            union |= self.candidates[number - 1].drawing.draw() > 0.5
        return to_pil(finish(union, shape))


def candidates_of(line: Segmentation) -> list[Candidate]:
    """What may be chosen for a line; of the rest of a picture, that alone."""
    if line.drawing.whole:
        return [Candidate(line, line.drawing, None, line.found)]
    meant = line.winners.tolist() if line.found else []
    order = list(dict.fromkeys([*meant, *line.ranking.tolist()]))
    drawn = [
        replace(line.drawing, winners=line.proposals.select(torch.tensor([index])))
        for index in order[: max(MOST, len(meant))]
    ]
    return [
        Candidate(line, drawing, float(line.scores.total[index]), index in meant)
        for index, drawing in zip(order, drawn, strict=False)
    ]


def find(
    image: Image.Image | None, words: str, presence: float, sam: str = NONE, clip: str = NONE
) -> Found:
    """Candidates for every line of words; ``presence`` is `Settings.min_present`.

    Raises:
        RefDiffError: no picture, no words, or a checkpoint that cannot be asked.
    """
    if image is None:
        raise RefDiffError("There is no picture. Put one into this tab first.")
    lines = [parse(line) for line in words.splitlines() if line.strip()]
    if not lines:
        raise ExpressionError("Say which thing is meant, such as 'the red cup on the left'.")
    with loaded(sam, clip) as models:
        settings = replace(models.settings, min_present=presence)
        results = segment(from_pil(image), lines, models, settings)
    candidates = [each for line in results for each in candidates_of(line)]
    return Found(image.convert("RGB"), tuple(results), tuple(candidates))


def read_numbers(text: str) -> list[int]:
    """Numbers of candidates, such as "1" or "1, 3"."""
    return [int(each) for each in re.findall(r"\d+", text)]
