"""The demo models' architectures, as data where a library takes data.

The denoiser obeys what ComfyUI's own classes can hold as well as diffusers': every
GroupNorm has 32 groups, the autoencoder keeps its middle attention, the middle block
has cross-attention, projections are convolutions, and all levels share one head count.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from open_clip import CLIP
    from segment_anything.modeling import Sam

Config = dict[str, Any]

VOCABULARY = 49_408
CONTEXT_LENGTH = 77

AUTOENCODER_CONFIG: Config = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "block_out_channels": (32, 64, 96),
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 32,
    "sample_size": 128,
}

SCALING_FACTOR = 0.5187671780586243
"""Brings the autoencoder's latents to unit variance; part of the shipped weights."""

DENOISER_CONFIG: Config = {
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (32, 64, 96),
    "layers_per_block": 1,
    "cross_attention_dim": 64,
    # diffusers' historic name: this is the number of heads, at every level.
    "attention_head_dim": 4,
    "norm_num_groups": 32,
    "sample_size": 32,
}

SCHEDULER_CONFIG: Config = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "clip_sample": False,
}

TEXT_ENCODER_CONFIG: Config = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT_LENGTH,
    "projection_dim": 64,
    "hidden_act": "quick_gelu",
    "bos_token_id": 49_406,
    "eos_token_id": 49_407,
    "pad_token_id": 49_407,
}

# SD 3's layout. ComfyUI's class has heads of 64 and as many as the width allows; the table of
# positions has one row a place, so that a side may be three times as long as in training.
TRANSFORMER_CONFIG: Config = {
    "sample_size": 96,
    "patch_size": 2,
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 4,
    "attention_head_dim": 64,
    "num_attention_heads": 2,
    "joint_attention_dim": 64,
    "caption_projection_dim": 128,
    "pooled_projection_dim": 64,
    "pos_embed_max_size": 48,
    "qk_norm": "rms_norm",
}

SAM_IMAGE_SIZE = 128
SAM_CONFIG: Config = {
    "patch": 8,
    "width": 96,
    "depth": 4,
    "heads": 4,
    "decoder_width": 64,
}


def build_sam() -> Sam:
    """``segment_anything``'s own ``Sam`` at the demo's size, with fresh weights.

    Pictures of 128 px give a 16 x 16 embedding and 64 x 64 low-resolution masks.
    """
    import torch
    from segment_anything.modeling import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

    grid = SAM_IMAGE_SIZE // SAM_CONFIG["patch"]
    width = SAM_CONFIG["decoder_width"]
    return Sam(
        image_encoder=ImageEncoderViT(
            img_size=SAM_IMAGE_SIZE,
            patch_size=SAM_CONFIG["patch"],
            embed_dim=SAM_CONFIG["width"],
            depth=SAM_CONFIG["depth"],
            num_heads=SAM_CONFIG["heads"],
            mlp_ratio=3,
            out_chans=width,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=8,
            global_attn_indexes=(1, 3),
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=width,
            image_embedding_size=(grid, grid),
            input_image_size=(SAM_IMAGE_SIZE, SAM_IMAGE_SIZE),
            mask_in_chans=16,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=width, mlp_dim=256, num_heads=4),
            transformer_dim=width,
            iou_head_depth=3,
            iou_head_hidden_dim=width,
        ),
    )


CLIP_IMAGE_SIZE = 64
CLIP_MEAN = (0.45, 0.45, 0.45)
CLIP_STD = (0.27, 0.27, 0.27)
# Keyword arguments of ``open_clip.CLIP``.
CLIP_CONFIG: Config = {
    "embed_dim": 64,
    "quick_gelu": False,
    "vision_cfg": {
        "image_size": CLIP_IMAGE_SIZE,
        "patch_size": 8,
        "layers": 4,
        "width": 96,
        "head_width": 24,
        "mlp_ratio": 3.0,
    },
    "text_cfg": {
        "context_length": CONTEXT_LENGTH,
        "vocab_size": VOCABULARY,
        "layers": 2,
        "width": 64,
        "heads": 4,
    },
}


def build_clip(vocabulary: int = VOCABULARY) -> CLIP:
    """``open_clip``'s own ``CLIP`` at the demo's size, with fresh weights."""
    from open_clip import CLIP, CLIPTextCfg, CLIPVisionCfg

    text = CLIPTextCfg(**{**CLIP_CONFIG["text_cfg"], "vocab_size": vocabulary})
    vision = CLIPVisionCfg(**CLIP_CONFIG["vision_cfg"])
    return CLIP(CLIP_CONFIG["embed_dim"], vision, text, quick_gelu=CLIP_CONFIG["quick_gelu"])
