"""The vocabulary of the pipeline: frozen values that the steps hand to one another.

    Expression -> AttentionMap -> Proposals -> Scores -> Segmentation

Frames: (H, W) is the picture's grid in pixels, (h, w) a grid of attention; boxes are
XYXY in pixels, the right and bottom edges exclusive. Shapes are checked on construction.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from .errors import MaskError
from .words import Expression as Expression
from .words import Order as Order
from .words import Relation as Relation
from .words import Word as Word

Image = Tensor
"""A picture: float32 (H, W, 3), RGB, in [0, 1]."""


@dataclass(frozen=True)
class AttentionMap:
    """Where the words of one expression are.

    heat: float32 (H, W) in [0, 1], the picture's grid; all zero where there was nothing to see.
    words: the G words that were read.
    word_maps: float32 (G, h, w), each word's attention before any stretching to [0, 1].
    competing: words of different things compete for every place; see `AttentionSettings`.
    """

    heat: Tensor
    words: tuple[Word, ...] = ()
    word_maps: Tensor = field(default_factory=lambda: torch.zeros(0, 1, 1))
    competing: bool = False

    def __post_init__(self) -> None:
        if self.heat.ndim != 2:
            raise ValueError(f"heat must be (H, W), got {tuple(self.heat.shape)}")
        if self.word_maps.ndim != 3 or len(self.word_maps) != len(self.words):
            raise ValueError(
                f"word_maps must be (G, h, w) with G = {len(self.words)} words, "
                f"got {tuple(self.word_maps.shape)}"
            )

    @property
    def size_hw(self) -> tuple[int, int]:
        """The picture's size."""
        return self.heat.shape[0], self.heat.shape[1]


@dataclass(frozen=True)
class Proposals:
    """Candidate masks for one picture; N may be 0.

    masks: bool (N, H, W), the picture's grid.
    quality: float32 (N,), the proposer's own estimate in [0, 1].
    """

    masks: Tensor
    quality: Tensor

    def __post_init__(self) -> None:
        if self.masks.ndim != 3 or self.masks.dtype != torch.bool:
            raise MaskError(
                f"Proposals must be boolean masks (N, H, W); got {tuple(self.masks.shape)} "
                f"of {self.masks.dtype}. Compare soft masks with a threshold first."
            )
        if self.quality.shape != self.masks.shape[:1]:
            raise ValueError(f"{len(self.masks)} masks but {tuple(self.quality.shape)} qualities")

    @classmethod
    def of(cls, masks: Tensor) -> Proposals:
        """Masks from outside, all of quality 1."""
        return cls(masks, torch.ones(len(masks)))

    def __len__(self) -> int:
        return len(self.masks)

    @property
    def size_hw(self) -> tuple[int, int]:
        """The picture's size."""
        return self.masks.shape[1], self.masks.shape[2]

    @property
    def areas(self) -> Tensor:
        """float32 (N,): the share of the picture that each mask covers, in [0, 1]."""
        return (
            self.masks.flatten(1).sum(1) / self.masks[:1].numel() if len(self) else torch.zeros(0)
        )

    def select(self, keep: Tensor) -> Proposals:
        """The proposals that ``keep`` names, by boolean mask or by indices."""
        return replace(self, masks=self.masks[keep], quality=self.quality[keep])


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
        return self.shares @ self.views

    @property
    def logits(self) -> Tensor:
        """float32 (N,): log-likelihoods, but for a constant."""
        return self.scale * self.cosine

    def __len__(self) -> int:
        return self.views.shape[1]


@dataclass(frozen=True)
class Scores:
    """One figure per proposal and term; None for a term that was not asked for.

    generative: float32 (N,) in [-1, 1], mean attention inside minus outside.
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
class Segmentation:
    """The answer to one expression, with every intermediate, so that a preview recomputes nothing.

    mask: float32 (H, W) in [0, 1]; all zero when nothing was found.
    ranking: int64 (K,), indices of the admissible proposals, best first; K may be 0.
    excluded: the answers to what the expression itself excludes.
    present: the chance, in [0, 1], that there is such a thing at all; 1 where only attention
        looked, which always sees something somewhere.
    missing: why the thing is taken not to be there, in words for the user; the mask is empty
        then. "" where it is.
    """

    expression: Expression
    mask: Tensor
    proposals: Proposals
    scores: Scores
    ranking: Tensor
    attention: AttentionMap | None = None
    excluded: tuple[Segmentation, ...] = ()
    present: float = 1.0
    missing: str = ""

    @property
    def found(self) -> bool:
        """Whether the thing is there, and any proposal was admissible and left a mask."""
        return not self.missing and len(self.ranking) > 0 and bool((self.mask > 0).any())

    @property
    def best(self) -> int | None:
        """Index of the winning proposal, None when nothing was found."""
        return int(self.ranking[0]) if len(self.ranking) else None

    @property
    def score(self) -> float | None:
        """The winner's total score."""
        return None if self.best is None else float(self.scores.total[self.best])
