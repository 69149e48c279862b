"""What is asked inside ComfyUI's own process: the same maps as diffusers, and no traces left."""

import json

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file
from torch import nn

from refdiff_core.backends.families import SD1, SD2, SDXL


def test_the_demo_checkpoint_gives_the_map_that_diffusers_gives(ask):
    found = ask("agreement", "demo")
    assert found["count"] == 3
    assert found["contrast"] > 0.5  # or equal maps would say nothing
    assert found["heat"] <= 1e-3


def test_every_way_of_reading_gives_the_map_that_diffusers_gives_for_each_line_alone(ask):
    for way, (apart, moved) in ask("ways").items():
        assert apart <= 1e-3 < 0.02 < moved, way


def test_a_batch_is_encoded_in_one_pass_where_there_is_room_with_the_same_masks(ask):
    found = ask("several")
    assert found["1"] == [1] * 6 and found["3"] == [3, 3], "the autoencoder's and SAM's"
    assert min(found["same"]) >= 0.99 and min(found["right"]) > 0.5


def test_latents_are_the_ones_that_diffusers_gives(ask):
    found = ask("latents", "demo")
    assert found["difference"] <= 1e-4 * found["largest"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "options"),
    [
        (SD1, {}),
        (SD1, {"channels": 9}),
        (SD2, {}),
        (SD2, {"v_prediction": True}),
        (SDXL, {}),
    ],
    ids=["sd1", "sd1-inpainting", "sd2", "sd2-v", "sdxl"],
)
def test_a_full_size_checkpoint_gives_the_map_that_diffusers_gives(ask, full_size, family, options):
    # in ComfyUI as in `widen`: on a CPU these weights are computed with in float32
    file = str(full_size(family, **options))
    found = ask("agreement", file, "256", flags="--fp16-unet")
    assert found["family"] == family.name
    assert found["v_prediction"] == [options.get("v_prediction", False)] * 2
    assert found["contrast"] > 0.5
    assert found["heat"] <= 1e-3


@pytest.mark.slow
def test_a_tiny_autoencoder_gives_the_map_that_diffusers_gives(ask, full_size, tmp_path):
    write_taesd(tmp_path)
    found = ask("agreement", str(full_size(SD1)), "256", str(tmp_path), flags="--fp16-unet")
    assert found["contrast"] > 0.5
    assert found["heat"] <= 1e-3


def write_taesd(folder):
    """A random one in its publisher's two files, as ComfyUI has them in models/vae_approx."""
    torch.manual_seed(0)
    tiny = AutoencoderTiny()
    # there the decoder's first layer is one without weights, which diffusers' does not count
    parts = {
        "encoder": tiny.encoder.layers,
        "decoder": nn.Sequential(nn.Tanh(), *tiny.decoder.layers),
    }
    for name, part in parts.items():
        save_file(part.state_dict(), folder / f"taesd_{name}.safetensors")


def test_the_same_picture_is_made_before_and_after_also_after_an_error_and_a_stop(ask):
    assert ask("traces", "demo") == {"read": True, "error": True, "stop": True, "options": True}


def test_patches_of_other_packs_stay_in_place_and_do_their_work(ask):
    found = ask("patched")
    assert found == {"difference": 0.0, "seen": ["attn2", "override"]}


def test_another_noise_schedule_between_changes_no_map(ask):
    found = ask("samplings")
    said = found["apart"].pop("edm")
    assert max(found["apart"].values()) <= 1e-3, found["apart"]
    assert said > 0.05  # EDM is what its weights were trained with: taken at its word, and logged
    assert found["ends"] == [2] * 4
    assert found["after"] == 0


def test_the_texts_own_rows_and_tokens_are_read_where_another_pack_adds_some(ask):
    for name, apart in ask("texts").items():
        assert apart <= 0.02, name
    found, alone = ask("doubled")
    assert found <= 1e-3
    assert alone.startswith("UnavailableError: ") and "154 tokens" in alone
    plain, spread = ask("merged")
    assert plain == 2
    assert spread.startswith("UnavailableError: ") and "self-attention" in spread


def test_distilled_models_without_a_middle_block_have_layers_to_read(ask):
    assert ask("distilled") == [15, 15]


def test_an_image_adapter_works_on_while_the_words_are_recorded(ask):
    found = ask("adapted")
    assert found["idle"] == 0
    assert found["busy"] > 0.02  # what it adds is seen further on
    assert found["blocks"] >= 2
    assert found["moved"]
    assert found["same picture"]


def test_storyicons_models_are_read_and_ours_run_in_its_nodes(ask):
    found = ask("storyicon")
    assert found["count"] >= 2
    assert found["left"] == ["sam_vit_b_01ec64.pth", False, "cpu"]
    assert found["masks"] == [2, 1, 96, 160]
    assert found["placed"]
    assert found["high quality"]


def test_grids_of_any_shape_and_texts_of_any_length(ask):
    found = ask("shapes")
    # 12 x 20 and 4 x 64 places: the picture's proportions at the model's own area
    assert found["77 places"] == [1, [56, 88], [12, 20]]
    assert found["strip"] == [1, [16, 400], [4, 64]]
    assert found["tiny"] == [1, [1, 1], [16, 16]]
    assert found["forty"][0] == 40
    assert found["long"] == [1, [96, 96], [16, 16]]


LONG = "and the yellow star " * 24
PROMPTS = {
    "the red circle": {"red": ["red</w>"], "circle": ["circle</w>"]},
    "the (red:1.2) circle": {"red": ["red</w>"], "circle": ["circle</w>"]},
    "((red)) [circle] (on the left:0.8)": {"red": ["red</w>"], "circle": ["circle</w>"]},
    r"red circle \(large\)": {"red": ["red</w>"], "circle": ["circle</w>"]},
    "not: the purple tennisball": {"purple": ["purple</w>"], "tennisball": ["tennis", "ball</w>"]},
    LONG + "beside the red [circle]": {"circle": ["circle</w>"]},
}


@pytest.mark.parametrize(("family", "encoders"), [("demo", "l"), ("sd2", "h"), ("sdxl", "gl")])
def test_words_are_found_in_the_hosts_prompt_syntax(ask, family, encoders):
    found = ask("words", family, json.dumps(list(PROMPTS)))
    for line, words in PROMPTS.items():
        read = found[line]["words"]
        assert sorted(read) == sorted(encoders)
        for encoder in encoders:  # SDXL has two, and their padding differs
            assert {word: read[encoder][word] for word in words} == words, line
        assert "(" not in found[line]["text"] or "\\(" in line
    assert "1.2" not in found["the (red:1.2) circle"]["text"]


def test_an_embedding_stands_for_its_name(ask):
    line = "the embedding:test-cat on the left of a (blue:1.3) square"
    found = ask("embedding", line)
    assert found["text"].startswith("the test-cat on the left")
    assert found["words"]["test-cat"] == ["embedding"] * 3
    assert found["relation"]["square"] == ["square</w>"]


def test_models_and_segs_are_shared_with_other_packs(ask):
    found = ask("interop")
    assert found["model_name"] == "sam_vit_b_01ec64"
    assert found["impact"] == [3, 1, True]
    assert found["foreign"] and found["count"] >= 1
    assert found["refused"]
    assert found["held, freed"] == [True, True]
    assert found["segs"][0] == "SEG"
    assert {"cropped_mask", "crop_region", "bbox", "label", "confidence"} <= set(found["segs"][2])
    assert found["round trip"]
    # another pack's place stays the first, and what it lists stays what it was
    assert found["sams"] == [True, 2, [".pth"]]


def test_an_unchanged_picture_is_encoded_once_whatever_is_asked(ask):
    # by autoencoder, SAM's encoder and its decoder for the grid: first look, other words, another
    # picture, the picture changed
    assert ask("once") == [[1, 1, 1], [1, 1, 1], [2, 2, 2], [3, 3, 3]]


def test_another_shape_calls_no_model_and_other_words_encode_no_picture(ask):
    found = ask("shaping")
    for models in ("unet", "vae", "text", "sam", "grid", "clip"):
        assert found["first"][models] > 0, models
        for change in ("grow", "feather", "fill", "invert", "union", "alpha", "threshold"):
            assert found[change][models] == 0, (change, models)
    assert (found["words"]["vae"], found["words"]["sam"], found["words"]["unet"]) == (0, 0, 1)
    assert (found["picture"]["vae"], found["picture"]["sam"], found["picture"]["unet"]) == (1, 1, 1)


def test_a_lora_counts_and_leaves_nothing_behind(ask):
    found = ask("lora")
    assert found["changed"] > 0.05
    assert found["left"] == 0


@pytest.mark.parametrize(
    ("flags", "dtype", "least"),
    [
        ("--force-fp32 --use-split-cross-attention", "torch.float32", 0.9999),
        ("--force-fp32 --use-pytorch-cross-attention", "torch.float32", 0.9999),
        ("--bf16-unet", "torch.bfloat16", 0.98),
        ("--fp16-unet", "torch.float16", 0.98),
        ("--fp8_e4m3fn-unet", "torch.float8_e4m3fn", 0.8),
    ],
)
def test_any_precision_and_attention_gives_the_same_map(ask, flags, dtype, least):
    found = ask("precision", flags=flags)
    assert found["dtype"] == dtype
    assert found["correlation"] >= least


def test_masks_of_two_dimensions_and_none_at_all(ask):
    assert ask("flat") == [1, 1, 1, [12, 20], False]
