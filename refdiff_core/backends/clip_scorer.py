"""Scores of proposals from CLIP (package open_clip): how well a region fits the words.

Two views of a region, as in the paper's discriminative part (METHOD.md 1a, 1b):

- hard: the region cut out, everything else painted over, resized and embedded by itself;
- soft: the whole picture, with one class token per region that attends to its patches only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ..cache import PictureCache, fingerprint
from ..grid import bring
from ..pictures.images import resize_picture
from ..settings import ClipSettings
from ..values import Expression, Image, Likeness, Proposals
from .clip_models import ClipModel, attend, load_clip
from .clip_texts import encode_texts
from .clip_views import (
    blocked_pairs,
    cut_out,
    darken,
    interpolate_positions,
    patch_coverage,
    patch_grid,
)
from .precision import autocast

__all__ = ["ClipModel", "ClipScorer", "load_clip"]

Progress = Callable[[int, int], None]
Sides = tuple[str, ...]
"""Where the words say that the thing lies, for `clip_views.position_ramp`."""


class ClipScorer:
    """An `ImageTextScorer` over an open_clip model with a vision transformer.

    A region has two views, weighed beta * soft + (1 - beta) * hard as in the paper, a text is the
    mean of its sentence and its noun phrase (METHOD.md 1a [KR], 1b).

    Args:
        clip: from `load_clip`.
        settings: how it is asked.
        progress: called with (crops done, crops in all); may raise to stop.

    Attributes:
        cache: vectors of the regions and of the texts seen last.
        kinds: see `ImageTextScorer`.
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
        self.kinds = clip.kinds
        self.cache = PictureCache(32 * 2**20)  # a region takes 4 KiB, a text 2

    @cached_property
    def scale(self) -> float:
        """What cosines are multiplied by before a softmax; 100 for real models."""
        return float(self.clip.model.logit_scale.detach().exp())

    @torch.inference_mode()
    def score(
        self, image: Image, expressions: Sequence[Expression], proposals: Sequence[Proposals]
    ) -> list[Likeness]:
        """See `ImageTextScorer.score`; what several expressions share is embedded once."""
        image = bring(image, self.device)
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

    def _compare(self, regions: Tensor, text: Tensor) -> Likeness:
        shares = torch.tensor(list(self._views.values()))
        return Likeness((regions @ text).T, shares, self.scale, self.clip.gap)

    @property
    def _views(self) -> dict[str, float]:
        """What each view counts for; those that count for nothing are left out."""
        shares = {"hard": 1 - self.settings.beta, "soft": self.settings.beta}
        return {view: share for view, share in shares.items() if share}

    def _embed_sets(self, image: Image, sets: Sequence[Proposals], sides: Sides) -> list[Tensor]:
        """`embed_regions` of several sets of masks at once, for those that are not kept."""
        picture = fingerprint(image)
        masks = [(each.whole, row) for each in sets for row in each.rows.tolist()]
        keys = [(picture, self.settings, sides, each.digests[row]) for each, row in masks]
        found = {key: kept[0] for key in set(keys) if (kept := self.cache.get(key)) is not None}
        new = {key: mask for key, mask in zip(keys, masks, strict=True) if key not in found}
        if new:
            shown = bring(_together(list(new.values())), self.device)
            with autocast(self._weight):
                regions = self.embed_regions(image, shown, sides)
            found |= zip(new, regions, strict=True)
        for key in new:
            self.cache.put(key, found[key])
        nothing = self.embed_regions(image, torch.zeros(0, 1, 1, dtype=torch.bool))
        vectors = torch.stack([found[key].to(self.device) for key in keys]) if keys else nothing
        return list(vectors.split([len(each) for each in sets]))

    def embed_expressions(self, expressions: Sequence[Expression]) -> list[Tensor]:
        """Unit vectors float32 (d,): of each the mean of the sentence and its noun phrase."""
        said = [self._texts(each) for each in expressions]
        every = dict.fromkeys(text for texts in said for text in texts)
        known = {text: kept[0] for text in every if (kept := self.cache.get(text)) is not None}
        if new := [text for text in every if text not in known]:
            known |= zip(new, self.embed_texts(new), strict=True)
        for text in new:
            self.cache.put(text, known[text])
        return [
            F.normalize(
                torch.stack([known[text].to(self.device) for text in texts]).mean(0), dim=-1
            )
            for texts in said
        ]

    def _texts(self, expression: Expression) -> list[str]:
        phrase = " ".join(word.text for word in expression.target_words)
        texts = dict.fromkeys(filter(None, (expression.text, phrase)))
        return [self.settings.template.replace("{}", text) for text in texts]

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors float32 (T, d) of texts as they are."""
        ids = self.clip.tokenizer(list(texts))
        return F.normalize(encode_texts(self.clip.model, ids, self.device).float(), dim=-1)

    def embed_regions(self, image: Image, masks: Tensor, sides: Sequence[str] = ()) -> Tensor:
        """float32 (N, V, d): every region's unit vectors, hard first, then soft.

        Args:
            image: float32 (H, W, 3).
            masks: bool (N, h, w), on the working grid.
            sides: the soft branch sees the picture darken away from these; see
                `clip_views.position_ramp`.
        """
        views, width = self._views, self.clip.model.visual.output_dim
        if not len(masks):
            return torch.zeros(0, len(views), width, device=self.device)
        seen = [self.embed_hard(image, masks)] if "hard" in views else []
        if "soft" in views:
            seen.append(self.embed_soft(darken(image, sides), masks))
        return torch.stack(seen, 1)

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
        out = attend(visual.transformer, tokens, bias.masked_fill(blocked, -torch.inf))
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


def _together(masks: Sequence[tuple[Proposals, int]]) -> Tensor:
    """Masks by their set and row, bool (N, h, w); no copy where they are all of one set."""
    whole, rows = masks[0][0], [row for _, row in masks]
    if all(each is whole for each, _ in masks) and rows == [*range(len(whole))]:
        return whole.masks
    return torch.stack([each.masks[row] for each, row in masks])
