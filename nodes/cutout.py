"""The thing by itself: cut out, on a colour, cropped with a margin."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from comfy_api.latest import io
from torch import Tensor

from ..refdiff_core.errors import MaskError, RefDiffError, SettingsError
from ..refdiff_core.seeing.proposals import mask_boxes
from ._check import checked
from ._host import images, masks, to_host
from ._schema import CATEGORY, schema


class RefDiffCutOut(io.ComfyNode):
    """What a mask shows, by itself, in full and as a crop; one IMAGE and MASK for each."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RefDiffCutOut",
            display_name="Cut Out and Crop",
            category=CATEGORY,
            description="What a mask shows, by itself: cut out with a clear background, on a plain "
            "colour, and cropped with a margin, with the numbers to put the crop back.",
            search_aliases=[
                "cut out", "cutout", "remove", "remove background", "transparent background",
                "crop to mask", "crop and stitch", "colour fill", "color fill", "extract object",
            ],
            inputs=[
                io.Image.Input("image", tooltip="The picture that the mask was made for."),
                io.Mask.Input("mask", tooltip="Such as Ref-Diff Segment's; soft edges stay soft."),
                io.Int.Input(
                    "margin", default=32, min=0, max=4096,
                    tooltip="Pixels around the thing that the crop shows, as far as there are any.",
                ),
                io.Int.Input(
                    "multiple", default=8, min=1, max=512,
                    tooltip="The crop's sides divide by it, in pixels: 8 for most models.",
                ),
                io.String.Input(
                    "color", default="#ffffff",
                    tooltip="Of the plain background, as #rrggbb or #rgb.",
                ),
            ],
            outputs=_outputs(),
        )  # fmt: skip

    @classmethod
    @checked
    def execute(
        cls, image: Tensor, mask: Tensor, margin: int, multiple: int, color: str
    ) -> io.NodeOutput:
        pairs, plain = pair_up(image, mask), read_color(color)
        clear = [torch.cat([picture, soft[..., None]], -1) for picture, soft in pairs]
        filled = [torch.lerp(plain.expand_as(each), each, soft[..., None]) for each, soft in pairs]
        boxes = [crop_box(soft, margin, multiple) for _, soft in pairs]
        crops = [crop(picture, box) for (picture, _), box in zip(pairs, boxes, strict=True)]
        cut = [crop(soft, box) for (_, soft), box in zip(pairs, boxes, strict=True)]
        numbers = [list(each) for each in zip(*boxes, strict=True)]
        return io.NodeOutput(to_host(clear), to_host(filled), crops, cut, *numbers)


def _outputs() -> list[io.Output]:
    number = "Of the crop, in the picture's pixels: connect it where the crop is put back."
    return [
        io.Image.Output(
            "cut_out", display_name="cut-out",
            tooltip="Everything else is clear: four channels, to be saved as PNG.",
        ),
        io.Image.Output(
            "on_color", display_name="on color", tooltip="The thing on the plain colour."
        ),
        io.Image.Output(
            "crop", display_name="crop", is_output_list=True,
            tooltip="The picture around the thing, one for each mask; the whole picture "
            "where a mask is empty.",
        ),
        io.Mask.Output(
            "crop_mask", display_name="crop mask", is_output_list=True,
            tooltip="The mask of the crop.",
        ),
        *(
            io.Int.Output(name, display_name=name, is_output_list=True, tooltip=number)
            for name in ("x", "y", "width", "height")
        ),
    ]  # fmt: skip


def pair_up(image: Tensor, mask: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Each mask with its picture; several masks of each picture lie one behind the other.

    Raises:
        MaskError: sizes or numbers do not fit.
    """
    pictures, soft = images(image), masks(mask).clamp(0, 1)
    if soft.shape[1:] != pictures[0].shape[:2]:
        raise MaskError(
            f"The mask is {soft.shape[2]} x {soft.shape[1]} pixels, but the picture is "
            f"{pictures[0].shape[1]} x {pictures[0].shape[0]}. Resize one of them."
        )
    if not len(soft) or len(soft) % len(pictures):
        raise MaskError(
            f"There are {len(soft)} masks for {len(pictures)} pictures. Connect the picture that "
            "the masks were made for."
        )
    each = len(soft) // len(pictures)
    return [(pictures[at // each], one) for at, one in enumerate(soft)]


def crop(values: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    """A part of one picture or mask, as a batch of one."""
    x, y, width, height = box
    return to_host([values[y : y + height, x : x + width]])


def crop_box(mask: Tensor, margin: int, multiple: int) -> tuple[int, int, int, int]:
    """x, y, width and height of what is above zero, with a margin; all of it where nothing is.

    Sides divide by ``multiple``, for which a margin that has no room gives way, unless the thing
    itself is larger than the largest of them that the picture holds.

    Raises:
        SettingsError: a negative margin, or no multiple.
    """
    if margin < 0 or multiple < 1:
        raise SettingsError(
            f"margin is {margin} and multiple {multiple}, expected 0 and 1 at least."
        )
    height, width = mask.shape
    if not bool((mask > 0).any()):
        return 0, 0, width, height
    x0, y0, x1, y1 = (int(edge) for edge in mask_boxes(mask[None] > 0)[0])
    x, wide = _span(x0, x1, margin, width, multiple)
    y, high = _span(y0, y1, margin, height, multiple)
    return x, y, wide, high


def _span(first: int, last: int, margin: int, most: int, multiple: int) -> tuple[int, int]:
    """Start and length inside [0, most), around [first, last)."""
    start, end = max(0, first - margin), min(most, last + margin)
    length = min(-(-(end - start) // multiple), most // multiple) * multiple
    length = length if length >= last - first else end - start
    middle = (start + end - length) // 2
    return min(max(middle, last - length, 0), first, most - length), length


def read_color(text: str) -> Tensor:
    """RGB in [0, 1] of #rrggbb or #rgb.

    Raises:
        RefDiffError: it is neither.
    """
    digits = text.strip().lstrip("#")
    if not re.fullmatch(r"[0-9a-fA-F]{3}|[0-9a-fA-F]{6}", digits):
        raise RefDiffError(f"'{text}' is no colour. Write it as #rrggbb, such as #ffffff.")
    pairs: Sequence[str] = [each * 2 for each in digits] if len(digits) == 3 else [
        digits[at : at + 2] for at in (0, 2, 4)
    ]  # fmt: skip
    return torch.tensor([int(pair, 16) / 255 for pair in pairs])
