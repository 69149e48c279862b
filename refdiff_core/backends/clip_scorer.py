"""Scores of proposals from CLIP (package open_clip): how well a region fits the words.

Two views of a region, as in the paper's discriminative part (METHOD.md 1a, 1b):

- hard: the region cut out, everything else painted over, resized and embedded by itself;
- soft: the whole picture, with one class token per region that attends to its patches only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..cache import PictureCache, fingerprint
from ..pictures.images import resize_picture
from ..settings import ClipSettings
from ..values import Expression, Image, Proposals
from .clip_models import ClipModel, load_clip
from .clip_views import (
    blocked_pairs,
    cut_out,
    darken,
    interpolate_positions,
    patch_coverage,
    patch_grid,
)
from .precision import autocast

__all__ = ["ClipModel", "ClipScorer", "load_clip", "relative_likelihood"]

Progress = Callable[[int, int], None]
Sides = tuple[str, ...]
"""Where the words say that the thing lies, for `clip_views.position_ramp`."""


class ClipScorer:
    """An `ImageTextScorer` over an open_clip model with a vision transformer.

    A region is v = beta * soft + (1 - beta) * hard, a text the mean of its sentence and its noun
    phrase (METHOD.md 1a [KR], 1b). The score is not the bare product v . r, as in the paper, but
    its likelihood relative to the picture's best region, exp((cos - cos_best) / temperature) with
    the model's own temperature: the paper mixes cosines, whose spread of a few hundredths makes
    its alpha of .1 weigh far more than it looks, and differently for every CLIP.

    Args:
        clip: from `load_clip`.
        settings: how it is asked.
        progress: called with (crops done, crops in all); may raise to stop.

    Attributes:
        cache: vectors of the regions seen last.
    """

    def __init__(
        self,
        clip: ClipModel,
        settings: ClipSettings = ClipSettings(),
        progress: Progress | None = None,
    ) -> None:
        self.clip = clip
        self.settings = settings
        self.progress = progress
        self.cache = PictureCache(32 * 2**20)  # a region takes 2 KiB

    @torch.inference_mode()
    def score(
        self, image: Image, expressions: Sequence[Expression], proposals: Sequence[Proposals]
    ) -> list[Tensor]:
        """See `ImageTextScorer.score`; values in (0, 1], 1 for the best of each set.

        Bare cosines, in [-1, 1], where the settings say so. A region that several expressions
        share is embedded once.
        """
        image = image.to(self.device)
        vectors: dict[tuple[Sides, int], Tensor] = {}
        said = [expression.position if self.settings.ramp else () for expression in expressions]
        for sides in dict.fromkeys(said):
            pairs = zip(said, proposals, strict=True)
            sets = {id(each): each for own, each in pairs if own == sides}
            found = self._embed_sets(image, list(sets.values()), sides)
            vectors |= zip([(sides, key) for key in sets], found, strict=True)
        texts = self.embed_expressions(expressions)
        return [
            self._compare(vectors[sides, id(each)], text)
            for sides, text, each in zip(said, texts, proposals, strict=True)
        ]

    def _compare(self, regions: Tensor, text: Tensor) -> Tensor:
        if not self.settings.likelihood:
            return regions @ text
        scale = self.clip.model.logit_scale.exp().float()
        return relative_likelihood(scale * (F.normalize(regions, dim=-1) @ text))

    def _embed_sets(self, image: Image, sets: Sequence[Proposals], sides: Sides) -> list[Tensor]:
        """`embed_regions` of several sets of masks at once, for those that are not kept."""
        picture = fingerprint(image)
        masks = [(each, at) for each in sets for at in range(len(each))]
        keys = [(picture, self.settings, sides, each.digests[at]) for each, at in masks]
        found = {key: kept[0] for key in set(keys) if (kept := self.cache.get(key)) is not None}
        new = {key: mask for key, mask in zip(keys, masks, strict=True) if key not in found}
        if new:
            shown = torch.stack([each.masks[at] for each, at in new.values()])
            with autocast(self._weight):
                regions = self.embed_regions(image, shown.to(self.device), sides)
            found |= zip(new, regions, strict=True)
        for key in new:
            self.cache.put(key, found[key])
        nothing = torch.zeros(0, self.clip.model.visual.output_dim, device=self.device)
        vectors = torch.stack([found[key].to(self.device) for key in keys]) if keys else nothing
        return list(vectors.split([len(each) for each in sets]))

    def embed_expressions(self, expressions: Sequence[Expression]) -> list[Tensor]:
        """Unit vectors float32 (d,): of each the mean of the sentence and its noun phrase."""
        said = [self._texts(each) for each in expressions]
        vectors = self.embed_texts([text for texts in said for text in texts])
        parts = vectors.split([len(texts) for texts in said])
        return [F.normalize(part.mean(0), dim=-1) for part in parts]

    def _texts(self, expression: Expression) -> list[str]:
        phrase = " ".join(word.text for word in expression.target_words)
        texts = dict.fromkeys(filter(None, (expression.text, phrase)))
        return [self.settings.template.format(text) for text in texts]

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors float32 (T, d) of texts as they are."""
        ids = self.clip.tokenizer(list(texts)).to(self.device)
        # for several, a processor's attention in bfloat16 copies its weights once per token, which
        # takes ten times as long
        at_once = 1 if self.device.type == "cpu" else len(ids)
        vectors = torch.cat([self.clip.model.encode_text(each) for each in ids.split(at_once)])
        return F.normalize(vectors.float(), dim=-1)

    def embed_regions(self, image: Image, masks: Tensor, sides: Sequence[str] = ()) -> Tensor:
        """float32 (N, d): the unit vectors of both branches, mixed.

        Args:
            image: float32 (H, W, 3).
            masks: bool (N, h, w), on the working grid.
            sides: the soft branch sees the picture darken away from these; see
                `clip_views.position_ramp`.
        """
        beta, width = self.settings.beta, self.clip.model.visual.output_dim
        mixed = torch.zeros(len(masks), width, device=self.device)
        if not len(masks):
            return mixed
        if beta < 1:
            mixed += (1 - beta) * self.embed_hard(image, masks)
        if beta > 0:
            mixed += beta * self.embed_soft(darken(image, sides), masks)
        return mixed

    def embed_hard(self, image: Image, masks: Tensor) -> Tensor:
        """Unit vectors float32 (N, d) of the regions cut out, N >= 1."""
        settings, vectors = self.settings, []
        for batch in masks.split(self._crops_at_once()):
            crops = cut_out(image, batch, self.clip.size, settings.surround, settings.margin)
            vectors.append(self.clip.model.encode_image(self._normalise(crops)).float())
            if self.progress is not None:
                self.progress(sum(map(len, vectors)), len(masks))
        return F.normalize(torch.cat(vectors), dim=-1)

    def _crops_at_once(self) -> int:
        """How many crops fit the budget, one at least."""
        table: Tensor = self.clip.model.visual.positional_embedding  # (1 + T, width)
        # a block holds about 16 floats per token and channel at once: q, k, v, the wide layer, ...
        return max(1, self.settings.budget * 2**20 // (table.numel() * 16 * 4))

    def embed_soft(self, image: Image, masks: Tensor, zoom: float | None = None) -> Tensor:
        """Unit vectors float32 (N, d): all regions in one pass over the whole picture.

        ``zoom`` stands in for the settings' own.

        Every region has a class token of its own, which attends to the region's patches and to
        itself and which nothing attends to, in every block; so the patches see what they always
        see, and the regions do not see one another.
        """
        visual = self.clip.model.visual
        patch = visual.patch_size[0]
        longest = round((zoom or self.settings.zoom) * self.clip.size / patch)
        grid_hw = patch_grid((image.shape[0], image.shape[1]), longest)
        pixels = resize_picture(image, (grid_hw[0] * patch, grid_hw[1] * patch))
        patches = visual.conv1(self._normalise(pixels)).flatten(2).transpose(1, 2)  # (1, T, width)
        position = interpolate_positions(visual.positional_embedding, visual.grid_size, grid_hw)
        token = (visual.class_embedding + position[0]).expand(1, 1 + len(masks), -1)
        tokens = torch.cat([token, patches + position[1:]], 1).to(self._weight.dtype)
        tokens = visual.ln_pre(tokens)
        blocked = blocked_pairs(patch_coverage(masks, grid_hw))
        bias = torch.zeros(blocked.shape, device=tokens.device, dtype=tokens.dtype)
        out = _attend(visual.transformer, tokens, bias.masked_fill(blocked, -torch.inf))
        pooled = visual.ln_post(out[0, 1 : 1 + len(masks)]) @ visual.proj
        return F.normalize(pooled.float(), dim=-1)

    def _normalise(self, pixels: Tensor) -> Tensor:
        planes = [
            (plane - mean) / std
            for plane, mean, std in zip(
                pixels.unbind(1), self.clip.mean, self.clip.std, strict=True
            )
        ]
        return torch.stack(planes, 1).to(self._weight)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self._weight.device

    @property
    def _weight(self) -> Tensor:
        """Of the place and type of pictures and regions."""
        weight: Tensor = self.clip.model.visual.conv1.weight
        return weight


def relative_likelihood(logits: Tensor) -> Tensor:
    """exp(logits - best), float32 (N,) in (0, 1]; unlike a softmax it does not thin out with N."""
    return (logits - logits.max()).exp() if len(logits) else logits


def _attend(transformer: Any, tokens: Tensor, mask: Tensor) -> Tensor:
    """A transformer of open_clip's over tokens (B, L, width)."""
    if hasattr(transformer, "batch_first"):
        found: Tensor = transformer(tokens, attn_mask=mask)
        return found
    # before it had a say, open_clip took tokens as (L, B, width)
    found = transformer(tokens.transpose(0, 1), attn_mask=mask)
    return found.transpose(0, 1)
