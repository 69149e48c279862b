"""Checkpoints of real families with few layers and random weights, as both lines of hosts take.

Widths of picture and text are a family's own, by which everyone tells it; the rest is small enough
to be read in seconds on a processor.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from checkpoints import write_single_file
from demo_files import diffusers_configs, ldm_config, write_json, write_tokenizer
from safetensors.torch import load_file, save_file

from refdiff_core.backends.families import SD2, SDXL, Family, TextEncoder
from refdiff_core.demo.models import DENOISER_FILE

LAYERS = 3
_WIDE = {"block_out_channels": (320,) * 3, "attention_head_dim": 5}


def _short(encoder: TextEncoder) -> TextEncoder:
    # of SD 2.x's text encoder a file holds one layer more than is read
    layers = LAYERS - (encoder.open_clip and not encoder.projected)
    return replace(encoder, config={**encoder.config, "num_hidden_layers": layers})


def _small(family: Family, **unet: Any) -> Family:
    encoders = tuple(map(_short, family.text_encoders))
    vae = {**family.vae, "block_out_channels": (32, 32, 64, 64)}
    return replace(family, unet={**family.unet, **unet}, vae=vae, text_encoders=encoders)


FAMILIES = {
    "small_xl": _small(SDXL, **_WIDE, transformer_layers_per_block=(1, 1, 2)),
    "small_sd2": _small(SD2, block_out_channels=(320,) * 4, attention_head_dim=5),
}


def write_small(name: str, folder: Path, configs: Path) -> Path:
    """The file in ``folder``, AUTOMATIC1111's configuration beside it, Forge's in ``configs``."""
    family, path = FAMILIES[name], folder / f"{name}.safetensors"
    write_single_file(family, path, torch.float16, v_prediction=family.context == 1024)
    _add_last_layer(path)
    configs = configs / name
    for encoder in family.text_encoders:
        config = {**encoder.config, "model_type": "clip_text_model"}
        write_json(configs / encoder.subfolder / "config.json", config)
        number = encoder.subfolder.removeprefix("text_encoder")
        write_tokenizer(configs / f"tokenizer{number}", "!" if encoder.pad == 0 else END)
        write_tokenizer(configs / encoder.subfolder)  # AUTOMATIC1111 looks for both in one folder
    for file, config in _forge_configs(family).items():
        write_json(configs / file, config)
    write_json(path.with_suffix(".yaml"), (_xl if "xl" in name else _sd2)(family, configs))
    return path


END = "<|endoftext|>"


def _add_last_layer(path: Path) -> None:
    """SD 2.x's last layer, which nobody reads."""
    state = load_file(path)
    last = f"cond_stage_model.model.transformer.resblocks.{LAYERS - 1}."
    before = f"cond_stage_model.model.transformer.resblocks.{LAYERS - 2}."
    own = {k.replace(before, last): v.clone() for k, v in state.items() if k.startswith(before)}
    save_file({**state, **own}, path)


def _forge_configs(family: Family) -> dict[str, Any]:
    found = diffusers_configs()
    index = found["model_index.json"]
    if len(family.text_encoders) == 2:
        index["_class_name"] = "StableDiffusionXLPipeline"
        index["text_encoder_2"] = ["transformers", "CLIPTextModelWithProjection"]
        index["tokenizer_2"] = ["transformers", "CLIPTokenizer"]
    return {
        **found,
        "unet/config.json": {"_class_name": "UNet2DConditionModel", **family.unet},
        "vae/config.json": {"_class_name": "AutoencoderKL", **family.vae},
    }


def open_clip_configs() -> dict[str, Any]:
    """For open_clip, by architecture: text encoders of so few layers."""
    vision = {"image_size": 32, "layers": 1, "width": 64, "head_width": 64, "patch_size": 16}
    return {
        f"small-{width}": {
            "embed_dim": width,
            "vision_cfg": vision,
            "text_cfg": {
                "context_length": 77, "vocab_size": 49408, "width": width, "layers": LAYERS,
                "heads": width // 64,
            },
        }
        for width in (1024, 1280)
    }  # fmt: skip


def _unet(family: Family, **more: Any) -> dict[str, Any]:
    channels = family.unet["block_out_channels"]
    return {
        "in_channels": 4, "out_channels": 4, "model_channels": channels[0], "num_res_blocks": 2,
        "channel_mult": [1] * len(channels), "num_head_channels": 64,
        "use_spatial_transformer": True, "use_linear_in_transformer": True,
        "context_dim": family.context, "use_checkpoint": False, "legacy": False, **more,
    }  # fmt: skip


def _first_stage(config: dict[str, Any]) -> dict[str, Any]:
    config["params"]["ddconfig"] |= {
        "ch": 32, "ch_mult": [1, 1, 2, 2], "num_res_blocks": 2, "resolution": 256,
    }  # fmt: skip
    return config


def _sd2(family: Family, configs: Path) -> dict[str, Any]:
    config = ldm_config(configs)
    params = config["model"]["params"]
    params["scale_factor"] = family.vae["scaling_factor"]
    params["unet_config"]["params"] = _unet(
        family, image_size=32, attention_resolutions=[4, 2, 1], transformer_depth=1
    )
    _first_stage(params["first_stage_config"])
    params["cond_stage_config"] = {
        "target": "ldm.modules.encoders.modules.FrozenOpenCLIPEmbedder",
        "params": {"arch": "small-1024", "freeze": True, "layer": "penultimate"},
    }
    return config


def _xl(family: Family, configs: Path) -> dict[str, Any]:
    part = "sgm.modules.diffusionmodules."
    unet = _unet(
        family, adm_in_channels=2816, num_classes="sequential", attention_resolutions=[4, 2],
        transformer_depth=[1, 1, 2], spatial_transformer_attn_type="softmax",
    )  # fmt: skip
    embedders = "sgm.modules.encoders.modules."
    text = {"is_trainable": False, "input_key": "txt"}
    sizes = ("original_size_as_tuple", "crop_coords_top_left", "target_size_as_tuple")
    emb_models = [
        {**text, "target": f"{embedders}FrozenCLIPEmbedder", "params": {
            "version": str(configs / "text_encoder"), "layer": "hidden", "layer_idx": LAYERS - 1}},
        {**text, "target": f"{embedders}FrozenOpenCLIPEmbedder2", "params": {
            "arch": "small-1280", "version": None, "freeze": True, "layer": "penultimate",
            "always_return_pooled": True, "legacy": False}},
        *({"is_trainable": False, "input_key": key, "params": {"outdim": 256},
           "target": f"{embedders}ConcatTimestepEmbedderND"} for key in sizes),
    ]  # fmt: skip
    first_stage = ldm_config(configs)["model"]["params"]["first_stage_config"]
    first_stage["target"] = "sgm.models.autoencoder.AutoencoderKLInferenceWrapper"
    params = {
        "scale_factor": family.vae["scaling_factor"],
        "disable_first_stage_autocast": True,
        "denoiser_config": {
            "target": f"{part}denoiser.DiscreteDenoiser",
            "params": {
                "num_idx": 1000,
                "weighting_config": {"target": f"{part}denoiser_weighting.EpsWeighting"},
                "scaling_config": {"target": f"{part}denoiser_scaling.EpsScaling"},
                "discretization_config": {
                    "target": f"{part}discretizer.LegacyDDPMDiscretization"
                },
            },
        },
        "network_config": {"target": f"{part}openaimodel.UNetModel", "params": unet},
        "conditioner_config": {
            "target": "sgm.modules.GeneralConditioner", "params": {"emb_models": emb_models},
        },
        "first_stage_config": _first_stage(first_stage),
    }  # fmt: skip
    return {"model": {"target": "sgm.models.diffusion.DiffusionEngine", "params": params}}


def write_inpainting(folder: Path, configs: Path) -> Path:
    """The demo checkpoint as one for inpainting: what it sees besides, it gives no weight."""
    path = folder / "demo_inpainting.safetensors"
    state = load_file(DENOISER_FILE)
    first = "model.diffusion_model.input_blocks.0.0.weight"
    state[first] = torch.nn.functional.pad(state[first], (0, 0, 0, 0, 0, 5))
    save_file(state, path)
    config = ldm_config(configs / "text_encoder")
    config["model"]["target"] = "ldm.models.diffusion.ddpm.LatentInpaintDiffusion"
    params = config["model"]["params"]
    params["conditioning_key"] = "hybrid"
    params["finetune_keys"] = None
    params["unet_config"]["params"]["in_channels"] = 9
    path.with_suffix(".yaml").write_text(json.dumps(config))
    return path
