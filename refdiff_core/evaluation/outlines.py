"""The outlines of COCO's annotations as masks: polygons, and run-length codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError, RefDiffError, UnavailableError
from .refer import Annotation


def decode_mask(annotation: Annotation, size_hw: tuple[int, int]) -> Tensor:
    """An annotation's mask, bool (H, W): the union of its polygons, or its run-length code.

    Polygons may overlap; what several of them cover is covered once (METHOD.md 4).

    Raises:
        DataError: the outline does not fit the picture, or is none.
        UnavailableError: pycocotools is not installed.
    """
    if 0 in size_hw:
        raise DataError(f"The picture of annotation {annotation.id} has no size.")
    try:
        if isinstance(annotation.segmentation, dict):
            return _decode_runs(annotation.segmentation, size_hw)
        return _fill_polygons(annotation.segmentation, size_hw)
    except RefDiffError:
        raise
    except Exception as error:  # whatever a value of another kind than an outline's leads to
        raise DataError(f"Annotation {annotation.id} has no outline: {error}.") from error


def _fill_polygons(outline: Any, size_hw: tuple[int, int]) -> Tensor:
    # of four numbers pycocotools would make a box; fewer than three points enclose nothing
    polygons = [polygon for polygon in outline if len(polygon) >= 6]
    if not polygons:
        return torch.zeros(size_hw, dtype=torch.bool)
    longest = max(size_hw)
    for polygon in polygons:
        # pycocotools believes whatever it is given, and what is not finite ends the process
        if len(polygon) % 2 or not all(-longest <= each <= 2 * longest for each in polygon):
            raise ValueError("a polygon of points x, y about the picture was expected")
    coco = _pycocotools()
    return torch.from_numpy(coco.decode(coco.frPyObjects(polygons, *size_hw))).bool().any(-1)


def _decode_runs(code: Mapping[str, Any], size_hw: tuple[int, int]) -> Tensor:
    """COCO's run-length code: of nothing and of the object in turn, column by column."""
    import numpy as np

    if list(code["size"]) != list(size_hw):
        raise ValueError(
            f"it is {code['size'][1]} x {code['size'][0]} pixels, its picture "
            f"{size_hw[1]} x {size_hw[0]}"
        )
    counts = code["counts"]
    runs = counts if isinstance(counts, list) else _unpack_runs(counts)
    if not all(type(each) is int and each >= 0 for each in runs) or sum(runs) != math.prod(size_hw):
        raise ValueError("its runs do not add up to the picture")
    ones = np.arange(len(runs)) % 2 == 1
    return torch.from_numpy(np.repeat(ones, runs).reshape(size_hw[::-1]).T.copy())


def _unpack_runs(counts: str | bytes) -> list[int]:
    """The runs of a compressed code: five bits a character, each run less the one two before it."""
    runs: list[int] = []
    value = shift = 0
    for each in counts.encode() if isinstance(counts, str) else counts:
        bits = each - 48
        value |= (bits & 31) << shift
        shift += 5
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("it is no run-length code")
        if not bits & 32:
            value -= (bits >> 4 & 1) << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


def encode_mask(mask: Tensor) -> dict[str, Any]:
    """A mask bool (H, W) as COCO's compressed run-length code, plain enough for JSON."""
    import numpy as np

    code = _pycocotools().encode(np.asfortranarray(mask.to(torch.uint8).numpy()))
    return {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode()}


def _pycocotools() -> Any:
    try:
        from pycocotools import mask
    except ImportError as error:
        raise UnavailableError(
            "Outlines are read with pycocotools, which is not installed. "
            "Run: pip install pycocotools"
        ) from error
    return mask
