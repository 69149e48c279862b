"""Attention from the checkpoint that ComfyUI has loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comfy.model_management
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_base import ModelType
from torch import Tensor

from ..refdiff_core.backends.diffusers_attention import noise_timestep, root_alone, working_size
from ..refdiff_core.backends.families import Family, family_of, trained_at
from ..refdiff_core.backends.original_layout import transformers_on
from ..refdiff_core.backends.tokens import batches, words_to_read
from ..refdiff_core.errors import ModelError, UnavailableError
from ..refdiff_core.protocols import AttentionSource
from ..refdiff_core.seeing.attention import attention_map, word_weights
from ..refdiff_core.seeing.capture import Capture
from ..refdiff_core.settings import AttentionSettings
from ..refdiff_core.values import AttentionMap, Expression, Image
from ._pass import call_model, encode_picture, noise_level, trained_sampling
from ._prompt import Chunks, PromptTokens, tokenize_prompt
from ._recording import Asked, recording_clone
from ._transformers import TransformerAttention, family_of_transformer

ROWS = 16
"""Expressions in one pass; more are read in several, so that memory stays bounded."""


def attention_source(
    model: Any, clip: Any, vae: Any, settings: AttentionSettings = AttentionSettings()
) -> AttentionSource:
    """What reads a MODEL's attention: a U-Net's, or a transformer's.

    Raises:
        UnavailableError: it has none with the words.
        ModelError: a U-Net of a kind that is not known here.
    """
    family = family_of_transformer(model)
    if family is not None:
        return TransformerAttention(model, clip, vae, family, settings)
    if settings.reference:
        raise ModelError("U-Nets cannot be shown a clean picture to edit. Leave 'reference' off.")
    return ComfyAttention(model, clip, vae, settings)


class ComfyAttention:
    """An `AttentionSource` over the MODEL, CLIP and VAE of a checkpoint with a U-Net.

    The host does what is the host's: placing weights, patches, the extra channels of inpainting
    models, SDXL's sizes. One conditional call of the model on a clone that records the words'
    attention and ends the call after the last layer.

    Args:
        model, clip, vae: as ComfyUI's nodes hand them over; none is changed.
        settings: noise level, resolution, seed.
    """

    def __init__(
        self,
        model: Any,
        clip: Any,
        vae: Any,
        settings: AttentionSettings = AttentionSettings(),
    ) -> None:
        self.model = model
        self.clip = clip
        self.vae = vae
        self.settings = settings
        self.family = model_family(model)

    def read(self, image: Image, expressions: Sequence[Expression]) -> list[AttentionMap]:
        """See `AttentionSource.read`."""
        if self.settings.words == "root":
            expressions = [root_alone(each) for each in expressions]
        latents = self._encode_image(image)
        size_hw = (image.shape[0], image.shape[1])
        tokens = [tokenize_prompt(self.clip, each, self.settings.sinks) for each in expressions]
        maps: dict[int, AttentionMap] = {}
        for rows in batches([each.length for each in tokens], ROWS):
            asked = [expressions[row] for row in rows]
            found = self._read_rows(latents, asked, [tokens[row] for row in rows], size_hw)
            maps |= zip(rows, found, strict=True)
        return [maps[row] for row in range(len(expressions))]

    def _read_rows(
        self,
        latents: Tensor,
        expressions: Sequence[Expression],
        tokens: Sequence[PromptTokens],
        size_hw: tuple[int, int],
    ) -> list[AttentionMap]:
        comfy.model_management.throw_exception_if_processing_interrupted()
        words = [words_to_read(*pair) for pair in zip(expressions, tokens, strict=True)]
        text, extra = self._encode_text(tokens)
        # not as long as the text: a pack may encode tokens twice, and read each once
        length = 77 * max(each.length for each in tokens)
        weights = word_weights([[each for _, each in found] for found in words], length)
        maps = self._denoise(latents, text, extra, weights)
        return [
            attention_map(
                each,
                [word for word, _ in found],
                grid[: len(found)],
                size_hw,
                competing=self.settings.competing,
            )
            for each, found, grid in zip(expressions, words, maps, strict=True)
        ]

    def _encode_image(self, image: Image) -> Tensor:
        """Latents (1, 4, h, w), once per picture, autoencoder and size."""
        size_hw = working_size((image.shape[0], image.shape[1]), self.family, self.settings)
        return encode_picture(self.model, self.vae, image, size_hw)

    def _encode_text(self, tokens: Sequence[PromptTokens]) -> tuple[Tensor, dict[str, Any]]:
        """Text (E, chunks * 77, width) and what belongs to it, such as SDXL's pooled text."""
        empty = self.clip.tokenize("")
        most = {key: max(len(each.chunks[key]) for each in tokens) for key in empty}
        texts, extras = [], []
        for each in tokens:
            padded = {key: _pad(each.chunks[key], empty[key][0], most[key]) for key in empty}
            found = self.clip.encode_from_tokens(padded, return_pooled=True, return_dict=True)
            texts.append(found.pop("cond"))
            extras.append(found)
        if texts[0].shape[-1] != self.family.context:
            raise ModelError(
                f"The CLIP gives text of width {texts[0].shape[-1]}, the model reads "
                f"{self.family.context}. Connect the CLIP of the same checkpoint."
            )
        pooled = [extra["pooled_output"] for extra in extras]
        joined = None if any(each is None for each in pooled) else torch.cat(pooled)
        return torch.cat(texts), {**extras[0], "pooled_output": joined}

    def _denoise(
        self, latents: Tensor, text: Tensor, extra: dict[str, Any], weights: Tensor
    ) -> Tensor:
        """The words' maps, float32 (E, G, h, w), from one call of the model."""
        unet = self.model.get_model_object("diffusion_model")
        layers = transformers_on(unet, self.family.grid_factor)
        names = [str(layer) for layer in layers]
        capture = Capture(names, weights, propagation=self.settings.propagation)
        height, width = (side // self.family.grid_factor for side in latents.shape[-2:])
        asked = Asked(len(weights), weights.shape[1], (height, width))
        model = recording_clone(self.model, layers, capture, asked)
        sampling = trained_sampling(self.model)
        model.add_object_patch("model_sampling", sampling)
        # inpainting models also see a mask and the masked picture: here nothing is masked
        seen = {"concat_latent_image": latents, "concat_mask": torch.zeros_like(latents[:, :1])}
        sigma = noise_level(sampling, noise_timestep(self.family, self.settings))
        call_model(model, latents, text, {**extra, **seen}, sigma, self.settings.seed)
        if capture.pending:
            raise UnavailableError(
                "The model was run without its cross-attention being called. Connect the model "
                "before the node that replaces its layers."
            )
        return capture.word_maps()


def model_family(model: Any) -> Family:
    """What kind of checkpoint a MODEL is.

    Raises:
        UnavailableError: it has no cross-attention with the text (Flux, SD 3, ...).
        ModelError: a U-Net of a kind that is not known here.
    """
    kind = type(model.model.model_config).__name__
    if not isinstance(model.get_model_object("diffusion_model"), UNetModel):
        raise UnavailableError(
            f"This model ({kind}) is of a kind whose attention is not known here. " + _USE
        )
    config = model.model.model_config.unet_config
    if config.get("use_temporal_attention") or kind in _SHOWN_PICTURES:
        raise UnavailableError(
            f"This model ({kind}) is told by a picture what to paint, not by words. " + _USE
        )
    family = family_of(config["model_channels"], config["context_dim"], kind)
    return trained_at(family, v_prediction=model.model.model_type != ModelType.EPS)


_SHOWN_PICTURES = ("Stable_Zero123", "LotusD")
_USE = (
    "Use Stable Diffusion 1.x, 2.x, XL or 3, Flux, Chroma, Z-Image, Qwen-Image or another that the "
    "node's help names; any other model may do the painting."
)


def _pad(chunks: Chunks, empty: list[Any], count: int) -> Chunks:
    return [*chunks, *[empty] * (count - len(chunks))]
