"""What a hand chose on the picture: read from the graph, found again among a run's candidates.

The panel keeps it in a hidden text of the node, as JSON:

    {"<picture>": {"picks": {"<expression>": ["<candidate>", ...]},
                   "made": [{"id": "a1", "points": [[x, y, 1]], "box": [x0, y0, x1, y1]},
                            {"id": "b2", "file": "clipspace/painted.png [input]"}]}}

Pictures and candidates go by what they are, never by a place in a list; see `picture_id` and
`mask_id`. ``made`` are candidates made by hand: a question to Segment Anything (points and a box
as shares of the picture, 1 for inside, 0 for outside), or a mask painted in the mask editor.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from ..refdiff_core.errors import RefDiffError
from ..refdiff_core.seeing.proposals import mask_boxes

CELLS = 8
"""A candidate's shape is told by so many cells a side of its box."""
SAME_BOX, SAME_CELLS = 0.8, 10
"""One thing's boxes overlap by so much at least, and so many of its cells differ at most."""


@dataclass(frozen=True)
class Made:
    """A candidate made by hand.

    points: (x, y, 1 or 0) as shares of the picture. box: XYXY as shares. file: a painted mask's.
    """

    id: str
    points: tuple[tuple[float, float, int], ...] = ()
    box: tuple[float, ...] = ()
    file: str = ""


@dataclass(frozen=True)
class Choice:
    """What was chosen on one picture. picks: by expression, ids of candidates or of `made`."""

    picks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    made: tuple[Made, ...] = ()


NOTHING = Choice()


def read_choices(text: str) -> dict[str, Choice]:
    """What was chosen, by picture.

    Raises:
        RefDiffError: the text is not what the panel writes.
    """
    if not text.strip():
        return {}
    try:
        return {key: _choice(value) for key, value in json.loads(text).items()}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise RefDiffError(
            "What was chosen on the picture cannot be read: 'panel' is not what the node's own "
            "panel writes. Empty it, and choose again."
        ) from error


def _choice(value: Any) -> Choice:
    picks = {str(text): tuple(map(str, ids)) for text, ids in value.get("picks", {}).items()}
    return Choice(picks, tuple(_made(each) for each in value.get("made", ())))


def _made(value: Any) -> Made:
    points = tuple((_share(x), _share(y), int(bool(label))) for x, y, label in value["points"]) if (
        value.get("points")
    ) else ()  # fmt: skip
    box = tuple(map(_share, value.get("box") or ()))
    if len(box) not in (0, 4):
        raise ValueError("a box has four edges")
    return Made(str(value["id"]), points, box, str(value.get("file") or ""))


def _share(value: Any) -> float:
    return min(1.0, max(0.0, float(value)))


def picture_id(pixels: Tensor, size_hw: tuple[int, int]) -> str:
    """Stands for a picture: of its small copy (uint8) and its size."""
    digest = hashlib.sha256(f"{size_hw} {tuple(pixels.shape)}".encode())
    digest.update(pixels.contiguous().numpy().data)
    return digest.hexdigest()[:16]


def mask_ids(masks: Tensor) -> list[str]:
    """Stand for candidates (N, h, w): each one's box in thousandths, and its shape in the box."""
    height, width = masks.shape[1:]
    ids = []
    for mask, box in zip(masks, mask_boxes(masks).long().tolist(), strict=True):
        x0, y0, x1, y1 = box
        edges = (x0 / width, y0 / height, x1 / width, y1 / height)
        inside = mask[None, None, y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)].float()
        cells = (F.adaptive_avg_pool2d(inside, CELLS) >= 0.5).flatten().int().tolist()
        shape = int("".join(map(str, cells)), 2)
        ids.append(".".join([*(str(round(edge * 1000)) for edge in edges), f"{shape:016x}"]))
    return ids


def find_mask(wanted: str, ids: Sequence[str]) -> int | None:
    """Which of the candidates it is; one that differs by a few pixels is still the same."""
    if wanted in ids:
        return ids.index(wanted)
    likeness = [_likeness(wanted, each) for each in ids]
    best = max(range(len(ids)), key=likeness.__getitem__, default=None)
    return best if best is not None and likeness[best] > 0 else None


def _likeness(one: str, other: str) -> float:
    """0 where they are not the same thing."""
    try:
        (a, shape_a), (b, shape_b) = _read(one), _read(other)
    except ValueError:
        return 0
    both = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    all_of_it = _area(a) + _area(b) - both
    overlap = both / all_of_it if all_of_it else 0.0
    differing = (shape_a ^ shape_b).bit_count()
    same = overlap >= SAME_BOX and differing <= SAME_CELLS
    return overlap + 1 - differing / CELLS**2 if same else 0


def _area(box: Sequence[int]) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _read(mask_id: str) -> tuple[list[int], int]:
    *box, shape = mask_id.split(".")
    if len(box) != 4:
        raise ValueError(mask_id)
    return [int(edge) for edge in box], int(shape, 16)
