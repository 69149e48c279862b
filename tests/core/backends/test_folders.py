"""Transformers as diffusers folders: tiny random ones, loaded and asked as artists' own are."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import diffusers
import numpy as np
import PIL.Image
import pytest
import torch
import torch.nn.functional as F
import transformers
from folders import FAMILY, write_folder
from torch.overrides import TorchFunctionMode

from refdiff_core.backends.pipelines import load_pipeline
from refdiff_core.backends.transformers_attention import TransformersAttention
from refdiff_core.command.cli import run
from refdiff_core.language.expression import parse
from refdiff_core.settings import AttentionSettings

TEXT = "the red circle left of a blue square"
LEFT_OUT = {"QwenImagePipeline": 34}
"""Tokens of a template that the pipeline cuts off."""
ENCODERS = {
    "StableDiffusion3Pipeline": ("tokenizer", "tokenizer_3"),
    "FluxPipeline": ("tokenizer_2",),
}
SIZE_HW = (96, 160)


@pytest.fixture(scope="module", params=FAMILY)
def folder(request, tmp_path_factory):
    if not hasattr(diffusers, request.param) or transformers.__version__ < "5":
        pytest.skip("such a folder is written by newer versions of diffusers and transformers")
    return write_folder(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def model(folder):
    return load_pipeline(folder)


def kind(folder):
    return json.loads((folder / "model_index.json").read_text())["_class_name"]


def tokens(model, name):
    """What each place of the text stands for, as the tokenizers themselves say it."""
    pipeline, spelt = model.pipeline, []
    for key in ENCODERS.get(name, ("tokenizer",)):
        tokenizer, text = getattr(pipeline, key), TEXT
        if name == "ZImagePipeline":
            text = tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
            )
        if name == "QwenImagePipeline":
            text = pipeline.prompt_template_encode.format(text)
        if name == "Lumina2Pipeline":
            text = f"{pipeline.system_prompt} <Prompt Start> {text}"
        filled = (
            {"padding": "max_length", "max_length": 77} if len(ENCODERS.get(name, "")) > 1 else {}
        )
        ids = tokenizer(text, truncation=True, **filled).input_ids[LEFT_OUT.get(name, 0) :]
        spelt += [tokenizer.decode([each]).strip() for each in ids]
    return spelt


def test_every_word_is_where_its_tokens_are(folder, model):
    spelt, placed = tokens(model, kind(folder)), model.place(TEXT)
    twice = len(ENCODERS.get(kind(folder), "")) > 1
    for word in parse(TEXT).target_words + parse(TEXT).other_words:
        found = "".join(spelt[at] for at in placed.positions(word))
        assert found.replace(" ", "") == word.text * (1 + twice)
        assert set(placed.positions(word)) <= set(placed.said)


class Plain(TorchFunctionMode):
    """Queries, keys and masks of every call."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            named = dict(zip(("query", "key", "value", "attn_mask"), args, strict=False)) | kwargs
            self.calls.append((named["query"], named["key"], named.get("attn_mask")))
        return func(*args, **kwargs)


def plain_maps(model, name, source, image, reading):
    """The words' maps from whole softmaxes, of the pass that the pipeline makes by itself."""
    placed, grid_hw = model.place(TEXT), (4, 12)
    pad = 32 if name == "ZImagePipeline" else 1
    texts, places = (-(-each // pad) * pad for each in (placed.length, grid_hw[0] * grid_hw[1]))
    total = texts + places
    first = 0 if name in ("ZImagePipeline", "StableDiffusion3Pipeline") else texts
    sigma = model.family.timestep / 1000
    latents = source._encode_image(image, (grid_hw[0] * 16, grid_hw[1] * 16))
    seen = Plain()
    with seen:
        model.call(TEXT, source._add_noise(latents, sigma), sigma, (64, 192))
    calls = [each for each in seen.calls if each[0].shape[2] == total]
    blocks = model.family.blocks_of(len(getattr(model.transformer, model.family.stack)))
    start, spots = (places if first == 0 else 0), []
    for word in parse(TEXT).target_words + parse(TEXT).other_words:
        spots.append([start + at for at in placed.positions(word)])
    said = [start + at for at in placed.said]
    maps = []
    for query, key, mask in (calls[block] for block in blocks):
        key = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
        scores = query.double() @ key.double().transpose(-1, -2) * query.shape[-1] ** -0.5
        if mask is not None:
            scores = scores + (mask.double().log() if mask.dtype == torch.bool else mask)
        rows = scores[0, :, first : first + grid_hw[0] * grid_hw[1]]
        if reading == "text":
            kept = torch.full_like(rows, -torch.inf)
            kept[..., said] = rows[..., said]
            rows = kept
        shares = rows.softmax(-1).mean(0)
        maps.append(torch.stack([shares[:, spot].mean(-1) for spot in spots]))
    return torch.stack(maps).mean(0).unflatten(-1, grid_hw).float()


@pytest.mark.parametrize("reading", ["all", "text"])
@torch.inference_mode()
def test_its_maps_are_those_of_plain_full_attention(folder, model, reading):
    image = torch.rand(*SIZE_HW, 3, generator=torch.Generator().manual_seed(0))
    source = TransformersAttention(
        model, AttentionSettings(resolution=128, reading=reading, even=False)
    )
    found = source.read(torch.nn.functional.pad(image, (0, 0, 0, 120)), [parse(TEXT)])[0]
    wanted = plain_maps(
        model, kind(folder), source, torch.nn.functional.pad(image, (0, 0, 0, 120)), reading
    )
    assert found.word_maps.shape == wanted.shape
    torch.testing.assert_close(found.word_maps, wanted, atol=2e-6, rtol=1e-4)


def test_threads_that_share_a_pipeline_get_what_each_would_get_alone(folder, model):
    source = TransformersAttention(model, AttentionSettings(resolution=128))
    image, lines = torch.rand(*SIZE_HW, 3), [parse(TEXT), parse("a cat and a very small dog")]
    alone = [source.read(image, [line])[0] for line in lines]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda line: source.read(image, [line])[0], lines * 2))
    for each, wanted in zip(found, alone * 2, strict=True):
        torch.testing.assert_close(each.word_maps, wanted.word_maps)


def test_the_command_line_segments_with_a_folder(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (96, 160, 3), np.uint8)
    PIL.Image.fromarray(pixels).save("noise.png")
    Path("small.json").write_text('{"base": "default", "attention": {"resolution": 128}}')
    arguments = ["--checkpoint", str(folder), "--variant", "g", "--settings", "small.json"]
    assert run(["segment", "noise.png", "--expression", TEXT, *arguments, "--json"]) == 0
    (record,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert record["expression"] == TEXT and record["variant"] == "g"
    with PIL.Image.open(record["mask"]) as mask:
        assert mask.size == (160, 96)
