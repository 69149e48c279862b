"""Is it there at all, and are there as many as the words count: else the mask is empty, and why.

Presence decides found or not, never the ranking, as in SAM 3. It is asked of every noun, the other
things of relations included, as in VIRO (arXiv 2601.12781): no cup is left of an elephant that is
not there.

Source: the chance itself is `refdiff_core.choosing.scoring.weigh`'s, of the contrast.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..seeing.phrases import without_place
from ..settings import Settings
from ..values import Expression, Proposals
from .layout import Layout, distinct_objects, same_object
from .relations import OtherThing
from .scoring import Evidence
from .spatial import chance_of_exactly


def judge_presence(
    expression: Expression,
    evidence: Evidence,
    proposals: Proposals,
    others: Sequence[OtherThing | None],
    settings: Settings,
) -> tuple[float | None, str]:
    """The chance that what the words mean is there, and why it is taken not to be.

    Args:
        expression: what was asked for.
        evidence: what speaks for each proposal.
        proposals: N masks.
        others: the other things that it is related to.
        settings: `min_present`.

    Returns:
        The chance in [0, 1], None where nothing can tell; and the reason in words, "" where it is
        there.
    """
    if expression.region:
        return None, ""
    name = without_place(expression).text
    chances = [(evidence.present, f"nothing looks like '{name}'")]
    if settings.spatial_weight:
        known = [each for each in others if each is not None]
        chances += [(each.present, f"nothing looks like '{each.text}'") for each in known]
        needed = _needed(expression)
        if needed > 1 and len(proposals):
            one = 1.0 if evidence.present is None else evidence.present
            enough = one * enough_chance(needed, evidence.match, proposals)
            chances.append((enough, f"fewer than {needed} look like '{name}'"))
    told = [(chance, reason) for chance, reason in chances if chance is not None]
    present, reason = min(told, default=(None, ""))
    if present is None or present >= settings.min_present:
        return present, ""
    return present, f"{reason} ({f'{present:.2f}'.removeprefix('0')})"


def _needed(expression: Expression) -> int:
    """How many there must be for what the words ask for: two for "the second", or for "two"."""
    first = expression.order.index if expression.order else 1
    return first - 1 + (expression.count if isinstance(expression.count, int) else 1)


def enough_chance(count: int, match: Tensor, proposals: Proposals) -> float:
    """The chance that at least so many objects match.

    Args:
        count: from 1.
        match: float32 (N,) in [0, 1].
        proposals: N masks; those that show one object count once.
    """
    layout = Layout.of(proposals)
    counted = match[distinct_objects(same_object(layout, layout), match)][None]
    fewer = sum(chance_of_exactly(number, counted) for number in range(count))
    return max(0.0, float(1 - fewer))  # but for rounding
