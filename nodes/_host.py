"""Between ComfyUI's types and the core's values: pictures, masks, boxes, SEGS, messages."""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io
from torch import Tensor

from ..refdiff_core.errors import ImageError, MaskError
from ..refdiff_core.pictures.images import check_image
from ..refdiff_core.pictures.previews import heat_picture, overlay
from ..refdiff_core.seeing.proposals import mask_boxes
from ..refdiff_core.values import Image, Proposals, Segmentation
from ._values import AttentionBatch, ProposalBatch, ResultBatch

SEG = namedtuple(
    "SEG",
    ("cropped_image", "cropped_mask", "confidence", "crop_region", "bbox", "label",
     "control_net_wrapper"),
    defaults=(None,),
)  # fmt: skip
"""Looks like Impact Pack's, which reads these by name."""


def images(image: Tensor) -> list[Image]:
    """IMAGE (B, H, W, C) as B pictures on the CPU; a fourth channel is left out."""
    if image.ndim != 4 or image.shape[-1] < 3 or not len(image):
        raise ImageError(
            f"An IMAGE is (batch, height, width, 3), got {tuple(image.shape)}. "
            "Connect a Load Image node."
        )
    return [check_image(each) for each in image[..., :3]]


def masks(mask: Tensor) -> Tensor:
    """MASK (B, H, W), (H, W) or (B, 1, H, W) as float32 (B, H, W) in [0, 1] on the CPU."""
    if mask.ndim == 4 and mask.shape[1] == 1:
        mask = mask[:, 0]
    mask = mask[None] if mask.ndim == 2 else mask
    if mask.ndim != 3:
        raise MaskError(f"A MASK is (batch, height, width), got {tuple(mask.shape)}.")
    return mask.detach().to("cpu", torch.float32)


def to_host(values: Sequence[Tensor]) -> Tensor:
    """Pictures or masks of one size as a batch where ComfyUI keeps results between nodes."""
    return torch.stack(list(values)).to(comfy.model_management.intermediate_device())


def proposals(value: Any) -> ProposalBatch:
    """REFDIFF_PROPOSALS as it is; MASK and SEGS as the candidates of one picture."""
    if isinstance(value, ProposalBatch):
        return value
    if isinstance(value, Tensor):
        return ProposalBatch(((Proposals.of(masks(value) >= 0.5),),))
    return ProposalBatch(((_from_segs(value),),))


def check_sizes(pictures: Iterable[Image], batch: ProposalBatch) -> None:
    """Every candidate must lie on its picture's grid."""
    for index, picture in enumerate(pictures):
        size_hw = (picture.shape[0], picture.shape[1])
        for each in batch.sets[index if len(batch.sets) > 1 else 0]:
            if len(each) and each.size_hw != size_hw:
                raise MaskError(
                    f"The candidates are {each.size_hw[1]} x {each.size_hw[0]} pixels, but the "
                    f"picture is {size_hw[1]} x {size_hw[0]}. Resize one of them."
                )


def _from_segs(segs: Any) -> Proposals:
    size_hw, found = segs
    whole = torch.zeros(len(found), *size_hw, dtype=torch.bool)
    for mask, seg in zip(whole, found, strict=True):
        x0, y0, x1, y1 = (int(edge) for edge in seg.crop_region)
        mask[y0:y1, x0:x1] = torch.as_tensor(seg.cropped_mask) >= 0.5
    return Proposals(whole, torch.tensor([_confidence(seg) for seg in found]))


def _confidence(seg: Any) -> float:
    # Impact Pack's own detectors give a float, a numpy array of one value, or None
    return 1.0 if seg.confidence is None else float(torch.as_tensor(seg.confidence).mean())


def to_segs(batch: ResultBatch) -> tuple[tuple[int, int], list[SEG]]:
    """SEGS of everything that was found."""
    found = [(picture, result) for picture, result in batch.pairs if result.found]
    size_hw = tuple(int(side) for side in batch.images[0].shape[:2])
    return size_hw, [_seg(picture, result) for picture, result in found]


def _seg(picture: Image, result: Segmentation) -> SEG:
    x0, y0, x1, y1 = region = _edges(result.mask)
    return SEG(
        cropped_image=picture[None, y0:y1, x0:x1].numpy(),
        cropped_mask=result.mask[y0:y1, x0:x1].numpy(),
        confidence=result.score,
        crop_region=region,
        bbox=region,
        label=result.expression.text,
    )


def to_boxes(batch: ResultBatch) -> list[list[dict[str, Any]]]:
    """BOUNDING_BOX in core's form: for each picture, the boxes of what was found in it."""
    return [[_box(result) for result in row if result.found] for _, row in batch.rows]


def _box(result: Segmentation) -> dict[str, Any]:
    x0, y0, x1, y1 = _edges(result.mask)
    place = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
    return {**place, "score": result.score, "label": result.expression.text}


def _edges(mask: Tensor) -> tuple[int, int, int, int]:
    """The box around everything above zero."""
    x0, y0, x1, y1 = (int(edge) for edge in mask_boxes(mask[None] > 0)[0])
    return x0, y0, x1, y1


def to_scores(batch: ResultBatch, most: int = 20) -> str:
    """What was found as JSON, each with its best candidates."""
    each = len(batch.results) // len(batch.images)
    rows = [
        {
            "image": index // each,
            "expression": result.expression.text,
            "found": result.found,
            "score": result.score,
            "candidates": [
                {"total": float(result.scores.total[at]), **result.scores.of(at)}
                for at in result.ranking[:most].tolist()
            ],
        }
        for index, result in enumerate(batch.results)
    ]
    return json.dumps(rows, indent=1)


def to_overlays(batch: ResultBatch) -> Tensor:
    """IMAGE: each mask on its picture."""
    return to_host([overlay(picture, result.mask) for picture, result in batch.pairs])


def heats(batch: AttentionBatch) -> tuple[Tensor, Tensor]:
    """MASK of all maps and IMAGE of the same over their pictures, image-major."""
    seen = [
        (picture, each.heat)
        for index, picture in enumerate(batch.images)
        for each in batch.sharpened(index)
    ]
    shown = [heat_picture(picture, heat) for picture, heat in seen]
    return to_host([heat for _, heat in seen]), to_host(shown)


def message(batch: ResultBatch) -> str:
    """What the node says to its user: what was not found, and what was not understood."""
    lines = [f"Nothing found for '{r.expression.text}'." for r in batch.results if not r.found]
    lines += [note for result in batch.results for note in result.expression.notes]
    return "\n".join(dict.fromkeys(lines))


def progress() -> Callable[[int, int], None]:
    """The core's progress callback: moves the node's bar, and stops where the user asks to."""
    bar = comfy.utils.ProgressBar(1)

    def step(done: int, total: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, total)

    return step


def answer(batch: ResultBatch, ui: dict[str, Any]) -> io.NodeOutput:
    """What Ref-Diff Segment and Fuse Masks give out, and what their panel shows."""
    found = [result.mask for result in batch.results]
    return io.NodeOutput(
        to_host(found),
        batch,
        to_scores(batch),
        to_boxes(batch),
        to_segs(batch),
        to_overlays(batch),
        ui=ui,
    )


def candidate_masks(batch: ProposalBatch, image: Tensor) -> Tensor:
    """All candidates as MASK; a single empty one where there are none."""
    found = [mask.float() for row in batch.sets for each in _distinct_sets(row) for mask in each]
    return to_host(found or [torch.zeros(image.shape[1:3])])


def _distinct_sets(row: Sequence[Proposals]) -> list[Tensor]:
    """The sets' masks, each set once, however many expressions share it."""
    return [each.masks for each in {id(each): each for each in row}.values()]
