"""Full-size checkpoints with random weights, written as users have them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import torch
from safetensors.torch import save_file

from refdiff_core.backends.checkpoints import _text_model
from refdiff_core.backends.families import Family

ROOT = Path(__file__).parents[2]
V_PREDICTION = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"


def training_layout():
    """The training scripts' names of the original layout; they are no installed package."""
    spec = importlib.util.spec_from_file_location("layout", ROOT / "training" / "layout.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_weights(make, dtype):
    """A module's weights drawn small and even, without the minutes that its own init takes."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in make().state_dict().items()}
    generator = torch.Generator().manual_seed(0)

    def draw(name, shape):
        if "norm" in name and name.endswith("weight"):
            return torch.ones(shape, dtype=dtype)
        return (torch.randn(shape, generator=generator) * 0.02).to(dtype)

    return {name: draw(name, shape) for name, shape in shapes.items()}


def write_single_file(
    family: Family, path: Path, dtype=torch.bfloat16, channels: int = 4, v_prediction: bool = False
) -> Path:
    """A random checkpoint of a family in the original single-file layout."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    layout = training_layout()
    config = {**family.unet, "in_channels": channels}
    unet = random_weights(lambda: UNet2DConditionModel(**config), dtype)
    vae = random_weights(lambda: AutoencoderKL(**family.vae), dtype)
    names = {
        "add_embedding.linear_1": "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2",
    }
    added = {key: unet.pop(key) for key in list(unet) if key.startswith("add_embedding")}
    state = {f"first_stage_model.{k}": v for k, v in layout.original_autoencoder(vae).items()}
    state |= {f"model.diffusion_model.{k}": v for k, v in layout.original_unet(unet).items()}
    for key, value in added.items():
        stem, _, kind = key.rpartition(".")
        state[f"model.diffusion_model.{names[stem]}.{kind}"] = value
    for encoder in family.text_encoders:
        weights = random_weights(lambda encoder=encoder: _text_model(encoder), dtype)
        bare = {key.removeprefix("text_model."): value for key, value in weights.items()}
        if encoder.open_clip:
            state |= {encoder.prefix + k: v for k, v in open_clip_layout(bare).items()}
        else:
            state |= {encoder.prefix + "text_model." + k: v for k, v in bare.items()}
    if v_prediction:  # what tells such weights apart: this bias spreads
        state[V_PREDICTION] = torch.linspace(-0.5, 0.5, len(state[V_PREDICTION])).to(dtype)
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    return path


def write_sam(path: Path) -> Path:
    """A random vit_b in Meta's layout that is sure of its masks, so that they pass all filters."""
    from segment_anything import sam_model_registry

    torch.manual_seed(0)
    state = sam_model_registry["vit_b"]().state_dict()
    decoder = "mask_decoder."
    state[f"{decoder}iou_prediction_head.layers.2.bias"].fill_(1.0)
    for mask in range(4):
        state[f"{decoder}output_hypernetworks_mlps.{mask}.layers.2.weight"].mul_(1e4)
    torch.save(state, path)
    return path


OPEN_CLIP = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm": "ln_final",
    "encoder.layers": "transformer.resblocks",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def open_clip_layout(weights):
    """A CLIPTextModel's weights under open_clip's names, q, k and v joined."""
    state, joined = {}, {}
    for key, value in weights.items():
        part = re.fullmatch(r"encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(weight|bias)", key)
        if part:
            joined.setdefault((part[1], part[3]), {})[part[2]] = value
        elif key == "text_projection.weight":
            state["text_projection"] = value.T
        else:
            for ours, theirs in OPEN_CLIP.items():
                key = key.replace(ours, theirs)
            state[key] = value
    for (block, kind), parts in joined.items():
        name = f"transformer.resblocks.{block}.attn.in_proj_{kind}"
        state[name] = torch.cat([parts[each] for each in "qkv"])
    return state
