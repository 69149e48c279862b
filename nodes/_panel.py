"""What the panel in a node is sent: small pictures, masks as bits of small pictures, and figures.

Pictures go as temporary PNGs, which the page fetches from ComfyUI as it does any preview, each by
a name that is made of its content: what has not changed is neither written nor fetched again.
"""

from __future__ import annotations

import hashlib
import math
import os
import uuid
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from ..refdiff_core.pictures.images import scale_to
from ..refdiff_core.seeing.proposals import mask_iou
from ..refdiff_core.values import Segmentation
from ._hand import Hand, Handled, Small

MOST, MOST_IN_ALL, MOST_PICTURES = 40, 640, 64
"""Candidates of one answer and of all that are sent, and pictures."""
ALIKE = 0.8
"""Candidates that overlap by more are shown as one."""
PLANES = 24
"""Masks in one picture: a bit each of red, green and blue. A browser keeps those as they are where
nothing is clear."""

Sent = dict[str, Any]


def panel_of(handled: Handled, kind: str, notes: str, asks: bool = False) -> Sent:
    """A node's ``ui`` output.

    Args:
        handled: results as the hand left them.
        kind: what the node is, for hints: "segment", "fuse" or "pick".
        notes: what was not found or not understood.
        asks: whether Segment Anything can be asked about a place.
    """
    rows, start = [], 0
    each = max(1, len(handled.hands) // len(handled.smalls))
    most = max(6, min(MOST, MOST_IN_ALL // max(1, len(handled.hands))))
    for small, picture in zip(handled.smalls, handled.batch.images, strict=True):
        place = slice(start, start + each)
        start += each
        pairs = zip(handled.before[place], handled.hands[place], strict=True)
        answers = [_answer(result, hand, most) for result, hand in pairs]
        rows.append(_picture(small, picture, answers))
        if len(rows) == MOST_PICTURES:
            break
    left = len(handled.smalls) - len(rows)
    sent = {
        "version": 1,
        "kind": kind,
        "asks": asks,
        "notes": notes,
        "left": left,
        "pictures": rows,
    }
    return {"refdiff_panel": [sent], **({"text": (notes,)} if notes else {})}


def _picture(small: Small, picture: Tensor, answers: list[Sent]) -> Sent:
    height, width = small.pixels.shape[:2]
    return {
        "id": small.id,
        "size": [picture.shape[1], picture.shape[0]],
        "grid": [width, height],
        "image": _save(small.pixels.numpy()),
        "answers": answers,
    }


def _answer(result: Segmentation, hand: Hand, most: int) -> Sent:
    """One expression's candidates, best first, what the hand made or chose among them always."""
    ranked = result.ranking.tolist()
    told = hand.default or tuple(result.winners.tolist())
    always = list(dict.fromkeys([*hand.made, *hand.picked, *told]))
    order = [*(at for at in ranked if at not in always)][: max(0, most - len(always))]
    order = sorted([*order, *always], key=lambda at: ranked.index(at) if at in ranked else -1)
    masks = hand.masks[order]
    shown = torch.cat([masks, hand.cut[None]]) if hand.cut is not None else masks
    alike = _alike(masks, result.proposals.quality[order], _fixed(order, hand, told))
    seen = result.attention
    figures = [_candidate(result, hand, at, ranked, alike[place]) for place, at in enumerate(order)]
    heat = None if seen is None else _save(_bytes(seen.heat, hand.masks.shape[1:]))
    return {
        "text": result.expression.text,
        "negative": result.expression.negative,
        "candidates": figures,
        "masks": [_save(planes(part)) for part in shown.split(PLANES)],
        "cut": len(masks) if hand.cut is not None else None,
        "heat": heat,
        "missing": result.missing,
        "default": [order.index(at) for at in told],
        "several": bool(hand.default),
        "best": hand.best,
        "whole": result.drawing.whole,
        "same": {name: order.index(at) for name, at in hand.same.items()},
    }


def _candidate(result: Segmentation, hand: Hand, at: int, ranked: list[int], alike: int) -> Sent:
    mask, match = hand.masks[at], result.scores.match
    rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
    box = [0, 0, 0, 0]
    if len(rows):
        box = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
    return {
        "id": hand.ids[at],
        "made": hand.made.get(at),
        "rank": ranked.index(at) + 1 if at in ranked else None,
        "score": _round(result.scores.total[at]),
        "presence": None if match is None else _round(match[at]),
        "area": _round(mask.float().mean()),
        "box": box,
        "like": alike,
    }


def _fixed(order: list[int], hand: Hand, told: Sequence[int]) -> set[int]:
    """Places of candidates that are shown themselves: those that are meant or were chosen."""
    shown = {*hand.picked, *told}
    return {place for place, at in enumerate(order) if at in shown}


def _alike(masks: Tensor, quality: Tensor, fixed: set[int]) -> list[int]:
    """For each candidate the one that is shown for all that are nearly the same.

    That is one of ``fixed``, or else the one that the proposer trusts most.
    """
    overlap = mask_iou(masks, masks).cpu() > ALIKE
    groups: list[list[int]] = []
    for index in range(len(masks)):
        twins = next((each for each in groups if overlap[index, each[0]]), None)
        if twins is None:
            groups.append([index])
        else:
            twins.append(index)
    trust = quality.tolist()
    shown = {}
    for group in groups:
        best = max(group, key=lambda at: (at in fixed, trust[at], -at))
        shown |= dict.fromkeys(group, best)
    return [shown[index] for index in range(len(masks))]


def _round(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), 4)


def _bytes(heat: Tensor, size_hw: Sequence[int]) -> np.ndarray:
    small = scale_to(heat, (size_hw[0], size_hw[1]))
    return (small.clamp(0, 1) * 255).round().byte().cpu().numpy()


def planes(masks: Tensor) -> np.ndarray:
    """Masks bool (N, h, w) as uint8 (h, w, 3): mask n < 24 is bit n % 8 of channel n // 8."""
    packed = torch.zeros(*masks.shape[1:], 3, dtype=torch.uint8)
    for index, mask in enumerate(masks.cpu()):
        packed[..., index // 8] |= mask.to(torch.uint8) << (index % 8)
    return packed.numpy()


def _save(pixels: np.ndarray) -> dict[str, str]:
    """A temporary PNG, as ``/view`` wants to have it named."""
    digest = hashlib.sha256(f"{pixels.shape}".encode() + np.ascontiguousarray(pixels).tobytes())
    name = f"refdiff_{digest.hexdigest()[:24]}.png"
    folder = Path(folder_paths.get_temp_directory())
    if not (folder / name).exists():
        folder.mkdir(parents=True, exist_ok=True)
        body = BytesIO()
        Pillow.fromarray(pixels).save(body, "PNG", compress_level=1)
        # whole or not at all, whoever reads or writes it at the same time
        part = folder / f"{name}.{uuid.uuid4().hex}.part"
        part.write_bytes(body.getvalue())
        os.replace(part, folder / name)
    return {"filename": name, "subfolder": "", "type": "temp"}
