"""Every number of the method, with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AttentionSettings:
    """How attention is read from a diffusion model.

    timestep: where on the noise schedule, 0 to 999; None takes the family's own
        (`refdiff_core.backends.families`). The noise and the model are told the same step.
    resolution: side in pixels of the square whose area the picture is brought to; None takes
        the resolution the checkpoint was trained at.
    seed: of the noise, so that the same picture gives the same map.
    words: "content" for the mean over the words that name the thing, "root" for its noun alone,
        as in the paper.
    """

    timestep: int | None = None
    resolution: int | None = None
    seed: int = 0
    words: str = "content"


@dataclass(frozen=True)
class Settings:
    """How proposals are ranked and the winner becomes a mask.

    alpha: weight of the generative score against the discriminative one.
    sharpen: radius, in cells of the attention's own grid, in which maps follow the picture's
        edges; 0 leaves them as they are, as the paper does.
    size_exponent: how much the generative score favours masks that are neither tiny nor huge;
        0 is the paper's score. See `refdiff_core.scoring.generative_score`.
    quality_exponent: of the proposer's own estimate of a mask (SAM's predicted IoU), which the
        total is multiplied by; 0 leaves it out, as the paper does.
    spatial_weight: how much where a proposal lies may take from how well it matches, in [0, 1];
        0 leaves geometry out, as the paper does. See `refdiff_core.fusion.fuse`.
    smallest, largest: shares of the picture between which a proposal is admissible.
    union: the mask is the union of the best so many proposals.
    grow: pixels to grow the mask by; negative values shrink it.
    feather: radius in pixels over which the mask's edge fades out.
    fill: fill holes in the mask. invert: hand back everything else.
    """

    # of .1 (the paper's), .2, .3 and .5 the first two are best for choosing and for segmenting the
    # demo's scenes outside the benchmark; the larger leaves the attention more of a say
    alpha: float = 0.2
    sharpen: float = 1.5
    size_exponent: float = 0.25
    quality_exponent: float = 1.0
    # short of 1, so that among proposals that geometry rules out the better match still wins
    spatial_weight: float = 0.98
    smallest: float = 0.0005
    largest: float = 0.95
    union: int = 1
    grow: int = 0
    feather: int = 0
    fill: bool = False
    invert: bool = False


PAPER = Settings(alpha=0.1, sharpen=0, size_exponent=0, quality_exponent=0, spatial_weight=0)
"""What the paper says (METHOD.md 1a)."""
