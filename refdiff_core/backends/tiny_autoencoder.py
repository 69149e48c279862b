"""TAESD: an encoder of a few megabytes in place of a checkpoint's own autoencoder.

It was distilled from that autoencoder; there is one for SD 1.x and 2.x and another for XL, which
their files do not tell apart. Its latents have the denoiser's scale as they are.

Source: github madebyollin/taesd, through diffusers' AutoencoderTiny.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ModelError
from .checkpoints import StableDiffusion, read_part
from .precision import place
from .weights import read_state_dict

_PREFIXES = ("encoder.layers.", "taesd_encoder.", "")
"""Before an encoder's own names: in diffusers' file, in one for ComfyUI, in taesd_encoder's."""


def load_tiny_autoencoder(path: str | Path, model: StableDiffusion) -> Any:
    """A tiny autoencoder for a checkpoint, where that checkpoint's own one runs.

    Args:
        path: ``taesd_encoder.safetensors``, ``taesdxl_encoder.pth`` or the like, diffusers' file
            of both halves, or its folder.
        model: whose pictures it shall encode.

    Returns:
        diffusers' AutoencoderTiny. Out of a file, its decoder is not filled.

    Raises:
        ModelError: missing, damaged, another model, or made for latents of another size.
    """
    path = Path(path)
    tiny = _from_folder(path) if path.is_dir() else _from_file(path)
    got = len(tiny.config.encoder_block_out_channels), tiny.config.latent_channels
    expected = len(model.vae.config.block_out_channels), model.vae.config.latent_channels
    if got != expected:
        raise ModelError(
            f"'{path}' gives {got[1]} channels at 1/{2 ** (got[0] - 1)} of the picture's size, but "
            f"{model.family.name} reads {expected[1]} at 1/{2 ** (expected[0] - 1)}. "
            "Use the tiny autoencoder that was made for this family."
        )
    return place(tiny, model.vae.device, model.vae.dtype)


def _from_folder(path: Path) -> Any:
    from diffusers import AutoencoderTiny

    return read_part(path, AutoencoderTiny.from_config)


def _from_file(path: Path) -> Any:
    from diffusers import AutoencoderTiny

    state = read_state_dict(path)
    prefix = next((each for each in _PREFIXES if f"{each}0.weight" in state), None)
    tiny = AutoencoderTiny()
    weights = {
        key.removeprefix(prefix or ""): value
        for key, value in state.items()
        if key.startswith(prefix or "")
    }
    try:
        tiny.encoder.layers.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        raise ModelError(
            f"'{path}' is not the encoder of a TAESD for Stable Diffusion 1.x, 2.x or XL. "
            "Use taesd_encoder or taesdxl_encoder, or diffusers' file of both halves."
        ) from error
    return tiny
