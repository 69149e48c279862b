"""Mask proposals from Segment Anything (package segment-anything).

One embedding per picture, any number of prompts against it, decoded in batches. Unlike the
package's SamAutomaticMaskGenerator, masks stay on the decoder's own small grid until the filters
have spoken; only survivors are brought to the picture's size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..cache import PictureCache, fingerprint
from ..pictures.images import to_pil
from ..seeing.proposals import distinct, find_peaks
from ..settings import SamSettings
from ..values import AttentionMap, Image, Proposals
from .precision import autocast
from .sam_models import load_sam

__all__ = ["DEMO", "SamProposer", "load_sam"]

Progress = Callable[[int, int], None]
"""Called with (prompts done, prompts in all) between batches; may raise to stop."""


DEMO = SamSettings(min_predicted_iou=0.7, min_stability=0.8)
"""For the bundled SAM, whose small decoder is less sure of itself than the real one."""


SUITS_PROCESSOR = 32 * 2**20
"""Bytes of a layer: four of the real models' prompts. Sixty-four at once, which a GPU needs to be
busy, are no faster there, and nearly half as fast where memory is slow to come (docs/trials.md)."""


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

    @torch.inference_mode()
    def propose(self, image: Image, attention: Sequence[AttentionMap | None]) -> list[Proposals]:
        """See `MaskProposer.propose`.

        The grid's masks serve all expressions, each map's peaks only its own, so that an answer
        never depends on what else was asked.
        """
        peaks = [self._peaks(each) for each in attention]
        frame = self._frame(image)
        self._done, self._total = 0, sum(map(len, peaks))
        embedding, grid = self._look(image, frame)
        found = [_join(grid, self._decode(embedding, frame, points)) for points in peaks]
        return [self._finish(masks, frame) for masks in found]

    def _look(self, image: Image, frame: _Frame) -> tuple[Tensor, _LowMasks]:
        """The picture's embedding and the grid's masks, which no expression changes."""
        picture = fingerprint(image)
        (kept,) = self.cache.once((picture, "embedding"), lambda: (self.embed(image),))
        embedding = kept.to(self.sam.device)

        def decode_grid() -> tuple[Tensor, Tensor]:
            points = _grid(self.settings.points_per_side)
            self._total += len(points)
            masks = self._decode(embedding, frame, points)
            return masks.logits, masks.quality

        logits, quality = self.cache.once((picture, self.settings), decode_grid)
        return embedding, _LowMasks(logits, quality)

    def _peaks(self, attention: AttentionMap | None) -> Tensor:
        if attention is None:
            return torch.zeros(0, 2)
        return find_peaks(attention.heat, self.settings.peaks)

    def _frame(self, image: Image) -> _Frame:
        decoder_side = self.sam.prompt_encoder.mask_input_size[0]
        return _Frame.of(image, self.sam.image_encoder.img_size, decoder_side)

    def embed(self, image: Image) -> Tensor:
        """The picture's embedding (1, C, h, w), which serves any number of prompts."""
        import numpy as np
        from PIL.Image import Resampling

        # Pillow's bilinear resize of 8-bit values, as the package's ResizeLongestSide does it
        picture = to_pil(image).resize(self._frame(image).input_hw[::-1], Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
        pixels = self.sam.preprocess(pixels.to(self.sam.device, torch.float32))
        with autocast(next(self.sam.parameters()), self.dtype):
            embedding: Tensor = self.sam.image_encoder(pixels)
        return embedding.float()

    def _decode(self, embedding: Tensor, frame: _Frame, points_xy: Tensor) -> _LowMasks:
        """Masks of point prompts that pass the filters, three at most per point."""
        batches = [
            self._decode_batch(embedding, frame, batch)
            for batch in (points_xy.split(self.prompts_at_once()) if len(points_xy) else ())
        ]
        return _LowMasks(
            torch.cat([each.logits for each in batches] or [torch.zeros(0, *frame.low_hw)]),
            torch.cat([each.quality for each in batches] or [torch.zeros(0)]),
        )

    def prompts_at_once(self) -> int:
        """How many prompts are decoded together: as set, but no more than suit a processor."""
        if self.sam.device.type != "cpu":
            return self.settings.batch
        # the decoder's widest layer: an eighth of its channels on the grid of its masks
        place = self.sam.mask_decoder.transformer_dim // 8 * 4
        prompt: int = place * self.sam.prompt_encoder.mask_input_size[0] ** 2
        return max(1, min(self.settings.batch, SUITS_PROCESSOR // prompt))

    def _decode_batch(self, embedding: Tensor, frame: _Frame, points_xy: Tensor) -> _LowMasks:
        height, width = frame.input_hw
        coords = (points_xy * torch.tensor([width, height]))[:, None].to(embedding.device)
        labels = torch.ones(coords.shape[:2], dtype=torch.int, device=embedding.device)
        sparse, dense = self.sam.prompt_encoder(points=(coords, labels), boxes=None, masks=None)
        logits, quality = self.sam.mask_decoder(
            image_embeddings=embedding,
            image_pe=self.sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
        self._done += len(points_xy)
        if self.progress is not None:
            self.progress(self._done, self._total)
        low = logits.flatten(0, 1).float()[:, : frame.low_hw[0], : frame.low_hw[1]]
        return self._filter(_LowMasks(low, quality.flatten().float()))

    def _filter(self, masks: _LowMasks) -> _LowMasks:
        settings, threshold = self.settings, self.sam.mask_threshold
        masks = masks.select(masks.quality > settings.min_predicted_iou)
        inner = (masks.logits > threshold + settings.stability_offset).flatten(1).sum(1)
        outer = (masks.logits > threshold - settings.stability_offset).flatten(1).sum(1)
        stable = inner >= settings.min_stability * outer.clamp(min=1)
        return masks.select(stable).to("cpu")

    def _finish(self, masks: _LowMasks, frame: _Frame) -> Proposals:
        low = masks.logits > self.sam.mask_threshold
        masks = masks.select(distinct(low, masks.quality, self.settings.duplicate_iou))
        if not len(masks.quality):
            return Proposals.of(torch.zeros(0, *frame.size_hw, dtype=torch.bool))
        whole = torch.zeros(len(masks.logits), 1, frame.decoder_side, frame.decoder_side)
        whole[:, 0, : frame.low_hw[0], : frame.low_hw[1]] = masks.logits
        # a few at a time: as floats, all masks of a large picture would fill gigabytes
        full = [
            self.sam.postprocess_masks(part, frame.input_hw, frame.size_hw)[:, 0]
            > self.sam.mask_threshold
            for part in whole.split(8)
        ]
        return Proposals(torch.cat(full), masks.quality.clamp(0, 1))


@dataclass(frozen=True)
class _Frame:
    """The grids of one picture: its own, the encoder's input, the decoder's masks."""

    size_hw: tuple[int, int]
    input_hw: tuple[int, int]
    stride: int
    decoder_side: int

    @classmethod
    def of(cls, image: Image, encoder_side: int, decoder_side: int) -> _Frame:
        height, width = image.shape[0], image.shape[1]
        scale = encoder_side / max(height, width)
        # at least one pixel, for a strip of 1 x 4000
        input_hw = (max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5)))
        # pixels of the input per cell of a mask: 4 for the real ones, 2 for the demo's patches of 8
        return cls((height, width), input_hw, encoder_side // decoder_side, decoder_side)

    @property
    def low_hw(self) -> tuple[int, int]:
        """The part of the decoder's grid that shows the picture; the rest is padding."""
        return -(-self.input_hw[0] // self.stride), -(-self.input_hw[1] // self.stride)


@dataclass(frozen=True)
class _LowMasks:
    """Masks on the decoder's grid: logits (N, h, w), predicted IoU (N,)."""

    logits: Tensor
    quality: Tensor

    def select(self, keep: Tensor) -> _LowMasks:
        return _LowMasks(self.logits[keep], self.quality[keep])

    def to(self, device: str) -> _LowMasks:
        return _LowMasks(self.logits.to(device), self.quality.to(device))


def _join(*parts: _LowMasks) -> _LowMasks:
    return _LowMasks(
        torch.cat([part.logits for part in parts]), torch.cat([part.quality for part in parts])
    )


def _grid(side: int) -> Tensor:
    """Point prompts, evenly spaced: float32 (side * side, 2), XY as shares of the picture."""
    steps = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2)
