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
class Scores:
    """One figure per proposal and term; None for a term that was not asked for.

    generative: float32 (N,) in [-1, 1], mean attention inside minus outside.
    discriminative: float32 (N,), CLIP's view of each proposal.
    spatial: float32 (N,) in [0, 1], geometry against the words.
    excluded: float32 (N,) in [0, 1], the chance of being what a negative line names.
    total: float32 (N,), what the ranking uses; -inf for rejected proposals.
    """

    total: Tensor
    generative: Tensor | None = None
    discriminative: Tensor | None = None
    spatial: Tensor | None = None
    excluded: Tensor | None = None

    def of(self, index: int) -> dict[str, float]:
        """The terms of one proposal by name, for tables and records."""
        terms = {
            "generative": self.generative,
            "discriminative": self.discriminative,
            "spatial": self.spatial,
            "excluded": self.excluded,
        }
        return {name: float(term[index]) for name, term in terms.items() if term is not None}


@dataclass(frozen=True)
class Segmentation:
    """The answer to one expression, with every intermediate, so that a preview recomputes nothing.

    mask: float32 (H, W) in [0, 1]; all zero when nothing was found.
    ranking: int64 (K,), indices of the admissible proposals, best first; K may be 0.
    winners: int64 (W,), those whose union the mask is before it is finished; each a thing of its
        own where several are asked for. None of a rest of the picture.
    excluded: the answers to what the expression itself excludes.
    """

    expression: Expression
    mask: Tensor
    proposals: Proposals
    scores: Scores
    ranking: Tensor
    winners: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    attention: AttentionMap | None = None
    excluded: tuple[Segmentation, ...] = ()

    @property
    def found(self) -> bool:
        """Whether any proposal was admissible and left a mask, or a rest of the picture is left."""
        some = len(self.winners) > 0 or self.expression.region is not None
        return some and bool((self.mask > 0).any())

    @property
    def chosen(self) -> list[int]:
        """Indices of the proposals that are meant; of a rest of the picture, those left out."""
        parts = self.excluded if self.expression.region == "picture" else (self,)
        return [index for each in parts for index in each.winners.tolist()]

    @property
    def objects(self) -> Tensor:
        """Bool (W, H, W): the mask of each thing that is meant, unfinished; best first."""
        return self.proposals.masks[self.winners]

    @property
    def best(self) -> int | None:
        """Index of the winning proposal, None when nothing was found."""
        return int(self.ranking[0]) if len(self.ranking) else None

    @property
    def score(self) -> float | None:
        """The winner's total score."""
        return None if self.best is None else float(self.scores.total[self.best])
