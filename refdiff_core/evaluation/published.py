"""Published figures of methods that train on no masks with sentences, in per cent, with sources.

SAM 3 trains on masks with the names of things, none of the others on masks with any words.
published.csv has a row a method, metric and source, and a column a split: of RefCOCOg those of UMD,
of gRefCOCO, whose sentences mean several things or none, its own. A figure is listed under the
metric that its own source computes. Two sources print others' mIoU in columns headed cIoU
(RESAnything: Global-Local CLIP and CaR; arXiv 2604.20329: HybridGL); those are left out, and so is
a RefCOCOg "cIoU" of 44.3 that wizwand.com gives for Ref-Diff, which is its mIoU. SAM 3's of
gRefCOCO testA are missing, because the copy that we saw was damaged there.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("published.csv")


@dataclass(frozen=True)
class Published:
    """One figure. value: in per cent."""

    method: str
    metric: str
    value: float
    source: str


def published_for(name: str, split: str, by: str) -> list[Published]:
    """The figures for a split, the highest of each metric first; none for splits of others."""
    if by not in ("unc", "umd"):
        return []
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = [(row, row.get(f"{name} {split}")) for row in csv.DictReader(file)]
    found = [
        Published(row["method"], row["metric"], float(value), row["source"])
        for row, value in rows
        if value
    ]
    return sorted(found, key=lambda each: (each.metric, -each.value))
