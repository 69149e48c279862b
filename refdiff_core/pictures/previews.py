"""Pictures about results: overlays, heat maps, sheets. Pure functions from values to pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import PIL.Image
import torch
import torch.nn.functional as F
from PIL import ImageDraw, ImageFont
from torch import Tensor

from ..values import Image, Segmentation
from .images import scale_to, shrink, to_pil

ACCENT, DARK = (1.0, 0.85, 0.1), (0.05, 0.05, 0.05)
"""Outlines: amber with a dark line around it, so that one of the two is seen on anything."""

# Ten stops of "inferno" (van der Walt and Smith, CC0): even steps of lightness, so that equal
# differences of attention look equal, in print and to colour-blind eyes too.
_INFERNO = (
    (0, 0, 4), (27, 12, 66), (75, 12, 107), (120, 28, 109), (165, 44, 96),
    (207, 68, 70), (237, 105, 37), (251, 154, 6), (247, 208, 60), (252, 255, 164),
)  # fmt: skip
_PAPER, _INK, _GAP, _TEXT_SIZE = (250, 250, 248), (30, 30, 30), 8, 20
_LABELLED = 320  # pixels of the longer side; on a smaller picture a label would hide the thing


def overlay(image: Image, mask: Tensor, color: Sequence[float] = ACCENT) -> Image:
    """The picture with everything outside the mask dimmed and grey, and the mask's outline.

    Args:
        image: float32 (H, W, 3) in [0, 1].
        mask: bool or float (H, W); soft edges fade.
        color: of the outline, RGB in [0, 1]; a dark line goes around it.

    Returns:
        float32 (H, W, 3) in [0, 1].
    """
    inside = mask.float()[..., None]
    dimmed = 0.6 * (0.75 * image.mean(-1, keepdim=True) + 0.25 * image)
    shown = inside * image + (1 - inside) * dimmed
    hard, width = mask >= 0.5, max(1, round(max(image.shape[:2]) / 250))
    shown = torch.where(outline(hard, 2 * width)[..., None], torch.tensor(DARK), shown)
    return torch.where(outline(hard, width)[..., None], torch.tensor(color), shown)


def label(picture: Image, mask: Tensor, text: str) -> Image:
    """The picture with a text at the upper left of a mask, or its own where there is none.

    It stays as it is where that would hide much.

    Args:
        picture: float32 (H, W, 3) in [0, 1].
        mask: bool or float (H, W).
        text: short, such as a rank and a score; what is too long is cut.
    """
    if max(picture.shape[:2]) < _LABELLED:
        return picture
    inside, canvas = mask >= 0.5, to_pil(picture)
    top, left = (int(inside.any(axis).int().argmax()) for axis in (1, 0))
    size = min(_TEXT_SIZE, max(12, max(canvas.size) // 32))
    draw, font = ImageDraw.Draw(canvas), _font(size)
    text = _fit(text, canvas.width - 8, font)
    width, height = font.getlength(text) + 8, size + 6
    x = max(0, min(left, canvas.width - int(width)))
    y = max(0, top - height - 4)
    draw.rectangle((x, y, x + width, y + height), tuple(round(255 * each) for each in DARK))
    draw.text((x + 4, y + 1), text, (255, 255, 255), font)
    return torch.from_numpy(np.asarray(canvas, dtype=np.float32) / 255)


def caption(result: Segmentation) -> str:
    """What a label says of an answer: the words, the score, and how likely it is there at all."""
    if result.missing:
        return f"not found: {result.missing}"
    score = "" if result.score is None else f"   {result.score:.2f}"
    there = "" if result.present is None else f"   there {result.present:.2f}"
    return result.expression.text + score + there


def outline(mask: Tensor, width: int) -> Tensor:
    """The band of ``width`` pixels around a mask, bool (H, W); the mask itself stays clear."""
    side = 2 * width + 1
    # by rows, then by columns: the same square, at a fraction of the cost
    rows = F.max_pool2d(mask[None].float(), (1, side), stride=1, padding=(0, width))
    grown = F.max_pool2d(rows, (side, 1), stride=1, padding=(width, 0))[0]
    return (grown > 0) & ~mask.bool()


def heat_colors(heat: Tensor) -> Image:
    """A map as colours, from black over red to light yellow.

    Args:
        heat: float32 (H, W) in [0, 1].

    Returns:
        float32 (H, W, 3) in [0, 1].
    """
    stops = torch.tensor(_INFERNO) / 255
    at = heat.clamp(0, 1) * (len(stops) - 1)
    low = at.floor().long().clamp(max=len(stops) - 2)
    return torch.lerp(stops[low], stops[low + 1], (at - low)[..., None])


def heat_picture(image: Image, heat: Tensor, strength: float = 0.75) -> Image:
    """A map's colours laid over the grey picture.

    Args:
        image: float32 (H, W, 3) in [0, 1].
        heat: float32 (H, W) in [0, 1].
        strength: share of the colours in the mixture.
    """
    grey = image.mean(-1, keepdim=True).expand_as(image)
    return torch.lerp(grey, heat_colors(heat), strength)


def candidates_sheet(image: Image, result: Segmentation, most: int = 12) -> Image:
    """The best candidates side by side, numbered from 1, with their scores, under the expression.

    Args:
        image: the picture that was segmented, or a copy of it, float32 (H, W, 3).
        result: its segmentation.
        most: at most so many candidates.

    Returns:
        float32 (h, w, 3) in [0, 1]; the picture alone, and so labelled, when there are no
        candidates. Its heading is the answer's `caption`.
    """
    best = result.ranking[:most].tolist()
    if not best:
        return sheet([_tile(image)], ["nothing found"])
    small = _tile(image)
    masks = [result.proposals.masks[index].cpu() for index in best]
    tiles = [overlay(small, scale_to(mask, (small.shape[0], small.shape[1]))) for mask in masks]
    totals = [float(result.scores.total[index]) for index in best]
    captions = [f"{rank}   {total:.2f}" for rank, total in enumerate(totals, 1)]
    return sheet(tiles, captions, columns=3, heading=caption(result))


def sheet(
    tiles: Sequence[Image], captions: Sequence[str], columns: int = 4, heading: str = ""
) -> Image:
    """Pictures of one size in rows, each with a caption below; too long a text is cut.

    Args:
        tiles: float32 (h, w, 3) each, at least one.
        captions: as many.
        columns: pictures in a row.
        heading: above them all.
    """
    height, width = tiles[0].shape[:2]
    columns = min(columns, len(tiles))
    step_x, step_y = width + _GAP, height + _TEXT_SIZE + 2 * _GAP
    rows, above = math.ceil(len(tiles) / columns), _TEXT_SIZE + 2 * _GAP if heading else 0
    size = (columns * step_x + _GAP, rows * step_y + _GAP + above)
    canvas = PIL.Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(canvas), _font()
    draw.text((_GAP, _GAP), _fit(heading, size[0] - 2 * _GAP, font), _INK, font)
    for index, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
        x, y = _GAP + index % columns * step_x, _GAP + above + index // columns * step_y
        canvas.paste(to_pil(tile), (x, y))
        draw.text((x, y + height + 2), _fit(caption, width, font), _INK, font)
    return torch.from_numpy(np.asarray(canvas, dtype=np.float32) / 255)


def magnify(picture: Tensor, longer_side: int = 512) -> Tensor:
    """A small picture (H, W, 3) or map (H, W), a whole number of times as large.

    Args:
        picture: bool or float. A boolean mask stays one.
        longer_side: pixels that the longer side comes close to; larger pictures stay as they are.
    """
    times = max(1, longer_side // max(picture.shape[:2]))
    return picture.repeat_interleave(times, 0).repeat_interleave(times, 1)


def _tile(picture: Tensor, longer_side: int = 224) -> Tensor:
    scale = longer_side / max(picture.shape[:2])
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    return scale_to(shrink(picture), (height, width))


def _font(size: int = _TEXT_SIZE) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.load_default(size)
    except TypeError:  # before Pillow 10.1 there is one size
        return ImageFont.load_default()


def _fit(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
