"""Stable Diffusion from disk: one file in the original layout, or a diffusers folder. Offline."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .families import DEMO, UNET, Family, TextEncoder, family_of, identify, trained_at
from .original_layout import depth_config
from .precision import place
from .weights import StateDict, damaged, fill, read_state_dict

__all__ = ["StableDiffusion", "load_stable_diffusion", "read_state_dict"]

logger = logging.getLogger("refdiff")


@dataclass(frozen=True)
class StableDiffusion:
    """A loaded checkpoint: diffusers' UNet and autoencoder, transformers' text encoders."""

    family: Family
    unet: Any
    vae: Any
    text_encoders: tuple[Any, ...]
    v_prediction: bool


def load_stable_diffusion(
    path: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> StableDiffusion:
    """Load a checkpoint of any family in `families`, without the network.

    Args:
        path: a file in the original single-file layout, or a diffusers folder.
        device: where it goes.
        dtype: of all parts; the autoencoder stays in float32 when this is float16, which SDXL's
            overflows in.

    Raises:
        ModelError: missing, damaged, of an unknown family, or not whole.
    """
    path = Path(path)
    parts = _from_folder(path) if path.is_dir() else _from_file(path)
    vae_dtype = torch.float32 if dtype == torch.float16 else dtype
    for module in (parts.unet, parts.vae, *parts.text_encoders):
        place(module, device, vae_dtype if module is parts.vae else dtype)
    logger.info("Loaded '%s' (%s).", path, parts.family.name)
    return parts


def _from_file(path: Path) -> StableDiffusion:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from diffusers.loaders.single_file_utils import (
        convert_ldm_unet_checkpoint,
        convert_ldm_vae_checkpoint,
    )

    state = read_state_dict(path)
    family = identify(state, str(path))
    channels = _known_channels(state[UNET + "input_blocks.0.0.weight"].shape[1], path)
    with torch.device("meta"):
        unet = UNet2DConditionModel(**_unet_config(state, family, channels))
        vae = AutoencoderKL(**family.vae)
    try:
        weights = convert_ldm_unet_checkpoint(state, unet.config)
        pixels = convert_ldm_vae_checkpoint(state, vae.config)
    except Exception as error:  # whatever diffusers makes of missing or of further parts
        raise ModelError(
            f"'{path}' is not whole: its parts cannot be found ({type(error).__name__} {error}). "
            "Get the full checkpoint, or its diffusers folder."
        ) from error
    fill(unet, weights, path)
    fill(vae, pixels, path)
    encoders = tuple(_text_encoder(state, encoder, path) for encoder in family.text_encoders)
    predicts_v = _predicts_v(state)
    family = trained_at(family, v_prediction=predicts_v)
    predicts_v = predicts_v or family is DEMO
    return StableDiffusion(family, unet, vae, encoders, predicts_v)


def _unet_config(state: StateDict, family: Family, channels: int) -> dict[str, Any]:
    levels = len(family.unet.get("block_out_channels", _LEVELS))
    depth = depth_config((key[len(UNET) :] for key in state if key.startswith(UNET)), levels)
    return {**family.unet, **depth, "in_channels": channels}


_LEVELS = (320, 640, 1280, 1280)
"""Channels of a U-Net's levels where its configuration says nothing: diffusers' default."""


def _text_encoder(state: StateDict, encoder: TextEncoder, path: Path) -> nn.Module:
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

    with torch.device("meta"):
        model = _text_model(encoder)
    size = len(encoder.prefix)
    weights = {key[size:]: value for key, value in state.items() if key.startswith(encoder.prefix)}
    if encoder.open_clip and weights:
        try:
            weights = convert_open_clip_checkpoint(model, state, prefix=encoder.prefix)
        except Exception as error:  # whatever diffusers makes of missing parts
            raise ModelError(damaged(path, error)) from error
    return _fill_text(model, weights, path)


def _text_model(encoder: TextEncoder) -> nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    kind = CLIPTextModelWithProjection if encoder.projected else CLIPTextModel
    model: nn.Module = kind(CLIPTextConfig(**encoder.config))
    return model


def _fill_text(model: nn.Module, weights: StateDict, path: Path) -> nn.Module:
    fill(model, _fit_text_keys(weights, model), path)
    for module in model.modules():
        places = getattr(module, "position_ids", None)
        if isinstance(places, Tensor) and places.is_meta:  # counted, and so in no file
            module.position_ids = torch.arange(places.shape[-1])[None]
    return model


def _fit_text_keys(weights: StateDict, model: nn.Module) -> StateDict:
    # transformers 5 dropped the "text_model." that version 4 puts before CLIPTextModel's keys,
    # and no version keeps the position_ids that old files hold.
    wanted = model.state_dict().keys()
    bare = {key.removeprefix("text_model."): value for key, value in weights.items()}
    prefix = "text_model."
    fitted = {prefix + key if prefix + key in wanted else key: value for key, value in bare.items()}
    return {key: value for key, value in fitted.items() if key in wanted}


def _known_channels(channels: int, path: Path) -> int:
    """Of the denoiser's input: the latents, and in some kinds a picture or a mask beside them."""
    if channels not in (4, 8, 9):
        kind = "a depth map" if channels == 5 else "something else"
        raise ModelError(
            f"'{path}' reads {channels} channels: {kind} beside the picture, which is not at hand "
            "here. Use a checkpoint that reads 4, 8 (instruct-pix2pix) or 9 (inpainting)."
        )
    return channels


def _predicts_v(state: StateDict) -> bool:
    # The layout does not say. In SD 2.x's v-prediction weights this bias spreads above .09, in
    # the epsilon ones below it: the test that ComfyUI uses too.
    bias = state.get(UNET + "output_blocks.11.1.transformer_blocks.0.norm1.bias")
    return bias is not None and len(bias) == 320 and float(bias.float().std()) > 0.09


def _from_folder(path: Path) -> StableDiffusion:
    from diffusers import AutoencoderKL, UNet2DConditionModel

    if not (path / "unet" / "config.json").is_file():
        raise ModelError(
            f"'{path}' is no diffusers folder: it has no unet/config.json. "
            "Name a folder with unet, vae and text_encoder, or one .safetensors file."
        )
    unet = read_part(path / "unet", UNet2DConditionModel.from_config)
    _known_channels(unet.config.in_channels, path)
    vae = read_part(path / "vae", AutoencoderKL.from_config, _new_names)
    channels, context = unet.config["block_out_channels"][0], unet.config["cross_attention_dim"]
    family = family_of(channels, context, str(path))
    encoders = tuple(_folder_encoder(path, each) for each in family.text_encoders)
    predicts_v = _config(path / "scheduler" / "scheduler_config.json", {}).get("prediction_type")
    family = trained_at(family, v_prediction=predicts_v == "v_prediction")
    return StableDiffusion(family, unet, vae, encoders, predicts_v == "v_prediction")


def _folder_encoder(path: Path, encoder: TextEncoder) -> nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    kind = CLIPTextModelWithProjection if encoder.projected else CLIPTextModel
    folder = path / encoder.subfolder
    weights = read_parts(folder)
    model: nn.Module = _built(folder, weights, lambda each: kind(CLIPTextConfig.from_dict(each)))
    return _fill_text(model, weights, folder)


def read_part(
    folder: Path,
    build: Callable[[dict[str, Any]], Any],
    rename: Callable[[StateDict], StateDict] = dict,
) -> Any:
    """One part of a diffusers folder, by its configuration, with its weights.

    Args:
        folder: of the part, with config.json and weights.
        build: makes it of its configuration.
        rename: gives weights the names that today's class has.

    Raises:
        ModelError: missing, damaged, or weights that do not fit.
    """
    weights = read_parts(folder)
    model = _built(folder, weights, build)
    fill(model, rename(weights), folder)
    return model


def _built(folder: Path, weights: StateDict, build: Callable[[dict[str, Any]], Any]) -> Any:
    """A part without its weights, once its configuration is one that these weights may have."""
    file = folder / "config.json"
    config = _config(file)
    for name, value in config.items():
        counts = value if isinstance(value, list) else [value]
        if "layers" in name and any(isinstance(n, int) and n > len(weights) for n in counts):
            raise ModelError(f"'{file}' tells of {value} {name}. Get the folder again.")
    try:
        with torch.device("meta"):
            return build(config)
    except Exception as error:  # whatever the library makes of values that it does not know
        raise ModelError(damaged(file, error)) from error


def _config(file: Path, without: dict[str, Any] | None = None) -> dict[str, Any]:
    if without is not None and not file.is_file():
        return without
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"'{file}' cannot be read as a configuration ({str(error)[:200]}). "
            "Name the folder of a model as diffusers writes it, or one file of weights."
        ) from error
    if not isinstance(found, dict):
        raise ModelError(f"'{file}' is no configuration. Get the folder again.")
    return found


def read_parts(folder: Path) -> StateDict:
    """The weights in one part of a diffusers folder: of whichever variant is there.

    Raises:
        ModelError: there are none, or they are damaged.
    """
    for suffix in (".safetensors", ".bin"):
        for variant in _variants(sorted(folder.glob(f"*{suffix}"))):
            return {k: v for file in variant for k, v in read_state_dict(file).items()}
    raise ModelError(
        f"'{folder}' holds no weights. Get the whole folder, with its .safetensors files."
    )


def _variants(files: list[Path]) -> list[list[Path]]:
    """Files that belong together, those without a variant first: "model.fp16-00001-of-00002"."""
    found: dict[str, list[Path]] = {}
    for file in files:
        variant = re.sub(r"-\d+-of-\d+", "", file.name).split(".")[1:-1]
        found.setdefault(".".join(variant), []).append(file)
    return [found[variant] for variant in sorted(found, key=lambda name: (name != "", name))]


def _new_names(weights: StateDict) -> StateDict:
    """An autoencoder's attention as diffusers has named it since 0.18."""
    for old, new in _ATTENTION.items():
        weights = {key.replace(f".{old}.", f".{new}."): value for key, value in weights.items()}
    return weights


_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
