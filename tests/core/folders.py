"""Tiny random diffusers folders of transformers, each as its own pipeline writes it."""

from __future__ import annotations

import diffusers
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

WORDS = "the red circle left of a blue square on top of green star near it very large cat"
QWEN = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, "
    "quantity, text, spatial relationships of the objects and background:<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
"""Of Qwen-Image, whose pipeline leaves out its first 34 tokens."""
LUMINA = (
    "You are an assistant designed to generate superior images with the superior degree of "
    "image-text alignment based on textual prompts or user prompts. <Prompt Start> "
)
WIDTH = 32
VAE = {
    "latent_channels": 16, "block_out_channels": (4, 4, 4, 4), "norm_num_groups": 2,
    "layers_per_block": 1, "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4, "scaling_factor": 0.36, "shift_factor": 0.1,
    "use_quant_conv": False, "use_post_quant_conv": False,
}  # fmt: skip
HEADS = {"attention_head_dim": 16, "num_attention_heads": 4}
FLUX = {
    **HEADS, "patch_size": 1, "in_channels": 64, "num_layers": 2, "num_single_layers": 1,
    "joint_attention_dim": WIDTH, "axes_dims_rope": (4, 6, 6),
}  # fmt: skip
TRANSFORMERS = {
    "StableDiffusion3Pipeline": {
        **HEADS, "sample_size": 32, "patch_size": 2, "in_channels": 16, "out_channels": 16,
        "num_layers": 2, "joint_attention_dim": WIDTH, "caption_projection_dim": 64,
        "pooled_projection_dim": 32, "pos_embed_max_size": 32,
    },
    "FluxPipeline": {**FLUX, "pooled_projection_dim": 16, "guidance_embeds": True},
    "ChromaPipeline": {
        **FLUX, "approximator_num_channels": 16, "approximator_hidden_dim": 16,
        "approximator_layers": 1,
    },
    "ZImagePipeline": {
        "all_patch_size": (2,), "all_f_patch_size": (1,), "in_channels": 16, "dim": 256,
        "n_layers": 2, "n_refiner_layers": 1, "n_heads": 4, "n_kv_heads": 4,
        "cap_feat_dim": WIDTH, "axes_dims": [16, 24, 24], "axes_lens": [1536, 128, 128],
    },
    "QwenImagePipeline": {
        **HEADS, "patch_size": 2, "in_channels": 64, "out_channels": 16, "num_layers": 3,
        "joint_attention_dim": WIDTH, "axes_dims_rope": (4, 6, 6),
    },
    "Lumina2Pipeline": {
        "sample_size": 32, "patch_size": 2, "in_channels": 16, "hidden_size": 64, "num_layers": 3,
        "num_refiner_layers": 1, "num_attention_heads": 4, "num_kv_heads": 2, "multiple_of": 16,
        "axes_dim_rope": (4, 6, 6), "axes_lens": (300, 128, 128), "cap_feat_dim": WIDTH,
    },
}  # fmt: skip
"""By the pipeline's class: its transformer's architecture."""


def write_folder(name, path):
    """Write the pipeline of that class with random weights; gives its folder."""
    torch.manual_seed(0)
    kind = getattr(diffusers, name)
    transformer = getattr(diffusers, f"{FAMILY[name]}Transformer2DModel")(**TRANSFORMERS[name])
    for label, parameter in transformer.named_parameters():
        if label.endswith("pad_token"):  # torch.empty
            parameter.data.normal_()
    qwen = name == "QwenImagePipeline"
    parts = {
        "transformer": transformer,
        "vae": _qwen_vae() if qwen else diffusers.AutoencoderKL(**VAE),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(),
        **ENCODERS[name](),
    }
    kind(**parts).save_pretrained(path)
    return path


FAMILY = {
    "StableDiffusion3Pipeline": "SD3", "FluxPipeline": "Flux", "ChromaPipeline": "Chroma",
    "ZImagePipeline": "ZImage", "QwenImagePipeline": "QwenImage", "Lumina2Pipeline": "Lumina2",
}  # fmt: skip


def _qwen_vae():
    return diffusers.AutoencoderKLQwenImage(
        base_dim=4, z_dim=16, num_res_blocks=1, dim_mult=[1, 1, 1, 1]
    )


def _clip(width):
    letters = pre_tokenizers.ByteLevel.alphabet()
    pieces = [*letters, *(f"{each}</w>" for each in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = transformers.CLIPTokenizer(
        vocab={piece: index for index, piece in enumerate(pieces)}, merges=[], model_max_length=77
    )
    config = transformers.CLIPTextConfig(
        vocab_size=len(pieces), hidden_size=width, intermediate_size=width, num_hidden_layers=2,
        num_attention_heads=2, projection_dim=width, bos_token_id=len(pieces) - 2,
        eos_token_id=len(pieces) - 1, pad_token_id=len(pieces) - 1,
    )  # fmt: skip
    return tokenizer, config


def _t5():
    tokenizer = Tokenizer(models.Unigram([("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>"
    )
    tokenizer.train_from_iterator([WORDS, "abcdefghijklmnopqrstuvwxyz"] * 20, trainer)
    fast = transformers.T5TokenizerFast(tokenizer_object=tokenizer, extra_ids=0)
    config = transformers.T5Config(
        vocab_size=256, d_model=WIDTH, d_kv=8, d_ff=32, num_layers=2, num_heads=4
    )
    return fast, transformers.T5EncoderModel(config)


def _byte_level(kind, texts, special, **options):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=special, show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator([*texts, WORDS] * 20, trainer)
    tokenizer.add_special_tokens([AddedToken(each, special=True) for each in special])
    return kind(tokenizer_object=tokenizer, **options)


def _qwen(texts):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return _byte_level(
        transformers.Qwen2TokenizerFast, texts, special, pad_token=special[0], unk_token=special[0]
    )


def _sd3():
    first, config = _clip(16)
    text, encoder = _t5()
    clips = [transformers.CLIPTextModelWithProjection(config) for _ in range(2)]
    return {
        "tokenizer": first, "tokenizer_2": first, "tokenizer_3": text,
        "text_encoder": clips[0], "text_encoder_2": clips[1], "text_encoder_3": encoder,
    }  # fmt: skip


def _flux():
    first, config = _clip(16)
    text, encoder = _t5()
    clip = transformers.CLIPTextModel(config)
    return {
        "tokenizer": first, "text_encoder": clip, "tokenizer_2": text, "text_encoder_2": encoder
    }  # fmt: skip


def _chroma():
    return dict(zip(("tokenizer", "text_encoder"), _t5(), strict=True))


LANGUAGE = {
    "vocab_size": 1100, "hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 3,
    "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16,
}  # fmt: skip


def _z_image():
    tokenizer = _qwen(["<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n"])
    tokenizer.chat_template = (
        "{% for each in messages %}<|im_start|>{{ each.role }}\n{{ each.content }}<|im_end|>\n"
        "{% endfor %}<|im_start|>assistant\n"
    )
    encoder = transformers.Qwen3Model(transformers.Qwen3Config(**LANGUAGE))
    return {"tokenizer": tokenizer, "text_encoder": encoder}


def _qwen_image():
    text = {key: value for key, value in LANGUAGE.items() if key != "head_dim"}
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    config = transformers.Qwen2_5_VLConfig(
        text_config={**text, "rope_parameters": rope, "rope_scaling": rope},
        vision_config={
            "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2,
            "out_hidden_size": WIDTH,
        },
    )  # fmt: skip
    encoder = transformers.Qwen2_5_VLForConditionalGeneration(config)
    return {"tokenizer": _qwen([QWEN]), "text_encoder": encoder}


def _lumina2():
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([LUMINA, WORDS, "abcdefghijklmnopqrstuvwxyz"] * 20, trainer)
    fast = transformers.GemmaTokenizerFast(tokenizer_object=tokenizer, padding_side="right")
    config = transformers.Gemma2Config(**LANGUAGE, query_pre_attn_scalar=16)
    return {"tokenizer": fast, "text_encoder": transformers.Gemma2Model(config)}


ENCODERS = {
    "StableDiffusion3Pipeline": _sd3, "FluxPipeline": _flux, "ChromaPipeline": _chroma,
    "ZImagePipeline": _z_image, "QwenImagePipeline": _qwen_image, "Lumina2Pipeline": _lumina2,
}  # fmt: skip
