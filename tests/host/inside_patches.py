"""Nodes that change a MODEL between its loader and ours; run by `inside.py`."""

from hosted import load, ours, read  # isort: skip - finds ComfyUI

import json
from collections import namedtuple

import comfy_extras.nodes_model_advanced as advanced
import torch

TEXT = "the red circle\nblue star left of the square"


def _apart(plain, found):
    pairs = zip(plain, found, strict=True)
    return max(float((a.heat - b.heat).abs().max()) for a, b in pairs)


def said(call):
    """What came of it: how far from the plain maps, or the error's kind and text."""
    try:
        return call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def samplings(_=None):
    """How far maps lie from the plain ones with core's nodes for the noise schedule between."""
    model, clip, vae = load("demo")
    _, plain = read((model, clip, vae), TEXT)
    discrete = advanced.ModelSamplingDiscrete()
    others = {
        "lcm": lambda: discrete.patch(model, "lcm", False),
        "eps": lambda: discrete.patch(model, "eps", False),
        "zero terminal": lambda: discrete.patch(model, "v_prediction", True),
        "continuous v": lambda: advanced.ModelSamplingContinuousV().patch(
            model, "v_prediction", 500.0, 0.03
        ),
        "aura flow": lambda: advanced.ModelSamplingAuraFlow().patch_aura(model, 1.73),
        "sd3": lambda: advanced.ModelSamplingSD3().patch(model, 3.0),
        "flux": lambda: advanced.ModelSamplingFlux().patch(model, 1.15, 0.5, 1024, 1024),
        "cascade": lambda: advanced.ModelSamplingStableCascade().patch(model, 2.0),
        "edm": lambda: advanced.ModelSamplingContinuousEDM().patch(
            model, "v_prediction", 120.0, 0.002
        ),
    }
    found = {}
    for name, patch in others.items():
        checkpoint = (patch()[0], clip, vae)
        found[name] = said(lambda each=checkpoint: _apart(plain, read(each, TEXT)[1]))
    ends = [said(lambda at=at: len(read((discrete.patch(model, "lcm", False)[0], clip, vae), TEXT,
                                         timestep=at)[1])) for at in (0, 49, 50, 999)]  # fmt: skip
    return {"apart": found, "ends": ends, "after": _apart(plain, read((model, clip, vae), TEXT)[1])}


def _more(each):
    return torch.cat([each, each[:, :4] * 0], 1)


def texts(_=None):
    """The same with attn2 patches that add tokens, leave some out, or add rows."""
    model, clip, vae = load("demo")
    _, plain = read((model, clip, vae), TEXT)
    kinds = {
        "more tokens": lambda n, k, v, _: (n, _more(k), _more(v)),
        "fewer tokens": lambda n, k, v, _: (n, k[:, 0::2], v[:, 0::2]),
        "rows twice": lambda n, k, v, _: (n.repeat(2, 1, 1), k.repeat(2, 1, 1), v.repeat(2, 1, 1)),
    }
    found = {}
    for name, patch in kinds.items():
        other = model.clone()
        other.set_model_attn2_patch(patch)
        if name == "rows twice":  # as regional prompts do: what they doubled they bring together
            other.set_model_attn2_output_patch(lambda n, _: n.view(2, -1, *n.shape[1:]).mean(0))
        found[name] = said(lambda each=other: _apart(plain, read((each, clip, vae), TEXT)[1]))
    return found


class Doubling:
    """A CLIP whose text comes twice, token by token, for a patch that reads one of the two."""

    def __init__(self, clip):
        self.clip = clip
        self.tokenizer = clip.tokenizer

    def tokenize(self, *args, **kwargs):
        return self.clip.tokenize(*args, **kwargs)

    def encode_from_tokens(self, *args, **kwargs):
        found = self.clip.encode_from_tokens(*args, **kwargs)
        return {**found, "cond": found["cond"].repeat_interleave(2, 1)}


def doubled(_=None):
    """NegPip's kind: with its patch the text's own words are read, without it an error says so."""
    model, clip, vae = load("demo")
    _, plain = read((model, clip, vae), TEXT)
    other = model.clone()
    other.set_model_attn2_patch(lambda n, k, v, _: (n, k[:, 0::2], v[:, 1::2]))
    both = said(lambda: _apart(plain, read((other, Doubling(clip), vae), TEXT)[1]))
    alone = said(lambda: _apart(plain, read((model, Doubling(clip), vae), TEXT)[1]))
    return [both, alone]


def merged(_=None):
    """A patch that merges places for self-attention, which only propagation reads."""
    model, clip, vae = load("demo")
    other = model.clone()
    other.set_model_attn1_patch(lambda n, k, v, _: (n, k[:, 0::2], v[:, 0::2]))
    return [
        said(lambda: len(read((other, clip, vae), TEXT)[1])),
        said(lambda: len(read((other, clip, vae), TEXT, propagation=1)[1])),
    ]


def distilled(_=None):
    """Layers of a U-Net without a middle block, and of one without transformers in it."""
    import comfy.ops
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel

    config = {
        "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320,
        "context_dim": 2048, "adm_in_channels": 2816, "num_classes": "sequential",
        "use_linear_in_transformer": True, "channel_mult": [1, 2, 4], "num_res_blocks": [1, 1, 1],
        "transformer_depth": [0, 2, 5], "transformer_depth_output": [0, 0, 2, 2, 5, 5],
        "num_head_channels": 64, "use_spatial_transformer": True, "legacy": False,
        "dtype": torch.float16, "device": "meta", "operations": comfy.ops.disable_weight_init,
    }  # fmt: skip
    find = ours("refdiff_core.backends.original_layout").transformers_on
    return [len(find(UNetModel(transformer_depth_middle=mid, **config), 4)) for mid in (-1, -2)]


def given(_=None):
    """Masks, SEGS and pictures as other nodes hand them over, and what comes of each."""
    host, run, settings = ours("nodes._host"), ours("nodes._run"), ours("refdiff_core.settings")
    segment = namedtuple("SEG", "cropped_mask confidence crop_region")
    fuse = lambda hint: run.fuse_batch(hint, None, None, None, settings.Settings())  # noqa: E731

    def area(*seg):
        found = host.proposals(((96, 160), [segment(*seg)])).sets[0][0]
        return int(found.draw(0).sum())

    none = fuse(torch.zeros(0, 96, 160))
    square = torch.zeros(96, 160)
    square[20:40, 30:60] = 1
    return {
        "none": [len(none.results), none.results[0].found, host.message(none)],
        "drawn": list(host.answer(none, {}).result[0].shape),
        "list": len(fuse([square, square[None]]).results),
        "unlike": said(lambda: host.masks([square, square[:50]])),
        "past the edge": area(torch.ones(20, 20), 0.9, (150, 86, 170, 106)),
        "before it": area(torch.ones(20, 20), 0.9, (-10, -10, 10, 10)),
        "no mask": area(None, None, (150, 86, 170, 106)),
        "no fit": said(lambda: area(torch.ones(5, 5), 0.9, (0, 0, 20, 20))),
        "planes": said(lambda: host.images(torch.rand(1, 3, 96, 160))),
        "bytes": said(lambda: host.images(torch.rand(1, 96, 160, 3) * 255)),
        "one mask": _one_mask(host, fuse([square, square.flip(1)]), square),
    }


def hints(_=None):
    """Which share of each painted hint the answer in each of two pictures is, and of how many."""
    run, settings = ours("nodes._run"), ours("refdiff_core.settings").Settings()
    left, right = torch.zeros(2, 96, 160)
    left[20:50, 10:40] = right[40:80, 100:150] = 1
    pictures = torch.rand(2, 96, 160, 3, generator=torch.Generator().manual_seed(0))
    found = {}
    for name, every in {"each": [left, right], "one": [left], "four": [left, right] * 2}.items():
        masks = [
            each.mask for each in run.fuse_batch(every, None, None, pictures, settings).results
        ]
        inside = [[float((mask * hint).sum() / mask.sum()) for hint in (left, right)]
                  for mask in masks]  # fmt: skip
        found[name] = [[round(share) for share in row] for row in inside]
    return found


def _one_mask(host, batch, square):
    both = host.answer(batch, {}, one_mask=True).result[0]
    each = host.answer(batch, {}).result[0]
    return [list(both.shape), list(each.shape), torch.equal(both[0], each.amax(0))]


def pasted(_=None):
    """Lines with what prompts are pasted with."""
    lines = [
        "<lora:foo:0.8> the red circle", "the red circle BREAK on the left",
        "/* a\ncomment */ the red circle", "the red circle // round", "a break in the wall",
    ]  # fmt: skip
    read_lines = ours("nodes._prompt").read_lines
    return [[" ".join((each.prompt or each.text).split()) for each in read_lines(x)] for x in lines]


def weighted(texts):
    """How each thing of some texts is told to the text encoder, and the words that have weights."""
    return {text: _weighted(text) for text in json.loads(texts)}


def _weighted(text):
    prompt = ours("nodes._prompt")
    looked_for = ours("refdiff_core.language.lines").looked_for
    as_read = ours("refdiff_core.seeing.phrases").as_read
    clip = load("demo")[1]
    found = []
    for each in map(as_read, looked_for(prompt.read_lines(text))):
        tokens = prompt.tokenize_prompt(clip, each)
        vocabulary = clip.tokenizer.clip_l.inv_vocab
        flat = [token for chunk in tokens.groups["l"] for token in chunk]
        heavy = {vocabulary[at].removesuffix("</w>"): round(w, 2) for at, w in flat if w != 1}
        assert all(tokens.positions(word) for word in each.target_words), each
        found.append([prompt.prompt_of(each), heavy])
    return found
