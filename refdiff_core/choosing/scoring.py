"""Scores of proposals by what they look like: pure functions, one figure per proposal.

Where they lie is `refdiff_core.choosing.spatial`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import MaskError
from ..grid import as_numbers, bring, count_cells, in_parts
from ..settings import Calibration, Settings
from ..values import Proposals
from .contrast import Compared


@dataclass(frozen=True)
class Inside:
    """What a map has in each of N masks: how many cells, and the sum of its heat in them.

    cells, heat: float32 (N,), where the masks are.
    """

    cells: Tensor
    heat: Tensor


def look_inside(heats: Sequence[Tensor], sets: Sequence[Proposals]) -> list[Inside]:
    """What each map has in the masks of its own set; masks that sets share are read once.

    Args:
        heats: float32 (h, w) each, where the masks are.
        sets: as many.

    Raises:
        MaskError: masks and heat lie on different grids.
    """
    users: dict[int, list[int]] = {}
    for index, each in enumerate(sets):
        users.setdefault(id(each.whole), []).append(index)
    found: dict[int, Inside] = {}
    for indices in users.values():
        whole = sets[indices[0]].whole
        rows = [sets[index].rows for index in indices]
        of_all = _sums([heats[index] for index in indices], whole.masks, rows)
        for index, sums, own in zip(indices, of_all, rows, strict=True):
            found[index] = Inside(sets[index].counts, sums[bring(own, whole.device)])
    return [found[index] for index in range(len(sets))]


def _sums(heats: Sequence[Tensor], masks: Tensor, rows: Sequence[Tensor] | None = None) -> Tensor:
    """The sums of L heats (h, w) in masks (N, h, w): float32 (L, N).

    ``rows``: the indices, on the CPU, of the masks that each heat is wanted of; None for all.
    """
    for heat in heats:
        if masks.shape[1:] != heat.shape:
            raise MaskError(
                f"Masks of {masks.shape[2]} x {masks.shape[1]} pixels do not fit an attention map "
                f"of {heat.shape[1]} x {heat.shape[0]}. Resize the masks to the picture's size."
            )
    sums = torch.zeros(len(heats), len(masks), device=masks.device)
    flat, last = [heat.flatten() for heat in heats], 0
    for part in in_parts(masks, at_hand=len(heats) < HEATS_AT_ONCE):
        numbers, first, last = as_numbers(part.flatten(1)), last, last + len(part)
        asking = [
            index
            for index in range(len(heats))
            if rows is None or bool(((rows[index] >= first) & (rows[index] < last)).any())
        ]
        for at in range(0, len(asking), HEATS_AT_ONCE):
            some = asking[at : at + HEATS_AT_ONCE]
            found = torch.stack([flat[index] for index in some]) @ numbers.T
            for index, row in zip(some, found, strict=True):
                sums[index, first:last] = row
    return sums


HEATS_AT_ONCE = 32
"""Maps that are summed together, 32 MiB of them on the largest grid."""


def generative_score(heat: Tensor, masks: Tensor | Inside, size_exponent: float = 0.0) -> Tensor:
    """Mean attention inside each mask minus the mean outside.

    s_i = (|c * M_i| / |M_i| - |c * (1 - M_i)| / |1 - M_i|) * (4 p_i (1 - p_i)) ^ size_exponent

    where p_i is the share of the picture that the mask covers. The paper's score has exponent 0:
    it always prefers a smaller cut around the map's peak, since every cut higher up has a higher
    mean. With exponent .5 the score ranks as Otsu's between-class variance does.

    Args:
        heat: float32 (h, w) in [0, 1], the working grid.
        masks: bool (N, h, w); or what was found inside them.
        size_exponent: 0 for the paper's score; see above.

    Returns:
        float32 (N,) in [-1, 1], where the masks are. Empty masks score -1; a mask of the whole
        picture has no outside, which counts as 0.

    Raises:
        MaskError: masks and heat lie on different grids.

    Source: Ref-Diff's generative score, METHOD.md 1a [KR].
    """
    found = _inside(heat, masks)
    inside, sum_inside = found.cells, found.heat
    outside = heat.numel() - inside
    sum_outside = heat.sum() - sum_inside
    score = sum_inside / inside.clamp(min=1) - sum_outside / outside.clamp(min=1)
    share = inside / heat.numel()
    score = score * (4 * share * (1 - share)) ** size_exponent
    return score.where(inside > 0, torch.full_like(score, -1.0))


def lit_score(heat: Tensor, masks: Tensor | Inside, ground: Tensor) -> Tensor:
    """How many times the picture's mean attention each mask has: the logarithm of it.

    l_i = log((mean of c in M_i + ground) / (mean of c + ground))

    Where the words light nothing up the ground is high, and no mask has more than any other,
    though c itself is stretched to [0, 1]: so this says how much is known, where the paper's
    difference does not.

    Args:
        heat: float32 (h, w) in [0, 1], the working grid.
        masks: bool (N, h, w); or what was found inside them.
        ground: float32 (), of the map, as `AttentionMap` has it.

    Returns:
        float32 (N,), at least -`DARKEST`, where the masks are. Empty masks have that.

    Raises:
        MaskError: masks and heat lie on different grids.
    """
    found = _inside(heat, masks)
    inside, sum_inside = found.cells, found.heat
    lit = (sum_inside / inside.clamp(min=1) + ground) / (heat.mean() + ground).clamp(min=1e-6)
    return lit.where(inside > 0, torch.zeros_like(lit)).clamp(min=math.exp(-DARKEST)).log()


DARKEST = 3.0
"""Beyond so many nats below the mean, attention tells no more."""


def _inside(heat: Tensor, masks: Tensor | Inside) -> Inside:
    if isinstance(masks, Inside):
        return masks
    return Inside(count_cells(masks), _sums([heat], masks)[0])


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


CLEAR = 4.0
"""Log-odds beyond which a region is as clearly on one side of the border as it can be."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for each of N candidates being what a noun phrase names.

    odds: float32 (N,), log-odds against the others; the ranking's.
    match: float32 (N,) in [0, 1], the chance that it is a thing of that kind; several may be.
    present: the chance that there is such a thing among them; None where nothing can tell.
    """

    odds: Tensor
    match: Tensor
    present: float | None

    @property
    def likely(self) -> Tensor:
        """float32 (N,) in [0, 1]: the best one's match, less for the others by their odds."""
        if not len(self.match):
            return self.match
        best = int(self.odds.argmax())
        return self.match[best] * (self.odds - self.odds[best]).clamp(max=0).exp()


def weigh(
    generative: Tensor | None,
    compared: Compared | None,
    quality: Tensor,
    admissible: Tensor,
    settings: Settings,
    things: Tensor | None = None,
) -> Evidence:
    """Weigh attention, CLIP and the proposer as witnesses, each by how far it can be trusted.

    CLIP says c, with an error of variance v. If the right region is a gap ahead of others, its
    log-odds are gap / v * c. How large v is shows in this very picture, in how much CLIP's views
    of the same regions and texts disagree; where they agree CLIP decides, where they do not the
    attention does. The proposer's own estimate is one term more. What a region's thing looks like
    instead (`Compared.contrast`) says whether it matches, and whether there is such a thing at all.

    Args:
        generative: float32 (N,) or None.
        compared: what CLIP says of the phrase, and of what else it could be; or None.
        quality: float32 (N,), the proposer's own estimate.
        admissible: bool (N,); what is not has no chance.
        settings: the weights.
        things: float32 (N, N), `refdiff_core.choosing.layout.thing_weights`; None where each
            candidate is a thing of its own.

    Source: ours; docs/fusion.md has what it is worth at which error.
    """
    known, trust = settings.calibration, 0.0
    if compared is not None and admissible.any():
        trust = compared.own.gap / error_variance(compared, admissible, known)
    odds = _odds(generative, compared, trust, quality, settings)
    odds = odds.masked_fill(~admissible, -torch.inf)
    if not admissible.any():
        return Evidence(odds, torch.zeros_like(odds), 0.0)
    things = torch.eye(len(quality)) if things is None else things
    contrast = None if compared is None else compared.contrast(trust)
    reach = None if compared is None else trust * compared.own.gap
    of_things = None if contrast is None else things @ contrast
    match = _match(odds, reach, of_things, generative, settings) * admissible
    # a contrast has two errors, the phrase's and the rival's
    doubted = None if compared is None else compared.contrast(trust / 2)
    present = None if doubted is None else _presence(odds, doubted, things, known)
    return Evidence(odds, match, present)


def _odds(
    generative: Tensor | None,
    compared: Compared | None,
    trust: float,
    quality: Tensor,
    settings: Settings,
) -> Tensor:
    """The witnesses together; ``trust``: log-odds that a log-likelihood of 1 is worth."""
    odds, alpha = settings.quality_exponent * quality.clamp(min=1e-3).log(), settings.alpha
    if generative is not None:
        share = 1.0 if compared is None else min(1.0, 2 * alpha)
        odds = odds + share * settings.calibration.steep * generative
    if compared is not None:
        share = 1.0 if generative is None else min(1.0, 2 - 2 * alpha)
        odds = odds + share * (trust * compared.own.logits)
    return odds


def _presence(odds: Tensor, doubted: Tensor, things: Tensor, known: Calibration) -> float:
    # of all candidates, scraps too, one would look like anything: the best thing alone tells
    best = int((things @ odds.clamp(min=-1e9)).argmax())
    slope, bias = known.present
    return float((slope * (things[best] @ doubted) + bias).sigmoid())


def _match(
    odds: Tensor,
    reach: float | None,
    contrast: Tensor | None,
    generative: Tensor | None,
    settings: Settings,
) -> Tensor:
    """The chance (N,) of being a thing of that kind, by the odds behind the best one.

    Args:
        odds: float32 (N,).
        reach: log-odds of CLIP's gap, within which others begin to be something else; None where
            CLIP was not asked.
        contrast: float32 (N,), or None.
        generative: float32 (N,), or None.
        settings: the weights.
    """
    # what is not admissible has none, which no slope may be multiplied by
    known, behind = settings.calibration, (odds - odds.max()).clamp(min=-1e9)
    slope, bias = known.alone
    if reach is not None:
        behind = (behind + known.border * reach).clamp(-CLEAR, CLEAR)
        summed = known.match[0], known.match[-1]
        slope, bias = known.plain if settings.fusion == "agreement" else summed
    logit = slope * behind + bias
    if contrast is not None:
        logit = known.match[0] * behind + known.match[1] * contrast + known.match[-1]
        if generative is not None:
            darker = generative - generative[odds > -torch.inf].max()
            logit = logit + known.match[2] * generative + known.match[3] * darker
    return logit.sigmoid()


def error_variance(compared: Compared, admissible: Tensor, known: Calibration) -> float:
    """Variance of what the views of a region say on average, from how much they disagree.

    Over all regions and texts, in squared log-likelihoods. One view cannot disagree: a third of
    the gap is taken for its error's deviation then, and so it is where one region is all there is.
    """
    asked = [compared.own, *(each for group in compared.rivals for each in group)]
    shares, regions = compared.own.shares, int(admissible.sum())
    if int((shares > 0).sum()) < 2 or regions < 2:
        return (compared.own.gap / 3) ** 2 + known.floor**2
    views = torch.stack([each.scale * each.views for each in asked])[:, :, admissible]
    # one view may be lower throughout, which says nothing of regions
    apart = views - views.mean(2, keepdim=True)
    apart = apart - torch.einsum("v,tvn->tn", shares, apart)[:, None]
    squares = float(torch.einsum("v,tvn->", shares, apart.square()))
    together = float(shares.square().sum())
    disagreement = together / (1 - together) * squares / (len(asked) * (regions - 1))
    return known.shared * disagreement + known.floor**2
