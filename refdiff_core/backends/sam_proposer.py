"""Mask proposals from Segment Anything (package segment-anything).

One embedding per picture, any number of prompts against it, decoded in batches. Unlike the
package's SamAutomaticMaskGenerator, masks stay logits on the decoder's own small grid: survivors
of the filters are shown on the working grid, and drawn at the picture's size when asked for.
Between the picture and the survivors nothing is read from the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..cache import PictureCache, fingerprint
from ..fine import LogitMasks
from ..grid import bring, working_grid
from ..pictures.images import scale_to
from ..seeing.proposals import best_apart, mask_iou, peaks_of
from ..settings import SamSettings
from ..together import encode
from ..values import AttentionMap, Image, Proposals
from .precision import autocast
from .sam_masks import Frame, LowMasks, join, point_grid
from .sam_models import load_sam

__all__ = ["DEMO", "SamProposer", "load_sam"]

Progress = Callable[[int, int], None]
"""Called with (prompts done, prompts in all) between batches; may raise to stop."""


DEMO = SamSettings(min_predicted_iou=0.7, min_stability=0.8)
"""For the bundled SAM, whose small decoder is less sure of itself than the real one."""


MOST = 512
"""Masks of a picture's grid that are compared with one another: those that repeat a better one
leave first, then those of the lowest predicted IoU."""

SUITS_PROCESSOR = 32 * 2**20
"""Bytes of a layer: four of the real models' prompts. Sixty-four at once, which a GPU needs to be
busy, are no faster there, and nearly half as fast where memory is slow to come (docs/trials.md)."""

ENCODER = 640
"""Values that the encoder holds at once for a pixel that it sees, in float32: a table of vit_h's 16
heads, 4,096 places against one another, in half precision, and twice in float32 for its softmax."""


class SamProposer:
    """A `MaskProposer` over a `segment_anything.modeling.Sam`.

    Args:
        sam: the model, on the device where it shall run.
        settings: prompts and filters.
        progress: called between batches.
        dtype: for the encoder to compute in; see `autocast`. The decoder, whose masks are cut at
            a threshold, stays in float32.

    Attributes:
        cache: embeddings and grid masks of the pictures seen last.
    """

    def __init__(
        self,
        sam: Any,
        settings: SamSettings = SamSettings(),
        progress: Progress | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.sam = sam
        self.dtype = dtype
        self.settings = settings
        self.progress = progress
        # a picture takes 4 MiB and its grid's masks some 10
        self.cache = PictureCache(128 * 2**20)

    @classmethod
    def load(
        cls, path: str | Path, settings: SamSettings = SamSettings(), device: str = "cpu"
    ) -> SamProposer:
        """Load a vit_b, vit_l or vit_h checkpoint; see `load_sam`."""
        return cls(load_sam(path).to(device), settings)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self.sam.device
        return device

    @torch.inference_mode()
    def propose(self, image: Image, attention: Sequence[AttentionMap | None]) -> list[Proposals]:
        """See `MaskProposer.propose`.

        The grid's masks serve all expressions, each map's peaks only its own, so that an answer
        never depends on what else was asked.
        """
        image = bring(image, self.device)
        frame = self._frame(image)
        peaks = [self._peaks(each) for each in attention]
        step = _Steps(self.progress, sum(len(points) for points, _ in peaks))
        picture = fingerprint(image)
        embedding = self.encode_picture(image)
        kept = self.cache.get((picture, self.settings))
        if kept is None:
            points = bring(point_grid(self.settings.points_per_side), self.device)
            step.total += len(points)
            grid = self._decode(embedding, frame, points, None, step)
        else:
            grid = LowMasks(*kept).to(self.device)
        own = [self._decode(embedding, frame, *each, step) for each in peaks]
        every = join(grid, *own)
        near, quality = self._compare(every)
        if kept is None:
            passed = (quality[: len(grid.quality)] > -torch.inf).nonzero()[:, 0]
            passed = bring(passed, self.device)
            self.cache.put((picture, self.settings), grid.logits[passed], grid.quality[passed])
        kept_sets = _distinct(near, quality, [len(each.quality) for each in (grid, *own)])
        return self._show(every.logits, quality, kept_sets, frame)

    @torch.inference_mode()
    def ask(
        self,
        image: Image,
        points_xy: Sequence[tuple[float, float, int]] = (),
        box_xyxy: Sequence[float] | None = None,
    ) -> Proposals:
        """The masks of one question, which no filter takes away, the most trusted first.

        Args:
            image: as for `propose`.
            points_xy: (x, y, 1 for inside or 0 for outside), x and y as shares of the picture.
            box_xyxy: around the thing, as shares of the picture.

        Returns:
            As many masks as the model gives, three.

        Raises:
            ValueError: nothing is asked.
        """
        if not len(points_xy) and box_xyxy is None:
            raise ValueError("A question needs points or a box.")
        image = image.to(self.device)
        frame, embedding = self._frame(image), self.encode_picture(image)
        scale = torch.tensor(frame.input_hw[::-1], dtype=torch.float32, device=self.device)
        told = torch.tensor(points_xy, device=self.device).reshape(-1, 3)
        points = ((told[:, :2] * scale)[None], told[:, 2].int()[None]) if len(told) else None
        box = None if box_xyxy is None else torch.tensor(box_xyxy, device=self.device).view(1, 2, 2)
        box = None if box is None else (box * scale).view(1, 4)
        sparse, dense = self.sam.prompt_encoder(points=points, boxes=box, masks=None)
        logits, quality = self._ask_decoder(embedding, sparse, dense, frame)
        order = quality.argsort(descending=True, stable=True).cpu()
        return self._show(logits, quality.cpu(), [order], frame)[0]

    def _ask_decoder(
        self, embedding: Tensor, sparse: Tensor, dense: Tensor, frame: Frame
    ) -> tuple[Tensor, Tensor]:
        """Logits (3 P, h, w) and quality (3 P,) of P prompts."""
        logits, quality = self.sam.mask_decoder(
            image_embeddings=embedding,
            image_pe=self.sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
        low = logits.flatten(0, 1).float()[:, : frame.low_hw[0], : frame.low_hw[1]]
        return low, quality.flatten().float()

    def _peaks(self, attention: AttentionMap | None) -> tuple[Tensor, Tensor | None]:
        """Points (P, 2) of a map, and which of them to ask at; None for all."""
        if attention is None:
            return torch.zeros(0, 2, device=self.device), None
        points, heights = peaks_of(attention.heat.to(self.device), self.settings.peaks)
        high = heights > 0
        # a processor spends more on a prompt in vain than on asking first
        return (points[high], None) if self.device.type == "cpu" else (points, high)

    def _frame(self, image: Image) -> Frame:
        decoder_side = self.sam.prompt_encoder.mask_input_size[0]
        return Frame.of(image, self.sam.image_encoder.img_size, decoder_side)

    def embed(self, image: Image) -> Tensor:
        """The picture's embedding (1, C, h, w), which serves any number of prompts."""
        return self._encode(self._pixels(image))

    def encode_picture(self, image: Image) -> Tensor:
        """The same, from what is kept where it is there."""
        pixels, run = self._pixels, self._encode
        found = encode(self.cache, image, lambda _: "embedding", pixels, run, values=ENCODER)
        return found.to(self.device)

    def _encode(self, pixels: Tensor) -> Tensor:
        # in each layer the package makes a table of places where new tensors go by default
        with autocast(next(self.sam.parameters()), self.dtype), torch.device(self.device):
            embeddings: Tensor = self.sam.image_encoder(pixels)
        return embeddings.float()

    def _pixels(self, image: Image) -> Tensor:
        """What the encoder is shown, (1, 3, side, side): of 8 bits, as the package's."""
        shown = scale_to(bring(image, self.device), self._frame(image).input_hw)
        pixels: Tensor = self.sam.preprocess((shown * 255).round_().permute(2, 0, 1)[None])
        return pixels

    def _decode(
        self,
        embedding: Tensor,
        frame: Frame,
        points_xy: Tensor,
        asked: Tensor | None,
        step: _Steps,
    ) -> LowMasks:
        """Masks of point prompts, three per point, `MOST` at most; points not asked have none."""
        found, size = [LowMasks.none(frame, self.device)], self.prompts_at_once()
        wanted = repeat(None) if asked is None else asked.split(size)
        batches = points_xy.split(size) if len(points_xy) else ()
        for batch, own in zip(batches, wanted, strict=False):
            masks = self._decode_batch(embedding, frame, batch)
            # before the best are taken: what was not asked must not push out what was
            found.append(masks if own is None else masks.only(own.repeat_interleave(3)))
            if sum(len(each.quality) for each in found) > 2 * MOST:
                found = [self._best(found)]
            step(len(batch))
        return self._best(found)

    def _best(self, found: Sequence[LowMasks]) -> LowMasks:
        return join(*found).best(MOST, self.sam.mask_threshold, self.settings.duplicate_iou)

    def prompts_at_once(self) -> int:
        """How many prompts are decoded together: as set, but no more than suit a processor."""
        if self.sam.device.type != "cpu":
            return self.settings.batch
        # the decoder's widest layer: an eighth of its channels on the grid of its masks
        place = self.sam.mask_decoder.transformer_dim // 8 * 4
        prompt: int = place * self.sam.prompt_encoder.mask_input_size[0] ** 2
        return max(1, min(self.settings.batch, SUITS_PROCESSOR // prompt))

    def _decode_batch(self, embedding: Tensor, frame: Frame, points_xy: Tensor) -> LowMasks:
        sparse, dense = self._embed_points(frame, points_xy)
        return self._filter(LowMasks(*self._ask_decoder(embedding, sparse, dense, frame)))

    def _embed_points(self, frame: Frame, points_xy: Tensor) -> tuple[Tensor, Tensor]:
        """What the prompt encoder makes of points inside a thing, (P, 2, C) and (P, C, h, w).

        By its own tables: it tells points by their labels' values, which it waits for.
        """
        encoder, count = self.sam.prompt_encoder, len(points_xy)
        height, width = frame.input_hw
        x, y = points_xy[:, :1] * width + 0.5, points_xy[:, 1:] * height + 0.5
        places = torch.stack([x, y], -1)  # (P, 1, 2)
        inside = encoder.pe_layer.forward_with_coords(places, encoder.input_image_size)
        inside = inside + encoder.point_embeddings[1].weight
        padding = encoder.not_a_point_embed.weight.expand(count, 1, -1)
        dense = encoder.no_mask_embed.weight[..., None, None]
        dense = dense.expand(count, -1, *encoder.image_embedding_size)
        return torch.cat([inside, padding], 1), dense

    def _filter(self, masks: LowMasks) -> LowMasks:
        settings, threshold = self.settings, self.sam.mask_threshold
        inner = (masks.logits > threshold + settings.stability_offset).flatten(1).sum(1)
        outer = (masks.logits > threshold - settings.stability_offset).flatten(1).sum(1)
        stable = inner >= settings.min_stability * outer.clamp(min=1)
        passed = stable & (masks.quality > settings.min_predicted_iou)
        # elsewhere than on a processor, asking how many pass would wait for all of it
        return masks.select(passed) if self.device.type == "cpu" else masks.only(passed)

    def _compare(self, masks: LowMasks) -> tuple[Tensor, Tensor]:
        """Which masks are duplicates, bool (N, N), and their quality (N,), in one copy."""
        inside = masks.logits > self.sam.mask_threshold
        near = mask_iou(inside, inside) > self.settings.duplicate_iou
        both = torch.cat([near.float(), masks.quality[:, None]], 1).cpu()
        return both[:, :-1] > 0, both[:, -1]

    def _show(
        self, logits: Tensor, quality: Tensor, sets: Sequence[Tensor], frame: Frame
    ) -> list[Proposals]:
        """Sets of masks on the working grid; each mask is brought there once."""
        used = torch.cat([*sets, torch.zeros(0, dtype=torch.int64)]).unique()
        place = torch.zeros(len(quality), dtype=torch.int64)
        place[used] = torch.arange(len(used))
        shown = logits[bring(used, self.device)]
        fine = LogitMasks(shown, frame.span_hw, self.sam.mask_threshold)
        masks = fine.on_grid(working_grid(frame.size_hw))
        found = Proposals(masks, quality[used].clamp(0, 1), frame.size_hw, fine)
        found.read()
        # the same object for the same set, so that nobody measures it twice
        shared = {key: found.select(place[list(key)]) for key in {tuple(s.tolist()) for s in sets}}
        return [shared[tuple(each.tolist())] for each in sets]


def _distinct(near: Tensor, quality: Tensor, counts: Sequence[int]) -> list[Tensor]:
    """For each expression the indices of masks that differ from all better ones.

    Args:
        near: bool (N, N), the duplicates.
        quality: float32 (N,), -inf for what was rejected.
        counts: how many masks are the grid's, then how many each expression's own; N in all.
    """
    shared, *own = torch.arange(len(quality)).split(list(counts))
    found = []
    for each in own:
        rows = torch.cat([shared, each])
        rows = rows[quality[rows] > -torch.inf]
        found.append(rows[best_apart(near[rows][:, rows], quality[rows])])
    return found


@dataclass
class _Steps:
    """Tells how many prompts of one call are done."""

    progress: Progress | None
    total: int
    done: int = 0

    def __call__(self, count: int) -> None:
        self.done += count
        if self.progress is not None:
            self.progress(self.done, self.total)
