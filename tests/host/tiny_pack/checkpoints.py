"""Tiny random models of ComfyUI's real classes, with its real tokenizers and made-up encoders."""

import io
import re
from importlib import import_module

import comfy.model_patcher
import comfy.supported_models as supported
import torch

from .families import FAMILIES


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
