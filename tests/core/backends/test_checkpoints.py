"""Checkpoints from disk: files, folders, half precision, and what is no checkpoint."""

import copy
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from refdiff_core.backends.checkpoints import load_stable_diffusion, read_state_dict
from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.demo.models import DENOISER_FILE
from refdiff_core.errors import ModelError
from refdiff_core.language.expression import parse


def test_a_diffusers_folder_gives_the_same_map_as_the_single_file(source, image, tmp_path):
    for name, part in (("unet", source.model.unet), ("vae", source.model.vae)):
        plain = copy.deepcopy(part).to(memory_format=torch.contiguous_format)
        plain.save_pretrained(tmp_path / name)
    source.model.text_encoders[0].save_pretrained(tmp_path / "text_encoder")
    folder = DiffusersAttention.load(tmp_path)
    expressions = [parse("the red circle")]
    assert torch.allclose(
        folder.read(image, expressions)[0].heat, source.read(image, expressions)[0].heat, atol=1e-4
    )
    shutil.rmtree(tmp_path / "vae")
    with pytest.raises(ModelError, match="holds no weights"):
        load_stable_diffusion(tmp_path)


def test_ckpt_files_of_weights_are_read_and_pickled_code_is_not(tmp_path, source, image):
    state = load_file(DENOISER_FILE)
    torch.save({"state_dict": state, "global_step": 3}, tmp_path / "model.ckpt")
    loaded = DiffusersAttention.load(tmp_path / "model.ckpt")
    expressions = [parse("the red circle")]
    assert torch.equal(
        loaded.read(image, expressions)[0].heat, source.read(image, expressions)[0].heat
    )

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(ModelError, match="holds no weights"):
        read_state_dict(tmp_path / "evil.ckpt")
    assert not (tmp_path / "written").exists()


def without(prefix):
    return {k: v for k, v in load_file(DENOISER_FILE).items() if not k.startswith(prefix)}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: {"a.weight": torch.zeros(2)}, "not a Stable Diffusion checkpoint"),
        (lambda: without("first_stage_model.decoder"), "AutoencoderKL|lacks"),
        (lambda: without("cond_stage_model"), "CLIPTextModel"),
        (lambda: without("model.diffusion_model.output_blocks.1."), "UNet2DConditionModel|lacks"),
    ],
    ids=["another model", "no decoder", "no text encoder", "half a denoiser"],
)
def test_a_checkpoint_that_is_not_one_or_not_whole_is_told(make, message, tmp_path):
    save_file(make(), tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=message):
        load_stable_diffusion(tmp_path / "model.safetensors")


def test_missing_truncated_and_foreign_files_are_told(tmp_path):
    with pytest.raises(ModelError, match="no model file"):
        load_stable_diffusion(tmp_path / "nowhere.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(DENOISER_FILE.read_bytes()[:100_000])
    with pytest.raises(ModelError, match="cannot be read"):
        load_stable_diffusion(cut)
    text = tmp_path / "notes.ckpt"
    text.write_text("not a model")
    with pytest.raises(ModelError, match="cannot be read"):
        load_stable_diffusion(text)
    with pytest.raises(ModelError, match="no diffusers folder"):
        load_stable_diffusion(tmp_path)
    unknown = {
        "model.diffusion_model.input_blocks.0.0.weight": torch.zeros(48, 4, 3, 3),
        "model.diffusion_model.input_blocks.1.1.attn2.to_k.weight": torch.zeros(48, 99),
    }
    save_file(unknown, tmp_path / "odd.safetensors")
    with pytest.raises(ModelError, match="unknown family: 48 channels, text of width 99"):
        load_stable_diffusion(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gives_nearly_the_same_map(dtype, source, image):
    if dtype == torch.float16 and torch.__version__ < "2.2":
        pytest.skip("torch before 2.2 has no float16 on processors")
    half = DiffusersAttention.load(DENOISER_FILE, dtype=dtype)
    expressions = [parse("the red circle"), parse("the star")]
    for exact, rough in zip(
        source.read(image, expressions), half.read(image, expressions), strict=True
    ):
        assert (exact.heat - rough.heat).abs().mean() < 0.02
