"""Attention from the transformer checkpoint that ComfyUI has loaded: SD 3, Flux, Z-Image, ..."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import unwrap
from typing import Any

import comfy.model_management
import torch
from comfy.ldm.modules.attention import attention_pytorch
from torch import Tensor

from ..refdiff_core.backends.diffusers_attention import noise_timestep, root_alone, working_size
from ..refdiff_core.backends.pieces import Placed
from ..refdiff_core.backends.reading import Positions, read_in_batches
from ..refdiff_core.backends.tokens import with_sinks
from ..refdiff_core.backends.transformer_families import CROSS, Transformer, transformer_family
from ..refdiff_core.backends.transformers_attention import check_propagation, lay_out
from ..refdiff_core.errors import ModelError, UnavailableError
from ..refdiff_core.seeing.attention import word_weights
from ..refdiff_core.seeing.capture import Capture
from ..refdiff_core.seeing.joint import JointReader
from ..refdiff_core.seeing.log_sum_exp import gives_sums
from ..refdiff_core.settings import AttentionSettings
from ..refdiff_core.values import AttentionMap, Expression, Image, Word
from ._pass import call_model, encode_picture, noise_level, trained_sampling
from ._patched import patched_clone
from ._prompt import prompt_of
from ._words import place_words, reads_literally

ROWS = 8
"""Expressions in one pass; more are read in several, so that memory stays bounded."""


@dataclass(frozen=True)
class Conditioning:
    """One expression as the model reads it.

    text: (1, L, width). extra: what belongs to it. placed: where its words are.
    """

    text: Tensor
    extra: dict[str, Any]
    placed: Placed

    @property
    def chunks(self) -> int:
        """Its length: texts of one length can share a pass."""
        return self.placed.chunks

    def positions(self, word: Word) -> tuple[int, ...]:
        """Where a word's pieces stand."""
        return self.placed.positions(word)

    @property
    def said(self) -> Tensor:
        """bool (L,): the tokens that are no padding."""
        tokens = torch.zeros(self.chunks, dtype=torch.bool)
        tokens[list(self.placed.said)] = True
        return tokens


class TransformerAttention:
    """An `AttentionSource` over the MODEL, CLIP and VAE of a transformer checkpoint.

    One conditional call of the model on a clone whose attention is seen by an override, which ends
    the call after the last block that is read.

    Args:
        model, clip, vae: as ComfyUI's nodes hand them over; none is changed.
        family: of the model.
        settings: noise level, resolution, seed, way of reading.
    """

    def __init__(
        self, model: Any, clip: Any, vae: Any, family: Transformer, settings: AttentionSettings
    ) -> None:
        self.model = model
        self.clip = clip
        self.vae = vae
        self.family = family
        self.settings = settings
        self.reading = settings.reading or family.reading
        _check(family, self.reading, settings)
        check_propagation(family, settings)

    def read(self, image: Image, expressions: Sequence[Expression]) -> list[AttentionMap]:
        """See `AttentionSource.read`."""
        if self.settings.words == "root":
            expressions = [root_alone(each) for each in expressions]
        size_hw = (image.shape[0], image.shape[1])
        seen_hw = working_size(size_hw, self.family, self.settings)
        latents = encode_picture(self.model, self.vae, image, seen_hw)
        texts = [self._encode_text(each) for each in expressions]

        def read_rows(rows: list[int], positions: Positions) -> Tensor:
            comfy.model_management.throw_exception_if_processing_interrupted()
            return self._denoise(latents, seen_hw, [texts[row] for row in rows], positions)

        return read_in_batches(
            expressions,
            texts,
            read_rows,
            size_hw,
            most=1 if self.family.one_by_one else ROWS,
            competing=self.settings.competing,
        )

    def _encode_text(self, expression: Expression) -> Conditioning:
        """Never padded: what a text encoder adds is part of how the model reads."""
        keys, sinks = self.family.tokens, self.settings.sinks
        said = with_sinks(expression.text, sinks)
        prompt = with_sinks(prompt_of(expression), sinks)
        groups = self.clip.tokenize(prompt)
        if prompt != said and reads_literally(self.clip, groups, prompt, keys):
            groups = self.clip.tokenize(said)
        found = self.clip.encode_from_tokens(groups, return_pooled=True, return_dict=True)
        found.pop("conditioning_byt5small", None)  # HunyuanImage's, of what is to be written
        text, empty = found.pop("cond"), self.clip.tokenize("")
        placed = place_words(self.clip, groups, empty, said, text.shape[1], keys)
        return Conditioning(text, found, placed)

    def _denoise(
        self,
        latents: Tensor,
        seen_hw: tuple[int, int],
        texts: Sequence[Conditioning],
        positions: Positions,
    ) -> Tensor:
        """The words' maps, float32 (E, G, h, w), from one call of the model."""
        network, length = self.model.get_model_object("diffusion_model"), texts[0].chunks
        weights = word_weights(positions, length)
        blocks = [str(block) for block in self.family.blocks_of(_depth(network, self.family))]
        look = self.settings
        capture = Capture(blocks, weights, propagation=look.propagation, even=look.even)
        grid_hw = (seen_hw[0] // self.family.cell, seen_hw[1] // self.family.cell)
        layout = lay_out(
            self.family,
            grid_hw,
            length,
            image_first=_has_image_first(network, self.family),
            reference=self.settings.reference,
        )
        said = torch.stack([text.said for text in texts])
        reader = JointReader(capture, layout, weights, said, self.reading)
        model = watched_clone(self.model, reader, self.family)
        sampling = trained_sampling(self.model)
        model.add_object_patch("model_sampling", sampling)
        extra = {**_joined([text.extra for text in texts]), **self._shown(latents)}
        sigma = noise_level(sampling, self._timestep())
        text = torch.cat([each.text for each in texts])
        call_model(model, latents, text, extra, sigma, self.settings.seed)
        if capture.pending:
            raise UnavailableError(
                "The model was run without its attention being seen where it was expected. "
                "Connect the model before the node that replaces its layers or changes its size; "
                "models in a form of their own, such as Nunchaku's, cannot be read."
            )
        return capture.word_maps()

    def _timestep(self) -> int:
        if self.settings.reference and self.settings.timestep is None:
            return 1000  # the first step of making a picture: nothing but noise
        return noise_timestep(self.family, self.settings)

    def _shown(self, latents: Tensor) -> dict[str, Any]:
        """What the model sees beside the noisy picture."""
        shown: dict[str, Any] = {}
        if self.family.inpainting:
            shown["concat_latent_image"] = latents
            shown["concat_mask"] = torch.zeros_like(latents[:, :1])  # nothing is masked
        if self.settings.reference:
            shown["reference_latents"] = [latents]
        return shown


def family_of_transformer(model: Any) -> Transformer | None:
    """The family of a MODEL that is a transformer of a known kind, else None."""
    return transformer_family(each.__name__ for each in type(model.model.model_config).__mro__)


def _check(family: Transformer, reading: str, settings: AttentionSettings) -> None:
    if reading == "output" and (family.kind == CROSS or family.attention):
        raise ModelError(
            f"In {family.name} the words' own outputs are not to be seen, so none can be compared. "
            "Use the reading 'all' or 'text'."
        )
    if settings.reference and not family.reference:
        raise ModelError(
            f"{family.name} cannot be shown a clean picture to edit. Leave the reference off."
        )


def _depth(network: Any, family: Transformer) -> int:
    blocks = getattr(network, family.stack, None)
    if blocks is None:
        raise UnavailableError(
            f"This model ({type(network).__name__}) is not built like {family.name} in ComfyUI, so "
            "its attention cannot be read. Use the ordinary weights."
        )
    return len(blocks)


def _has_image_first(network: Any, family: Transformer) -> bool:
    """Whether this version has the picture first, as ComfyUI 0.3.64 has HunyuanImage's."""
    return bool(getattr(getattr(network, family.stack)[0], "flipped_img_txt", False))


def _joined(extras: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What belongs to several texts, row by row where it has rows."""
    first = extras[0]
    return {
        key: torch.cat([extra[key] for extra in extras])
        if len(extras) > 1 and isinstance(value, Tensor) and value.ndim > 1
        else value
        for key, value in first.items()
    }


def watched_clone(model: Any, reader: JointReader, family: Transformer) -> Any:
    """A clone of the model every attention call of which a reader sees.

    Another pack's override stays where it is: it still does the work.
    """
    if family.attention:
        return patched_clone(model, reader, family)
    clone = model.clone()
    options = clone.model_options["transformer_options"]
    previous = options.get("optimized_attention_override")
    options["optimized_attention_override"] = Override(reader, previous)
    return clone


@dataclass(eq=False)
class Override:
    """ComfyUI's "optimized_attention_override": shows a call to the reader, then has it done.

    Another pack's override does the work, as before. Where the sums of a softmax are asked for,
    ComfyUI's own attention is torch's, also as what that override is handed: torch's gives them,
    and the same but for rounding.
    """

    reader: JointReader
    previous: Callable[..., Tensor] | None

    def __call__(
        self,
        func: Callable[..., Tensor],
        q: Tensor,
        k: Tensor,
        v: Tensor,
        heads: int,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        def attend(by: Callable[..., Tensor]) -> Tensor:
            done = by if self.previous is None else partial(self.previous, by)
            return done(q, k, v, heads, *args, **kwargs)

        by_head = [q, k, v]
        if not kwargs.get("skip_reshape"):
            size = q.shape[-1] // heads
            # SD 3 hands its values over head by head already
            by_head = [each.reshape(*each.shape[:2], -1, size).transpose(1, 2) for each in by_head]
        mask = args[0] if args else kwargs.get("mask")
        own = getattr(func, "__module__", "") == attention_pytorch.__module__
        # ComfyUI hands over what it would call itself, without the look for an override
        torchs = partial(attend, unwrap(attention_pytorch))
        fused = torchs if own and gives_sums(*by_head, mask) else None
        return self.reader.see(*by_head[:2], partial(attend, func), mask, fused=fused)

    def __deepcopy__(self, _memo: Any) -> Override:
        """ComfyUI 0.3.64 copies what is in the options; what is recorded must arrive here."""
        return self
