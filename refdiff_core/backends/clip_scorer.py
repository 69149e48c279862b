"""Scores of proposals from CLIP (package open_clip): how well a region fits the words.

Two views of a region, as in the paper's discriminative part (METHOD.md 1a, 1b):

- hard: the region cut out, everything else painted over, resized and embedded by itself;
- soft: the whole picture, with one class token per region that attends to its patches only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ModelError
from ..proposals import mask_boxes
from ..values import Expression, Image, Proposals


@dataclass(frozen=True)
class ClipSettings:
    """How CLIP is asked.

    beta: weight of the soft branch against the hard one; the paper's .3.
    surround: what a region is cut out upon: "black" (the paper's), "mean" or "blur".
    margin: share by which a region's box is widened before it is cut out.
    batch: crops embedded at once.
    template: what is said; "{}" stands for the expression.
    """

    beta: float = 0.3
    surround: str = "black"
    margin: float = 0.1
    batch: int = 32
    template: str = "{}"


@dataclass(frozen=True)
class ClipModel:
    """An open_clip model with what it needs around it.

    model: `open_clip.CLIP` with a VisionTransformer. tokenizer: texts to ids (B, 77).
    mean, std: of its pixels. size: side of its square input in pixels.
    """

    model: Any
    tokenizer: Any
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    size: int


class ClipScorer:
    """An `ImageTextScorer` over an open_clip model with a vision transformer.

    Scores are cosines turned into probabilities over a picture's proposals with the model's own
    temperature, so that they lie on the same footing as the generative score. The paper mixes the
    bare cosines, whose spread of a few hundredths makes its alpha of .1 far smaller than it looks
    (METHOD.md 1b).
    """

    def __init__(self, clip: ClipModel, settings: ClipSettings = ClipSettings()) -> None:
        self.clip = clip
        self.settings = settings

    @torch.inference_mode()
    def score(
        self, image: Image, expressions: Sequence[Expression], proposals: Sequence[Proposals]
    ) -> list[Tensor]:
        """See `ImageTextScorer.score`; proposals shared by several expressions are seen once."""
        texts = self.embed_texts([each.text for each in expressions])
        seen: dict[int, Tensor] = {}
        for candidates in proposals:
            if id(candidates) not in seen:
                seen[id(candidates)] = self.embed_regions(image, candidates.masks)
        scale = self.clip.model.logit_scale.exp().float().cpu()
        return [
            (scale * (seen[id(candidates)] @ text)).softmax(0)
            for candidates, text in zip(proposals, texts, strict=True)
        ]

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors float32 (E, d)."""
        said = [self.settings.template.format(text) for text in texts]
        ids = self.clip.tokenizer(said).to(self._device)
        return F.normalize(self.clip.model.encode_text(ids).float(), dim=-1).cpu()

    def embed_regions(self, image: Image, masks: Tensor) -> Tensor:
        """Unit vectors float32 (N, d) of regions, the hard branch."""
        batches = [self._embed_crops(image, batch) for batch in masks.split(self.settings.batch)]
        width = self.clip.model.text_projection.shape[-1]
        return torch.cat(batches) if len(masks) else torch.zeros(0, width)

    def _embed_crops(self, image: Image, masks: Tensor) -> Tensor:
        crops = cut_out(image, masks, self.clip.size, self.settings.surround, self.settings.margin)
        mean = torch.tensor(self.clip.mean)[:, None, None]
        std = torch.tensor(self.clip.std)[:, None, None]
        pixels = ((crops - mean) / std).to(self._device)
        return F.normalize(self.clip.model.encode_image(pixels).float(), dim=-1).cpu()

    @property
    def _device(self) -> torch.device:
        return next(iter(self.clip.model.parameters())).device


def cut_out(
    image: Image, masks: Tensor, size: int, surround: str = "black", margin: float = 0.0
) -> Tensor:
    """Regions of a picture as squares, painted over outside the mask, in their proportions.

    Args:
        image: float32 (H, W, 3). masks: bool (N, H, W); an empty one gives only surround.
        size: side of the squares in pixels.
        surround: "black", "mean" (of the picture) or "blur" (the picture itself, blurred).
        margin: share by which the box is widened.

    Returns:
        float32 (N, 3, size, size) in [0, 1].
    """
    planes = image.permute(2, 0, 1)
    paint = _surround(planes, surround)
    crops = []
    for mask, box in zip(masks, mask_boxes(masks).tolist(), strict=True):
        window = _window(box, margin)
        region = torch.where(_crop(mask[None], window), _crop(planes, window), _crop(paint, window))
        crops.append(
            F.interpolate(
                region[None], (size, size), mode="bicubic", align_corners=False, antialias=True
            )
        )
    return torch.cat(crops).clamp(0, 1) if crops else torch.zeros(0, 3, size, size)


def _surround(planes: Tensor, kind: str) -> Tensor:
    if kind == "blur":
        side = 2 * (min(planes.shape[1:]) // 8) + 1
        padded = F.pad(planes[None], [side // 2] * 4, mode="replicate")
        return F.avg_pool2d(padded, side, stride=1)[0]
    if kind == "mean":
        return planes.mean((1, 2), keepdim=True).expand_as(planes)
    return torch.zeros_like(planes)


def _window(box: Sequence[float], margin: float) -> tuple[int, int, int]:
    """Left, top and side in pixels of the square around a box; it may reach past the picture."""
    x0, y0, x1, y1 = box
    side = max(1, round(max(x1 - x0, y1 - y0) * (1 + margin)))
    return round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2), side


def _crop(planes: Tensor, window: tuple[int, int, int]) -> Tensor:
    """A square out of planes (C, H, W), zero (or False) where it reaches past them."""
    left, top, side = window
    height, width = planes.shape[1:]
    over = (max(0, -left), max(0, left + side - width), max(0, -top), max(0, top + side - height))
    inside = planes[:, max(0, top) : top + side, max(0, left) : left + side]
    return F.pad(inside, over)


def load_clip(name: str, device: str = "cpu") -> ClipModel:
    """An open_clip vision transformer, offline.

    Args:
        name: ``ARCHITECTURE:PATH``, such as ``ViT-B-16:models/clip/vit_b_16.safetensors``, or the
            path of a folder that holds open_clip_config.json beside its weights.
        device: where it goes.

    Raises:
        ModelError: no such architecture or file, or weights that do not fit.
    """
    import open_clip

    architecture, _, weights = name.partition(":")
    if Path(name).is_dir():
        architecture, weights = f"local-dir:{name}", ""
    elif architecture not in open_clip.list_models() or not Path(weights).is_file():
        raise ModelError(
            f"'{name}' names no CLIP model. Write ARCHITECTURE:PATH, such as "
            "ViT-B-16:vit_b_16.safetensors, or the path of a folder with open_clip_config.json."
        )
    try:
        model = open_clip.create_model(architecture, pretrained=weights or None, device=device)
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"'{name}' cannot be loaded as a CLIP model: {reason}") from error
    visual = model.visual
    if not hasattr(visual, "transformer") or not hasattr(visual, "conv1"):
        raise ModelError(f"'{name}' has no vision transformer. Use a ViT, such as ViT-B-16.")
    size = visual.image_size if isinstance(visual.image_size, int) else visual.image_size[0]
    tokenizer = open_clip.get_tokenizer(architecture)
    return ClipModel(model.eval(), tokenizer, visual.image_mean, visual.image_std, size)
