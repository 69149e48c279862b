"""Families of transformers, small: ComfyUI's classes, networks of theirs, tokenizers, latents."""

from dataclasses import dataclass, field

WIDTH = 64


@dataclass(frozen=True)
class Tiny:
    """One family.

    config: name of the class in ComfyUI's list. network: its architecture. tokenizer: module and
    class. latent: channels, pixels a latent, dimensions. context: of the text. system: the text
    encoder leaves out a template's first part. pooled: width of the pooled text.
    """

    config: str
    network: dict
    tokenizer: str
    latent: tuple = (16, 8, 2)
    context: int = WIDTH
    system: bool = False
    pooled: int = 0
    data: dict = field(default_factory=dict)


FLUX = {
    "image_model": "flux", "in_channels": 16, "out_channels": 16, "vec_in_dim": 32,
    "context_in_dim": 64, "hidden_size": 64, "mlp_ratio": 2.0, "num_heads": 4, "depth": 2,
    "depth_single_blocks": 2, "axes_dim": [4, 6, 6], "theta": 10000, "patch_size": 2,
    "qkv_bias": True, "guidance_embed": True, "txt_ids_dims": [],
}  # fmt: skip
SD3 = {
    "patch_size": 2, "in_channels": 16, "out_channels": 16, "depth": 2, "num_blocks": 3,
    "input_size": None, "adm_in_channels": 2048, "num_patches": 24 * 24, "pos_embed_max_size": 24,
    "pos_embed_scaling_factor": None, "context_size": 64, "qk_norm": "rms",
    "context_embedder_config": {
        "target": "torch.nn.Linear", "params": {"in_features": 64, "out_features": 128},
    },
}  # fmt: skip
LUMINA = {
    "image_model": "lumina2", "patch_size": 2, "in_channels": 16, "cap_feat_dim": 64, "n_layers": 3,
    "n_heads": 4, "ffn_dim_multiplier": 1.0, "qk_norm": True,
}  # fmt: skip
COSMOS = {
    "image_model": "cosmos_predict2", "max_img_h": 240, "max_img_w": 240, "max_frames": 128,
    "in_channels": 16, "out_channels": 16, "patch_spatial": 2, "patch_temporal": 1,
    "model_channels": 64, "num_blocks": 3, "num_heads": 4, "crossattn_emb_channels": 64,
    "concat_padding_mask": True, "pos_emb_cls": "rope3d", "pos_emb_learnable": True,
    "pos_emb_interpolation": "crop", "min_fps": 1, "max_fps": 30, "use_adaln_lora": True,
    "adaln_lora_dim": 16, "extra_per_block_abs_pos_emb": False, "rope_enable_fps_modulation": False,
}  # fmt: skip
WAN = {
    "image_model": "wan2.1", "model_type": "t2v", "patch_size": (1, 2, 2), "in_dim": 16,
    "out_dim": 16, "dim": 64, "ffn_dim": 64, "freq_dim": 32, "text_dim": 64, "num_heads": 4,
    "num_layers": 3, "qk_norm": True, "cross_attn_norm": True,
}  # fmt: skip
FLUX2 = {
    **FLUX, "image_model": "flux2", "in_channels": 128, "out_channels": 128, "vec_in_dim": None,
    "axes_dim": [4, 4, 4, 4], "theta": 2000, "patch_size": 1, "qkv_bias": False,
    "txt_ids_dims": [3], "global_modulation": True, "mlp_silu_act": True, "ops_bias": False,
    "default_ref_method": "index", "ref_index_scale": 10.0,
}  # fmt: skip

FAMILIES = {
    "sd3": Tiny("SD3", SD3, "sd3_clip.SD3Tokenizer", pooled=2048),
    "sd3.5-medium": Tiny(
        "SD3", {**SD3, "x_block_self_attn_layers": [0, 1]}, "sd3_clip.SD3Tokenizer", pooled=2048
    ),
    "flux": Tiny("Flux", FLUX, "flux.FluxTokenizer", pooled=32),
    "flux-fill": Tiny("FluxInpaint", {**FLUX, "in_channels": 96}, "flux.FluxTokenizer", pooled=32),
    "chroma": Tiny(
        "Chroma",
        {
            **FLUX, "image_model": "chroma", "in_channels": 64, "out_channels": 64, "in_dim": 64,
            "out_dim": 64, "hidden_dim": 64, "n_layers": 2, "vec_in_dim": None,
        },
        "pixart_t5.PixArtTokenizer",
    ),
    "flux2": Tiny("Flux2", FLUX2, "flux.Flux2Tokenizer", (128, 16, 2)),
    "klein": Tiny("Flux2", FLUX2, "flux.KleinTokenizer", (128, 16, 2)),
    "qwen-image": Tiny(
        "QwenImage",
        {
            "image_model": "qwen_image", "in_channels": 64, "out_channels": 16, "num_layers": 3,
            "attention_head_dim": 16, "num_attention_heads": 4, "joint_attention_dim": 64,
            "axes_dims_rope": (4, 6, 6),
        },
        "qwen_image.QwenImageTokenizer", (16, 8, 3), system=True,
    ),
    "z-image": Tiny(
        "ZImage",
        {
            **LUMINA, "dim": 256, "n_kv_heads": 4, "axes_dims": [16, 24, 24], "rope_theta": 256.0,
            "axes_lens": [1536, 512, 512], "z_image_modulation": True, "time_scale": 1000.0,
            "pad_tokens_multiple": 32,
        },
        "z_image.ZImageTokenizer",
    ),
    "lumina2": Tiny(
        "Lumina2",
        {
            **LUMINA, "dim": 64, "n_kv_heads": 2, "axes_dims": [4, 6, 6], "rope_theta": 10000.0,
            "axes_lens": [300, 512, 512],
        },
        "lumina2.LuminaTokenizer", data={"spiece_model": 0},
    ),
    "auraflow": Tiny(
        "AuraFlow",
        {
            "in_channels": 4, "out_channels": 4, "patch_size": 2, "dim": 64, "n_layers": 4,
            "n_double_layers": 2, "n_heads": 4, "global_conddim": 64, "cond_seq_dim": 64,
            "max_seq": 48 * 48,
        },
        "aura_t5.AuraT5Tokenizer", (4, 8, 2),
    ),
    "omnigen2": Tiny(
        "Omnigen2",
        {
            "image_model": "omnigen2", "patch_size": 2, "in_channels": 16, "hidden_size": 64,
            "num_layers": 2, "num_refiner_layers": 1, "num_attention_heads": 4,
            "num_kv_heads": 2, "axes_dim_rope": (4, 6, 6), "text_feat_dim": 64,
        },
        "omnigen2.Omnigen2Tokenizer",
    ),
    "krea2": Tiny(
        "Krea2",
        {
            "image_model": "krea2", "features": 64, "tdim": 32, "txtdim": 32, "heads": 4,
            "kvheads": 2, "multiplier": 2, "layers": 3, "txtlayers": 2, "txtheads": 4,
            "txtkvheads": 4,
        },
        "krea2.Krea2Tokenizer", (16, 8, 3), system=True,
    ),
    "hunyuan-image": Tiny(
        "HunyuanImage21",
        {
            "image_model": "hunyuan_video", "in_channels": 64, "out_channels": 64,
            "vec_in_dim": None, "context_in_dim": 64, "hidden_size": 64, "mlp_ratio": 2.0,
            "num_heads": 4, "depth": 2, "depth_single_blocks": 2, "axes_dim": [8, 8],
            "theta": 256, "patch_size": [1, 1], "qkv_bias": True, "guidance_embed": False,
            "byt5": False, "meanflow": False, "use_cond_type_embedding": False,
            "vision_in_dim": None, "meanflow_sum": False,
        },
        "hunyuan_image.HunyuanImageTokenizer", (64, 32, 2), system=True,
    ),
    "hidream": Tiny(
        "HiDream",
        {
            "image_model": "hidream", "patch_size": 2, "in_channels": 16, "out_channels": 16,
            "num_layers": 2, "num_single_layers": 2, "attention_head_dim": 16,
            "num_attention_heads": 4, "caption_channels": [64, 64], "text_emb_dim": 32,
            "num_routed_experts": 2, "num_activated_experts": 1, "axes_dims_rope": (8, 4, 4),
            "max_resolution": (128, 128), "llama_layers": [0, 1, 2, 2],
        },
        "sd3_clip.SD3Tokenizer", pooled=32,
    ),
    "cosmos-predict2": Tiny(
        "CosmosT2IPredict2", COSMOS, "cosmos.CosmosT5Tokenizer", (16, 8, 3)
    ),
    "anima": Tiny(
        "Anima", {**COSMOS, "image_model": "anima", "crossattn_emb_channels": 1024},
        "anima.AnimaTokenizer", (16, 8, 3), context=1024,
    ),
    "longcat": Tiny(
        "LongCatImage",
        {**FLUX, "vec_in_dim": None, "guidance_embed": False, "txt_ids_dims": [1, 2]},
        "longcat_image.LongCatImageTokenizer", system=True,
    ),
    "pixart": Tiny(
        "PixArtSigma",
        {
            "image_model": "pixart_sigma", "input_size": 64, "patch_size": 2, "in_channels": 4,
            "hidden_size": 64, "depth": 3, "num_heads": 4, "mlp_ratio": 2.0,
            "caption_channels": 64, "micro_condition": False, "pe_interpolation": 1,
            "pe_precision": None, "learn_sigma": True, "pred_sigma": True,
            "model_max_length": 20,
        },
        "pixart_t5.PixArtTokenizer", (4, 8, 2),
    ),
    "ernie": Tiny(
        "ErnieImage",
        {
            "image_model": "ernie", "hidden_size": 64, "num_attention_heads": 4, "num_layers": 3,
            "ffn_hidden_size": 64, "in_channels": 128, "out_channels": 128, "patch_size": 1,
            "text_in_dim": 64, "rope_axes_dim": (4, 6, 6),
        },
        "ernie.ErnieTokenizer", (128, 16, 2),
    ),
    "wan": Tiny("WAN21_T2V", WAN, "wan.WanT5Tokenizer", (16, 8, 3), data={"spiece_model": 0}),
    "wan-i2v": Tiny(
        "WAN21_I2V", {**WAN, "model_type": "i2v", "in_dim": 36}, "wan.WanT5Tokenizer", (16, 8, 3),
        data={"spiece_model": 0},
    ),
    "wan2.2-i2v": Tiny(
        "WAN21_T2V", {**WAN, "in_dim": 36}, "wan.WanT5Tokenizer", (16, 8, 3),
        data={"spiece_model": 0},
    ),
    "wan2.2-5b": Tiny(
        "WAN22_T2V", {**WAN, "in_dim": 48, "out_dim": 48}, "wan.WanT5Tokenizer", (48, 16, 3),
        data={"spiece_model": 0},
    ),
    "flux-schnell": Tiny(
        "FluxSchnell", {**FLUX, "guidance_embed": False}, "flux.FluxTokenizer", pooled=32
    ),
    "cosmos-predict2-i2v": Tiny(
        "CosmosI2VPredict2", {**COSMOS, "in_channels": 17}, "cosmos.CosmosT5Tokenizer", (16, 8, 3)
    ),
}  # fmt: skip
