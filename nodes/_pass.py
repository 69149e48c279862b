"""One call of a MODEL on a picture at a noise level, by the host's own means."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import comfy.model_base
import comfy.model_sampling
import comfy.samplers
import torch
from torch import Tensor

from ..refdiff_core.backends.diffusers_attention import alphas_cumprod
from ..refdiff_core.errors import ModelError
from ..refdiff_core.pictures.images import resize_picture
from ..refdiff_core.seeing.capture import PassComplete
from ..refdiff_core.together import AUTOENCODER, encode
from ..refdiff_core.values import Image
from ._caches import cache_of

logger = logging.getLogger("refdiff")


def encode_picture(model: Any, vae: Any, image: Image, size_hw: tuple[int, int]) -> Tensor:
    """Latents (1, C, h, w), or (1, C, 1, h, w), once per picture, autoencoder and size.

    Several pictures in one call are the host's to split where its memory is short.

    Raises:
        ModelError: the autoencoder is not the model's.
    """

    def size_of(picture: Image) -> tuple[int, int] | None:
        # of an IMAGE all have one size; by an autoencoder for video several are moments of one film
        apart = getattr(vae, "latent_dim", None) != 2 or picture.shape != image.shape
        return None if apart and picture is not image else size_hw

    latents = encode(
        cache_of(vae.first_stage_model),
        image,
        size_of,
        lambda picture: resize_picture(picture, size_hw),
        lambda pixels: vae.encode(pixels.movedim(1, -1)),
        values=AUTOENCODER,
        device=getattr(vae, "device", None),
    )
    wanted = model.get_model_object("latent_format")
    if (latents.ndim, latents.shape[1]) != (2 + wanted.latent_dimensions, wanted.latent_channels):
        raise ModelError(
            f"The VAE gives latents {tuple(latents.shape)}, the model reads "
            f"{wanted.latent_channels} channels. Connect the VAE of the same checkpoint."
        )
    return latents


def call_model(
    model: Any, latents: Tensor, text: Tensor, extra: dict[str, Any], sigma: Tensor, seed: int
) -> None:
    """Call a model once, for E texts at once, on one picture with noise.

    Args:
        model: a clone that records, and may end the call by `PassComplete`.
        latents: (1, C, ...), as the autoencoder gives them.
        text: (E, L, width).
        extra: what belongs to it, such as pooled text.
        sigma: (), how much noise.
        seed: of the noise.
    """
    guider = comfy.samplers.CFGGuider(model)
    guider.inner_set_conds({"positive": [[text, extra]]})
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(latents.shape, generator=generator)
    rows = (len(text), *[1] * (latents.ndim - 1))
    guider.sample(
        noise.repeat(rows),
        latents.repeat(rows),
        comfy.samplers.KSAMPLER(call_once),
        torch.stack([sigma, torch.zeros(())]),
        disable_pbar=True,
        seed=seed,
    )


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
    except PassComplete as done:  # here, not further out, so that the host tidies up as always
        done.release()
    return x


def trained_sampling(model: Any) -> Any:
    """How the weights were taught to see noise, whatever another node has put in its place.

    Nodes that replace ``model_sampling`` mostly say how pictures are to be made; a model shown
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
    """Sigma at a step of 1,000 of the schedule the model was trained with, within its range.

    Flow models mix timestep / 1000 of noise with the picture; ``shift``, which bends the schedule
    by which pictures are made, has no part in it. Of the others all but a few (PixArt) share one
    schedule of betas.
    """
    share = torch.tensor(timestep / 1000)
    if isinstance(sampling, comfy.model_sampling.CONST):
        return share
    if isinstance(sampling, comfy.model_sampling.COSMOS_RFLOW):
        sigma = share / (1 - share)
    elif _has_own_betas(sampling):
        sigma = sampling.sigma(torch.tensor(float(timestep))).float()
    else:
        signal = alphas_cumprod()[timestep]
        sigma = ((1 - signal) / signal).sqrt().float()
    return sigma.clamp(float(sampling.sigma_min), float(sampling.sigma_max))


def _has_own_betas(sampling: Any) -> bool:
    """Whether a schedule is another than Stable Diffusion's."""
    ends = [getattr(sampling, name, None) for name in ("linear_start", "linear_end")]
    return isinstance(sampling, comfy.model_sampling.ModelSamplingDiscrete) and ends != _BETAS


_BETAS = [0.00085, 0.012]
