"""Pictures in and out: whatever Pillow reads becomes float32 (H, W, 3), RGB, in [0, 1]."""

from __future__ import annotations

import io
import logging
import math
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import torch
import torch.nn.functional as F
from PIL import ImageOps
from torch import Tensor

from ..errors import ImageError, OutputError
from ..grid import WORKING_SIDE, blank, copy_size, whole_pixels
from ..values import Image

UNREADABLE = (
    OSError, ValueError, SyntaxError, RuntimeError, TypeError, ArithmeticError, LookupError,
    AttributeError, MemoryError, EOFError, struct.error,
)  # fmt: skip
"""What Pillow's decoders raise on damaged files, as found by feeding them some."""

logger = logging.getLogger("refdiff")


def load_image(path: str | Path) -> Image:
    """Read a picture as people see it.

    EXIF rotation is applied, transparency laid over white, 16-bit greyscale scaled by its range,
    CMYK and palettes converted; of an animation the first frame is taken, with a warning.

    Returns:
        float32 (H, W, 3), RGB, in [0, 1].

    Raises:
        ImageError: no such file, a folder, or nothing that Pillow can read whole.
    """
    path = Path(path)
    try:
        _check_file(path)
        with PIL.Image.open(path) as file:
            if getattr(file, "n_frames", 1) > 1:
                logger.warning("'%s' is animated; its first frame is used.", path)
            return from_pil(ImageOps.exif_transpose(file))
    except PIL.Image.DecompressionBombError as error:
        raise ImageError(f"'{path}' is too large: {error}. Scale it down first.") from error
    except UNREADABLE as error:
        raise ImageError(
            f"'{path}' cannot be read as a picture ({error or type(error).__name__}). "
            "Use a whole PNG, JPEG, WebP or TIFF file."
        ) from error


def _check_file(path: Path) -> None:
    if not path.exists():
        raise ImageError(f"There is no picture at '{path}'. Check the path.")
    if path.is_dir():
        raise ImageError(f"'{path}' is a folder, not a picture. Name the pictures inside it.")
    if not path.is_file():  # a device may have no end, and a pipe no beginning
        raise ImageError(f"'{path}' is no file. Save the picture first.")


def from_pil(picture: PIL.Image.Image) -> Image:
    """A Pillow image of any mode as float32 (H, W, 3) in [0, 1], transparency over white."""
    if picture.mode.startswith(("I", "F")):
        return _wide_grey(np.asarray(picture, dtype=np.float32), picture.mode)
    if _has_transparency(picture):
        rgba = picture.convert("RGBA")
        white = PIL.Image.new("RGBA", rgba.size, "white")
        picture = PIL.Image.alpha_composite(white, rgba)
    array = np.asarray(picture.convert("RGB"), dtype=np.float32)
    array /= 255  # in place: a 36-megapixel picture is 432 MB as it is
    return torch.from_numpy(array)


def _has_transparency(picture: PIL.Image.Image) -> bool:
    # Pillow's own has_transparency_data is of 10.1; some hosts have 9.5
    palette = picture.palette.mode if picture.mode == "P" and picture.palette else ""
    return (
        picture.mode in ("LA", "La", "PA", "RGBA", "RGBa")
        or "transparency" in picture.info
        or palette.endswith("A")
    )


def _wide_grey(array: np.ndarray, mode: str) -> Image:
    if not np.isfinite(array).all():
        raise ImageError("The picture holds values that are not finite. Repair it first.")
    # Pillow's own conversion to 8 bits clips 16-bit values instead of scaling them. "I" and "F"
    # do not say their range: 1, 255 and 65,535 are the ones in use.
    top = 65535 if mode.startswith("I;16") else _range_of(float(array.max(initial=0)))
    grey = torch.from_numpy(np.clip(array / top, 0, 1))
    return grey[..., None].expand(-1, -1, 3).contiguous()


def _range_of(largest: float) -> float:
    return next((top for top in (1.0, 255.0, 65535.0) if largest <= top), max(largest, 1.0))


def check_image(image: Image) -> Image:
    """The picture as float32 on the CPU, values beyond [0, 1] brought there, or one clear error.

    Raises:
        ImageError: not (H, W, 3), no pixels, integer values, or values that are not finite.
    """
    return _in_range(_check_form(image))


def show(image: Image) -> Image:
    """What models are shown of a picture: itself, of a large one a copy; checked as `check_image`.

    Raises:
        ImageError: as `check_image`.
    """
    # one pixel that is not finite leaves none of those finite that it is averaged with
    return _in_range(shrink(_check_form(image)))


def _check_form(image: Image) -> Image:
    if not isinstance(image, Tensor) or image.ndim != 3 or image.shape[-1] != 3:
        got = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
        raise ImageError(
            f"A picture must be a tensor (height, width, 3) in [0, 1]; got {got}. "
            "refdiff_core.load_image reads one from a file."
        )
    if not image.numel():
        raise ImageError(f"The picture has no pixels: {image.shape[1]} x {image.shape[0]}.")
    if not image.is_floating_point():
        raise ImageError(
            f"Picture values must be floats in [0, 1]; got {image.dtype}. Divide by 255."
        )
    # itself where nothing has to be changed, so that who knows it will know it again
    return (image.detach() if image.requires_grad else image).to("cpu", torch.float32)


def _in_range(image: Image) -> Image:
    # one pass that makes nothing: of a large picture, every copy is hundreds of megabytes
    low, high = (float(each) for each in torch.aminmax(image))
    if not math.isfinite(low) or not math.isfinite(high):
        raise ImageError("The picture holds values that are not finite. Repair it first.")
    return image if low >= 0 and high <= 1 else image.clamp(0, 1)


FINE = 4
"""Pixels a side for each that is wanted: what more there are is averaged before it is resampled,
which changes nothing that could be seen, in a third of the time."""


def resize_picture(image: Image, size_hw: tuple[int, int]) -> Tensor:
    """A picture (H, W, 3) as planes (1, 3, h, w) in [0, 1], resampled with antialiasing."""
    planes = _fine_enough(image, size_hw).permute(2, 0, 1)[None]
    return F.interpolate(
        planes, size=size_hw, mode="bicubic", align_corners=False, antialias=True
    ).clamp(0, 1)


def _fine_enough(image: Image, size_hw: tuple[int, int]) -> Image:
    times = int(min(image.shape[0] / size_hw[0], image.shape[1] / size_hw[1]) / FINE)
    return _average(image, times) if times > 1 else image


def shrink(image: Image, longer_side: int = WORKING_SIDE) -> Image:
    """A copy no longer than ``longer_side``; a picture that is not larger stays itself.

    `refdiff_core.segment` shows models such a copy of a larger picture: attention comes from a
    grid of 64 cells at most and SAM's masks from one of 256, so there is nothing to gain.

    Args:
        image: float32 (H, W, 3).
        longer_side: in pixels; the copy's is two thirds of that at least, see
            `refdiff_core.grid.copy_size`. The shorter side keeps its proportion, at least 1 pixel.
    """
    size_hw = (image.shape[0], image.shape[1])
    times = whole_pixels(size_hw, longer_side)
    return scale_to(_average(image, times) if times > 1 else image, copy_size(size_hw, longer_side))


def _average(image: Image, times: int) -> Image:
    """Means of squares of so many pixels a side; those at the far edges may be narrower."""
    high, wide = (side // times * times for side in image.shape[:2])
    if not high or not wide:
        return _pool(image, times)
    shown = blank(high // times, wide // times, 3, device=image.device)
    average_whole(image, times, shown)
    if wide < image.shape[1]:
        shown = torch.cat([shown, _pool(image[:high, wide:], times)], 1)
    return shown if high == image.shape[0] else torch.cat([shown, _pool(image[high:], times)])


def average_whole(image: Image, times: int, place: Tensor) -> None:
    """Into a place (h, w, 3), means of whole squares alone, in a sixth of `_pool`'s time."""
    height, width = (side * times for side in place.shape[:2])
    # few rows, which a processor has at hand, and in the same memory again and again
    few = min(len(place), 16) if image.device.type == "cpu" else len(place)
    rows = image.new_empty(few, width, 3)
    # columns are added where they lie together, before every ``times``-th is taken
    sums = image.new_empty(few, width - times + 1, 3)
    for band, part in zip(image[:height, :width].split(few * times), place.split(few), strict=True):
        count = len(part)
        _add_up([band[at::times] for at in range(times)], rows[:count])
        moved = [rows[:count, at : at + sums.shape[1]] for at in range(times)]
        _add_up(moved, sums[:count])
        torch.mul(sums[:count, ::times], 1 / times**2, out=part)


def _add_up(parts: Sequence[Tensor], place: Tensor) -> None:
    torch.add(parts[0], parts[1], out=place)
    for each in parts[2:]:
        place += each


def _pool(image: Image, times: int) -> Image:
    return F.avg_pool2d(image.movedim(-1, 0), times, ceil_mode=True).movedim(0, -1)


def scale_to(picture: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Bring a picture (H, W, 3), a map (H, W) or masks (N, H, W) of type bool to another size.

    Linear, with antialiasing; a boolean mask is cut at one half and stays boolean.
    """
    if picture.dtype == torch.bool:
        masks = picture if picture.ndim == 3 else picture[None]
        # one by one, so that only one mask at a time is held as floats
        resized = [scale_to(mask.float(), size_hw) >= 0.5 for mask in masks]
        stacked = torch.stack(resized) if resized else masks.new_zeros(0, *size_hw)
        return stacked if picture.ndim == 3 else stacked[0]
    if picture.shape[:2] == size_hw:
        return picture
    flat = picture.ndim == 2
    planes = picture[None] if flat else _fine_enough(picture, size_hw).permute(2, 0, 1)
    scaled = F.interpolate(
        planes[None], size_hw, mode="bilinear", align_corners=False, antialias=True
    )[0]
    return scaled[0] if flat else scaled.permute(1, 2, 0).contiguous()


def to_pil(image: Image) -> PIL.Image.Image:
    """A picture (H, W, 3) or a map (H, W) in [0, 1] as 8-bit Pillow image."""
    array = (image.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    return PIL.Image.fromarray(array)


def save_image(image: Image, path: str | Path) -> Path:
    """Write a picture (H, W, 3) or a map or mask (H, W) in [0, 1]; the format is the name's.

    Raises:
        OutputError: the place cannot be written to.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = PIL.Image.registered_extensions()[path.suffix.lower()]
        content = io.BytesIO()
        to_pil(image).save(content, kind)
        write_whole(path, content.getvalue())
    except (OSError, ValueError, KeyError) as error:  # KeyError: a suffix that Pillow lacks
        raise OutputError(f"'{path}' cannot be written ({error}). Choose another --out.") from error
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is whole or as it was before, and on the disk when this returns."""
    part = path.with_name(f".{path.name[-100:]}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
