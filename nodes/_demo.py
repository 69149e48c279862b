"""The bundled demo models as ComfyUI's own MODEL, CLIP and VAE.

The denoisers are in the layouts of Stable Diffusion 1.x and 3 but of sizes that ComfyUI's list of
models does not have, so the classes are filled by hand; the list itself is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.supported_models
import comfy.utils
import folder_paths
import torch
from comfy import sd1_clip
from safetensors.torch import load_file
from torch import Tensor

from ..refdiff_core.demo import architectures as demo
from ..refdiff_core.demo.models import DENOISER_FILE, TRANSFORMER_FILE
from ..refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene

UNET, VAE = "model.diffusion_model.", "first_stage_model."
U_NET, TRANSFORMER = "U-Net", "transformer"
"""The demo's two denoisers, as the loader calls them."""


class DemoModel(comfy.supported_models.SD15):
    """The demo denoiser as a model class of ComfyUI's."""

    unet_config: dict[str, Any] = {}
    unet_extra_config = {"num_heads": demo.DENOISER_CONFIG["attention_head_dim"],
                         "num_head_channels": -1}  # fmt: skip

    def model_type(self, state_dict: Any, prefix: str = "") -> comfy.model_base.ModelType:
        """It was trained to predict the velocity."""
        return comfy.model_base.ModelType.V_PREDICTION

    def __init__(self, unet_config: dict[str, Any]) -> None:
        super().__init__(unet_config)
        self.latent_format = comfy.latent_formats.SD15(demo.SCALING_FACTOR)
        self.latent_format.spacial_downscale_ratio = downscale()


class DemoTransformer(comfy.supported_models.SD3):
    """The demo transformer as a model class of ComfyUI's: its latents are the demo denoiser's."""

    unet_config: dict[str, Any] = {}
    sampling_settings = {"shift": 1.0}

    def __init__(self, unet_config: dict[str, Any]) -> None:
        super().__init__(unet_config)
        self.latent_format = comfy.latent_formats.SD15(demo.SCALING_FACTOR)
        self.latent_format.spacial_downscale_ratio = downscale()


class DemoClip(sd1_clip.SD1ClipModel):
    """The demo's small text encoder; the tokenizer is CLIP's own."""

    def __init__(self, device: Any, dtype: Any, model_options: Mapping[str, Any]) -> None:
        config = {"clip_l_model_config": dict(demo.TEXT_ENCODER_CONFIG)}
        super().__init__(device, dtype, {**model_options, **config})


def load_demo(denoiser: str = U_NET) -> tuple[Any, Any, Any]:
    """MODEL, CLIP and VAE from the weights in the package.

    Args:
        denoiser: `U_NET` or `TRANSFORMER`; text encoder and autoencoder are the same.
    """
    weights = load_file(DENOISER_FILE)
    if denoiser == TRANSFORMER:
        model = _model(load_file(TRANSFORMER_FILE), DemoTransformer(transformer_config()))
    else:
        model = _model(weights, DemoModel(unet_config()))
    return model, _clip(weights), _vae(weights)


def demo_picture(number: int) -> Tensor:
    """IMAGE: one of the scenes that the demo models know but have never seen."""
    scene = sample_scene(HELD_OUT_SEED + number)
    picture = torch.from_numpy(scene.image)[None].float() / 255
    return picture.to(comfy.model_management.intermediate_device())


def _model(weights: dict[str, Any], config: Any) -> Any:
    device = comfy.model_management.get_torch_device()
    dtype = comfy.model_management.unet_dtype(supported_dtypes=config.supported_inference_dtypes)
    cast = comfy.model_management.unet_manual_cast(dtype, device, config.supported_inference_dtypes)
    config.set_inference_dtype(dtype, cast)
    model = config.get_model(weights, UNET)
    # load_model_weights takes what it uses out of the dictionary
    model.load_model_weights(dict(weights), UNET)
    offload = comfy.model_management.unet_offload_device()
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=offload)


def _clip(weights: dict[str, Any]) -> Any:
    target = comfy.supported_models_base.ClipTarget(sd1_clip.SD1Tokenizer, DemoClip)
    prefix = {"cond_stage_model.": "clip_l."}
    own = comfy.utils.state_dict_prefix_replace(dict(weights), prefix, filter_keys=True)
    clip = comfy.sd.CLIP(
        target,
        embedding_directory=folder_paths.get_folder_paths("embeddings"),
        parameters=comfy.utils.calculate_parameters(own),
    )
    clip.load_sd(own, full_model=True)
    return clip


def _vae(weights: dict[str, Any]) -> Any:
    own = comfy.utils.state_dict_prefix_replace(dict(weights), {VAE: ""}, filter_keys=True)
    params = {"ddconfig": autoencoder_config(), "embed_dim": 4}
    vae = comfy.sd.VAE(sd=own, config={"params": params})
    vae.downscale_ratio = vae.upscale_ratio = downscale()
    return vae


def downscale() -> int:
    """Pixels of the picture per latent."""
    return 2 ** (len(demo.AUTOENCODER_CONFIG["block_out_channels"]) - 1)


def unet_config() -> dict[str, Any]:
    """The denoiser's architecture in ComfyUI's words."""
    config = demo.DENOISER_CONFIG
    channels, blocks = config["block_out_channels"], config["layers_per_block"]
    down = [int("CrossAttn" in kind) for kind in config["down_block_types"]]
    return {
        "image_size": config["sample_size"],
        "in_channels": config["in_channels"],
        "out_channels": config["out_channels"],
        "model_channels": channels[0],
        "channel_mult": [each // channels[0] for each in channels],
        "num_res_blocks": [blocks] * len(channels),
        "transformer_depth": [each for each in down for _ in range(blocks)],
        # listed from the finest level up, as ComfyUI takes them from the end
        "transformer_depth_output": [each for each in down for _ in range(blocks + 1)],
        "transformer_depth_middle": 1,
        "context_dim": config["cross_attention_dim"],
        "use_linear_in_transformer": False,
        "use_spatial_transformer": True,
        "use_temporal_attention": False,
        "adm_in_channels": None,
        "legacy": False,
    }


def transformer_config() -> dict[str, Any]:
    """The transformer's architecture in ComfyUI's words, where the width tells the heads."""
    config = demo.TRANSFORMER_CONFIG
    width, table = config["caption_projection_dim"], config["pos_embed_max_size"]
    text = {"in_features": config["joint_attention_dim"], "out_features": width}
    return {
        "in_channels": config["in_channels"],
        "out_channels": config["out_channels"],
        "patch_size": config["patch_size"],
        "input_size": None,
        "depth": config["num_attention_heads"],
        "num_blocks": config["num_layers"],
        "adm_in_channels": config["pooled_projection_dim"],
        "context_embedder_config": {"target": "torch.nn.Linear", "params": text},
        "num_patches": table**2,
        "pos_embed_max_size": table,
        "pos_embed_scaling_factor": None,
        "qk_norm": "rms",
    }


def autoencoder_config() -> dict[str, Any]:
    """The autoencoder's architecture in ComfyUI's words."""
    config = demo.AUTOENCODER_CONFIG
    channels = config["block_out_channels"]
    return {
        "double_z": True,
        "z_channels": config["latent_channels"],
        "resolution": config["sample_size"],
        "in_channels": config["in_channels"],
        "out_ch": config["out_channels"],
        "ch": channels[0],
        "ch_mult": [each // channels[0] for each in channels],
        "num_res_blocks": config["layers_per_block"],
        "attn_resolutions": [],
        "dropout": 0.0,
    }
