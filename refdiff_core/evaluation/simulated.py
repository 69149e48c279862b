"""A CLIP with the statistics of a real one, on scenes whose truth is known.

The demo's own CLIP is hardly ever wrong. A real one, at its scale of 100, has the right region a
few hundredths of cosine ahead and errs by about as much. `SimulatedClip` answers as that would: it
knows what every object is, and its cosines carry an error for every region and text, seeded, so
that whatever else it is asked gets noisy answers, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..choosing.contrast import COLORS, GENERIC
from ..demo.objects import SHAPES, SceneObject
from ..demo.scenes import Scene
from ..language.parsing.counts import singular
from ..settings import KINDS
from ..values import Expression, Image, Likeness, Proposals

GAP = 0.038
"""Cosine of a likeness of 1. Over the benchmark's phrases the right objects are .03 ahead of the
wrong ones then, on average: .023 where colour or shape is right, .05 where neither is."""
BASE = 0.2
SHARES = (0.7, 0.3)
"""What the hard and the soft view count for, as in `refdiff_core.backends.clip_scorer`."""
COMMON = 0.5
"""Share of the error's variance that both views have in common, and which they cannot tell of."""
NOUN, ANYTHING, NAMELESS, COLOR, BACKGROUND = 0.7, 0.35, 0.25, 0.3, 0.05
"""Likenesses of an object: to its own noun, to one like "thing", to words without a noun; what its
own colour adds and another takes; to "background"."""


def likeness(text: str, item: SceneObject) -> float:
    """How much an object looks like a text: words add up, as in a bag. 1 for "red circle"."""
    noun, color = None, 0.0
    for word in map(singular, text.lower().replace(",", " ").split()):
        if word in SHAPES:
            noun = NOUN if word == item.shape else 0.0
        elif word in GENERIC:
            noun = ANYTHING
        elif word == "background":
            noun = BACKGROUND
        elif word in COLORS:
            color += COLOR if word == item.color else -COLOR
        elif word not in ("the", "a", "large", "small"):
            noun = 0.0
    return (NAMELESS if noun is None else noun) + color


@dataclass
class SimulatedClip:
    """An `ImageTextScorer` of one scene.

    noise: deviation of a cosine's error, the mean of both views. seed: of the errors.
    """

    scene: Scene
    noise: float
    seed: int = 0
    kinds: tuple[str, ...] = KINDS
    drawn: dict[tuple[str, object], NDArray[np.float64]] = field(default_factory=dict)

    def score(
        self, image: Image, expressions: Sequence[Expression], proposals: Sequence[Proposals]
    ) -> list[Likeness]:
        """See `ImageTextScorer.score`."""
        sets = {id(each): self._regions(each) for each in proposals}
        return [
            self._compare(each.text, candidates, sets[id(candidates)])
            for each, candidates in zip(expressions, proposals, strict=True)
        ]

    def _regions(self, proposals: Proposals) -> Tensor:
        """float32 (N, O): how much of each region shows each object, and how much of that."""
        truth = torch.from_numpy(self.scene.masks).flatten(1).float()
        masks = proposals.masks.flatten(1).float()
        shared = masks @ truth.T
        whole = (shared / truth.sum(1)).sqrt()
        return shared / masks.sum(1, keepdim=True).clamp(min=1) * whole

    def _compare(self, text: str, proposals: Proposals, shown: Tensor) -> Likeness:
        looks = torch.tensor([likeness(text, item) for item in self.scene.objects])
        ground = 0.7 if "background" in text else 0.0
        alike = shown @ looks + (1 - shown.sum(1)) * ground
        errors = torch.from_numpy(
            np.array([self._error(text, key) for key in proposals.digests])
        ).reshape(-1, 3)
        alone = (1 - COMMON) ** 0.5 / sum(share**2 for share in SHARES) ** 0.5
        views = [COMMON**0.5 * errors[:, 0] + alone * errors[:, view] for view in (1, 2)]
        cosines = BASE + GAP * alike + self.noise * torch.stack(views).float()
        return Likeness(cosines, torch.tensor(SHARES))

    def _error(self, text: str, region: object) -> NDArray[np.float64]:
        """Three standard normals that belong to a region and a text."""
        if (text, region) not in self.drawn:
            digest = hashlib.sha256(f"{self.seed} {text} {region!r}".encode()).digest()
            rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
            self.drawn[text, region] = rng.standard_normal(3)
        return self.drawn[text, region]
