"""The vocabulary of the pipeline: frozen values that the steps hand to one another.

    Expression -> AttentionMap -> Proposals -> Scores -> Segmentation

Frames: (H, W) is the picture's size in pixels, (h, w) a working grid (`refdiff_core.grid`) or one
of attention; boxes are XYXY, the right and bottom edges exclusive. Maps and masks lie where the
models are, figures about them on the CPU. Shapes are checked on construction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from .candidates import Proposals as Proposals
from .finishing import Finish
from .grid import blank
from .windows import everywhere
from .words import Expression as Expression
from .words import Order as Order
from .words import Relation as Relation
from .words import Word as Word

Image = Tensor
"""A picture: float32 (H, W, 3), RGB, in [0, 1]."""


@dataclass(frozen=True)
class AttentionMap:
    """Where the words of one expression are.

    heat: float32 (h, w) in [0, 1], the working grid; all zero where there was nothing to see.
    words: the G words that were read.
    word_maps: float32 (G, h', w'), each word's attention before any stretching to [0, 1]; where
        `AttentionSettings.even`, its mean over the places is about 1.
    competing: words of different things compete for every place; see `AttentionSettings`.
    picture_hw: the picture's size; None where that is the grid's own.
    ground: how much attention there is where the heat is 0, in units of its range: how little the
        map says; float32 (). Of maps from elsewhere nothing is known.
    """

    heat: Tensor
    words: tuple[Word, ...] = ()
    word_maps: Tensor = field(default_factory=lambda: torch.zeros(0, 1, 1))
    competing: bool = False
    picture_hw: tuple[int, int] | None = None
    ground: Tensor = field(default_factory=lambda: torch.tensor(0.1))

    def __post_init__(self) -> None:
        if self.heat.ndim != 2:
            raise ValueError(f"heat must be (h, w), got {tuple(self.heat.shape)}")
        if self.word_maps.ndim != 3 or len(self.word_maps) != len(self.words):
            raise ValueError(
                f"word_maps must be (G, h, w) with G = {len(self.words)} words, "
                f"got {tuple(self.word_maps.shape)}"
            )

    def of_size(self, size_hw: tuple[int, int]) -> AttentionMap:
        """The same map for a picture of another size."""
        return replace(self, picture_hw=size_hw)

    @property
    def grid_hw(self) -> tuple[int, int]:
        """The working grid's size."""
        return self.heat.shape[0], self.heat.shape[1]

    @property
    def size_hw(self) -> tuple[int, int]:
        """The picture's size."""
        return self.picture_hw or self.grid_hw


@dataclass(frozen=True)
class Likeness:
    """How much each of N regions looks like one text, to a model of pictures and words.

    views: float32 (V, N), cosines, a row for each way of looking at a region. How far the rows
        agree says how far they can be trusted.
    shares: float32 (V,), what each view counts for; they add up to 1.
    scale: what makes log-likelihoods of cosines; CLIP's own, of about 100.
    gap: log-likelihoods that the right region is ahead of others, about: CLIP's few hundredths.
    """

    views: Tensor
    shares: Tensor
    scale: float = 100.0
    gap: float = 3.0

    def __post_init__(self) -> None:
        if self.views.ndim != 2 or self.shares.shape != self.views.shape[:1]:
            raise ValueError(
                f"views must be (V, N) and shares (V,), got {tuple(self.views.shape)} and "
                f"{tuple(self.shares.shape)}"
            )

    @classmethod
    def of(cls, cosines: Tensor, scale: float = 100.0, gap: float = 3.0) -> Likeness:
        """Of float32 (N,): one view."""
        return cls(cosines[None], torch.ones(1), scale, gap)

    @property
    def cosine(self) -> Tensor:
        """float32 (N,): the mean over the views."""
        return self.shares.to(self.views.device) @ self.views

    @property
    def logits(self) -> Tensor:
        """float32 (N,): log-likelihoods, but for a constant."""
        return self.scale * self.cosine

    def __len__(self) -> int:
        return self.views.shape[1]


@dataclass(frozen=True)
class Scores:
    """One figure per proposal and term; None for a term that was not asked for.

    generative: float32 (N,), how lit each is: `refdiff_core.choosing.scoring.lit_score`; of cuts of
        a map, and with "sum", in [-1, 1], mean attention inside minus outside.
    discriminative: float32 (N,), cosine of each proposal and the words, CLIP's view.
    match: float32 (N,) in [0, 1], the chance that each is a thing of the kind that is named.
    spatial: float32 (N,) in [0, 1], geometry against the words.
    excluded: float32 (N,) in [0, 1], the chance of being what a negative line names.
    total: float32 (N,), what the ranking uses; -inf for rejected proposals.
    """

    total: Tensor
    generative: Tensor | None = None
    discriminative: Tensor | None = None
    match: Tensor | None = None
    spatial: Tensor | None = None
    excluded: Tensor | None = None

    def of(self, index: int) -> dict[str, float]:
        """The terms of one proposal by name, for tables and records."""
        terms = {
            "generative": self.generative,
            "discriminative": self.discriminative,
            "match": self.match,
            "spatial": self.spatial,
            "excluded": self.excluded,
        }
        return {name: float(term[index]) for name, term in terms.items() if term is not None}


@dataclass(frozen=True)
class Drawing:
    """What a mask is made of, until somebody asks for it at the picture's size.

    winners: the masks it is the union of. without: what is taken out of it.
    finish: what shapes it, from bool (H, W) to float32 (H, W) in [0, 1].
    whole: it is of the whole picture, whatever the winners.
    """

    winners: Proposals
    without: tuple[Proposals, ...] = ()
    finish: Finish = Finish()
    whole: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing is left of it on the working grid, before it is shaped."""
        left = self.winners.masks.any(0).cpu() | self.whole
        for each in self.without:
            left &= ~each.masks.any(0).cpu()
        return not bool(left.any())

    def draw(self) -> Tensor:
        """The mask, float32 (H, W) in [0, 1]."""
        size_hw = self.winners.size_hw
        # elsewhere nothing can be, so that nothing has to be drawn
        if self.whole:
            window, part = everywhere(size_hw), torch.ones(size_hw, dtype=torch.bool)
        else:
            window = self.winners.window(self.finish.reach)
            part = self.winners.union(window)
        for each in self.without:
            part = part & ~each.union(window)
        if window == everywhere(size_hw):
            return self.finish(part)
        drawn = torch.ones(size_hw) if self.finish.outside else blank(*size_hw)
        if part.numel():
            # as bytes: booleans take torch three times as long
            drawn[window] = part.view(torch.uint8) if self.finish.plain else self.finish(part)
        return drawn

    def draw_each(self) -> Iterator[Tensor]:
        """The mask of each winner by itself, float32 (H, W); the whole one where there is none."""
        if self.whole or not len(self.winners):
            yield self.draw()
            return
        for index in self.winners.indices:
            yield replace(self, winners=self.winners.select(torch.tensor([index]))).draw()


@dataclass(frozen=True)
class Segmentation:
    """The answer to one expression, with every intermediate, so that a preview recomputes nothing.

    proposals, scores: what there was to choose from. drawing: the mask to be.
    ranking: int64 (K,), indices of the admissible proposals, best first; K may be 0.
    winners: int64 (W,), those that are meant, as many distinct things as the words ask for. None of
        the rest of a picture.
    excluded: the answers to what the expression itself excludes.
    present: the chance, in [0, 1], that there is such a thing at all; None where nobody can tell:
        attention alone always sees something somewhere.
    missing: why the thing is taken not to be there, in words for the user; the mask is empty
        then. "" where it is.
    """

    expression: Expression
    drawing: Drawing
    proposals: Proposals
    scores: Scores
    ranking: Tensor
    attention: AttentionMap | None = None
    winners: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    excluded: tuple[Segmentation, ...] = ()
    present: float | None = None
    missing: str = ""

    @property
    def mask(self) -> Tensor:
        """float32 (H, W) in [0, 1], all zero when nothing was found; drawn anew at every call."""
        return self.drawing.draw()

    @property
    def found(self) -> bool:
        """Whether what is meant is there, and a proposal or the picture's rest left a mask."""
        there = len(self.ranking) > 0 or self.drawing.whole
        return not self.missing and there and not self.drawing.empty

    @property
    def several(self) -> bool:
        """Whether the words ask for several things, each of which has a mask of its own."""
        return (self.expression.count != 1 or len(self.expression.things) > 1) and bool(
            len(self.drawing.winners)
        )

    @property
    def chosen(self) -> list[int]:
        """Indices of the proposals that are meant; of the rest of a picture, those left out."""
        parts = self.excluded if self.expression.region == "picture" else (self,)
        return [index for each in parts for index in each.winners.tolist()]

    @property
    def best(self) -> int | None:
        """Index of the winning proposal, None when nothing was found."""
        return int(self.ranking[0]) if len(self.ranking) else None

    @property
    def score(self) -> float | None:
        """The winner's total score."""
        return None if self.best is None else float(self.scores.total[self.best])
