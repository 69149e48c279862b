"""CLIP from disk: architectures of package open_clip, weights that we read ourselves. Offline."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ModelError
from ..settings import KINDS
from .weights import StateDict, check_values, damaged, described, read_state_dict


@dataclass(frozen=True)
class ClipModel:
    """An open_clip model with what it needs around it.

    model: `open_clip.CLIP` with a VisionTransformer. tokenizer: texts to ids (B, 77).
    mean, std: of its pixels. size: side of its square input in pixels.
    kinds: names of things that it knows; see `ImageTextScorer`. gap: see `Likeness`.
    """

    model: Any
    tokenizer: Any
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    size: int
    kinds: tuple[str, ...] = KINDS
    gap: float = 3.0


_CONFIG, _ARCHIVE = "open_clip_config.json", ("input_resolution", "context_length", "vocab_size")
"""In a folder of open_clip's; in OpenAI's own archives beside the weights."""


def load_clip(name: str, device: str = "cpu", dtype: torch.dtype = torch.float32) -> ClipModel:
    """An open_clip vision transformer, offline.

    Args:
        name: ``ARCHITECTURE:PATH``, such as ``ViT-B-16:models/clip/vit_b_16.safetensors``, or the
            path of a folder that holds open_clip_config.json beside its weights. OpenAI's own
            archives will do; they bring the activation that they were trained with.
        device: where it goes.
        dtype: of its kernels; norms stay in float32.

    Raises:
        ModelError: no such architecture or file, or weights that do not fit.
    """
    import open_clip

    config, pixels, path = _described_by(name)
    weights = read_state_dict(path)
    if all(part in weights for part in _ARCHIVE):
        config["quick_gelu"] = True  # all of OpenAI's; no later one is in such an archive
        weights = {key: value for key, value in weights.items() if key not in _ARCHIVE}
    if not any(key.startswith("visual.") for key in weights):
        raise ModelError(
            f"'{name}' cannot be loaded as a CLIP model{described(weights)}: it sees no pictures. "
            "Use a whole CLIP checkpoint in open_clip's layout."
        )
    model = _built(name, config)
    _fill(model, weights, name)
    if dtype != torch.float32:
        open_clip.convert_weights_to_lp(model, dtype=dtype)
    visual = model.visual
    size = visual.image_size if isinstance(visual.image_size, int) else visual.image_size[0]
    tokenizer = partial(open_clip.tokenize, context_length=model.context_length)
    mean = pixels.get("mean", open_clip.OPENAI_DATASET_MEAN)
    std = pixels.get("std", open_clip.OPENAI_DATASET_STD)
    return ClipModel(model.to(device).eval(), tokenizer, tuple(mean), tuple(std), size)


def _described_by(name: str) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """The architecture's configuration, how its pixels are scaled, the file of its weights."""
    import open_clip

    architecture, _, file = name.partition(":")
    if Path(name).is_dir():
        return _described_in(Path(name))
    if architecture not in open_clip.list_models() or not Path(file).is_file():
        raise ModelError(
            f"'{name}' names no CLIP model. Write ARCHITECTURE:PATH, such as "
            f"ViT-B-16:vit_b_16.safetensors, or the path of a folder with {_CONFIG}."
        )
    return open_clip.get_model_config(architecture), {}, Path(file)


def _described_in(folder: Path) -> tuple[dict[str, Any], dict[str, Any], Path]:
    file = folder / _CONFIG
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        config, pixels = dict(found["model_cfg"]), dict(found.get("preprocess_cfg") or {})
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(damaged(file, error)) from error
    suffixes = (".safetensors", ".bin", ".pt", ".pth")
    weights = [each for suffix in suffixes for each in sorted(folder.glob(f"*{suffix}"))]
    if not weights:
        raise ModelError(f"'{folder}' holds no weights beside {_CONFIG}. Get the whole folder.")
    return config, pixels, weights[0]


def _built(name: str, config: dict[str, Any]) -> Any:
    import open_clip

    parts = {key: dict(config.get(f"{key}_cfg") or {}) for key in ("vision", "text")}
    if "timm_model_name" in parts["vision"] or isinstance(parts["vision"].get("layers"), list):
        raise ModelError(f"'{name}' has no vision transformer. Use a ViT, such as ViT-B-16.")
    if "hf_model_name" in parts["text"] or "hf_tokenizer_name" in parts["text"]:
        raise ModelError(f"'{name}' has a text encoder of its own. Use a CLIP, such as ViT-B-16.")
    custom = config.pop("custom_text", False)
    if "multimodal_cfg" in config:
        raise ModelError(f"'{name}' is a CoCa. Use a CLIP, such as ViT-B-16.")
    try:
        with torch.device("meta"):  # weights that nobody would see need not be drawn, nor held
            return (open_clip.CustomTextCLIP if custom else open_clip.CLIP)(**config)
    except Exception as error:  # whatever the library makes of a configuration
        raise ModelError(damaged(Path(name), error)) from error


def _fill(model: Any, weights: StateDict, name: str) -> None:
    from open_clip.model import convert_to_custom_text_state_dict

    if "positional_embedding" in weights and not hasattr(model, "positional_embedding"):
        weights = convert_to_custom_text_state_dict(weights)
    own = model.state_dict()
    fitted = {key: _shaped(value, own.get(key)) for key, value in weights.items()}
    try:
        model.load_state_dict(fitted, strict=True, assign=True)
    except Exception as error:
        first = "".join(str(error).splitlines()[1:2]).strip() or str(error)
        raise ModelError(
            f"'{name}' cannot be loaded as a CLIP model{described(weights)}: {first[:200]} Use a "
            "whole CLIP checkpoint in open_clip's layout, and the architecture it was made for."
        ) from error
    check_values(model, name)
    for module in model.modules():
        mask = getattr(module, "attn_mask", None)
        if isinstance(mask, Tensor) and mask.is_meta:  # words see those before them; in no file
            module.attn_mask = torch.full(mask.shape, -torch.inf).triu_(1)


def _shaped(value: Tensor, wanted: Tensor | None) -> Tensor:
    """Of the model's own type; a single number with a dimension of its own, or without."""
    if wanted is None:
        return value
    value = value.to(wanted.dtype)
    return value.reshape(wanted.shape) if wanted.numel() == value.numel() == 1 else value


def attend(transformer: Any, tokens: Tensor, mask: Tensor) -> Tensor:
    """A transformer of open_clip's over tokens (B, L, width)."""
    if hasattr(transformer, "batch_first"):
        found: Tensor = transformer(tokens, attn_mask=mask)
        return found
    # before it had a say, open_clip took tokens as (L, B, width)
    found = transformer(tokens.transpose(0, 1), attn_mask=mask)
    return found.transpose(0, 1)
