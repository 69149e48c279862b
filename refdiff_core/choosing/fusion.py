"""From scores to a ranking, and from the winner to a mask that inpainting can use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..finishing import Finish
from ..seeing.proposals import within_limits
from ..settings import Settings
from ..values import AttentionMap, Drawing, Expression, Proposals, Scores, Segmentation
from .contrast import Compared
from .counting import pick_things, pick_winners
from .layout import ONE_THING, Layout, covered_share, holds_several, mask_overlap, thing_weights
from .presence import judge_presence
from .relations import OtherThing
from .scoring import Evidence, base_score, weigh
from .spatial import of_several, spatial_score


def fuse(
    expression: Expression,
    attention: AttentionMap | None,
    proposals: Proposals,
    generative: Tensor | None,
    compared: Compared | None,
    settings: Settings,
    *,
    others: Sequence[OtherThing | None] = (),
) -> Segmentation:
    """Rank the proposals and make the mask.

    Attention, CLIP and the proposer's own trust are weighed as witnesses (`weigh`), and with the
    words' geometry make each one's score (`score_proposals`). Rejected proposals get -inf, never
    0, or one of them could win among negative scores (METHOD.md 1c.5). Whether the thing is there
    at all decides found or not, never the ranking.

    Args:
        expression: what was asked for.
        attention: its map, kept in the result.
        proposals: N masks.
        generative: float32 (N,) or None.
        compared: CLIP's view, or None.
        settings: limits, weights and the shape of the mask.
        others: where the nouns of its relations may be; see `spatial.spatial_score`.
    """
    admissible, evidence = _weigh_things(generative, compared, proposals, settings)
    scores = score_proposals(
        expression, proposals, generative, compared, evidence, settings, others=others
    )
    total = scores.total.masked_fill(~admissible, -torch.inf)
    if settings.quality_exponent and settings.fusion != "sum":
        total = trust_edges(total, evidence.match, proposals)
    scores = replace(scores, total=total)
    present, missing = judge_presence(expression, evidence, proposals, others, settings)
    nothing = torch.zeros(0, dtype=torch.int64)
    drawing = Drawing(proposals.select(nothing))
    ranked = Segmentation(expression, drawing, proposals, scores, nothing, attention)
    return _choose(replace(ranked, present=present, missing=missing), settings)


def _weigh_things(
    generative: Tensor | None, compared: Compared | None, proposals: Proposals, settings: Settings
) -> tuple[Tensor, Evidence]:
    """Which proposals are admissible, bool (N,), and what speaks for each of them."""
    admissible = within_limits(proposals, settings.smallest, settings.largest)
    things = None if compared is None else thing_weights(proposals, admissible)
    quality = proposals.quality
    return admissible, weigh(generative, compared, quality, admissible, settings, things)


def score_proposals(
    expression: Expression,
    proposals: Proposals,
    generative: Tensor | None,
    compared: Compared | None,
    evidence: Evidence,
    settings: Settings,
    *,
    others: Sequence[OtherThing | None] = (),
) -> Scores:
    """Every term and their total, of rejected proposals too.

    Where the words say nothing of places, total = the best one's match, less for the others by
    their log-odds. Where they do, total = match * (1 - w + w * spatial) with w = `spatial_weight`:
    both must hold, and no match makes up for the wrong place as it would in a sum. With the paper's
    "sum" and without places, total = alpha * generative + (1 - alpha) * cosine, or the one that is
    there.

    Args:
        expression: what was asked for.
        proposals: N masks.
        generative: float32 (N,) or None.
        compared: CLIP's view, or None.
        evidence: what `weigh` makes of these.
        settings: weights.
        others: as for `fuse`.

    Source: METHOD.md 1a [KR], s_i = alpha s_i^G + (1 - alpha) s_i^D; the rest is ours.
    """
    cosine = None if compared is None else compared.own.cosine
    total = evidence.likely
    if settings.fusion == "sum":
        total = base_score(generative, cosine, settings.alpha, len(proposals))
    scores = Scores(total, generative, cosine, evidence.match)
    if settings.spatial_weight:
        match = of_several(expression, proposals, evidence.match)
        spatial = spatial_score(expression, proposals, match, others)
        scores = replace(scores, match=match, spatial=spatial)
    return scores if scores.spatial is None else replace(scores, total=_placed(scores, settings))


def locate(
    phrase: Expression,
    proposals: Proposals,
    generative: Tensor | None,
    compared: Compared | None,
    settings: Settings,
) -> OtherThing | None:
    """Where a noun that a relation names may be; None where nothing was asked about it."""
    if generative is None and compared is None:
        return None
    _, evidence = _weigh_things(generative, compared, proposals, settings)
    return OtherThing(proposals, evidence.match, phrase.text, evidence.present)


def trust_edges(total: Tensor, match: Tensor, proposals: Proposals) -> Tensor:
    """Which thing it is says the total; which of its masks, the proposer.

    CLIP hardly sees an edge: of two masks of one thing the worse one may look as much like it. So
    a thing's best total goes to the mask of it that the proposer trusts most, which gives its own
    in return.

    Args:
        total: float32 (N,), -inf for rejected proposals.
        match: float32 (N,) in [0, 1].
        proposals: N masks.
    """
    quality = proposals.quality.cpu()
    if not len(quality) or bool((quality == quality[0]).all()):
        return total
    total, layout = total.clone(), Layout.of(proposals)
    overlap, several = mask_overlap(layout), holds_several(layout, match)
    free = total > -torch.inf
    for index in total.argsort(descending=True, stable=True).tolist():
        same = free & (overlap[index] > ONE_THING) & (match > 0.5 * match[index])
        same &= several == several[index]
        if not free[index] or not same.any():
            continue
        best = int(torch.where(same, quality, -1.0).argmax())
        if quality[best] > quality[index]:
            total[[index, best]] = total[[best, index]]
        free &= ~same
    return total


def _placed(scores: Scores, settings: Settings) -> Tensor:
    """The chance (N,) of matching the noun and lying where the words say."""
    assert scores.match is not None
    weight = settings.spatial_weight
    if scores.spatial is None:
        return scores.match
    return scores.match * (1 - weight + weight * scores.spatial)


def _choose(
    result: Segmentation, settings: Settings, without: Sequence[Proposals] = ()
) -> Segmentation:
    """Rank by the total, and make the winners' mask without what is left out."""
    total = result.scores.total
    # stable, so that equal scores keep the proposals' order whatever the sort
    order = total.argsort(descending=True, stable=True)
    ranking = order[: int((total > -torch.inf).sum())]
    winners = ranking[:0]
    if not result.missing:
        chance = _chance(result, settings)
        winners = pick_winners(result.expression, result.proposals, ranking, chance, settings.union)
    return _draw(replace(result, ranking=ranking, winners=winners), settings, without)


def _draw(
    result: Segmentation, settings: Settings, without: Sequence[Proposals], *, whole: bool = False
) -> Segmentation:
    winners = result.proposals.select(result.winners)
    drawing = Drawing(winners, tuple(without), Finish(settings), whole)
    return replace(result, drawing=drawing)


def _chance(result: Segmentation, settings: Settings) -> Tensor:
    """The chance (N,) of each proposal of being meant, without what is left out."""
    scores = result.scores
    chance = _placed(scores, settings)
    return chance if scores.excluded is None else chance * (1 - scores.excluded)


def _rest(
    result: Segmentation, left_out: Sequence[Segmentation], settings: Settings
) -> Segmentation:
    """The region that is asked for: the rest of the picture, its ground, or all things on it."""
    proposals, region = result.proposals, result.expression.region
    things = torch.zeros(0, dtype=torch.int64)
    if region in ("background", "foreground"):
        admissible = within_limits(proposals, settings.smallest, settings.largest)
        things = pick_things(proposals, result.scores.generative, admissible)
    winners = things if region == "foreground" else things[:0]
    covered = [] if region == "foreground" else [proposals.select(things)]
    without = [*covered, *(each.proposals.select(each.winners) for each in left_out)]
    others = torch.isin(torch.arange(len(proposals)), winners, invert=True)
    scores = replace(result.scores, total=result.scores.total.masked_fill(others, -torch.inf))
    # everything but the dog is all of a picture without a dog, which should be said
    named = [
        " ".join(w.text for w in e.expression.target_words) for e in result.excluded if e.missing
    ]
    notes = [f"'{name}' was not found: nothing is left out for it." for name in named]
    said = replace(result.expression, notes=(*result.expression.notes, *notes))
    chosen = replace(result, expression=said, scores=scores, ranking=winners, winners=winners)
    return _draw(chosen, settings, without, whole=region != "foreground")


def join(line: Expression, parts: Sequence[Segmentation], settings: Settings) -> Segmentation:
    """The answer to a list: its things' winners, the candidates of all of them, the highest heat.

    Args:
        line: the list.
        parts: the answers to its things.
        settings: as for `fuse`.
    """
    proposals, totals = parts[0].proposals, parts[0].scores.total
    winners = [parts[0].winners]
    for part in parts[1:]:
        if part.proposals is parts[0].proposals and proposals is parts[0].proposals:
            totals = torch.maximum(totals, part.scores.total)
            winners.append(part.winners)
        else:
            winners.append(part.winners + len(proposals))
            proposals = proposals.join(part.proposals)
            totals = torch.cat([totals, part.scores.total])
    chosen = torch.tensor([*dict.fromkeys(torch.cat(winners).tolist())], dtype=torch.int64)
    order = totals.argsort(descending=True, stable=True)
    order = order[: int((totals > -torch.inf).sum())]
    ranking = torch.cat([chosen, order[~torch.isin(order, chosen)]])
    joined = replace(parts[0], expression=line, proposals=proposals, scores=Scores(totals))
    joined = replace(joined, ranking=ranking, winners=chosen, excluded=())
    # a list is there as soon as one of its things is
    best = max(parts, key=lambda part: (not part.missing, part.present or 0.0))
    joined = replace(joined, present=best.present, missing=best.missing)
    maps = [part.attention for part in parts if part.attention is not None]
    if maps:
        heat = torch.stack([each.heat for each in maps]).amax(0)
        joined = replace(joined, attention=replace(maps[0], heat=heat))
    # what negative lines name is left out of all parts alike
    return _draw(joined, settings, parts[0].drawing.without)


def leave_out(results: Sequence[Segmentation], settings: Settings) -> list[Segmentation]:
    """Keep what is excluded out of the answers.

    A proposal loses by the chance that it, or what it is part of, is what is excluded: "the red
    shape, not the circle" is the red shape that is no circle. What an expression excludes itself
    counts for it alone; what a negative line names counts for all other lines, and what of it then
    still lies in a mask is cut out: "the plate" with "not: the food".

    Args:
        results: answers to the lines about one picture, negative ones among them.
        settings: as for `fuse`.

    Returns:
        As many, in their order; the negative ones as they are.
    """
    negative = [each for each in results if each.expression.negative and each.found]
    return [
        _without(each, [] if each.expression.negative else negative, settings) for each in results
    ]


def _without(
    result: Segmentation, negative: Sequence[Segmentation], settings: Settings
) -> Segmentation:
    left_out = [
        each for each in (*result.excluded, *negative) if len(each.ranking) and not each.missing
    ]
    if result.expression.region:
        return _rest(result, left_out, settings)
    if not left_out:
        return result
    scores = result.scores
    admissible = scores.total > -torch.inf
    excluded = torch.stack([_excluded(result.proposals, each, settings) for each in left_out])
    excluded = excluded.amax(0)
    total = _left(result, excluded, settings).masked_fill(~admissible, -torch.inf)
    changed = replace(result, scores=replace(scores, total=total, excluded=excluded))
    cut = [each.proposals.select(each.winners) for each in negative]
    return _choose(changed, settings, cut)


HARDLY = 0.02
"""Chance of a winner to be what is excluded, up to which the others' order stays; of .02 to .25 the
best on tuning scenes."""


def _left(result: Segmentation, excluded: Tensor, settings: Settings) -> Tensor:
    """The total (N,) by the chance that is left.

    Where a winner goes, all others' totals may be near zero: their chances of matching tell them
    apart.
    """
    if settings.fusion == "sum":
        return _placed(result.scores, settings) * (1 - excluded)
    if len(result.winners) and bool((excluded[result.winners] <= HARDLY).all()):
        return result.scores.total * (1 - excluded)
    total = _placed(result.scores, settings) * (1 - excluded)
    match = result.scores.match
    if settings.quality_exponent and match is not None:
        return trust_edges(total, match, result.proposals)
    return total


def _excluded(proposals: Proposals, negative: Segmentation, settings: Settings) -> Tensor:
    """The chance (N,) of each proposal of being, or being part of, what is excluded."""
    best = negative.ranking[:16]
    chance = _placed(negative.scores, settings)[best]
    covered = covered_share(Layout.of(proposals), Layout.of(negative.proposals))[:, best]
    return (covered * chance).amax(1)
