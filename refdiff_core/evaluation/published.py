"""Published figures of methods that train on no masks, in per cent, with where they stand.

A figure is listed under the metric that its own source computes. Two sources print others' mIoU
in columns headed cIoU (RESAnything: Global-Local CLIP and CaR; arXiv 2604.20329: HybridGL); those
are left out, and so is a RefCOCOg "cIoU" of 44.3 that wizwand.com gives for Ref-Diff, which is
its mIoU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SPLITS = (
    "refcoco val", "refcoco testA", "refcoco testB",
    "refcoco+ val", "refcoco+ testA", "refcoco+ testB",
    "refcocog val", "refcocog test",
)  # fmt: skip
"""Of RefCOCOg those of UMD."""

REFAM = "refam-diffusion.github.io"
NOTE = "a note on Ref-Diff v2 (arXiv 2308.16777)"
CONTOUR = "ContourVLA, 2026"
SURVEY = "a survey of multimodal referring segmentation"
CAR = "CaR, arXiv 2312.07661"

_ROWS = (
    ("Ref-Diff", "oIoU", "35.16 37.44 34.50 35.56 38.66 31.40 38.62 37.50", REFAM),
    ("Grad-CAM", "oIoU", "23.4 23.9 21.6 26.7 27.2 24.8 23.0 23.9", REFAM),
    ("Global-Local CLIP, first row", "oIoU", "24.6 26.0 21.0 26.6 30.0 22.2 28.9 30.5", REFAM),
    ("Global-Local CLIP, second row", "oIoU", "21.7 24.5 20.5 23.7 28.1 21.9 26.6 28.2", REFAM),
    ("TAS", "oIoU", "29.5 30.3 28.2 33.2 38.8 28.0 35.8 36.2", REFAM),
    ("HybridGL", "oIoU", "41.8 44.5 38.5 35.7 41.4 30.9 42.5 43.0", REFAM),
    (
        "RefAM, diffusion transformer and SAM",
        "oIoU",
        "46.9 52.3 43.9 38.6 42.7 34.9 45.5 44.5",
        REFAM,
    ),
    ("RefAM, Stable Diffusion", "oIoU", "41.9 44.8 38.4 33.5 38.0 28.9 37.3 39.3", CONTOUR),
    ("Early Semantic Grounding 9B", "oIoU", "50.2 53.0 46.1 40.2 43.3 36.1 46.9 46.5", CONTOUR),
    ("Early Semantic Grounding 12B", "oIoU", "53.9 58.1 49.6 44.4 49.3 40.1 51.2 50.9", CONTOUR),
    ("SAM 3, text only", "oIoU", "54.8 59.1 51.9 42.9 50.0 36.5 55.5 54.4", CONTOUR),
    (
        "RESAnything, language model with SAM and CLIP",
        "oIoU",
        "68.5 72.2 70.3 60.7 65.6 52.2 60.1 60.9",
        "suikei-wang.github.io/RESAnything",
    ),
    (
        "LLaVA-1.5-13B, three heads, and SAM",
        "oIoU",
        "76.1 78.9 72.8 64.1 67.1 57.3 67.7 69.0",
        "Kang et al., localization heads",
    ),
    ("SAM 3 and Gemini 2.5 Pro", "oIoU", "- - - - - - 73.4 -", "arXiv 2604.20329"),
    ("Ref-Diff", "mIoU", "37.21 - - 37.29 - - 44.02 -", NOTE),
    ("Ref-Diff", "mIoU", "- - - - - 33.01 - -", "wizwand.com"),
    ("Ref-Diff, variant g", "mIoU", "21.53 - - - - - - -", NOTE),
    ("Ref-Diff, variant gs", "mIoU", "29.82 - - - - - - -", NOTE),
    ("Ref-Diff, variant ds", "mIoU", "35.27 - - - - - - -", NOTE),
    ("TSEG", "mIoU", "25.95 - - 22.62 - - 23.41 -", NOTE),
    ("Global-Local CLIP", "mIoU", "26.20 - - 27.80 - - 33.52 -", NOTE),
    ("SAM and CLIP", "mIoU", "26.33 - - 25.70 - - 38.75 -", NOTE),
    ("CaR", "mIoU", "33.57 35.36 30.51 34.22 36.03 31.02 36.67 36.57", CAR),
    ("HybridGL", "mIoU", "49.48 53.37 45.19 43.40 49.13 37.17 51.25 51.59", SURVEY),
    ("RefAM, Stable Diffusion", "mIoU", "50.1 52.5 46.3 40.4 46.1 35.0 45.1 46.1", CONTOUR),
    ("Early Semantic Grounding 12B", "mIoU", "57.6 60.3 53.8 48.5 52.4 44.4 54.5 54.3", CONTOUR),
    ("SAM 3, text only", "mIoU", "61.0 62.5 59.8 48.5 53.8 43.6 62.5 61.7", CONTOUR),
)

GENERALISED = ("grefcoco val", "grefcoco testA", "grefcoco testB")
"""gRefCOCO, whose sentences mean several things or none."""

_GENERALISED_ROWS = (
    ("Early Semantic Grounding 12B", "gIoU", "31.5 36.2 29.0", CONTOUR),
    ("Early Semantic Grounding 12B", "cIoU", "29.3 34.3 26.9", CONTOUR),
    # of testA the copy that we saw was damaged
    ("SAM 3, text only, all that it finds", "gIoU", "68.1 - 49.2", CONTOUR),
    ("SAM 3, text only, all that it finds", "cIoU", "24.0 - 36.4", CONTOUR),
)


@dataclass(frozen=True)
class Published:
    """One figure. value: in per cent."""

    method: str
    metric: str
    value: float
    source: str


def published_for(name: str, split: str, by: str) -> list[Published]:
    """The figures for a split, the highest of each metric first; none for splits of others."""
    column = f"{name} {split}"
    found: list[Published] = []
    if by in ("unc", "umd"):
        for splits, rows in ((SPLITS, _ROWS), (GENERALISED, _GENERALISED_ROWS)):
            found += _column(rows, splits.index(column)) if column in splits else []
    return sorted(found, key=lambda each: (each.metric, -each.value))


def _column(rows: Sequence[tuple[str, str, str, str]], index: int) -> Iterator[Published]:
    for method, metric, figures, source in rows:
        value = figures.split()[index]
        if value != "-":
            yield Published(method, metric, float(value), source)
