"""Attention from a Stable Diffusion checkpoint through diffusers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..cache import PictureCache
from ..grid import bring
from ..pictures.images import resize_picture
from ..seeing.attention import word_weights
from ..seeing.capture import Capture
from ..settings import AttentionSettings
from ..together import AUTOENCODER, encode
from ..values import AttentionMap, Expression, Image
from .checkpoints import StableDiffusion, load_stable_diffusion
from .families import Family
from .reading import Positions, read_in_batches
from .tiny_autoencoder import load_tiny_autoencoder
from .tokens import Tokens, stack_layouts, tokenize, with_sinks
from .transformer_families import Transformer
from .unet_layers import capturing, layers_read


class DiffusersAttention:
    """An `AttentionSource` over a loaded checkpoint.

    One conditional pass of the denoiser at low noise for all expressions of a picture, ended
    after the last layer that is read. No classifier-free guidance.

    Args:
        model: from `load_stable_diffusion`.
        settings: noise level, resolution, seed, memory.

    Attributes:
        cache: latents of the pictures seen last.
    """

    def __init__(
        self, model: StableDiffusion, settings: AttentionSettings = AttentionSettings()
    ) -> None:
        self.model = model
        self.settings = settings
        self.layers = layers_read(model.unet, model.family, even=settings.even)
        self.cache = PictureCache(32 * 2**20)  # a picture of 512 x 512 pixels takes 64 KiB

    @classmethod
    def load(
        cls,
        path: str | Path,
        settings: AttentionSettings = AttentionSettings(),
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        *,
        tiny_autoencoder: str | Path | None = None,
    ) -> DiffusersAttention:
        """Load a checkpoint file or a diffusers folder; see `load_stable_diffusion`.

        Args:
            path: of the checkpoint.
            settings: noise level, resolution, seed, memory.
            device: where it runs.
            dtype: see `load_stable_diffusion`.
            tiny_autoencoder: encodes pictures in place of the checkpoint's own one; see
                `load_tiny_autoencoder`.
        """
        model = load_stable_diffusion(path, device, dtype)
        if tiny_autoencoder is not None:
            model = replace(model, vae=load_tiny_autoencoder(tiny_autoencoder, model))
        return cls(model, settings)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self.model.unet.device
        return device

    @torch.inference_mode()
    def read(self, image: Image, expressions: Sequence[Expression]) -> list[AttentionMap]:
        """See `AttentionSource.read`.

        The picture is resized, not padded, to about the resolution the model was trained at
        (`working_size`); maps come back on the picture's own grid.
        """
        if not expressions:
            return []
        if self.settings.words == "root":
            expressions = [root_alone(expression) for expression in expressions]
        tokens = [tokenize(with_sinks(each.text, self.settings.sinks)) for each in expressions]
        latents = self.encode_picture(image)

        def read_rows(rows: list[int], positions: Positions) -> Tensor:
            return self._read_rows(latents, [tokens[row] for row in rows], positions)

        return read_in_batches(
            expressions,
            tokens,
            read_rows,
            (image.shape[0], image.shape[1]),
            most=self.rows_at_once(latents),
            competing=self.settings.competing,
        )

    def rows_at_once(self, latents: Tensor) -> int:
        """How many expressions fit the budget, one at least."""
        # at its first level a pass holds about twenty values per place and channel: what the way
        # up needs again, queries, keys and values, and a wide layer
        place = 20 * self.model.family.channels * latents.element_size()
        return max(1, self.settings.budget * 2**20 // (place * latents[0, 0].numel()))

    def _read_rows(
        self,
        latents: Tensor,
        tokens: Sequence[Tokens],
        positions: Positions,
    ) -> Tensor:
        """The words' maps of some expressions, float32 (E, G, h, w), from one pass."""
        text, pooled = encode_text(self.model, tokens)
        weights = word_weights(positions, text.shape[1])
        capture = Capture.of_unet(self.layers, weights, self.settings)
        with capturing(self.model.unet, capture):
            self._denoise(latents, text, pooled)
        return capture.word_maps()

    def encode_picture(self, image: Image) -> Tensor:
        """Latents (1, 4, h, w), the autoencoder's mean: no draw, so no seed needed."""
        vae = self.model.vae

        def size_of(picture: Image) -> tuple[int, int]:
            size_hw = (picture.shape[0], picture.shape[1])
            return working_size(size_hw, self.model.family, self.settings)

        def pixels(picture: Image) -> Tensor:
            return resize_picture(bring(picture, vae.device), size_of(picture)).to(vae.dtype)

        run = partial(encode_pixels, vae)
        latents = encode(self.cache, image, size_of, pixels, run, values=AUTOENCODER)
        moved: Tensor = latents.to(self.model.unet.device, self.model.unet.dtype)
        return moved

    def _denoise(self, latents: Tensor, text: Tensor, pooled: Tensor | None) -> None:
        channels, family = self.model.unet.config.in_channels, self.model.family
        batch = denoiser_input(latents, channels, family, self.settings)
        batch = batch.expand(len(text), -1, -1, -1)
        extra = None if pooled is None else self._size_conditioning(pooled, latents)
        # as a tensor that is there already, or it would be copied there
        step = torch.full((), noise_timestep(family, self.settings), device=batch.device)
        self.model.unet(batch, step, text, added_cond_kwargs=extra)

    def _size_conditioning(self, pooled: Tensor, latents: Tensor) -> dict[str, Tensor]:
        """SDXL is told the picture's size, no crop, and the size to make: all the working size."""
        height, width = (8 * side for side in latents.shape[-2:])
        ids = torch.tensor([height, width, 0, 0, height, width], dtype=pooled.dtype)
        ids = bring(ids, pooled.device)
        return {"text_embeds": pooled, "time_ids": ids.expand(len(pooled), -1)}


def encode_pixels(vae: Any, pixels: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] as the denoiser sees them, (B, 4, h, w).

    Args:
        vae: diffusers' AutoencoderKL, or its AutoencoderTiny, whose latents have the denoiser's
            scale as they are.
        pixels: on its device, of its type.
    """
    encoded = vae.encode(pixels * 2 - 1)
    latents = encoded.latents if "latents" in encoded else encoded.latent_dist.mode()
    scaled: Tensor = latents * vae.config.scaling_factor
    return scaled


def root_alone(expression: Expression) -> Expression:
    """The same text with the root as the only word to read; without a root, as it was."""
    return replace(expression, attributes=()) if expression.root else expression


def encode_text(model: StableDiffusion, tokens: Sequence[Tokens]) -> tuple[Tensor, Tensor | None]:
    """Texts as the denoiser reads them.

    Args:
        model: whose text encoders are asked.
        tokens: of B texts.

    Returns:
        (B, chunks * 77, context), and SDXL's pooled text (B, 1280) or None.
    """
    states, pooled = [], None
    encoders = zip(model.family.text_encoders, model.text_encoders, strict=True)
    for spec, encoder in encoders:
        ids = bring(stack_layouts(tokens, spec.pad), encoder.device)  # (B, chunks, 77)
        out = encoder(ids.flatten(0, 1), output_hidden_states=spec.hidden != -1)
        hidden = out.last_hidden_state if spec.hidden == -1 else out.hidden_states[spec.hidden]
        states.append(hidden.unflatten(0, ids.shape[:2]).flatten(1, 2))
        if spec.projected:
            # the pooled text is the first chunk's, as in ComfyUI
            pooled = out.text_embeds.unflatten(0, ids.shape[:2])[:, 0]
    return torch.cat(states, -1), pooled


def working_size(
    size_hw: tuple[int, int], family: Family | Transformer, settings: AttentionSettings
) -> tuple[int, int]:
    """The size (H, W) at which the denoiser sees a picture.

    About the area of resolution x resolution, in the picture's proportions, each side rounded to
    a multiple that every level of the model halves evenly. Rounding stretches a picture by a few
    per cent at most; padding would spend work on nothing and give the model a border to look at.
    Sides are kept to four times the resolution, so that a 1 x 4000 strip still fits in memory,
    and to what the model has positions for.
    """
    resolution = settings.resolution or family.resolution
    aspect = math.sqrt(size_hw[0] / size_hw[1])
    longest = min(4 * resolution, family.longest or math.inf)

    def side(length: float) -> int:
        steps = round(min(length, longest) / family.multiple)
        return max(1, steps) * family.multiple

    return side(resolution * aspect), side(resolution / aspect)


def noise_timestep(family: Family | Transformer, settings: AttentionSettings) -> int:
    """Where on the noise schedule attention is read: as set, or the family's own."""
    return family.timestep if settings.timestep is None else settings.timestep


def alphas_cumprod() -> Tensor:
    """float64 (1000,): the share of signal at each timestep; every family has this schedule."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return (1 - betas).cumprod(0)


def add_noise(latents: Tensor, timestep: int, seed: int) -> Tensor:
    """x_t of the schedule that all Stable Diffusion families share ("scaled_linear").

    The noise is drawn on the CPU, so that every device gets the same.
    """
    signal = float(alphas_cumprod()[timestep])
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(seed))
    drawn = bring(noise, latents.device).to(latents.dtype)
    noisy: Tensor = signal**0.5 * latents + (1 - signal) ** 0.5 * drawn
    return noisy


def denoiser_input(
    latents: Tensor, channels: int, family: Family, settings: AttentionSettings
) -> Tensor:
    """Latents with noise, and what some checkpoints see beside them, as they were trained to.

    Args:
        latents: (B, 4, h, w), as the denoiser sees them.
        channels: that the denoiser reads: 4, 8 for instruct-pix2pix, which sees the picture in the
            autoencoder's own scale, 9 for inpainting, which sees a mask and the picture around it,
            where nothing is masked, or 5 for depth, where none is told.
        family: the checkpoint's.
        settings: noise level, seed.

    Returns:
        (B, channels, h, w).
    """
    noisy = add_noise(latents, noise_timestep(family, settings), settings.seed)
    if channels == 2 * noisy.shape[1]:
        return torch.cat([noisy, latents / family.vae["scaling_factor"]], 1)
    return torch.cat([noisy, torch.zeros_like(noisy[:, :1]), latents], 1)[:, :channels]
