"""Masks from outside: a folder of PNGs, one picture, or an array file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from ..errors import MaskError
from .images import UNREADABLE


def load_masks(path: str | Path) -> Tensor:
    """Read proposals that something else has made.

    In every mask a pixel belongs to the thing when its value is at least half of that mask's
    largest: so 0 and 1, 0 and 255, 16-bit and soft masks all mean what they look like.

    Args:
        path: a folder of PNG files (taken in the order of their names), one picture, or one
            ``.npy`` file (N, H, W) or (H, W).

    Returns:
        bool (N, H, W), N >= 1.

    Raises:
        MaskError: nothing there, not readable, or masks of different sizes.
    """
    path = Path(path)
    try:
        there = path.is_file() or path.is_dir()
    except OSError as error:
        raise MaskError(f"'{path}' cannot be looked at ({error}). Check the path.") from error
    if not there:
        raise MaskError(f"There are no masks at '{path}'. Check the path.")
    if path.suffix.lower() == ".npy" and path.is_file():
        return torch.from_numpy(np.stack([_cut(mask, path) for mask in _read_array(path)]))
    files = _png_files(path) if path.is_dir() else [path]
    masks = [_cut(_read_picture(file), file) for file in files]
    for file, mask in zip(files, masks, strict=True):
        if mask.shape != masks[0].shape:
            raise MaskError(
                f"Masks must share one size: '{file}' is {_size(mask)}, "
                f"'{files[0]}' is {_size(masks[0])}."
            )
    return torch.from_numpy(np.stack(masks))


def check_masks(masks: Tensor, size_hw: tuple[int, int]) -> None:
    """Make sure that masks (N, H, W) are of a picture's size.

    Raises:
        MaskError: they are not.
    """
    if tuple(masks.shape[1:]) != tuple(size_hw):
        raise MaskError(
            f"The masks are {masks.shape[2]} x {masks.shape[1]} pixels, "
            f"the picture is {size_hw[1]} x {size_hw[0]}. Give masks of the picture's size."
        )


def _png_files(folder: Path) -> list[Path]:
    try:
        named = [file for file in folder.iterdir() if file.suffix.lower() == ".png"]
    except OSError as error:
        raise MaskError(f"'{folder}' cannot be looked into ({error}).") from error
    files = sorted(file for file in named if file.is_file())
    if not files:
        raise MaskError(f"'{folder}' holds no PNG files. Name a folder with one PNG per mask.")
    return files


def _read_array(path: Path) -> np.ndarray:
    try:
        # mapped, so that a head which promises more than there is reserves nothing
        array = np.load(path, allow_pickle=False, mmap_mode="r")
        if not isinstance(array, np.ndarray):
            raise ValueError("it is an archive of several; take one array out of it")
    except Exception as error:  # numpy parses the head as Python and raises what that does
        raise MaskError(f"'{path}' cannot be read as an array of numbers ({error}).") from error
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or not array.size or array.dtype.kind not in "buif":
        raise MaskError(
            f"'{path}' must hold numbers (N, height, width), N at least 1; "
            f"it holds {array.shape} of {array.dtype}."
        )
    return array


def _read_picture(path: Path) -> np.ndarray:
    try:
        with PIL.Image.open(path) as file:
            # Pillow would clip 16-bit values on the way to "L"
            wide = file.mode.startswith(("I", "F"))
            return np.asarray(file if wide else file.convert("L"))
    except (PIL.Image.DecompressionBombError, *UNREADABLE) as error:
        raise MaskError(f"'{path}' cannot be read as a mask ({error}). Use a PNG.") from error


def _cut(mask: np.ndarray, path: Path) -> np.ndarray:
    if not np.isfinite(mask).all():
        raise MaskError(f"'{path}' holds values that are not finite.")
    largest = mask.max()
    cut: np.ndarray = mask >= largest / 2 if largest > 0 else np.zeros(mask.shape, bool)
    return cut


def _size(mask: np.ndarray) -> str:
    return f"{mask.shape[1]} x {mask.shape[0]}"
