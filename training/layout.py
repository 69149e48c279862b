"""From diffusers' and transformers' key names to the original ones of Stable Diffusion 1.x and 3.

Written for any number of levels and of residual blocks a level, because the demo model has
three levels with one block each where Stable Diffusion has four with two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def single_file(unet: Weights, autoencoder: Weights, text_encoder: Weights) -> dict[str, Tensor]:
    """All three models under the original layout's three prefixes."""
    return {
        **{f"model.diffusion_model.{k}": v for k, v in original_unet(unet).items()},
        **{f"first_stage_model.{k}": v for k, v in original_autoencoder(autoencoder).items()},
        **{f"cond_stage_model.transformer.text_model.{k}": v for k, v in text_encoder.items()},
    }


def original_unet(weights: Weights) -> dict[str, Tensor]:
    """Rename a ``UNet2DConditionModel``'s weights; the tensors stay the same."""
    blocks = 1 + _highest(weights, r"down_blocks\.\d+\.resnets\.(\d+)")
    attending = {int(x) for x in _numbers(weights, r"up_blocks\.(\d+)\.attentions")}
    return {_unet_key(key, blocks, attending): value for key, value in weights.items()}


def _unet_key(key: str, blocks: int, attending: set[int]) -> str:
    for old, new in _UNET_ENDS.items():
        if key.startswith(f"{old}."):
            return key.replace(old, new, 1)
    found = re.fullmatch(r"(down|mid|up)_blocks?\.(?:(\d+)\.)?(\w+)\.(\d+)\.(.+)", key)
    assert found, key
    side, level, part, index, rest = found.groups()
    if part == "resnets":
        name, _, ending = rest.partition(".")
        rest = f"{_RESNET[name]}.{ending}"
    if side == "mid":
        slot = 1 if part == "attentions" else 2 * int(index)
        return f"middle_block.{slot}.{rest}"
    number = int(level) * (blocks + 1) + int(index)
    if part == "downsamplers":
        return f"input_blocks.{number + blocks + 1}.0.{rest.replace('conv', 'op', 1)}"
    if part == "upsamplers":
        # It follows the last block's attention where there is one.
        slot = 2 if int(level) in attending else 1
        return f"output_blocks.{number + blocks}.{slot}.{rest}"
    stem = f"input_blocks.{number + 1}" if side == "down" else f"output_blocks.{number}"
    return f"{stem}.{int(part == 'attentions')}.{rest}"


def original_autoencoder(weights: Weights) -> dict[str, Tensor]:
    """Rename an ``AutoencoderKL``'s weights; attention matrices become 1x1 convolutions."""
    last = _highest(weights, r"encoder\.down_blocks\.(\d+)")
    renamed = {}
    for key, value in weights.items():
        new = _autoencoder_key(key, last)
        is_matrix = ".attn_1." in new and value.ndim == 2
        renamed[new] = value[..., None, None] if is_matrix else value
    return renamed


def _autoencoder_key(key: str, last: int) -> str:
    key = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", key)
    key = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", key)
    # The original counts the decoder's levels from the finest.
    key = re.sub(r"up_blocks\.(\d+)", lambda m: f"up.{last - int(m[1])}", key)
    key = key.replace(".resnets.", ".block.").replace(".upsamplers.0", ".upsample")
    key = re.sub(r"mid_block\.block\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", key)
    if "mid_block.attentions" in key:
        key = key.replace("mid_block.attentions.0", "mid.attn_1")
        for old, new in _VAE_ATTENTION.items():
            key = key.replace(f".{old}.", f".{new}.")
    return key.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")


_TRANSFORMER = {
    "pos_embed.proj": "x_embedder.proj",
    "pos_embed.pos_embed": "pos_embed",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "context_embedder": "context_embedder",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
    "proj_out": "final_layer.linear",
}
_JOINT_BLOCK = {
    "norm1_context.linear": "context_block.adaLN_modulation.1",
    "norm1.linear": "x_block.adaLN_modulation.1",
    "attn.norm_added_q": "context_block.attn.ln_q",
    "attn.norm_added_k": "context_block.attn.ln_k",
    "attn.norm_q": "x_block.attn.ln_q",
    "attn.norm_k": "x_block.attn.ln_k",
    "attn.to_add_out": "context_block.attn.proj",
    "attn.to_out.0": "x_block.attn.proj",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
}
_JOINT_QKV = {
    "x_block": ("to_q", "to_k", "to_v"),
    "context_block": ("add_q_proj", "add_k_proj", "add_v_proj"),
}


def original_transformer(weights: Weights) -> dict[str, Tensor]:
    """Rename an ``SD3Transformer2DModel``'s weights; queries, keys and values become one."""
    renamed = {}
    blocks = 1 + _highest(weights, r"transformer_blocks\.(\d+)")
    for key, value in weights.items():
        if not re.search(r"\.attn\.(to|add)_[qkv]", key):
            # the last layers are told scale before shift here, shift before scale there
            is_last = key.startswith(("norm_out", f"transformer_blocks.{blocks - 1}.norm1_context"))
            swapped = torch.cat(value.chunk(2)[::-1]) if is_last else value
            renamed[_transformer_key(key)] = swapped
    for block in range(blocks):
        for part, names in _JOINT_QKV.items():
            for end in ("weight", "bias"):
                own = [weights[f"transformer_blocks.{block}.attn.{name}.{end}"] for name in names]
                renamed[f"joint_blocks.{block}.{part}.attn.qkv.{end}"] = torch.cat(own)
    return renamed


def _transformer_key(key: str) -> str:
    found = re.fullmatch(r"transformer_blocks\.(\d+)\.(.+)", key)
    names, rest = (_JOINT_BLOCK, found[2]) if found else (_TRANSFORMER, key)
    old = next(name for name in names if rest == name or rest.startswith(f"{name}."))
    stem = f"joint_blocks.{found[1]}." if found else ""
    return stem + names[old] + rest[len(old) :]


def _numbers(keys: Iterable[str], pattern: str) -> list[str]:
    return [found[1] for found in (re.match(pattern, key) for key in keys) if found]


def _highest(keys: Iterable[str], pattern: str) -> int:
    return max(int(number) for number in _numbers(keys, pattern))
