"""What Ref-Diff should have read, by plain full attention, and whether it left the model alone."""

import sys
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module

import comfy.model_management as management
import comfy.samplers
import torch

from .checkpoints import LONGCAT_END, flat, system_part
from .families import FAMILIES


def ours(name):
    """A module of the pack under test, as this process has loaded it."""
    ends = f".{name}"
    return next(module for key, module in sys.modules.items() if key.endswith(ends))


REFERENCES = ("flux", "flux2", "klein", "qwen-image", "omnigen2")
"""Families that are shown clean pictures to edit."""
RESOLUTION = {"pixart": 256}
"""Where 128 is too small for the model's positions."""
CROSS = (
    "cosmos-predict2", "cosmos-predict2-i2v", "anima", "wan", "wan-i2v", "wan2.2-i2v", "wan2.2-5b",
    "pixart",
)  # fmt: skip
"""Families in which the picture asks the text."""
UNTOLD = {"pixart": "pixart.blocks", "ernie": "ernie.model"}
"""Families whose attention is handed no options, and where it is called."""


class Plain:
    """An override that notes every call and changes nothing."""

    def __init__(self):
        self.calls = []

    def __deepcopy__(self, _memo):
        return self

    def __call__(self, func, q, k, v, heads, *args, **kwargs):
        out = func(q, k, v, heads, *args, **kwargs)
        mask = args[0] if args else kwargs.get("mask")
        if not kwargs.get("skip_reshape"):
            size = q.shape[-1] // heads
            q, k = (each.unflatten(-1, (-1, size)).transpose(1, 2) for each in (q, k))
        rows = out.transpose(1, 2).flatten(2) if out.ndim == 4 else out
        self.calls.append((q.double(), k.double(), rows.double(), mask))
        return out


def places_of(family, length, llama, places, image_first):
    """(queries, keys, first place, first token) of the calls with text and picture."""
    filled = -(-length // 32) * 32 + -(-places // 32) * 32
    if family in CROSS:
        return places, 512 if family == "anima" else length, 0, 0
    if family == "hidream":
        return *(places + length + 2 * llama,) * 2, 0, places
    if family in ("flux2", "klein"):
        return *(places + 512,) * 2, 512, 512 - length
    if family == "z-image":
        return filled, filled, -(-length // 32) * 32, 0
    before = 8 if family == "auraflow" else 0
    total = before + length + places
    return (total, total, 0, places) if image_first else (total, total, before + length, before)


def prove(family, checkpoint, image, attention):
    """Largest differences between what was read and plain attention, and what else must hold."""
    model, clip, vae = checkpoint
    lines = attention.expressions
    settings = ours("nodes._transformers").AttentionSettings
    read = ours("nodes._run").read_attention
    seen = settings(resolution=RESOLUTION.get(family, 128))
    readings = ["all", "text"] + ["output"] * (family not in (*CROSS, *UNTOLD))
    before = _output(model, clip, vae, image)
    kinds = {str(each.dtype) for each in model.model.diffusion_model.parameters()}
    found = {"weights": " ".join(sorted(kinds)), "maps": {}}
    plain = [plain_maps(family, checkpoint, image, line, readings) for line in lines]
    for reading in readings:
        own = replace(seen, reading=reading, even=False)
        maps = read(checkpoint, image, lines, own, 0).maps[0]
        found["maps"][reading] = max(
            float((got.word_maps - wanted[reading]).abs().max())
            for wanted, got in zip(plain, maps, strict=True)
        )
    if family in REFERENCES:
        clean = replace(seen, reading="all", reference=True, even=False)
        maps = read(checkpoint, image, lines, clean, 0).maps[0]
        found["maps"]["reference"] = max(
            float((got.word_maps - _clean_map(family, checkpoint, image, line)).abs().max())
            for line, got in zip(lines, maps, strict=True)
        )
    together = read(checkpoint, image, lines, seen, 0).maps[0]
    alone = [read(checkpoint, image, [line], seen, 0).maps[0][0] for line in lines]
    found["alone"] = _apart(together, alone)
    found["over the page"] = _apart(attention.maps[0], together)
    found["contrast"] = min(float(each.heat.max() - each.heat.min()) for each in together)
    found["unchanged"] = torch.equal(before, _output(model, clip, vae, image))
    found["ended by"] = {
        error.__name__: _ended(checkpoint, image, lines, seen, error)
        and torch.equal(before, _output(model, clip, vae, image))
        and all(hasattr(part.forward, "__func__") for part in model.model.modules())
        for error in (RuntimeError, management.InterruptProcessingException)
    }
    found["calls"] = _calls(family, checkpoint, image, lines[:1], seen)
    if family in CROSS:
        found["maps"]["as many tokens as places"] = _as_many(family, checkpoint, image, seen)
    return found


def _ended(checkpoint, image, lines, settings, error):
    """Whether an error in the middle of a pass comes out as it is, and leaves nothing behind."""
    module, model = ours("nodes._transformers"), checkpoint[0]
    kept, options, patches = module.Capture, repr(model.model_options), dict(model.object_patches)

    class Broken(kept):
        def keep(self, *args, **kwargs):
            raise error

    module.Capture = Broken
    try:
        ours("nodes._run").read_attention(checkpoint, image, lines, settings, 0)
    except error:
        return options == repr(model.model_options) and patches == model.object_patches
    finally:
        module.Capture = kept
    return False


def _as_many(family, checkpoint, image, settings):
    """As `prove` compares maps, of a text as long as there are places, or 512 of both."""
    model, clip, vae = checkpoint
    data = ours("nodes._transformers").family_of_transformer(model)
    if family == "anima":
        image, settings = image[:, :64, :128], replace(settings, resolution=384)
    size_hw = ours("nodes._transformers").working_size(image.shape[1:3], data, settings)
    places = size_hw[0] * size_hw[1] // data.cell**2
    settings, text = replace(settings, even=False), "the red circle"
    while family != "anima" and _lengths(family, clip, text)[0] < places:
        text = f"very {text}"
    line = ours("nodes._prompt").read_line(text)
    (found,) = ours("nodes._run").read_attention(checkpoint, image, [line], settings, 0).maps[0]
    wanted = plain_maps(family, checkpoint, image, line, ["text"], settings=settings)["text"]
    return float((found.word_maps - wanted).abs().max())


def _clean_map(family, checkpoint, image, line):
    """As `plain_maps` among all tokens, of a clean picture shown beside nothing but noise."""
    return plain_maps(family, checkpoint, image, line, ["all"], reference=True)["all"]


def _apart(maps, others):
    pairs = zip(maps, others, strict=True)
    return max(float((a.word_maps - b.word_maps).abs().max()) for a, b in pairs)


def _calls(family, checkpoint, image, lines, settings):
    """Another pack's override: calls until the pass was ended, and calls of a whole pass."""
    model, clip, vae = checkpoint
    counted = Plain()
    other = model.clone()
    other.model_options["transformer_options"]["optimized_attention_override"] = counted
    with _shown(family, counted):
        ours("nodes._run").read_attention((other, clip, vae), image, lines, settings, 0)
        until = len(counted.calls)
        _pass(other, clip, vae, image, lines[0].text)
    return [until, len(counted.calls) - until]


@contextmanager
def _shown(family, seen):
    """Let the calls that are handed no options be seen as the others are."""
    if family not in UNTOLD:
        yield
        return
    module = import_module(f"comfy.ldm.{UNTOLD[family]}")
    attend = module.optimized_attention
    module.optimized_attention = lambda *args, **kwargs: seen(attend, *args, **kwargs)
    try:
        yield
    finally:
        module.optimized_attention = attend


def _output(model, clip, vae, image):
    torch.manual_seed(0)
    return _pass(model, clip, vae, image, "a blue square")


def _pass(
    model, clip, vae, image, text, override=None, size_hw=(192, 384), timestep=250, reference=False
):
    """One call of the model, as any sampler makes it; gives its answer."""
    clone = model.clone()
    if override is not None:
        clone.model_options["transformer_options"]["optimized_attention_override"] = override
    found = clip.encode_from_tokens(clip.tokenize(text), return_pooled=True, return_dict=True)
    resize = ours("pictures.images").resize_picture
    latents = vae.encode(resize(image[0], size_hw).movedim(1, -1))
    if reference:
        found["reference_latents"] = [latents]
    if ours("nodes._transformers").family_of_transformer(model).inpainting:
        found["concat_latent_image"] = latents
        found["concat_mask"] = torch.zeros_like(latents[:, :1])  # nothing of it
    guider = comfy.samplers.CFGGuider(clone)
    guider.inner_set_conds({"positive": [[found.pop("cond"), found]]})
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
    answers = []

    def once(model, x, sigmas, extra_args=None, callback=None, disable=None, **_):
        answers.append(model(x, sigmas[0].expand(len(x)), **(extra_args or {})))
        return x

    sigma = ours("nodes._pass").noise_level(clone.get_model_object("model_sampling"), timestep)
    sampler = comfy.samplers.KSAMPLER(once)
    sigmas = torch.stack([sigma, torch.zeros(())])
    guider.sample(noise, latents, sampler, sigmas, disable_pbar=True, seed=0)
    return answers[0]


def tokens_of(family, clip, text, word):
    """Where a word's tokens are in the conditioning, and which of it is no padding.

    A word's tokens are those that differ when another word stands there.
    """
    groups = clip.tokenize(text)
    others = clip.tokenize(f"{text[: word.start]}xyz{text[word.end :]}")
    names = {"sd3": ["l", "t5xxl"], "hid": ["t5xxl"], "ani": ["t5xxl"]}.get(family[:3])
    keys = names or [key for key in groups if key not in ("l", "g", "byt5")]
    found, said, start = [], [], 0
    for key in keys:
        ids, other = ([token[0] for token in flat(each[key])] for each in (groups, others))
        if family == "longcat":
            ids, other = ids[: -len(LONGCAT_END)], other[: -len(LONGCAT_END)]
        own, rival = ids[: _end(key, ids)], other[: _end(key, other)]
        drop = system_part(flat(groups[key])) if FAMILIES[family].system else 0
        left = 2 if family == "flux2" else 0  # padding
        said += [start + at - drop for at in range(drop + left, len(own))]
        first = next(at for at, (a, b) in enumerate(zip(own, rival, strict=False)) if a != b)
        while own[-1] == rival[-1]:
            own.pop(), rival.pop()
        found += [start + at - drop for at in range(first, len(own))]
        start += len(ids)
    return found, said


def _end(key, ids):
    """Where the padding begins."""
    pad = {"l": 49407, "g": 0, "t5xxl": 0, "pile_t5xl": 1, "gemma2_2b": 0, "umt5xxl": 0}.get(
        key, 151643
    )
    end = len(ids)
    while ids[end - 1] == pad:
        end -= 1
    return end + (key == "l" and end < len(ids))


def plain_maps(family, checkpoint, image, line, readings, reference=False, settings=None):
    """The words' maps (G, h, w) of every reading, from whole softmaxes in double precision."""
    model, clip, vae = checkpoint
    module = ours("nodes._transformers")
    data = module.family_of_transformer(model)
    settings = settings or module.AttentionSettings(resolution=RESOLUTION.get(family, 128))
    size_hw = module.working_size(image.shape[1:3], data, settings)
    grid_hw = (size_hw[0] // data.cell, size_hw[1] // data.cell)
    plain, places = Plain(), grid_hw[0] * grid_hw[1]
    timestep = 1000 if reference else data.timestep
    with _shown(family, plain):
        _pass(model, clip, vae, image, line.text, plain, size_hw, timestep, reference)
    blocks = list(getattr(model.get_model_object("diffusion_model"), data.stack))
    flipped = getattr(blocks[0], "flipped_img_txt", family == "ernie")
    lengths = places_of(family, *_lengths(family, clip, line.text), places, flipped)
    if reference:  # as many places again; OmniGen2 has them before the picture
        total, first = lengths[0] + places, lengths[2] + places * (family != "omnigen2")
        lengths = total, total, first, lengths[3]
    calls = [call for call in plain.calls if (call[0].shape[2], call[1].shape[2]) == lengths[:2]]
    if family in CROSS and lengths[0] == lengths[1]:
        # the text's keys are those that the picture has no part in
        other = Plain()
        with _shown(family, other):
            _pass(model, clip, vae, 1 - image, line.text, other, size_hw, timestep)
        pairs = zip(plain.calls, other.calls, strict=True)
        calls = [a for a, b in pairs if a[0].shape[2] == lengths[0] and torch.equal(a[1], b[1])]
    if family == "wan-i2v":  # asks for a picture first
        calls = calls[1::2]
    depth = len(blocks)
    chosen = sorted({min(depth - 1, block * depth // data.of) for block in data.blocks})
    words = line.target_words + line.other_words
    spots = [tokens_of(family, clip, line.text, word) for word in words]
    said = spots[0][1]
    maps = {}
    for reading in readings:
        shares = [_columns(calls[block], places, *lengths[2:], said, reading) for block in chosen]
        mean = torch.stack(shares).mean(0)
        own = [mean[:, [said.index(spot) for spot in found]].mean(-1) for found, _ in spots]
        maps[reading] = torch.stack(own).unflatten(-1, grid_hw).float()
    return maps


def _lengths(family, clip, text):
    """Tokens of the text that the model reads, and of a second one."""
    found = clip.encode_from_tokens(clip.tokenize(text), return_pooled=True, return_dict=True)
    tokens = len(found["t5xxl_ids"]) if family == "anima" else found["cond"].shape[1]
    return tokens, found["conditioning_llama3"].shape[2] if family == "hidream" else 0


def _columns(call, count, image_at, text_at, said, reading):
    """Every place's share for each token that was said, (T, said)."""
    q, k, out, mask = call
    places, picked = slice(image_at, image_at + count), [text_at + at for at in said]
    if reading == "output":
        return (out[0, places] @ out[0, picked].T).softmax(-1)
    if k.shape[1] != q.shape[1]:
        k = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
    scores = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5)[0]
    if mask is not None:
        scores = scores + mask.double().reshape(1, -1, scores.shape[-1])
    scores = scores[:, places]
    if reading == "text":
        return scores[..., picked].softmax(-1).mean(0)
    return scores.softmax(-1)[..., picked].mean(0)
