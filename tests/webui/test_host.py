"""A real WebUI, asked over its API."""

import json

import numpy as np
import pytest
import torch
from demo_files import LORA
from fake_host import demo_checkpoint
from scene import RED_CIRCLE_LEFT, picture, truth

from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.language.expression import parse
from refdiff_core.pictures.images import from_pil

SAM = [0, 0, False, 0.15, "Ref-Diff demo"]


def bits(mask):
    return np.asarray(mask.convert("L")) > 127


def iou(mask, true):
    return (bits(mask) & true).sum() / (bits(mask) | true).sum()


def apart(a, b):
    return np.abs(np.asarray(a.convert("RGB")).astype(int) - np.asarray(b.convert("RGB")))


def correlation(webui, words):
    """Of the host's map of some words with the one through diffusers."""
    answer = webui.paint(picture(), heat=words)
    ours = torch.tensor(np.asarray(answer[-1].convert("L")), dtype=torch.float32) / 255
    (theirs,) = DiffusersAttention(demo_checkpoint()).read(from_pil(picture()), [parse(words)])
    return torch.corrcoef(torch.stack([ours.flatten(), theirs.heat.flatten()]))[0, 1]


def test_the_red_circle_on_the_left_is_found_and_only_it_is_repainted(webui):
    painted, mask = webui.paint(picture(), True, RED_CIRCLE_LEFT)
    assert iou(mask, truth()) >= 0.7
    changed = apart(painted, picture())
    assert changed[~bits(mask)].max() == 0 and changed[bits(mask)].mean() > 5
    assert f"Ref-Diff: {RED_CIRCLE_LEFT}" in webui.info["infotexts"][0]


def test_brackets_in_our_words_are_not_noted_as_the_pictures_emphasis(webui):
    settings = {"override_settings": {"return_mask": True, "emphasis": "No norm"}}
    webui.paint(picture(), True, "the (red) circle on the left", **settings)
    assert "Ref-Diff: the (red)" in webui.info["infotexts"][0]
    assert "Emphasis:" not in webui.info["infotexts"][0]
    webui.paint(picture(), prompt="a (green) square", **settings)  # reForge notes it from then on
    assert "Emphasis: No norm" in webui.info["infotexts"][0]


def test_segment_anything_finds_it_sharply(webui):
    _, mask = webui.paint(picture(), True, RED_CIRCLE_LEFT, *SAM)
    assert iou(mask, truth()) >= 0.9


def test_clip_helps_to_choose(webui):
    _, mask = webui.paint(picture(), True, RED_CIRCLE_LEFT, *SAM, "Ref-Diff demo")
    assert iou(mask, truth()) >= 0.9


@pytest.mark.parametrize("words", [RED_CIRCLE_LEFT, "the blue square", "the yellow star"])
def test_maps_are_those_through_diffusers(webui, words):
    """The test extension beside ours reads one map inside the host."""
    assert correlation(webui, words) >= 0.999


@pytest.mark.parametrize(
    "optimisation",
    [
        "Doggettx",
        "sub-quadratic",
        "InvokeAI",
        "V1 - original v1",
        "sdp - scaled dot product",
        "sdp-no-mem - scaled dot product without memory efficient attention",
        "None",
    ],
)
def test_maps_are_the_same_whatever_computes_attention(webui, optimisation):
    """AUTOMATIC1111's changes while it runs; Forge's are flags: WEBUI_FLAGS=--attention-quad."""
    if webui.forge:
        pytest.skip("only AUTOMATIC1111 changes it while it runs")
    webui.post("/sdapi/v1/options", {"cross_attention_optimization": optimisation})
    try:
        assert correlation(webui, "the blue square") >= 0.999
    finally:
        webui.post("/sdapi/v1/options", {"cross_attention_optimization": "Automatic"})


def test_loras_that_are_loaded_count(webui):
    def heat(**options):
        webui.paint(picture(), **options)  # what it loads is what the next map is read with
        return webui.paint(picture(), heat="the blue square", **options)[-1]

    plain = heat()
    assert apart(heat(prompt=f"a star <lora:{LORA}:1>"), plain).max() > 20
    assert apart(heat(), plain).max() == 0


def test_the_next_picture_is_as_without_us(webui):
    webui.paint(picture())  # the very first one draws what the others do not
    before = webui.paint(picture())
    webui.paint(picture(), True, RED_CIRCLE_LEFT)
    webui.paint(picture())
    assert apart(webui.paint(picture())[0], before[0]).max() == 0


def test_words_that_say_nothing_leave_the_picture_alone(webui):
    painted = webui.paint(picture(), True, "")[0]
    assert apart(painted, picture()).max() == 0


def test_every_picture_of_a_batch_gets_its_mask(webui):
    mirrored = picture().transpose(0)
    masks = [webui.paint(each, True, "the blue square")[-1] for each in (picture(), mirrored)]
    assert (bits(masks[0]).nonzero()[1].mean() < 96) != (bits(masks[1]).nonzero()[1].mean() < 96)
    assert json.dumps(webui.info)
