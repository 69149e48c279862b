"""Attention from the checkpoint that ComfyUI has loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import comfy.model_base
import comfy.model_management
import comfy.model_sampling
import comfy.samplers
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.model_base import ModelType
from torch import Tensor

from ..refdiff_core.backends.diffusers_attention import (
    alphas_cumprod,
    noise_timestep,
    root_alone,
    working_size,
)
from ..refdiff_core.backends.families import Family, family_of, trained_at
from ..refdiff_core.backends.tokens import batches, words_to_read
from ..refdiff_core.cache import fingerprint
from ..refdiff_core.errors import ModelError, UnavailableError
from ..refdiff_core.pictures.images import resize_picture
from ..refdiff_core.seeing.attention import attention_map, word_weights
from ..refdiff_core.seeing.capture import Capture, PassComplete
from ..refdiff_core.settings import AttentionSettings
from ..refdiff_core.values import AttentionMap, Expression, Image
from ._caches import cache_of
from ._prompt import Chunks, PromptTokens, tokenize_prompt
from ._recording import Asked, layers_on, recording_clone

logger = logging.getLogger("refdiff")

ROWS = 16
"""Expressions in one pass; more are read in several, so that memory stays bounded."""


class ComfyAttention:
    """An `AttentionSource` over MODEL, CLIP and VAE.

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

        def encode() -> tuple[Tensor]:
            return (self.vae.encode(resize_picture(image, size_hw).movedim(1, -1)),)

        cache = cache_of(self.vae.first_stage_model)
        (latents,) = cache.once((fingerprint(image), size_hw), encode)
        channels = self.model.get_model_object("latent_format").latent_channels
        if latents.ndim != 4 or latents.shape[1] != channels:
            raise ModelError(
                f"The VAE gives latents {tuple(latents.shape)}, the model reads {channels} "
                "channels. Connect the VAE of the same checkpoint."
            )
        return latents

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
        layers = layers_on(self.model.get_model_object("diffusion_model"), self.family.grid_factor)
        names = [str(layer) for layer in layers]
        capture = Capture(names, weights, propagation=self.settings.propagation)
        height, width = (side // self.family.grid_factor for side in latents.shape[-2:])
        asked = Asked(len(weights), weights.shape[1], (height, width))
        model = recording_clone(self.model, layers, capture, asked)
        sampling = trained_sampling(self.model)
        model.add_object_patch("model_sampling", sampling)
        guider = comfy.samplers.CFGGuider(model)
        # inpainting models also see a mask and the masked picture: here nothing is masked
        seen = {"concat_latent_image": latents, "concat_mask": torch.zeros_like(latents[:, :1])}
        guider.inner_set_conds({"positive": [[text, {**extra, **seen}]]})
        sigma = noise_level(sampling, noise_timestep(self.family, self.settings))
        generator = torch.Generator().manual_seed(self.settings.seed)
        noise = torch.randn(latents.shape, generator=generator)
        guider.sample(
            noise.repeat(len(text), 1, 1, 1),
            latents.repeat(len(text), 1, 1, 1),
            comfy.samplers.KSAMPLER(call_once),
            torch.stack([sigma, torch.zeros(())]),
            disable_pbar=True,
            seed=self.settings.seed,
        )
        if capture.pending:
            raise UnavailableError(
                "The model was run without its cross-attention being called. Connect the model "
                "before the node that replaces its layers."
            )
        return capture.word_maps()


def call_once(
    model: Callable[..., Tensor],
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Any = None,
    disable: bool | None = None,
    **_options: Any,
) -> Tensor:
    """A sampler that calls the model at the first sigma and leaves the latents as they are."""
    try:
        model(x, sigmas[0].expand(len(x)), **(extra_args or {}))
    except PassComplete:  # here rather than further out, so that the host tidies up as always
        pass
    return x


def trained_sampling(model: Any) -> Any:
    """How the weights were taught to see noise, whatever another node has put in its place.

    Nodes that replace ``model_sampling`` mostly say how pictures are to be made; a U-Net shown
    another kind's noise or told another kind's time answers for no noise that it knows. Only EDM
    is taken from them: in a file of the denoiser alone nothing else tells that weights are such.
    """
    own = comfy.model_base.model_sampling(model.model.model_config, model.model.model_type)
    chosen = model.get_model_object("model_sampling")
    if not _is_edm(chosen) or _is_edm(own):
        return own
    logger.warning(
        "A node says that the model's weights were trained with EDM's noise, and it is read so. If "
        "they were not, connect the model before that node."
    )
    return chosen


def _is_edm(sampling: Any) -> bool:
    other = comfy.model_sampling.ModelSamplingContinuousV
    edm = comfy.model_sampling.ModelSamplingContinuousEDM
    return isinstance(sampling, edm) and not isinstance(sampling, other)


def noise_level(sampling: Any, timestep: int) -> Tensor:
    """Sigma at a timestep of the schedule that all families share, within the model's range."""
    signal = alphas_cumprod()[timestep]
    sigma = ((1 - signal) / signal).sqrt().float()
    return sigma.clamp(float(sampling.sigma_min), float(sampling.sigma_max))


def model_family(model: Any) -> Family:
    """What kind of checkpoint a MODEL is.

    Raises:
        UnavailableError: it has no cross-attention with the text (Flux, SD 3, ...).
        ModelError: a U-Net of a kind that is not known here.
    """
    kind = type(model.model.model_config).__name__
    if not isinstance(model.get_model_object("diffusion_model"), UNetModel):
        raise UnavailableError(
            f"This model ({kind}) has no cross-attention between picture and words to read. " + _USE
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
    "Use a checkpoint of Stable Diffusion 1.x, 2.x or XL for this node; any other model may do the "
    "painting."
)


def _pad(chunks: Chunks, empty: list[Any], count: int) -> Chunks:
    return [*chunks, *[empty] * (count - len(chunks))]
