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
from ..refdiff_core.grid import WORKING_SIDE, fits, in_parts
from ..refdiff_core.pictures.images import check_image, scale_to, shrink
from ..refdiff_core.pictures.previews import heat_picture, overlay
from ..refdiff_core.seeing.attention import resize
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


def size_of(picture: Image) -> tuple[int, int]:
    """(H, W) of a picture."""
    return picture.shape[0], picture.shape[1]


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
        # a few at a time: compared all at once they would be there twice
        cut = Proposals.of_parts(part >= 0.5 for part in in_parts(masks(value)))
        return ProposalBatch(((cut,),))
    return ProposalBatch(((_from_segs(value),),))


def check_sizes(pictures: Iterable[Image], batch: ProposalBatch) -> None:
    """Every candidate must lie on its picture's grid."""
    for index, picture in enumerate(pictures):
        size_hw = size_of(picture)
        for each in batch.sets[index if len(batch.sets) > 1 else 0]:
            if len(each) and not fits(each.size_hw, size_hw):
                raise MaskError(
                    f"The candidates are {each.size_hw[1]} x {each.size_hw[0]} pixels, but the "
                    f"picture is {size_hw[1]} x {size_hw[0]}. Resize one of them."
                )


def _from_segs(segs: Any) -> Proposals:
    size_hw, found = segs
    if not found:
        return Proposals.of(torch.zeros(0, *size_hw, dtype=torch.bool))
    quality = torch.tensor([_confidence(seg) for seg in found])
    return Proposals.of_parts((_whole(seg, size_hw) for seg in found), quality)


def _whole(seg: Any, size_hw: Sequence[int]) -> Tensor:
    """The mask of a SEG in its picture, bool (1, H, W)."""
    mask = torch.zeros(1, *size_hw, dtype=torch.bool)
    x0, y0, x1, y1 = (int(edge) for edge in seg.crop_region)
    mask[0, y0:y1, x0:x1] = torch.as_tensor(seg.cropped_mask) >= 0.5
    return mask


def _confidence(seg: Any) -> float:
    # Impact Pack's own detectors give a float, a numpy array of one value, or None
    return 1.0 if seg.confidence is None else float(torch.as_tensor(seg.confidence).mean())


def draw(batch: ResultBatch) -> Tensor:
    """MASK of all results; each is drawn once, straight to where ComfyUI keeps it."""
    size_hw = batch.images[0].shape[:2]
    device = comfy.model_management.intermediate_device()
    drawn = torch.empty(len(batch.results), *size_hw, device=device)
    for place, result in zip(drawn, batch.results, strict=True):
        place.copy_(result.mask)
    return drawn


def to_segs(batch: ResultBatch, drawn: Tensor) -> tuple[tuple[int, int], list[SEG]]:
    """SEGS of everything that was found; ``drawn`` holds its masks."""
    found = [each for each in zip(batch.pairs, drawn, strict=True) if each[0][1].found]
    size_hw = tuple(int(side) for side in batch.images[0].shape[:2])
    return size_hw, [_seg(*pair, mask) for pair, mask in found]


def _seg(picture: Image, result: Segmentation, mask: Tensor) -> SEG:
    x0, y0, x1, y1 = region = _edges(mask)
    return SEG(
        cropped_image=picture[None, y0:y1, x0:x1].numpy(),
        cropped_mask=mask[y0:y1, x0:x1].cpu().numpy(),
        confidence=result.score,
        crop_region=region,
        bbox=region,
        label=result.expression.text,
    )


def to_boxes(batch: ResultBatch, drawn: Tensor) -> list[list[dict[str, Any]]]:
    """BOUNDING_BOX in core's form: for each picture, the boxes of what was found in it."""
    masks_left = iter(drawn)
    rows = [[(result, next(masks_left)) for result in row] for _, row in batch.rows]
    return [[_box(*each) for each in row if each[0].found] for row in rows]


def _box(result: Segmentation, mask: Tensor) -> dict[str, Any]:
    x0, y0, x1, y1 = _edges(mask)
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


def to_overlays(batch: ResultBatch, drawn: Tensor) -> Tensor:
    """IMAGE: each mask on its picture, or on a smaller copy of a large one."""
    masks_left, shown = iter(drawn), []
    for picture, row in batch.rows:
        small = shrink(picture)
        shown += [overlay(small, scale_to(next(masks_left).cpu(), size_of(small))) for _ in row]
    return to_host(shown)


def heats(batch: AttentionBatch) -> tuple[Tensor, Tensor]:
    """MASK of all maps and IMAGE of the same over their pictures, image-major.

    Both are of the size of a smaller copy where a picture is large.
    """
    maps, shown = [], []
    for index, picture in enumerate(batch.images):
        small = shrink(picture)
        for each in batch.sharpened(index):
            maps.append(resize(each.heat.cpu(), size_of(small)))
            shown.append(heat_picture(small, maps[-1]))
    return to_host(maps), to_host(shown)


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
    drawn = draw(batch)
    return io.NodeOutput(
        drawn,
        batch,
        to_scores(batch),
        to_boxes(batch, drawn),
        to_segs(batch, drawn),
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
