"""The demo checkpoint as the two lines of WebUIs take it: a file, and what says how it is built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from refdiff_core.backends.tokens import _vocabulary
from refdiff_core.demo import architectures as demo
from refdiff_core.demo.models import DENOISER_FILE

NAME, LORA = "refdiff_demo.safetensors", "refdiff_test"


def write_checkpoint(folder: Path, configs: Path) -> Path:
    """The file in ``folder``, AUTOMATIC1111's configuration beside it, Forge's in ``configs``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    path.unlink(missing_ok=True)
    path.symlink_to(DENOISER_FILE)
    write_json(configs / "text_encoder" / "config.json", text_config())
    write_tokenizer(configs / "text_encoder")  # AUTOMATIC1111 looks for both in one folder
    write_tokenizer(configs / "tokenizer")
    write_json(path.with_suffix(".yaml"), ldm_config(configs / "text_encoder"))  # JSON is YAML
    for name, value in diffusers_configs().items():
        write_json(configs / name, value)
    return path


def write_lora(folder: Path) -> None:
    """A LoRA of random weights that turns where the words are looked for upside down."""
    torch.manual_seed(0)
    layer = "lora_unet_output_blocks_{}_1_transformer_blocks_0_attn2_to_q"
    state = {}
    for block, width in ((2, 64), (3, 64)):
        name = layer.format(block)
        state[f"{name}.lora_down.weight"] = torch.randn(4, width) * 0.3
        state[f"{name}.lora_up.weight"] = torch.randn(width, 4) * 0.3
        state[f"{name}.alpha"] = torch.tensor(4.0)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / f"{LORA}.safetensors")


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1))


def text_config() -> dict[str, Any]:
    return {"model_type": "clip_text_model", "architectures": ["CLIPTextModel"],
            **demo.TEXT_ENCODER_CONFIG}  # fmt: skip


def write_tokenizer(folder: Path, pad: str = "<|endoftext|>") -> None:
    """CLIP's own, in transformers' files."""
    vocabulary, merges = _vocabulary()
    write_json(folder / "vocab.json", vocabulary)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>",
               "unk_token": "<|endoftext|>", "pad_token": pad}  # fmt: skip
    write_json(folder / "special_tokens_map.json", special)
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True}
    write_json(folder / "tokenizer_config.json", {**config, **special})


def ldm_config(text_encoder: Path) -> dict[str, Any]:
    unet, vae = demo.DENOISER_CONFIG, demo.AUTOENCODER_CONFIG
    channels, wide = unet["block_out_channels"], vae["block_out_channels"]
    ddconfig = {
        "double_z": True, "z_channels": 4, "resolution": vae["sample_size"], "in_channels": 3,
        "out_ch": 3, "ch": wide[0], "ch_mult": [each / wide[0] for each in wide],
        "num_res_blocks": vae["layers_per_block"], "attn_resolutions": [], "dropout": 0.0,
    }  # fmt: skip
    ddconfig["ch_mult"] = [int(each) for each in ddconfig["ch_mult"]]
    denoiser = {
        "image_size": unet["sample_size"], "in_channels": 4, "out_channels": 4,
        "model_channels": channels[0], "attention_resolutions": [2, 4],
        "num_res_blocks": unet["layers_per_block"],
        "channel_mult": [each // channels[0] for each in channels],
        "num_heads": unet["attention_head_dim"], "use_spatial_transformer": True,
        "transformer_depth": 1, "context_dim": unet["cross_attention_dim"],
        "use_checkpoint": False, "legacy": False,
    }  # fmt: skip
    params = {
        "linear_start": 0.00085, "linear_end": 0.012, "num_timesteps_cond": 1, "log_every_t": 200,
        "timesteps": 1000, "first_stage_key": "jpg", "cond_stage_key": "txt",
        "image_size": unet["sample_size"], "channels": 4, "cond_stage_trainable": False,
        "conditioning_key": "crossattn", "monitor": "val/loss_simple_ema",
        "scale_factor": demo.SCALING_FACTOR, "use_ema": False, "parameterization": "v",
        "unet_config": {
            "target": "ldm.modules.diffusionmodules.openaimodel.UNetModel", "params": denoiser,
        },
        "first_stage_config": {
            "target": "ldm.models.autoencoder.AutoencoderKL",
            "params": {"embed_dim": 4, "monitor": "val/rec_loss", "ddconfig": ddconfig,
                       "lossconfig": {"target": "torch.nn.Identity"}},
        },
        "cond_stage_config": {
            "target": "ldm.modules.encoders.modules.FrozenCLIPEmbedder",
            "params": {"version": str(text_encoder)},
        },
    }  # fmt: skip
    target = "ldm.models.diffusion.ddpm.LatentDiffusion"
    return {"model": {"base_learning_rate": 1e-4, "target": target, "params": params}}


def diffusers_configs() -> dict[str, Any]:
    parts = {
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "scheduler": ["diffusers", "PNDMScheduler"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    scheduler = {"_class_name": "PNDMScheduler", **demo.SCHEDULER_CONFIG,
                 "skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1}  # fmt: skip
    vae = {**demo.AUTOENCODER_CONFIG, "scaling_factor": demo.SCALING_FACTOR}
    return {
        "model_index.json": {"_class_name": "StableDiffusionPipeline", **parts},
        "scheduler/scheduler_config.json": scheduler,
        "unet/config.json": {"_class_name": "UNet2DConditionModel", **demo.DENOISER_CONFIG},
        "vae/config.json": {"_class_name": "AutoencoderKL", **vae},
    }
