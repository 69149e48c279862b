"""A tiny autoencoder in place of the checkpoint's own, with random weights."""

from dataclasses import replace

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file

from refdiff_core.backends.checkpoints import load_stable_diffusion
from refdiff_core.backends.diffusers_attention import DiffusersAttention, encode_pixels
from refdiff_core.backends.families import SD1
from refdiff_core.backends.tiny_autoencoder import load_tiny_autoencoder
from refdiff_core.demo.models import DENOISER_FILE
from refdiff_core.errors import ModelError
from refdiff_core.language.expression import parse
from refdiff_core.models.loading import load_models


@pytest.fixture(scope="module")
def demo():
    return load_stable_diffusion(DENOISER_FILE)


@pytest.fixture(scope="module")
def photographs(demo):
    """The demo, said to halve pictures three times, as all real families do."""
    from diffusers import AutoencoderKL

    with torch.device("meta"):
        vae = AutoencoderKL(**SD1.vae)
    return replace(demo, vae=vae.to_empty(device="cpu"))


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return AutoencoderTiny().eval()


def files(tiny, folder):
    """The same encoder as its publisher, diffusers and ComfyUI write it."""
    encoder = tiny.encoder.layers.state_dict()
    save_file(encoder, folder / "taesd_encoder.safetensors")
    torch.save(encoder, folder / "taesd_encoder.pth")
    save_file(tiny.state_dict(), folder / "diffusion_pytorch_model.safetensors")
    joined = {f"taesd_encoder.{key}": value for key, value in encoder.items()}
    save_file(joined, folder / "taesd.safetensors")
    tiny.save_pretrained(folder / "taesd")
    return sorted(folder.iterdir())


@torch.inference_mode()
def test_every_layout_of_the_file_gives_the_same_latents(photographs, tiny, tmp_path):
    pixels = torch.rand(1, 3, 40, 64)
    expected = tiny.encoder(pixels * 2 - 1)
    paths = files(tiny, tmp_path)
    assert len(paths) == 5
    for path in paths:
        loaded = load_tiny_autoencoder(path, photographs)
        assert torch.allclose(encode_pixels(loaded, pixels), expected, atol=1e-5), path
        assert not any(each.requires_grad for each in loaded.parameters())


@torch.inference_mode()
def test_its_latents_are_not_scaled_again_and_the_autoencoders_are(demo, tiny):
    pixels = torch.rand(1, 3, 48, 64)
    assert encode_pixels(tiny, pixels).shape == (1, 4, 6, 8)
    own = encode_pixels(demo.vae, pixels)
    mean = demo.vae.encode(pixels * 2 - 1).latent_dist.mean
    assert torch.allclose(own, mean * demo.vae.config.scaling_factor)
    assert torch.equal(encode_pixels(tiny, pixels), tiny.encode(pixels * 2 - 1).latents)


@pytest.fixture
def quarter(tmp_path):
    """A tiny autoencoder that halves twice, as the demo does, in its folder."""
    torch.manual_seed(0)
    widths = (64, 64, 64)
    tiny = AutoencoderTiny(
        encoder_block_out_channels=widths,
        num_encoder_blocks=(1, 3, 3),
        decoder_block_out_channels=widths,
        num_decoder_blocks=(3, 3, 1),
    )
    tiny.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_it_encodes_in_place_of_the_checkpoints_own(quarter):
    models = load_models(checkpoint=DENOISER_FILE, tiny_autoencoder=quarter)
    plain = DiffusersAttention.load(DENOISER_FILE)
    image, asked = torch.rand(48, 80, 3), [parse("the red circle")]
    (found,), (usual,) = models.attention.read(image, asked), plain.read(image, asked)
    assert isinstance(models.attention.model.vae, AutoencoderTiny)
    assert found.heat.shape == usual.heat.shape and not torch.equal(found.heat, usual.heat)


def test_one_for_latents_of_another_size_is_told(demo, photographs, tiny, quarter):
    tiny.save_pretrained(quarter.parent / "eighth")
    with pytest.raises(
        ModelError, match="4 channels at 1/8 of the picture's size, but the bundled"
    ):
        load_tiny_autoencoder(quarter.parent / "eighth", demo)
    with pytest.raises(ModelError, match="1/4 of the picture's size, but .* at 1/8"):
        load_tiny_autoencoder(quarter, photographs)


def test_other_files_are_told(photographs, tiny, tmp_path):
    save_file(tiny.decoder.layers.state_dict(), tmp_path / "taesd_decoder.safetensors")
    with pytest.raises(ModelError, match="not the encoder of a TAESD"):
        load_tiny_autoencoder(tmp_path / "taesd_decoder.safetensors", photographs)
    with pytest.raises(ModelError, match="config.json. cannot be read"):
        load_tiny_autoencoder(tmp_path, photographs)
    with pytest.raises(ModelError, match="no model file"):
        load_tiny_autoencoder(tmp_path / "nowhere.safetensors", photographs)
