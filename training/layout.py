"""From diffusers' and transformers' key names to Stable Diffusion 1.x's original ones.

Written for any number of levels and of residual blocks a level, because the demo model has
three levels with one block each where Stable Diffusion has four with two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

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


def _numbers(keys: Iterable[str], pattern: str) -> list[str]:
    return [found[1] for found in (re.match(pattern, key) for key in keys) if found]


def _highest(keys: Iterable[str], pattern: str) -> int:
    return max(int(number) for number in _numbers(keys, pattern))
