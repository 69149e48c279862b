"""Which ones: as many distinct things as the words ask for, and what is a thing at all."""

from __future__ import annotations

import torch
from torch import Tensor

from ..seeing.proposals import mask_boxes
from ..values import Expression, Proposals
from .layout import Layout, same_object

LEAST_OF_ALL, LEAST_OF_NUMBER = 0.5, 0.1
"""Chance of being meant from which a thing is one of "all the cups", or of "three cups": where the
words say that there are three, a doubtful third is better than none."""

LARGEST_THING, BORDERS = 0.5, 3
"""What covers more of the picture, or reaches so many of its borders, is ground and no thing."""
CLEARLY_OFF = -0.25
"""What has so small a score by the ground's attention is a thing of any size."""
DOUBTFUL_SHARE, DOUBTFUL_BORDERS = 0.2, 2
"""From here on it may be either, such as a wall or a sofa, and attention decides."""


def pick_winners(
    expression: Expression, proposals: Proposals, ranking: Tensor, chance: Tensor, union: int
) -> Tensor:
    """The candidates that are meant, best first; each a thing of its own where several are.

    Args:
        expression: what was asked for, with its count.
        proposals: N masks.
        ranking: int64 (K,), admissible ones, best first.
        chance: float32 (N,) in [0, 1] of fitting the noun and lying where the words say.
        union: of one thing, the mask is the union of the best so many.

    Returns:
        int64 (W,), indices of proposals.
    """
    if expression.count == 1:
        return ranking[:union]
    every = expression.count == "all"
    likely = ranking[chance[ranking] >= (LEAST_OF_ALL if every else LEAST_OF_NUMBER)]
    if not len(likely):
        return likely
    layout = Layout.of(proposals)
    same = same_object(layout, layout)[likely][:, likely]
    chosen: list[int] = []
    for at in range(len(likely)):
        if not same[at, chosen].any():
            chosen.append(at)
        if not every and len(chosen) == expression.count:
            break
    return likely[chosen]


def pick_things(proposals: Proposals, ground: Tensor | None, admissible: Tensor) -> Tensor:
    """The candidates that are things rather than the ground that they stand on.

    Segment Anything's masks say where things end; the attention to stop words says what is
    ground though it has an outline, such as a wall.

    Args:
        proposals: N masks.
        ground: float32 (N,), each one's generative score by the attention to the ground's words.
        admissible: bool (N,).

    Returns:
        int64 (W,), indices of proposals.
    """
    height, width = proposals.grid_hw
    edges = torch.tensor([0.0, 0.0, width, height])
    borders = ((mask_boxes(proposals.masks).cpu() - edges).abs() <= 1).sum(1)
    things = (proposals.areas <= LARGEST_THING) & (borders < BORDERS)
    if ground is not None:
        doubtful = (proposals.areas > DOUBTFUL_SHARE) | (borders >= DOUBTFUL_BORDERS)
        things = things & ~(doubtful & (ground > 0)) | (ground < CLEARLY_OFF)
    return (things & admissible).nonzero().flatten()
