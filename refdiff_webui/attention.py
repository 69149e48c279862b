"""Attention from the checkpoint that a WebUI has loaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from modules import devices, prompt_parser, sd_samplers_common, shared
from torch import Tensor

from refdiff_core.backends.diffusers_attention import (
    alphas_cumprod,
    denoiser_input,
    noise_timestep,
)
from refdiff_core.backends.families import Family, family_of, trained_at
from refdiff_core.backends.original_layout import layers_read, widths_of, without_spread
from refdiff_core.backends.tokens import END, START, HostTokens, match, tokenize, with_sinks
from refdiff_core.backends.unet_layers import capturing
from refdiff_core.errors import UnavailableError
from refdiff_core.pictures.images import resize_picture
from refdiff_core.seeing.capture import Capture
from refdiff_core.settings import AttentionSettings
from refdiff_core.values import Expression, Image
from refdiff_webui.host import NO_CHECKPOINT, check_stopped, unnoted


class Webui:
    """What `HostAttention` asks of a host, done with its own model ``shared.sd_model``.

    The host encodes the picture and the text and runs the denoiser once; hooks on the projections
    of its cross-attention see what they give, whatever computes the rest, and leave with the pass.

    Raises:
        UnavailableError: no checkpoint is loaded, or one that cannot be read here.
        ModelError: a U-Net of a kind that is not known here.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.forge = getattr(model, "forge_objects", None)
        self.unet = unet_of(model)
        self.family = family_in(model, self.unet)
        self.device = torch.device(devices.device)

    def tokenize(self, expression: Expression, sinks: str) -> HostTokens:
        """The host's own tokens, embeddings among them, matched with the line's words."""
        line = with_sinks(expression.text, sinks)
        said = prompt_of(line)
        chunks, _ = text_engine(self.model).tokenize_line(said)
        flat = enumerate(token for chunk in chunks for token in chunk.tokens)
        own = {at: token for at, token in flat if token not in (START, END)}
        return replace(match(tokenize(line), own, len(chunks)), said=said)

    def encode(self, image: Image, size_hw: tuple[int, int]) -> Tensor:
        """The host draws from the autoencoder's spread; here it has none."""
        vae = (self.forge.vae if self.forge else self.model).first_stage_model
        hook = vae.quant_conv.register_forward_hook(without_spread)
        with hook, torch.random.fork_rng(devices=[]), devices.autocast():
            planes = resize_picture(image, size_hw)
            latents = sd_samplers_common.images_tensor_to_samples(planes, 0, self.model)
        return latents.float()

    def look(
        self,
        latents: Tensor,
        texts: Sequence[HostTokens],
        weights: Tensor,
        settings: AttentionSettings,
    ) -> Tensor:
        """At the noise that the weights were trained with, whatever samplers are told."""
        check_stopped()
        height, width = (8 * side for side in latents.shape[-2:])
        lines = [each.said for each in texts]
        asked = prompt_parser.SdConditioning(lines, width=width, height=height)
        with devices.autocast(), unnoted():
            told = self.model.get_learned_conditioning(asked)
        told = told if isinstance(told, dict) else {"crossattn": told}
        timestep = noise_timestep(self.family, settings)
        seen = denoiser_input(latents, self.unet.in_channels, self.family, settings)
        seen = seen.expand(len(texts), -1, -1, -1)
        layers = layers_read(self.unet, self.family, even=settings.even)
        capture = Capture.of_unet(layers, weights, settings)
        with capturing(self.unet, capture):
            (run_in_forge if self.forge else run_in_webui)(self.model, seen, timestep, told)
        return capture.word_maps()


def unet_of(model: Any) -> Any:
    """The denoiser itself.

    Raises:
        UnavailableError: it is no U-Net, or no checkpoint is loaded.
    """
    forge = getattr(model, "forge_objects", None)
    holder = forge.unet.model if forge else getattr(model, "model", None)
    unet = getattr(holder, "diffusion_model", None)
    if unet is None:
        raise UnavailableError(NO_CHECKPOINT)
    if not hasattr(unet, "input_blocks"):
        raise UnavailableError(
            f"This checkpoint ({type(unet).__name__}) has no U-Net whose attention between picture "
            "and words could be read here. Load Stable Diffusion 1.x, 2.x or XL to find the mask; "
            "any other checkpoint may then paint."
        )
    return unet


def family_in(model: Any, unet: Any) -> Family:
    """What kind of checkpoint is loaded, told by its own widths and by what it predicts."""
    family = family_of(*widths_of(unet), "The checkpoint that is loaded")
    predicted = prediction_of(model)
    if predicted not in ("eps", "epsilon", "v", "v_prediction"):
        raise UnavailableError(
            f"This checkpoint was trained with another kind of noise ({predicted}) than is known "
            "here. Load another Stable Diffusion checkpoint to find the mask."
        )
    return trained_at(family, v_prediction=predicted.startswith("v"))


def prediction_of(model: Any) -> str:
    """What the denoiser predicts, in the host's word for it; reForge has two, either may say v."""
    forge, own = getattr(model, "forge_objects", None), getattr(model, "parameterization", "eps")
    if not forge or own == "v":
        return own
    predictor = getattr(forge.unet.model, "predictor", None)
    kind = predictor.prediction_type if predictor else forge.unet.model.model_type.name
    return kind.lower()


def prompt_of(line: str) -> str:
    """A line as the host's prompt: its brackets are text, and BREAK is a word."""
    line = line.lower()
    weighted = getattr(shared.opts, "emphasis", "Original") != "None"
    return re.sub(r"([()\[\]\\])", r"\\\1", line) if weighted else line


def text_engine(model: Any) -> Any:
    """The text encoder's part that lays out prompts; XL's first, whose chunks both share."""
    names = ("text_processing_engine", "text_processing_engine_l", "cond_stage_model")
    engines = [getattr(model, name, None) for name in names]
    engines += getattr(getattr(model, "conditioner", None), "embedders", ())
    return next(each for each in engines if hasattr(each, "tokenize_line"))


def run_in_webui(model: Any, seen: Tensor, timestep: int, told: dict[str, Tensor]) -> None:
    """One call of the denoiser as AUTOMATIC1111's samplers make it."""
    step = torch.full((len(seen),), timestep, device=seen.device)
    text = told if "vector" in told else {"c_crossattn": [told["crossattn"]]}
    with devices.autocast():
        model.apply_model(seen[:, :4], step, {**text, "c_concat": [seen[:, 4:]]})


def run_in_forge(model: Any, seen: Tensor, timestep: int, told: dict[str, Tensor]) -> None:
    """The same as Forge's line makes it; weights are placed, and patches kept, by the host."""
    unet, inner = model.forge_objects.unet, model.forge_objects.unet.model
    manual = getattr(inner, "computation_dtype", None) or getattr(inner, "manual_cast_dtype", None)
    sd_samplers_common.sampling_prepare(unet, seen)
    try:
        x = seen.to(unet.load_device, manual or inner.get_dtype())
        step = torch.full((len(x),), float(timestep), device=x.device)
        sigma = float((1 / alphas_cumprod()[timestep] - 1) ** 0.5)
        text = {"context": told["crossattn"].to(x)}
        if "vector" in told:
            text["y"] = told["vector"].to(x)
        options = unet.model_options.get("transformer_options", {})
        options = {**options, "cond_or_uncond": [0], "sigmas": torch.full_like(step, sigma)}
        inner.diffusion_model(x, step, transformer_options=options, **text)
    finally:
        sd_samplers_common.sampling_cleanup(unet)
