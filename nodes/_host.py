"""Between ComfyUI's types and the core's values: pictures, masks, boxes, SEGS, messages."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io
from torch import Tensor

from ..refdiff_core.errors import ImageError, MaskError
from ..refdiff_core.grid import WORKING_SIDE, copy_size, fits, in_parts
from ..refdiff_core.pictures.images import check_image, scale_to, shrink
from ..refdiff_core.pictures.previews import caption, heat_picture, label, overlay
from ..refdiff_core.seeing.attention import resize
from ..refdiff_core.seeing.proposals import mask_boxes
from ..refdiff_core.values import Image, Proposals, Segmentation
from ._segs import SEG, from_segs
from ._values import AttentionBatch, ProposalBatch, ResultBatch


def images(image: Tensor) -> list[Image]:
    """IMAGE (B, H, W, C) as B pictures on the CPU; a fourth channel is left out."""
    shape = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
    if len(shape) != 4 or shape[-1] not in (3, 4) or not image.numel():
        planes = " It has its channels first." if len(shape) == 4 and shape[1] in (3, 4) else ""
        raise ImageError(
            f"An IMAGE is (batch, height, width, 3), got {shape}.{planes} "
            "Connect a Load Image node."
        )
    if image.is_floating_point() and _BRIGHTEST < image.max() < math.inf:
        raise ImageError(
            f"An IMAGE has values in [0, 1], this one up to {float(image.max()):.0f}. "
            "Divide it by 255 before it gets here."
        )
    return [check_image(each) for each in image[..., :3]]


_BRIGHTEST = 100.0
"""Above it values are 0 to 255; below, even the lights of a picture with a high range fit in."""


def size_of(picture: Image) -> tuple[int, int]:
    """(H, W) of a picture."""
    return picture.shape[0], picture.shape[1]


def is_mask(value: Any) -> bool:
    """Whether it is a MASK, or a list of some, as nodes give out that make one at a time."""
    several = isinstance(value, (list, tuple)) and bool(value)
    return isinstance(value, Tensor) or (several and all(isinstance(v, Tensor) for v in value))


def masks(mask: Tensor | Sequence[Tensor]) -> Tensor:
    """MASK (B, H, W), (H, W) or (B, 1, H, W), or a list, as float32 (B, H, W) on the CPU."""
    if not is_mask(mask):
        raise MaskError(f"A MASK is (batch, height, width), got a {type(mask).__name__}.")
    if not isinstance(mask, Tensor):
        found = [masks(each) for each in mask]
        if len({each.shape[1:] for each in found}) > 1:
            sizes = ", ".join(f"{each.shape[2]} x {each.shape[1]}" for each in found[:5])
            raise MaskError(f"Masks of one picture must share one size, got {sizes}.")
        return torch.cat(found)
    if mask.ndim == 4 and mask.shape[1] == 1:
        mask = mask[:, 0]
    mask = mask[None] if mask.ndim == 2 else mask
    if mask.ndim != 3 or 0 in mask.shape[1:]:
        raise MaskError(f"A MASK is (batch, height, width), got {tuple(mask.shape)}.")
    mask = mask.detach().to("cpu", torch.float32)
    if not all(part.isfinite().all() for part in in_parts(mask)):
        raise MaskError("A MASK holds values that are not finite. Repair it first.")
    return mask


def to_host(values: Sequence[Tensor]) -> Tensor:
    """Pictures or masks of one size as a batch where ComfyUI keeps results between nodes."""
    return torch.stack(list(values)).to(comfy.model_management.intermediate_device())


def proposals(value: Any) -> ProposalBatch:
    """REFDIFF_PROPOSALS as it is; MASK and SEGS as the candidates of one picture."""
    if isinstance(value, ProposalBatch):
        return value
    if is_mask(value):
        # a few at a time: compared all at once they would be there twice
        cut = Proposals.of_parts(part >= 0.5 for part in in_parts(masks(value)))
        return ProposalBatch(((cut,),))
    return ProposalBatch(((from_segs(value),),))


def check_sizes(pictures: Iterable[Image], batch: ProposalBatch) -> None:
    """Every candidate must lie on its picture's grid."""
    for index, picture in enumerate(pictures):
        size_hw = size_of(picture)
        for each in batch.sets_of(index):
            if len(each) and not fits(each.size_hw, size_hw):
                raise MaskError(
                    f"The candidates are {each.size_hw[1]} x {each.size_hw[0]} pixels, but the "
                    f"picture is {size_hw[1]} x {size_hw[0]}. Resize one of them."
                )


def draw_each(batch: ResultBatch) -> Tensor:
    """MASK of every thing that is meant, one by one; of a result without any, its mask."""
    return to_host([mask for result in batch.results for mask in result.drawing.draw_each()])


def draw(batch: ResultBatch) -> Tensor:
    """MASK of all results; each is drawn once, straight to where ComfyUI keeps it."""
    size_hw = batch.images[0].shape[:2]
    device = comfy.model_management.intermediate_device()
    drawn = torch.empty(len(batch.results), *size_hw, device=device)
    for place, result in zip(drawn, batch.results, strict=True):
        place.copy_(result.mask)
    return drawn


def segs_of(batch: ResultBatch, drawn: Tensor) -> list[list[SEG]]:
    """What was found in each picture; ``drawn`` holds its masks."""
    left = iter(drawn)
    return [
        [_seg(picture, result, *part) for result in row for part in _parts(result, next(left))]
        for picture, row in batch.rows
    ]


def to_segs(batch: ResultBatch, found: list[list[SEG]]) -> tuple[tuple[int, int], list[SEG]]:
    """SEGS of all pictures."""
    return size_of(batch.images[0]), [each for row in found for each in row]


def _parts(result: Segmentation, mask: Tensor) -> Iterator[tuple[Tensor, float | None]]:
    """A result's mask and score, or those of each of several things; none where none is found."""
    if not result.found:
        return
    parts, scores = iter([mask]), [result.score]
    if result.several:
        parts = result.drawing.draw_each()
        scores = result.scores.total[result.winners].tolist()
    for each, score in zip(parts, scores, strict=True):
        if each.any():  # it may have shrunk to nothing
            yield each, _figure(score)


def _seg(picture: Image, result: Segmentation, mask: Tensor, score: float | None) -> SEG:
    # the box around everything above zero
    x0, y0, x1, y1 = (int(edge) for edge in mask_boxes(mask[None] > 0)[0])
    region = x0, y0, x1, y1
    return SEG(
        cropped_image=picture[None, y0:y1, x0:x1].numpy(),
        cropped_mask=mask[y0:y1, x0:x1].cpu().numpy(),
        # what was not ranked is what the hand chose, or the rest of a picture; a figure it must be:
        # core's Draw BBoxes and Impact Pack's filters reckon with it
        confidence=1.0 if score is None else score,
        crop_region=region,
        bbox=region,
        label=result.expression.text,
    )


def to_boxes(found: list[list[SEG]]) -> list[list[dict[str, Any]]]:
    """BOUNDING_BOX in core's form: for each picture, the boxes of what was found in it."""
    return [[_box(each) for each in row] for row in found]


def _box(found: SEG) -> dict[str, Any]:
    x0, y0, x1, y1 = found.bbox
    place = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
    return {**place, "score": found.confidence, "label": found.label}


def to_scores(batch: ResultBatch, most: int = 20) -> str:
    """What was found as JSON, each with its best candidates."""
    each = len(batch.results) // len(batch.images)
    rows = [
        {
            "image": index // each,
            "expression": result.expression.text,
            "found": result.found,
            "present": result.present,
            "missing": result.missing,
            "score": _figure(result.score),
            "objects": len(result.drawing.winners),
            "candidates": [
                {"total": _figure(result.scores.total[at]), **_known(result.scores.of(at))}
                for at in result.ranking[:most].tolist()
            ],
        }
        for index, result in enumerate(batch.results)
    ]
    return json.dumps(rows, indent=1)


def _figure(score: Any) -> float | None:
    """None where the ranking rejected what a hand then chose: no JSON has infinity."""
    return None if score is None or not math.isfinite(score) else float(score)


def _known(scores: dict[str, float]) -> dict[str, float]:
    """Without those that were never asked of a candidate that a hand made."""
    return {name: value for name, value in scores.items() if math.isfinite(value)}


def to_overlays(batch: ResultBatch, drawn: Tensor) -> Tensor:
    """IMAGE: each mask on its picture, or on a smaller copy of a large one."""
    places = iter(zip(drawn, shown := _many(len(drawn), 3, batch.images[0]), strict=True))
    for picture, row in batch.rows:
        small = shrink(picture)
        for result in row:
            large, place = next(places)
            mask = scale_to(large.cpu(), size_of(small))
            place.copy_(label(overlay(small, mask), mask, caption(result)))
    return shown


def _many(count: int, channels: int, picture: Image) -> Tensor:
    """Room for pictures of the size of a smaller copy, to be filled one by one: no list of them
    has then to be held beside the batch.
    """
    size_hw = copy_size(size_of(picture))
    device = comfy.model_management.intermediate_device()
    return torch.empty(count, *size_hw, channels, device=device)


def heats(batch: AttentionBatch) -> tuple[Tensor, Tensor]:
    """MASK of all maps and IMAGE of the same over their pictures, image-major.

    Both are of the size of a smaller copy where a picture is large.
    """
    count = sum(len(row) for row in batch.maps)
    maps, shown = (_many(count, channels, batch.images[0]) for channels in (1, 3))
    places = iter(zip(maps[..., 0], shown, strict=True))
    for index, picture in enumerate(batch.images):
        small = shrink(picture)
        for each in batch.sharpened(index):
            heat, place = next(places)
            heat.copy_(resize(each.heat.cpu(), size_of(small)))
            place.copy_(heat_picture(small, heat.cpu()))
    return maps[..., 0], shown


def message(batch: ResultBatch) -> str:
    """What the node says to its user: what was not found, and what was not understood."""
    lines = [
        f"Nothing found for '{r.expression.text}'{f': {r.missing}' if r.missing else ''}."
        for r in batch.results
        if not r.found
    ]
    lines += [note for result in batch.results for note in result.expression.notes]
    return "\n".join(dict.fromkeys(lines))


def progress() -> Callable[[int, int], None]:
    """The core's progress callback: moves the node's bar, and stops where the user asks to."""
    bar = comfy.utils.ProgressBar(1)

    def step(done: int, total: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, total)

    return step


def answer(
    batch: ResultBatch, ui: dict[str, Any], one_mask: bool = False, each: bool = False
) -> io.NodeOutput:
    """What Ref-Diff Segment and Fuse Masks give out, and what their panel shows.

    one_mask: of each picture, all lines' masks together. each: else a mask of every thing in place
    of one of every line.
    """
    drawn = draw(batch)
    shown = draw_each(batch) if each and not one_mask else drawn
    found = segs_of(batch, drawn)
    return io.NodeOutput(
        drawn.unflatten(0, (len(batch.images), -1)).amax(1) if one_mask else shown,
        batch,
        to_scores(batch),
        to_boxes(found),
        to_segs(batch, found),
        to_overlays(batch, drawn),
        ui=ui,
    )


def candidate_masks(batch: ProposalBatch, image: Tensor) -> Tensor:
    """All candidates as MASK, of a large picture's working grid; one empty one for none."""
    found = [mask for row in batch.sets for each in _distinct_sets(row) for mask in _drawn(each)]
    return to_host(found or [torch.zeros(image.shape[1:3])])


def _drawn(candidates: Proposals) -> list[Tensor]:
    if max(candidates.size_hw) > WORKING_SIDE:
        return [mask.float() for mask in candidates.masks.cpu()]
    return [candidates.draw(index).float() for index in range(len(candidates))]


def _distinct_sets(row: Sequence[Proposals]) -> list[Proposals]:
    """Each set once, however many expressions share it."""
    return list({id(each): each for each in row}.values())
