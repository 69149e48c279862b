"""Pictures as CLIP gets them: masked crops of objects, and whole pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor
from torch.nn import functional as F

from refdiff_core.demo.architectures import CLIP_CONFIG, CLIP_IMAGE_SIZE, CLIP_MEAN, CLIP_STD
from refdiff_core.demo.scenes import Scene
from training.loop import pixels

SURROUNDS = ("black", "mean", "blurred", "kept")
MEAN_COLOR = tuple(round(255 * value) for value in CLIP_MEAN)
BLUR_RADIUS = 5
WHOLE_SIZE = 128
PATCH = CLIP_CONFIG["vision_cfg"]["patch_size"]


def crop(
    image: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    surround: str = "black",
    *,
    margin: float = 1.0,
    shift_xy: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.uint8]:
    """A square around a mask, 64 px a side, the rest of the picture treated as asked.

    Args:
        margin: side of the square over the longer side of the mask's box.
        shift_xy: shift of the square's centre in parts of its side.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    side = max(bottom - top, right - left) * margin
    x = (left + right) / 2 + shift_xy[0] * side
    y = (top + bottom) / 2 + shift_xy[1] * side
    box = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    picture = Image.fromarray(_surrounded(image, mask, surround))
    size = (CLIP_IMAGE_SIZE, CLIP_IMAGE_SIZE)
    fill = MEAN_COLOR if surround == "mean" else (0, 0, 0)
    cut = picture.transform(
        size, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR, fillcolor=fill
    )
    return np.asarray(cut)


def _surrounded(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], surround: str
) -> NDArray[np.uint8]:
    if surround == "kept":
        return image
    if surround == "blurred":
        blur = ImageFilter.GaussianBlur(BLUR_RADIUS)
        outside = np.asarray(Image.fromarray(image).filter(blur))
    else:
        outside = np.array(MEAN_COLOR if surround == "mean" else (0, 0, 0), np.uint8)
    return np.where(mask[..., None], image, outside)


def normalise(images: Tensor) -> Tensor:
    """float32 (B, 3, H, W) in [0, 255] to CLIP's range."""
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    return (images / 255 - mean) / std


def whole_size(size_hw: tuple[int, int]) -> tuple[int, int]:
    """Size with the longest side at 128 px and both sides in whole patches."""
    scale = WHOLE_SIZE / max(size_hw)
    height, width = (round(side * scale / PATCH) * PATCH for side in size_hw)
    return height, width


def whole(images: Sequence[NDArray[np.uint8]], size_hw: tuple[int, int]) -> Tensor:
    """Whole pictures at a size, normalised, float32 (B, 3, H, W)."""
    resized = F.interpolate(pixels(list(images)), size_hw, mode="bilinear", antialias=True)
    return normalise(resized)


def patch_masks(masks: NDArray[np.bool_], size_hw: tuple[int, int]) -> Tensor:
    """Patches at least half covered by a mask, bool (B, h, w); the most covered one always."""
    grid = (size_hw[0] // PATCH, size_hw[1] // PATCH)
    share = F.interpolate(torch.from_numpy(masks).float()[:, None], grid, mode="area")[:, 0]
    most = share.amax((1, 2), keepdim=True)
    return share >= torch.minimum(most, torch.tensor(0.5))


def random_crop(scene: Scene, target: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A crop as the scoring may make it: any surround, margin up to a half, flipped or not."""
    shift = tuple(rng.uniform(-0.06, 0.06, 2).tolist())
    surround = SURROUNDS[rng.choice(len(SURROUNDS), p=(0.4, 0.25, 0.2, 0.15))]
    tight = rng.random() < 0.3
    margin = 1.0 if tight else float(rng.uniform(1.0, 1.5))
    piece = crop(scene.image, scene.masks[target], surround, margin=margin, shift_xy=shift)
    return piece[:, ::-1] if rng.random() < 0.5 else piece
