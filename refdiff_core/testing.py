"""Fakes for tests of your own: no weights, no randomness, the real interfaces.

    from refdiff_core import Models, segment
    from refdiff_core.testing import FakeAttention, FakeScorer
    result, = segment(picture, "the red cup", Models(FakeAttention()))

By default they look at colours: what is red in the picture answers "red".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .demo.scenes import COLORS
from .grid import working_grid
from .pictures.images import scale_to
from .values import AttentionMap, Expression, Image, Likeness, Proposals

HeatFunction = Callable[[Image, Expression], Tensor]
"""From a picture (H, W, 3) and an expression to a heat map float32 (H, W) in [0, 1]."""

AHEAD = 12.0
"""Log-likelihoods that a region of the very colour is ahead of one of another."""
SPREAD = 0.25
"""How far a colour may be off, as a distance in the RGB cube, before its similarity fades."""


def color_similarity(image: Image, expression: Expression) -> Tensor:
    """How much each pixel looks like the first colour that the expression names.

    Args:
        image: float32 (H, W, 3) in [0, 1].
        expression: with one of the demo's colour words, or without.

    Returns:
        float32 (H, W) in [0, 1]; all zero where no colour is named, or none is near.
    """
    named = next((word for word in expression.text.lower().split() if word in COLORS), None)
    if named is None:
        return torch.zeros(image.shape[:2])
    distance = (image - torch.tensor(COLORS[named]) / 255).norm(dim=-1)
    heat = torch.exp(-0.5 * (distance / SPREAD) ** 2)
    # Below half a per cent nothing looks like the colour, and a map may be empty.
    return heat.where(heat > 0.005, torch.zeros(()))


class FakeAttention:
    """An `AttentionSource` whose maps come from a function.

    Args:
        heat: gives the map of one expression.

    Attributes:
        calls: how often `read` was called, for tests that count passes.
    """

    def __init__(self, heat: HeatFunction = color_similarity) -> None:
        self.heat = heat
        self.calls = 0

    def read(self, image: Image, expressions: Sequence[Expression]) -> list[AttentionMap]:
        """See `AttentionSource.read`."""
        self.calls += 1
        size_hw = (image.shape[0], image.shape[1])
        heats = [_on_grid(self.heat(image, each)) for each in expressions]
        return [AttentionMap(heat, picture_hw=size_hw) for heat in heats]


class FakeScorer:
    """An `ImageTextScorer` that gives each region the mean of a map inside it.

    Args:
        heat: gives the map of one expression.
    """

    def __init__(self, heat: HeatFunction = color_similarity) -> None:
        self.heat = heat

    def score(
        self, image: Image, expressions: Sequence[Expression], proposals: Sequence[Proposals]
    ) -> list[Likeness]:
        """See `ImageTextScorer.score`; an empty mask scores 0."""
        return [
            Likeness.of(
                _mean_inside(_on_grid(self.heat(image, expression)), candidates.masks), AHEAD, AHEAD
            )
            for expression, candidates in zip(expressions, proposals, strict=True)
        ]


def _on_grid(heat: Tensor) -> Tensor:
    return scale_to(heat, working_grid((heat.shape[0], heat.shape[1])))


def _mean_inside(heat: Tensor, masks: Tensor) -> Tensor:
    flat = masks.flatten(1).float()
    return (flat @ heat.flatten()) / flat.sum(1).clamp(min=1)
