"""The three seams: whatever reads attention, proposes masks or compares pictures with words.

Each may have an attribute ``device``, a torch.device: pictures are brought there first
(`refdiff_core.pipeline.Models.device`). Else they stay on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .values import AttentionMap, Expression, Image, Likeness, Proposals


class AttentionSource(Protocol):
    """A diffusion model, in whatever host, whose cross-attention can be read."""

    def read(self, image: Image, expressions: Sequence[Expression]) -> list[AttentionMap]:
        """One map per expression, from one pass over the picture.

        Args:
            image: float32 (H, W, 3), RGB, in [0, 1].
            expressions: E of them, E >= 1.

        Returns:
            E maps on the (H, W) grid.
        """
        ...


class MaskProposer(Protocol):
    """Whatever says which regions of a picture could be things."""

    def propose(self, image: Image, attention: Sequence[AttentionMap | None]) -> list[Proposals]:
        """Candidate masks for each of E expressions; encodes the picture once.

        Args:
            image: float32 (H, W, 3), RGB, in [0, 1].
            attention: E maps that may guide the search, or None where there is none.

        Returns:
            E sets of masks on the (H, W) grid; the same set E times where nothing guides it.
        """
        ...


class ImageTextScorer(Protocol):
    """A model that says how well a region fits a text, such as CLIP.

    It may have an attribute ``kinds``, names of things that it knows: whether something is a cup
    is judged against what else it could be. `refdiff_core.settings.KINDS` where it has none.
    """

    def score(
        self, image: Image, expressions: Sequence[Expression], proposals: Sequence[Proposals]
    ) -> list[Likeness]:
        """How much every proposal looks like each text.

        Args:
            image: float32 (H, W, 3), RGB, in [0, 1].
            expressions: E of them; what is asked for, and what it is told from, in one call.
            proposals: E sets, of N_e masks each, many of them the same object.

        Returns:
            E of them, of N_e regions each.
        """
        ...
