"""Our own code at work on full-size models, watched from outside."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from refdiff_core import Models, segment
from refdiff_core.backends.checkpoints import StableDiffusion
from refdiff_core.backends.clip_scorer import ClipModel, ClipScorer
from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.backends.sam_proposer import SamProposer
from refdiff_core.cache import PictureCache
from refdiff_core.language.expression import parse
from refdiff_core.settings import AttentionSettings
from refdiff_core.values import AttentionMap, Proposals

from . import work
from .measure import Clock, stopwatch

EXPRESSIONS = tuple(
    f"the {color} cup" for color in "red green blue yellow white black brown orange".split()
)


class Ours:
    """The three backends over full-size models and one square picture.

    Args:
        diffusion, sam, clip: from `benchmarks.build`.
        side: of the picture, and of the square that the denoiser sees, in pixels.
    """

    def __init__(self, diffusion: StableDiffusion, sam: Any, clip: ClipModel, side: int) -> None:
        self.attention = DiffusersAttention(diffusion, AttentionSettings(resolution=side))
        self.proposer = SamProposer(sam, dtype=diffusion.unet.dtype)
        self.scorer = ClipScorer(clip)
        self.picture = torch.rand(side, side, 3, generator=torch.Generator().manual_seed(0))
        self.clock = Clock()
        self._drawn: dict[int, Proposals] = {}

    def forget(self) -> None:
        """As before the first question about the picture."""
        for part in (self.attention, self.proposer, self.scorer):
            part.cache = PictureCache(part.cache.max_bytes)

    def whole(self, expressions: Sequence[str]) -> list[Tensor]:
        """One call of `segment` and its masks, watched by nobody."""
        models = Models(self.attention, _Timed.as_it_is(self._regions), self.scorer)
        return [each.mask for each in segment(self.picture, expressions, models)]

    def answer(self, expressions: Sequence[str], name: str) -> None:
        """One call of `segment`, its time noted by name, and those of its halves and stages."""
        timed = Models(
            _Timed(self.attention.read, f"{name}, generative", self.clock),
            _Timed(self._regions, f"{name}, proposals", self.clock),
            _Timed(self.scorer.score, f"{name}, discriminative", self.clock),
        )
        self._watch(
            name, lambda: self.clock(name, lambda: segment(self.picture, expressions, timed))
        )

    def read(self, expressions: Sequence[str], name: str) -> None:
        """The generative half alone, its time noted as `answer` does."""
        asked = [parse(each) for each in expressions]
        source = _Timed(self.attention.read, f"{name}, generative", self.clock)
        self._watch(name, lambda: source.read(self.picture, asked))

    def _watch(self, name: str, run: Callable[[], object]) -> None:
        with stopwatch(self.stages()) as spent:
            run()
        for stage, seconds in spent.items():
            self.clock.times[f"{name}, {stage}"].wall.append(seconds)

    def stages(self) -> dict[str, Sequence[nn.Module]]:
        """The modules whose time is the stages'."""
        return modules_of(self)

    def _regions(self, image: Tensor, attention: Sequence[AttentionMap | None]) -> list[Proposals]:
        """As many regions as real models find; random ones find nothing that passes the filters."""
        self.proposer.propose(image, attention)
        return [replace(self._known(image, _number(seen))) for seen in attention]

    def _known(self, image: Tensor, number: int) -> Proposals:
        """Drawn but once: a model's masks come out of it."""
        if number not in self._drawn:
            drawn = [discs(image, work.REGIONS - work.OWN, 0), discs(image, work.OWN, number)]
            found = Proposals.of(torch.cat(drawn))
            self._drawn[number] = replace(found, masks=found.masks.to(image.device))
        return self._drawn[number]


def modules_of(models: Any) -> dict[str, Sequence[nn.Module]]:
    """The modules whose time is the stages', of those of attention, proposer and scorer there."""
    found: dict[str, Sequence[nn.Module]] = {}
    if model := getattr(models.attention, "model", None):
        found[work.TEXT] = model.text_encoders
        found[work.AUTOENCODER] = [model.vae.encoder]
        found[work.DENOISER] = [model.unet]
    if sam := getattr(models.proposer, "sam", None):
        found[work.SAM_PICTURE] = [sam.image_encoder]
        found[work.SAM_PROMPTS] = [sam.mask_decoder]
    if clip := getattr(models.scorer, "clip", None):
        found[work.CLIP_CROPS] = [clip.model.visual]
        # crops pass through the whole of it, a picture whose regions are told apart does not
        found[work.CLIP_PICTURE] = [clip.model.visual.transformer]
        found[work.CLIP_TEXT] = [clip.model.transformer]
    return found


def _number(attention: AttentionMap | None) -> int:
    """Another one for every expression."""
    text = " ".join(word.text for word in attention.words) if attention else ""
    return zlib.crc32(text.encode())


class _Timed:
    """Any of the three seams, its time noted."""

    def __init__(self, run: Callable[..., Any], name: str, clock: Clock) -> None:
        def timed(*given: Any) -> Any:
            return clock(name, lambda: run(*given))

        self.read = self.propose = self.score = timed

    @classmethod
    def as_it_is(cls, run: Callable[..., Any]) -> Any:
        """A seam of a function, not timed."""
        seam = cls.__new__(cls)
        seam.read = seam.propose = seam.score = run
        return seam


def discs(image: Tensor, count: int, seed: int) -> Tensor:
    """Round regions anywhere in a picture, bool (count, H, W)."""
    generator = torch.Generator().manual_seed(seed % 2**31)
    height, width = image.shape[:2]
    center = torch.rand(count, 2, 1, 1, generator=generator)
    radius = 0.05 + 0.2 * torch.rand(count, 1, 1, generator=generator)
    y, x = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)
    return (y - center[:, 0]) ** 2 + (x - center[:, 1]) ** 2 < radius**2
