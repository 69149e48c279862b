"""One answer as pictures, for the report: picture, truth, ours, heat map, candidates."""

from __future__ import annotations

import io

from torch import Tensor

from ..pictures.images import scale_to, shrink, to_pil
from ..pictures.previews import candidates_sheet, heat_picture, magnify, overlay
from ..runs.batch import Answer
from ..values import Image

SIDE = 288
TRUTH_COLOR = (0.25, 0.8, 1.0)
"""Of the truth's outline: a blue that nobody takes for our own outline's amber."""


def draw_case(answer: Answer, truth: Tensor) -> dict[str, bytes]:
    """JPEG files by name, small enough to be part of a page.

    Args:
        answer: what was found.
        truth: bool (H, W), the size of the picture in its file.
    """
    view = shrink(magnify(answer.picture, SIDE), SIDE)
    size_hw = (view.shape[0], view.shape[1])
    result = answer.result
    shown = {
        "picture": view,
        "truth": overlay(view, scale_to(truth, size_hw), TRUTH_COLOR),
        "ours": overlay(view, scale_to(answer.mask, size_hw)),
    }
    if result.attention is not None:
        shown["heat"] = heat_picture(view, scale_to(result.attention.heat.cpu(), size_hw))
    shown["candidates"] = candidates_sheet(answer.picture, result, most=4)
    return {name: _jpeg(image) for name, image in shown.items()}


def _jpeg(image: Image) -> bytes:
    file = io.BytesIO()
    to_pil(image).save(file, "JPEG", quality=85)
    return file.getvalue()
