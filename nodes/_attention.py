"""Attention from the checkpoint that ComfyUI has loaded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import comfy.model_management
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_base import ModelType
from torch import Tensor

from ..refdiff_core.backends.diffusers_attention import noise_timestep
from ..refdiff_core.backends.families import Family, family_of, trained_at
from ..refdiff_core.backends.host_attention import HostAttention
from ..refdiff_core.backends.original_layout import Place, transformers_in, transformers_on
from ..refdiff_core.errors import ModelError, UnavailableError
from ..refdiff_core.protocols import AttentionSource
from ..refdiff_core.seeing.capture import Capture
from ..refdiff_core.settings import AttentionSettings
from ..refdiff_core.values import Expression, Image
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
    return HostAttention(ComfyHost(model, clip, vae), settings, ROWS)


class ComfyHost:
    """The MODEL, CLIP and VAE of a checkpoint with a U-Net.

    The host does what is the host's: placing weights, patches, the extra channels of inpainting
    models, SDXL's sizes. One conditional call of the model on a clone that records the words'
    attention and ends the call after the last layer.

    Args:
        model, clip, vae: as ComfyUI's nodes hand them over; none is changed.
    """

    def __init__(self, model: Any, clip: Any, vae: Any) -> None:
        self.model = model
        self.clip = clip
        self.vae = vae
        self.family = model_family(model)

    def tokenize(self, expression: Expression, sinks: str) -> PromptTokens:
        """See `Host.tokenize`."""
        return tokenize_prompt(self.clip, expression, sinks)

    def encode(self, image: Image, size_hw: tuple[int, int]) -> Tensor:
        """Once per picture, autoencoder and size."""
        return encode_picture(self.model, self.vae, image, size_hw)

    def look(
        self,
        latents: Tensor,
        texts: Sequence[PromptTokens],
        weights: Tensor,
        settings: AttentionSettings,
    ) -> Tensor:
        """See `Host.look`."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        text, extra = self._encode_text(texts)
        unet = self.model.get_model_object("diffusion_model")
        every, family = transformers_in(unet), self.family
        shares = family.shares(partial(transformers_on, unet), _is_up, even=settings.even)
        named = {str(place): share for place, share in shares.items()}
        capture = Capture.of_unet(named, weights, settings)
        asked = Asked(len(weights), weights.shape[1], (latents.shape[-2], latents.shape[-1]))
        layers = {place: every[place] for place in shares}
        model = recording_clone(self.model, layers, capture, asked)
        sampling = trained_sampling(self.model)
        model.add_object_patch("model_sampling", sampling)
        # inpainting models also see a mask and the masked picture: here nothing is masked
        seen = {"concat_latent_image": latents, "concat_mask": torch.zeros_like(latents[:, :1])}
        sigma = noise_level(sampling, noise_timestep(self.family, settings))
        call_model(model, latents, text, {**extra, **seen}, sigma, settings.seed)
        if capture.pending:
            raise UnavailableError(
                "The model was run without its cross-attention being called. Connect the model "
                "before the node that replaces its layers."
            )
        return capture.word_maps()

    def _encode_text(self, texts: Sequence[PromptTokens]) -> tuple[Tensor, dict[str, Any]]:
        """Text (E, chunks * 77, width) and what belongs to it, such as SDXL's pooled text."""
        empty = self.clip.tokenize("")
        most = {key: max(len(each.groups[key]) for each in texts) for key in empty}
        states, extras = [], []
        for each in texts:
            padded = {key: _pad(each.groups[key], empty[key][0], most[key]) for key in empty}
            found = self.clip.encode_from_tokens(padded, return_pooled=True, return_dict=True)
            states.append(found.pop("cond"))
            extras.append(found)
        if states[0].shape[-1] != self.family.context:
            raise ModelError(
                f"The CLIP gives text of width {states[0].shape[-1]}, the model reads "
                f"{self.family.context}. Connect the CLIP of the same checkpoint."
            )
        pooled = [extra["pooled_output"] for extra in extras]
        joined = None if any(each is None for each in pooled) else torch.cat(pooled)
        return torch.cat(states), {**extras[0], "pooled_output": joined}


def _is_up(place: Place) -> bool:
    return place[0] == "output"


def model_family(model: Any) -> Family:
    """What kind of checkpoint a MODEL is.

    Raises:
        UnavailableError: it is of a kind whose attention is not known here.
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
