"""Checkpoints that lack layers of what they were made from: told by their weights alone."""

import pytest
import torch
from checkpoints import training_layout
from safetensors.torch import load_file, save_file

from refdiff_core.backends.checkpoints import load_stable_diffusion
from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.backends.families import DEMO, SD1, SD2, SDXL, UNET
from refdiff_core.backends.original_layout import depth_config
from refdiff_core.demo.models import DENOISER_FILE
from refdiff_core.language.expression import parse

SSD_1B = {
    "transformer_layers_per_block": [[1, 1], [2, 2], [4, 4]],
    "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], [1, 1, 1]],
    "mid_block_type": "UNetMidBlock2D",
}
KOALA_700M = {
    "layers_per_block": 1,
    "transformer_layers_per_block": [1, 2, 5],
    "mid_block_type": None,
}
KINDS = {
    "SD 1.x": (SD1, {}),
    "SD 2.x": (SD2, {}),
    "SDXL": (SDXL, {}),
    "demo": (DEMO, {}),
    "SSD-1B": (SDXL, SSD_1B),
    "Vega": (
        SDXL,
        {"transformer_layers_per_block": [1, 1, 2], "mid_block_type": "UNetMidBlock2D"},
    ),
    "KOALA-700M": (SDXL, KOALA_700M),
    "KOALA-1B": (SDXL, {"layers_per_block": 1, "transformer_layers_per_block": [1, 2, 6]}),
    "BK-SDM-Small": (SD1, {"layers_per_block": 1, "mid_block_type": None}),
}


def unet(config):
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(**config)


def shapes(model):
    return {name: each.shape for name, each in model.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_denoisers_depth_is_told_by_the_names_of_its_weights(kind):
    family, own = KINDS[kind]
    with torch.device("meta"):
        wanted = unet({**family.unet, **own})
        weights = {k: v for k, v in wanted.state_dict().items() if not k.startswith("add_emb")}
        names = training_layout().original_unet(weights)
        depth = depth_config(names, len(wanted.config["block_out_channels"]))
        found = unet({**family.unet, **depth})
    assert shapes(found) == shapes(wanted)


@pytest.mark.parametrize("kind", ["SSD-1B", "KOALA-700M"])
def test_file_and_folder_of_a_distilled_kind_give_the_same_maps(tmp_path, kind):
    torch.manual_seed(0)
    own = {key: _halved(value) for key, value in KINDS[kind][1].items()}
    denoiser = unet({**DEMO.unet, **own, "layers_per_block": 1})
    state = {k: v for k, v in load_file(DENOISER_FILE).items() if not k.startswith(UNET)}
    layout = training_layout().original_unet(denoiser.state_dict())
    save_file({**state, **{UNET + k: v for k, v in layout.items()}}, tmp_path / "a.safetensors")
    one = load_stable_diffusion(tmp_path / "a.safetensors")
    assert one.unet.config["mid_block_type"] == KINDS[kind][1]["mid_block_type"]
    for name, part in (
        ("unet", denoiser),
        ("vae", one.vae),
        ("text_encoder", one.text_encoders[0]),
    ):
        part.to(memory_format=torch.contiguous_format).save_pretrained(tmp_path / "folder" / name)
    other = load_stable_diffusion(tmp_path / "folder")
    picture, asked = torch.rand(96, 160, 3), [parse("the red circle"), parse("a star")]
    maps = [DiffusersAttention(each).read(picture, asked) for each in (one, other)]
    for a, b in zip(*maps, strict=True):
        assert a.word_maps.amax() > a.word_maps.amin()
        assert torch.allclose(a.word_maps, b.word_maps, atol=1e-6)


def _halved(value):
    """As many layers as the demo has, one in a block."""
    if not isinstance(value, list):
        return value
    return [each[: len(each) - 1] if isinstance(each, list) else each for each in value]


@pytest.mark.parametrize(
    "name",
    [
        "input_blocks.9.1.transformer_blocks.0.norm1.weight",
        "output_blocks.3.1.transformer_blocks.9999.norm1.weight",
        f"output_blocks.{'9' * 5000}.0.norm.weight",
        "middle_block.1.transformer_blocks.7.norm1.weight",
    ],
)
def test_blocks_that_no_denoiser_has_are_not_built(name):
    names = [key[len(UNET) :] for key in load_file(DENOISER_FILE) if key.startswith(UNET)]
    regular = depth_config(names, 3)
    assert regular and depth_config([*names, name], 3) in ({}, regular)
    assert not depth_config(names[: len(names) // 2], 3)
