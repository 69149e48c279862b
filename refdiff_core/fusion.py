"""From scores to a ranking, and from the winner to a mask that inpainting can use."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .proposals import within_limits
from .settings import Settings
from .values import AttentionMap, Expression, Proposals, Scores, Segmentation


def fuse(
    expression: Expression,
    attention: AttentionMap | None,
    proposals: Proposals,
    generative: Tensor | None,
    discriminative: Tensor | None,
    settings: Settings,
) -> Segmentation:
    """Rank the proposals and make the mask.

    total = alpha * generative + (1 - alpha) * discriminative, or the one term that is there.
    Rejected proposals get -inf, never 0, or one of them could win among negative scores
    (METHOD.md 1c.5).

    Args:
        expression: what was asked for.
        attention: its map, kept in the result.
        proposals: N masks.
        generative: float32 (N,) or None. discriminative: float32 (N,) or None.
        settings: limits, weights and the shape of the mask.

    Source: METHOD.md 1a [KR], s_i = alpha s_i^G + (1 - alpha) s_i^D.
    """
    admissible = within_limits(proposals, settings.smallest, settings.largest)
    total = _weigh(generative, discriminative, settings.alpha, len(proposals))
    total = total.masked_fill(~admissible, -torch.inf)
    # stable, so that equal scores keep the proposals' order whatever the sort
    order = total.argsort(descending=True, stable=True)
    ranking = order[: int(admissible.sum())]
    winners = proposals.masks[ranking[: settings.union]]
    return Segmentation(
        expression=expression,
        mask=finish(winners.any(0), settings),
        proposals=proposals,
        scores=Scores(total=total, generative=generative, discriminative=discriminative),
        ranking=ranking,
        attention=attention,
    )


def _weigh(
    generative: Tensor | None, discriminative: Tensor | None, alpha: float, count: int
) -> Tensor:
    if generative is not None and discriminative is not None:
        return alpha * generative + (1 - alpha) * discriminative
    for only in (generative, discriminative):
        if only is not None:
            return only
    return torch.zeros(count)


def finish(mask: Tensor, settings: Settings) -> Tensor:
    """Fill, grow, feather and invert a mask, in this order.

    Args:
        mask: bool (H, W).
        settings: its last four fields.

    Returns:
        float32 (H, W) in [0, 1]. An empty mask stays empty (all one when inverted).
    """
    if settings.fill:
        mask = _fill_holes(mask)
    soft = grow(mask.float(), settings.grow)
    soft = feather(soft, settings.feather)
    return 1 - soft if settings.invert else soft


def grow(mask: Tensor, pixels: int) -> Tensor:
    """Grow a mask (H, W) by a disc of that radius; negative values shrink it."""
    if not pixels or not mask.any():
        return mask
    if pixels < 0:
        return 1 - grow(1 - mask, -pixels)
    from scipy.ndimage import distance_transform_edt

    distance = torch.from_numpy(distance_transform_edt((mask < 0.5).numpy()))
    return (distance <= pixels).float()


def feather(mask: Tensor, pixels: int) -> Tensor:
    """Fade a mask's edge out over ``pixels`` to each side: two box blurs, a triangular ramp."""
    if pixels <= 0:
        return mask
    side = pixels + 1 - pixels % 2  # odd, so that the blur is centred
    soft = mask[None, None]
    for _ in range(2):
        padded = F.pad(soft, [side // 2] * 4, mode="replicate")
        soft = F.avg_pool2d(padded, side, stride=1)
    return soft[0, 0].clamp(0, 1)


def _fill_holes(mask: Tensor) -> Tensor:
    from scipy.ndimage import binary_fill_holes

    return torch.from_numpy(binary_fill_holes(mask.numpy()))
