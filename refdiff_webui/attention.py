"""Attention from the checkpoint that a WebUI has loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from modules import devices, prompt_parser, sd_samplers_common, shared
from torch import Tensor

from refdiff_core.backends.diffusers_attention import (
    add_noise,
    noise_timestep,
    root_alone,
    working_size,
)
from refdiff_core.backends.families import Family, family_of, trained_at
from refdiff_core.backends.original_layout import transformers_on
from refdiff_core.backends.reading import Positions, read_in_batches
from refdiff_core.backends.tokens import END, START, HostTokens, match, tokenize, with_sinks
from refdiff_core.backends.unet_layers import capturing
from refdiff_core.errors import UnavailableError
from refdiff_core.pictures.images import resize_picture
from refdiff_core.seeing.attention import word_weights
from refdiff_core.seeing.capture import Capture
from refdiff_core.settings import AttentionSettings
from refdiff_core.values import AttentionMap, Expression, Image
from refdiff_webui.host import check_stopped

ROWS = 8
"""Expressions in one pass; more are read in several, so that memory stays bounded."""


class WebuiAttention:
    """An `AttentionSource` over the host's own model, as it stands: patched, half, offloaded.

    The host encodes the picture and the text and runs the denoiser once; hooks on the projections
    of its cross-attention see what they give, whatever computes the rest, and leave with the pass.

    Args:
        model: the host's ``shared.sd_model``.
        settings: noise level, resolution, seed.

    Raises:
        UnavailableError: the checkpoint has no cross-attention with the text (Flux, SD 3, ...).
        ModelError: a U-Net of a kind that is not known here.
    """

    def __init__(self, model: Any, settings: AttentionSettings = AttentionSettings()) -> None:
        self.model = model
        self.settings = settings
        self.unet = unet_of(model)
        self.family = family_in(model, self.unet)
        self.device = torch.device(devices.device)

    @torch.no_grad()
    def read(self, image: Image, expressions: Sequence[Expression]) -> list[AttentionMap]:
        """See `AttentionSource.read`."""
        if self.settings.words == "root":
            expressions = [root_alone(each) for each in expressions]
        lines = [with_sinks(each.text, self.settings.sinks) for each in expressions]
        size_hw = (image.shape[0], image.shape[1])
        seen_hw = working_size(size_hw, self.family, self.settings)
        latents = self._encode_image(image, seen_hw)

        def read_rows(rows: list[int], positions: Positions) -> Tensor:
            return self._read_rows(latents, [lines[row] for row in rows], positions, seen_hw)

        return read_in_batches(
            expressions,
            [tokens_in(self.model, line) for line in lines],
            read_rows,
            size_hw,
            most=ROWS,
            competing=self.settings.competing,
        )

    def _encode_image(self, image: Image, seen_hw: tuple[int, int]) -> Tensor:
        """Latents (1, 4, h, w). Hosts draw from the autoencoder's spread: here always the same."""
        with kept_random(), devices.autocast():
            torch.manual_seed(self.settings.seed)
            planes = resize_picture(image, seen_hw)
            latents = sd_samplers_common.images_tensor_to_samples(planes, 0, self.model)
        return latents.float()

    def _read_rows(
        self,
        latents: Tensor,
        lines: Sequence[str],
        positions: Positions,
        seen_hw: tuple[int, int],
    ) -> Tensor:
        """The words' maps of some lines, float32 (E, G, h, w), from one pass."""
        check_stopped()
        asked = prompt_parser.SdConditioning(
            [prompt_of(line) for line in lines], width=seen_hw[1], height=seen_hw[0]
        )
        with devices.autocast():
            told = self.model.get_learned_conditioning(asked)
        if not isinstance(told, dict):
            told = {"crossattn": told}
        weights = word_weights(positions, told["crossattn"].shape[1])
        names = layers_in(self.unet, self.family.grid_factor)
        capture = Capture(names, weights, propagation=self.settings.propagation)
        with capturing(self.unet, capture):
            self._denoise(latents.repeat(len(lines), 1, 1, 1), told)
        return capture.word_maps()

    def _denoise(self, latents: Tensor, told: dict[str, Tensor]) -> None:
        timestep = noise_timestep(self.family, self.settings)
        # one noise for all rows, so that an answer does not depend on what else was asked
        noisy = add_noise(latents[:1], timestep, self.settings.seed).expand_as(latents)
        seen = unmasked(latents, self.unet.input_blocks[0][0].weight.shape[1] - latents.shape[1])
        run = run_in_forge if hasattr(self.model, "forge_objects") else run_in_webui
        run(self.model, noisy, timestep, told, seen)


def unet_of(model: Any) -> Any:
    """The denoiser itself.

    Raises:
        UnavailableError: it is no U-Net, or no checkpoint is loaded.
    """
    forge = getattr(model, "forge_objects", None)
    holder = forge.unet.model if forge else getattr(model, "model", None)
    unet = getattr(holder, "diffusion_model", None)
    if unet is None:
        raise UnavailableError("No checkpoint is loaded. Choose one at the top of the page first.")
    if not hasattr(unet, "input_blocks"):
        raise UnavailableError(
            f"This checkpoint ({type(unet).__name__}) has no U-Net whose attention between picture "
            "and words could be read here. Load Stable Diffusion 1.x, 2.x or XL to find the mask; "
            "any other checkpoint may then paint."
        )
    return unet


def family_in(model: Any, unet: Any) -> Family:
    """What kind of checkpoint is loaded, told by its own widths."""
    keys = (p for name, p in unet.named_parameters() if name.endswith("attn2.to_k.weight"))
    channels = unet.input_blocks[0][0].weight.shape[0]
    family = family_of(channels, next(keys).shape[1], "The checkpoint that is loaded")
    return trained_at(family, v_prediction=_prediction(model) in ("v", "v_prediction"))


def _prediction(model: Any) -> str:
    """What the denoiser predicts, in the host's word for it."""
    forge = getattr(model, "forge_objects", None)
    if forge is None:
        return str(getattr(model, "parameterization", "eps"))
    inner = forge.unet.model
    kind = getattr(_schedule(inner), "prediction_type", None) or getattr(inner, "model_type", "eps")
    return str(kind).rpartition(".")[2].lower()


def _schedule(inner: Any) -> Any:
    return getattr(inner, "predictor", None) or inner.model_sampling


def layers_in(unet: Any, factor: int) -> list[str]:
    """Names of the cross-attention layers whose grid is the latent grid divided by ``factor``."""
    blocks = {id(block) for block in transformers_on(unet, factor).values()}
    return [f"{name}.attn2" for name, module in unet.named_modules() if id(module) in blocks]


def prompt_of(line: str) -> str:
    """A line as the host's prompt: its brackets are text, and BREAK is a word."""
    line = line.lower()
    weighted = getattr(shared.opts, "emphasis", "Original") != "None"
    return re.sub(r"([()\[\]\\])", r"\\\1", line) if weighted else line


def tokens_in(model: Any, line: str) -> HostTokens:
    """The host's own tokens of a line, embeddings among them, matched with its words."""
    chunks, _ = text_engine(model).tokenize_line(prompt_of(line))
    flat = enumerate(token for chunk in chunks for token in chunk.tokens)
    return match(tokenize(line), {at: i for at, i in flat if i not in (START, END)}, len(chunks))


def text_engine(model: Any) -> Any:
    """The text encoder's part that lays out prompts; XL's first, whose chunks both share."""
    conditioner = getattr(model, "conditioner", None)
    engines = [getattr(model, name, None) for name in _ENGINES]
    engines += list(getattr(conditioner, "embedders", ()))
    return next(each for each in engines if hasattr(each, "tokenize_line"))


_ENGINES = ("text_processing_engine", "text_processing_engine_l", "cond_stage_model")


def unmasked(latents: Tensor, channels: int) -> Tensor | None:
    """What inpainting checkpoints and their like also see: nothing masked, the picture itself."""
    nothing = torch.zeros_like(latents[:, :1])
    also = {1: nothing, 4: latents, 5: torch.cat([nothing, latents], 1)}
    return also.get(channels)


def run_in_webui(
    model: Any, noisy: Tensor, timestep: int, told: dict[str, Tensor], seen: Tensor | None
) -> None:
    """One call of the denoiser as AUTOMATIC1111's samplers make it."""
    step = torch.full((len(noisy),), timestep, device=noisy.device)
    if "vector" in told:
        given = {**told, "c_concat": [] if seen is None else [seen]}
    else:
        nothing = noisy.new_zeros(len(noisy), 5, 1, 1)  # what the host itself gives
        concat = nothing if seen is None else seen
        given = {"c_crossattn": [told["crossattn"]], "c_concat": [concat]}
    with devices.autocast():
        model.apply_model(noisy, step, given)


def run_in_forge(
    model: Any, noisy: Tensor, timestep: int, told: dict[str, Tensor], seen: Tensor | None
) -> None:
    """The same as Forge's line makes it; weights are placed, and patches kept, by the host."""
    unet = model.forge_objects.unet
    inner, device = unet.model, unet.load_device
    with sampling(unet, noisy):
        sigma = _schedule(inner).sigmas[timestep].float().expand(len(noisy)).to(device)
        # Forge scales by sigma what was noised by it; ours has the schedule's unit variance
        x = noisy.to(device) * (1 + sigma[:, None, None, None] ** 2) ** 0.5
        more = {"c_concat": seen, "y": told.get("vector")}
        more = {name: value.to(x) for name, value in more.items() if value is not None}
        options = unet.model_options.get("transformer_options", {})
        options = {**options, "cond_or_uncond": [0], "sigmas": sigma}
        inner.apply_model(
            x, sigma, c_crossattn=told["crossattn"].to(x), transformer_options=options, **more
        )


@contextmanager
def sampling(unet: Any, noisy: Tensor) -> Iterator[None]:
    """The denoiser is where it runs while the block does."""
    try:
        from backend.sampling.sampling_function import sampling_cleanup, sampling_prepare
    except ImportError:  # reForge and Forge Classic
        from modules_forge.forge_sampler import sampling_cleanup, sampling_prepare
    sampling_prepare(unet, noisy)
    try:
        yield
    finally:
        sampling_cleanup(unet)


@contextmanager
def kept_random() -> Iterator[None]:
    """What is drawn inside leaves no trace, on whatever device the host runs."""
    cuda = [devices.device] if getattr(devices.device, "type", "") == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        yield
