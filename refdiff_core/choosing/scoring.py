"""Scores of proposals by what they look like: pure functions, one figure per proposal.

Where they lie is `refdiff_core.choosing.spatial`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import MaskError
from ..grid import count_cells, in_parts


def generative_score(heat: Tensor, masks: Tensor, size_exponent: float = 0.0) -> Tensor:
    """Mean attention inside each mask minus the mean outside.

    s_i = (|c * M_i| / |M_i| - |c * (1 - M_i)| / |1 - M_i|) * (4 p_i (1 - p_i)) ^ size_exponent

    where p_i is the share of the picture that the mask covers. The paper's score has exponent 0:
    it always prefers a smaller cut around the map's peak, since every cut higher up has a higher
    mean. With exponent .5 the score ranks as Otsu's between-class variance does.

    Args:
        heat: float32 (h, w) in [0, 1], the working grid.
        masks: bool (N, h, w).
        size_exponent: 0 for the paper's score; see above.

    Returns:
        float32 (N,) in [-1, 1], where the masks are. Empty masks score -1; a mask of the whole
        picture has no outside, which counts as 0.

    Raises:
        MaskError: masks and heat lie on different grids.

    Source: Ref-Diff's generative score, METHOD.md 1a [KR].
    """
    if masks.shape[1:] != heat.shape:
        raise MaskError(
            f"Masks of {masks.shape[2]} x {masks.shape[1]} pixels do not fit an attention map of "
            f"{heat.shape[1]} x {heat.shape[0]}. Resize the masks to the picture's size."
        )
    if not len(masks):
        return torch.zeros(0, device=heat.device)
    inside = count_cells(masks)
    outside = heat.numel() - inside
    sum_inside = torch.cat([part.flatten(1).float() @ heat.flatten() for part in in_parts(masks)])
    sum_outside = heat.sum() - sum_inside
    score = sum_inside / inside.clamp(min=1) - sum_outside / outside.clamp(min=1)
    share = inside / heat.numel()
    score = score * (4 * share * (1 - share)) ** size_exponent
    return score.where(inside > 0, torch.full_like(score, -1.0))


def base_score(
    generative: Tensor | None, discriminative: Tensor | None, alpha: float, count: int
) -> Tensor:
    """The weighted sum of both terms, alpha of the generative one; or the one that is there.

    Returns:
        float32 (N,), N = ``count``; all zero where there is no term.

    Source: METHOD.md 1a [KR], s_i = alpha s_i^G + (1 - alpha) s_i^D.
    """
    if generative is not None and discriminative is not None:
        return alpha * generative + (1 - alpha) * discriminative
    for only in (generative, discriminative):
        if only is not None:
            return only
    return torch.zeros(count)


MATCH_BIAS, MATCH_GENERATIVE, MATCH_DISCRIMINATIVE = 3.0, 8.0, 1.0
"""Log-odds that the best proposal matches, and what falling behind it by 1 (of the generative
score) or by a factor of e (of the discriminative one) takes from them: about a logistic fit over
what the demo's objects are, on scenes that are not in the benchmark."""
MATCH_BESIDE = 3.0
"""What `MATCH_GENERATIVE` falls to as a discriminative score, which knows kinds better, takes all
the weight. With the default alpha it is 4: of 4, 8 and 16 the best on such scenes."""


def match_chance(
    generative: Tensor | None, discriminative: Tensor | None, alpha: float, admissible: Tensor
) -> Tensor:
    """How likely each proposal is a thing of the kind that the words name.

    `base_score` looks for the one that fits best; here several may match, and "second from the
    left" counts them. Both scores are taken relative to the best one, so the best always matches.

    Args:
        generative: float32 (N,) or None.
        discriminative: float32 (N,), likelihoods relative to the best, or None.
        alpha: weight of the generative score against the discriminative one, where both are there.
        admissible: bool (N,); what is not has no chance.

    Returns:
        float32 (N,) in [0, 1].
    """
    if not admissible.any():
        return torch.zeros(admissible.shape)
    both = generative is not None and discriminative is not None
    odds = torch.full(admissible.shape, MATCH_BIAS)
    if generative is not None:
        weight = alpha if both else 1.0
        steepness = MATCH_BESIDE + weight * (MATCH_GENERATIVE - MATCH_BESIDE)
        odds = odds + weight * steepness * _behind_best(generative, admissible)
    if discriminative is not None:
        weight = 1 - alpha if both else 1.0
        logarithm = discriminative.clamp(min=1e-9).log()
        odds = odds + weight * MATCH_DISCRIMINATIVE * _behind_best(logarithm, admissible)
    return odds.sigmoid() * admissible


def _behind_best(score: Tensor, admissible: Tensor) -> Tensor:
    return score - score[admissible].max()
