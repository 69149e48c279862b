"""Full-size architectures with random weights: what they cost does not depend on what they know."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from refdiff_core.backends.checkpoints import StableDiffusion, _text_model
from refdiff_core.backends.clip_scorer import ClipModel
from refdiff_core.backends.families import Family
from refdiff_core.backends.precision import place

Trio = tuple[StableDiffusion, Any, ClipModel]
"""Stable Diffusion, a Sam, a CLIP."""
Build = Callable[[torch.device, torch.dtype], Trio]

META = torch.device("meta")
"""Shapes without numbers: enough to count, however large the model."""


def full_size(family: Family, sam: str, clip: str = "ViT-B-16") -> Build:
    """What builds the real architectures of these names."""

    def build(device: torch.device, dtype: torch.dtype) -> Trio:
        # as they are loaded: Segment Anything's half precision is autocast's affair
        return (
            build_diffusion(family, device, dtype),
            build_sam(sam, device, torch.float32),
            build_clip(clip, device, dtype),
        )

    return build


def build_diffusion(family: Family, device: torch.device, dtype: torch.dtype) -> StableDiffusion:
    """A checkpoint of a family, as `load_stable_diffusion` would give it."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    vae_dtype = torch.float32 if dtype == torch.float16 else dtype
    unet = _random(lambda: UNet2DConditionModel(**family.unet), device, dtype)
    vae = _random(lambda: AutoencoderKL(**family.vae), device, vae_dtype)
    place(unet, device, dtype)
    place(vae, device, vae_dtype)
    encoders = tuple(
        _random(lambda each=each: _text_model(each), device, dtype) for each in family.text_encoders
    )
    return StableDiffusion(family, unet, vae, encoders, v_prediction=False)


def build_sam(kind: str, device: torch.device, dtype: torch.dtype) -> Any:
    """A Sam of kind vit_b, vit_l or vit_h."""
    from segment_anything import sam_model_registry

    return _random(sam_model_registry[kind], device, dtype)


def build_clip(name: str, device: torch.device, dtype: torch.dtype) -> ClipModel:
    """An open_clip model with its tokenizer, such as ViT-B-16."""
    import open_clip

    config = open_clip.get_model_config(name)
    half = None if dtype == torch.float32 else dtype
    make = partial(open_clip.CLIP, **config, cast_dtype=half)
    model = _random(make, device, torch.float32)
    if half is not None:
        open_clip.convert_weights_to_lp(model, half)
    size = config["vision_cfg"]["image_size"]
    tokenizer = open_clip.get_tokenizer(name)
    return ClipModel(
        model, tokenizer, open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD, size
    )


def _random(make: Callable[[], nn.Module], device: torch.device, dtype: torch.dtype) -> Any:
    """A module with small even weights, without the minutes that its own initialisation takes."""
    with META:
        module = make()
    nn.Module.to(module, dtype)
    if device != META:
        module = module.to_empty(device=device)
        generator = torch.Generator(device).manual_seed(0)
        noise = torch.empty(2**20, device=device).uniform_(-0.02, 0.02, generator=generator)
        for name, values in [*module.named_parameters(), *module.named_buffers()]:
            _fill(name, values, noise)
    return module.eval().requires_grad_(False)


@torch.no_grad()
def _fill(name: str, values: torch.Tensor, noise: torch.Tensor) -> None:
    if not values.is_floating_point():
        values.copy_(torch.arange(values.numel()).view_as(values))  # position_ids
    elif "norm" in name or name.endswith((".ln_1.weight", ".ln_2.weight")) or "pixel_std" in name:
        values.fill_(float(name.endswith("weight") or "std" in name))
    else:
        # the same million numbers over and over: drawing a thousand million takes a while
        for piece in values.view(-1).split(len(noise)):
            piece.copy_(noise[: len(piece)])
