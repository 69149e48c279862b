"""The field's metrics of referring segmentation, as LAVT's test script sums them (METHOD.md 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

PRECISIONS = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Record:
    """One expression of one picture.

    intersection, union: pixels. chosen, target: indices of proposals, lists where the expression
    asks for none or several, None where the proposals are not the true masks. chance: that one
    proposal drawn by lot is the target. none: nothing in the picture is meant. found: something
    was found.
    """

    text: str
    group: str
    intersection: int
    union: int
    chosen: int | list[int] | None = None
    target: int | list[int] | None = None
    chance: float = 0.0
    none: bool = False
    found: bool = True

    @property
    def iou(self) -> float:
        """Intersection over union; of two empty ones 1 where nothing is meant, else 0."""
        right = self.none and not self.found
        return self.intersection / self.union if self.union else float(right)


def overlap(mask: Tensor, truth: Tensor) -> tuple[int, int]:
    """Intersection and union in pixels of a mask float (H, W), cut at .5, and a boolean one."""
    found = mask > 0.5
    return int((found & truth).sum()), int((found | truth).sum())


def mean_iou(records: Sequence[Record]) -> float:
    """mIoU: the mean of IoU over expressions."""
    return _share(sum(record.iou for record in records), len(records))


def overall_iou(records: Sequence[Record]) -> float:
    """Overall IoU (oIoU): summed intersections over summed unions; large things count more.

    NaN where nothing was meant nor found: empty masks that are right add nothing to either sum.
    """
    union = sum(record.union for record in records)
    return _share(sum(record.intersection for record in records), union)


def precision_at(records: Sequence[Record], threshold: float) -> float:
    """Pr@X: the share of expressions with an IoU of at least X."""
    return _share(sum(record.iou >= threshold for record in records), len(records))


def selection(records: Sequence[Record]) -> float:
    """The share of expressions whose own proposal won, among true masks as proposals."""
    return _share(sum(record.chosen == record.target for record in records), len(records))


def chance(records: Sequence[Record]) -> float:
    """What `selection` would be by drawing one proposal by lot."""
    return _share(sum(record.chance for record in records), len(records))


# --- expressions that mean several things, or none -----------------------------------------


def no_target_accuracy(records: Sequence[Record]) -> float:
    """N-acc: of the expressions that mean nothing in the picture, those for which nothing is found.

    Source: GRES's evaluation, github henghuiding/ReLA; so are T-acc, gIoU and cIoU, which are
    `mean_iou` and `overall_iou` of records with ``none``. NaN where no expression is of that kind.
    """
    asked = [record for record in records if record.none]
    return _share(sum(not record.found for record in asked), len(asked))


def target_accuracy(records: Sequence[Record]) -> float:
    """T-acc: of the expressions that mean something, those for which something is found."""
    asked = [record for record in records if not record.none]
    return _share(sum(record.found for record in asked), len(asked))


def _share(count: float, of: float) -> float:
    return count / of if of else math.nan


def mean_and_error(figures: Mapping[Any, Sequence[float]]) -> tuple[float, float]:
    """The mean of all figures, and its standard error over the pictures that they belong to.

    Figures of one picture err together, so that pictures count, not figures: the error of a ratio
    of two sums over pictures (Cochran, Sampling Techniques, 6.4). NaN for one picture, of which
    nobody can tell how much others differ.
    """
    asked = [each for each in figures.values() if len(each)]
    sums, counts = np.array([sum(each) for each in asked]), np.array([len(each) for each in asked])
    mean, pictures = sums.sum() / counts.sum(), len(sums)
    if pictures < 2:
        return float(mean), math.nan
    apart = ((sums - mean * counts) ** 2).sum() * pictures / (pictures - 1)
    return float(mean), float(np.sqrt(apart) / counts.sum())
