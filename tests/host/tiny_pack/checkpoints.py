"""Tiny random models of ComfyUI's real classes, with its real tokenizers and made-up encoders."""

import io
import re
from dataclasses import dataclass, field
from importlib import import_module

import comfy.model_patcher
import comfy.supported_models as supported
import torch

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
    "wan": Tiny(
        "WAN21_T2V",
        {
            "image_model": "wan2.1", "model_type": "t2v", "patch_size": (1, 2, 2), "in_dim": 16,
            "out_dim": 16, "dim": 64, "ffn_dim": 64, "freq_dim": 32, "text_dim": 64,
            "num_heads": 4, "num_layers": 3, "qk_norm": True, "cross_attn_norm": True,
        },
        "wan.WanT5Tokenizer", (16, 8, 3), data={"spiece_model": 0},
    ),
}  # fmt: skip


def here(family):
    """Whether this ComfyUI has a family."""
    module, _, name = FAMILIES[family].tokenizer.rpartition(".")
    try:
        found = hasattr(import_module(f"comfy.text_encoders.{module}"), name)
    except ImportError:
        return False
    return found and hasattr(supported, FAMILIES[family].config)


def load(family):
    tiny = FAMILIES[family]
    return _model(tiny), TinyClip(tiny, family), TinyVae(tiny)


def _model(tiny):
    network = dict(tiny.network)
    while True:
        try:
            return _build(getattr(supported, tiny.config), network)
        except TypeError as error:  # an older ComfyUI does not know some words yet
            unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
            if not unknown:
                raise
            network.pop(unknown[1])


def _build(kind, network):
    config = kind(dict(network))
    config.set_inference_dtype(torch.float32, None)
    config.unet_config = {**network, "dtype": torch.float32}
    model = config.get_model({}, "")
    parts = (*model.diffusion_model.named_parameters(), *model.diffusion_model.named_buffers())
    for name, value in parts:
        if value.is_floating_point():
            draw = torch.Generator().manual_seed(sum(map(ord, name)))
            spread = 0.5 / max(1, value.shape[-1]) ** 0.5 if value.ndim > 1 else 0.1
            value.data = torch.randn(value.shape, generator=draw) * spread
            if value.ndim == 1 and "norm" in name and "weight" in name:
                value.data += 1
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, load_device=cpu, offload_device=cpu)


class TinyVae:
    """Latents that say a little of the picture."""

    def __init__(self, tiny):
        self.channels, self.factor, self.dimensions = tiny.latent
        self.first_stage_model = torch.nn.Identity()

    def encode(self, pixels):
        small = torch.nn.functional.avg_pool2d(pixels.movedim(-1, 1)[:, :3], self.factor)
        draw = torch.Generator().manual_seed(0)
        mix = torch.randn(self.channels, 3, generator=draw)
        latents = torch.einsum("ck,bkhw->bchw", mix, small - small.mean())
        return latents if self.dimensions == 2 else latents[:, :, None]


class TinyClip:
    """The real tokenizer; every token is encoded by its number alone."""

    def __init__(self, tiny, family):
        module, _, name = tiny.tokenizer.rpartition(".")
        kind = getattr(import_module(f"comfy.text_encoders.{module}"), name)
        data = {key: MODELS[key]() for key in tiny.data}
        self.tiny, self.family = tiny, family
        # Mistral's vocabulary is in its weights, and reading it hangs on transformers' version
        self.tokenizer = (
            Tekken(*TEKKEN[family])
            if family in TEKKEN
            else kind(**data and {"tokenizer_data": data})
        )

    def tokenize(self, text, return_word_ids=False, **options):
        groups = self.tokenizer.tokenize_with_weights(text, return_word_ids, **options)
        if self.family == "hidream":
            groups["llama"] = groups["t5xxl"]
        return groups

    def encode_from_tokens(self, groups, return_pooled=False, return_dict=False):
        encoded = {key: embed(flat(groups[key]), self.tiny.context) for key in groups}
        keys = [key for key in groups if key not in ("l", "g", "byt5")]
        text, extra = encoded[keys[0]], {"pooled_output": None}
        if self.family.startswith("sd3"):
            text = torch.cat([encoded["l"], encoded["t5xxl"]], 1)
        if self.tiny.system:
            text = text[:, system_part(flat(groups[keys[0]])) :]
        if self.family == "longcat":
            text = text[:, : -len(LONGCAT_END)]
        if self.tiny.pooled:
            extra["pooled_output"] = embed(flat(groups["l"]), self.tiny.pooled)[:, 3]
        if self.family == "hidream":
            extra["conditioning_llama3"] = encoded["llama"][:, None].repeat(1, 3, 1, 1)
        if self.family in ("omnigen2", "lumina2", "z-image"):
            extra["attention_mask"] = torch.ones(text.shape[:2], dtype=torch.long)
        if self.family == "anima":
            ids = [token[0] for token in flat(groups["t5xxl"])]
            extra["t5xxl_ids"] = torch.tensor(ids, dtype=torch.int)
            extra["t5xxl_weights"] = torch.ones(len(ids))
        return {"cond": text, **extra}


def flat(chunks):
    return [token for chunk in chunks for token in chunk]


def system_part(tokens):
    """Tokens before the user's words, as Qwen's text encoders leave them out."""
    starts = [at for at, token in enumerate(tokens) if token[0] == 151644]
    return starts[1] + 3


def embed(tokens, width):
    ids = torch.tensor([[token[0]] for token in tokens], dtype=torch.float64)
    return torch.sin(ids * torch.arange(1, width + 1) * 0.7137 + 0.3)[None].float()


def _sentence_pieces():
    import sentencepiece

    text = "the red circle and a blue square on the left of a green star with a cat\n" * 50
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text.splitlines()), model_writer=model, vocab_size=60,
        hard_vocab_limit=False,
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, byte_fallback=False, minloglevel=9,
    )  # fmt: skip
    return torch.frombuffer(bytearray(model.getvalue()), dtype=torch.uint8)


LONGCAT_END = (151645, 198, 151644, 77091, 198)
"""<|im_end|>, a new line, <|im_start|>, "assistant" and a new line: left out."""
TEKKEN = {
    "flux2": ("mistral3_24b", "Say what you see.[INST]{}[/INST]", [0, 0, 1]),
    "ernie": ("ministral3_3b", "{}", [1]),
}
"""Name, template and what goes before it, padding included."""


class Tekken:
    """Bytes and a few words, in a template and padded on the left, as Mistral's tokenizers."""

    def __init__(self, name, template, before):
        self.name, self.template, self.before = name, template, before
        words = [b"<pad>", b"<s>", b"[INST]", b"[/INST]", *(bytes([each]) for each in range(256))]
        words += [b" red", b"red", b" circle", b" the", b" cat"]
        setattr(self, name, self)
        self.inv_vocab = dict(enumerate(words))
        self.tokenizer, self.all_special_ids = self, [0, 1, 2, 3]
        self.pad_token = 0

    def tokenize_with_weights(self, text, return_word_ids=False):
        rest, ids = self.template.format(text).encode(), [*self.before]
        while rest:
            ids.append(
                max((k for k, v in self.inv_vocab.items() if rest.startswith(v)), key=self.size)
            )
            rest = rest[self.size(ids[-1]) :]
        return {self.name: [[(each, 1.0) for each in ids]]}

    def size(self, token):
        return len(self.inv_vocab[token])


MODELS = {"spiece_model": _sentence_pieces}
