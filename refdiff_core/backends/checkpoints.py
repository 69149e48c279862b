"""Stable Diffusion from disk: one file in the original layout, or a diffusers folder. Offline."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .families import UNET, Family, StateDict, TextEncoder, family_of, identify, trained_at
from .precision import place

logger = logging.getLogger("refdiff")


@dataclass(frozen=True)
class StableDiffusion:
    """A loaded checkpoint: diffusers' UNet and autoencoder, transformers' text encoders."""

    family: Family
    unet: Any
    vae: Any
    text_encoders: tuple[Any, ...]
    v_prediction: bool


def read_state_dict(path: str | Path) -> StateDict:
    """The weights in a .safetensors file, or in a .ckpt, .pt, .pth or .bin one, read safely.

    Raises:
        ModelError: no such file, damaged, or not a file of weights.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"There is no model file at '{path}'. Check the path.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(_damaged(path, error)) from error
    except Exception as error:  # safetensors' own error class is not importable everywhere
        if type(error).__module__.startswith("safetensors"):
            raise ModelError(_damaged(path, error)) from error
        raise
    state = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else {}
    weights = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    if not weights:
        raise ModelError(f"'{path}' holds no weights. Use a model's own file.")
    return weights


def _damaged(path: Path, error: Exception) -> str:
    reason = (str(error).splitlines() or [type(error).__name__])[0].partition(". ")[0]
    return (
        f"'{path}' cannot be read as model weights ({reason}). "
        "Use a whole .safetensors file, or a .ckpt that holds weights only."
    )


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
    config = {**family.unet, "in_channels": state[UNET + "input_blocks.0.0.weight"].shape[1]}
    try:
        with torch.device("meta"):
            unet = UNet2DConditionModel(**config)
            vae = AutoencoderKL(**family.vae)
        _fill(unet, convert_ldm_unet_checkpoint(state, unet.config), path)
        _fill(vae, convert_ldm_vae_checkpoint(state, vae.config), path)
    except KeyError as error:
        raise ModelError(
            f"'{path}' is not whole: it lacks {error}. Get the full checkpoint."
        ) from error
    encoders = tuple(_text_encoder(state, encoder, path) for encoder in family.text_encoders)
    predicts_v = _predicts_v(state)
    family = trained_at(family, v_prediction=predicts_v)
    return StableDiffusion(family, unet, vae, encoders, predicts_v)


def _text_encoder(state: StateDict, encoder: TextEncoder, path: Path) -> nn.Module:
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

    model = _text_model(encoder)
    if encoder.open_clip:
        weights = convert_open_clip_checkpoint(model, state, prefix=encoder.prefix)
    else:
        size = len(encoder.prefix)
        weights = {
            key[size:]: value for key, value in state.items() if key.startswith(encoder.prefix)
        }
    _fill(model, _fit_text_keys(weights, model), path)
    return model


def _text_model(encoder: TextEncoder) -> nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    kind = CLIPTextModelWithProjection if encoder.projected else CLIPTextModel
    model: nn.Module = kind(CLIPTextConfig(**encoder.config))
    return model


def _fit_text_keys(weights: StateDict, model: nn.Module) -> StateDict:
    # transformers 5 dropped the "text_model." that version 4 puts before CLIPTextModel's keys,
    # and no version keeps the position_ids that old files hold.
    wanted = model.state_dict().keys()
    bare = {key.removeprefix("text_model."): value for key, value in weights.items()}
    prefix = "text_model."
    fitted = {prefix + key if prefix + key in wanted else key: value for key, value in bare.items()}
    return {key: value for key, value in fitted.items() if key in wanted}


def _fill(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Put weights into a model, all of them or none."""
    try:
        model.load_state_dict(dict(weights), strict=True, assign=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2]
        raise ModelError(
            f"'{path}' does not fit {type(model).__name__}: {''.join(first).strip()} "
            "Use a whole checkpoint with denoiser, autoencoder and text encoder."
        ) from error


def _predicts_v(state: StateDict) -> bool:
    # The layout does not say. In SD 2.x's v-prediction weights this bias spreads above .09, in
    # the epsilon ones below it: the test that ComfyUI uses too.
    bias = state.get(UNET + "output_blocks.11.1.transformer_blocks.0.norm1.bias")
    return bias is not None and len(bias) == 320 and float(bias.float().std()) > 0.09


def _from_folder(path: Path) -> StableDiffusion:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    if not (path / "unet" / "config.json").is_file():
        raise ModelError(
            f"'{path}' is no diffusers folder: it has no unet/config.json. "
            "Name a folder with unet, vae and text_encoder, or one .safetensors file."
        )
    try:
        unet = UNet2DConditionModel.from_pretrained(path / "unet", local_files_only=True)
        vae = AutoencoderKL.from_pretrained(path / "vae", local_files_only=True)
        config = unet.config
        family = family_of(
            config["block_out_channels"][0], config["cross_attention_dim"], str(path)
        )
        encoders = tuple(
            (CLIPTextModelWithProjection if encoder.projected else CLIPTextModel).from_pretrained(
                path / encoder.subfolder, local_files_only=True
            )
            for encoder in family.text_encoders
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(_damaged(path, error)) from error
    predicts_v = _scheduler_predicts_v(path)
    family = trained_at(family, v_prediction=predicts_v)
    return StableDiffusion(family, unet, vae, encoders, predicts_v)


def _scheduler_predicts_v(path: Path) -> bool:
    import json

    file = path / "scheduler" / "scheduler_config.json"
    config = json.loads(file.read_text()) if file.is_file() else {}
    return bool(config.get("prediction_type") == "v_prediction")
