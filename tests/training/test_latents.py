"""Latents that the denoiser learns from belong to the autoencoder beside them."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

from refdiff_core.demo.architectures import AUTOENCODER_CONFIG
from refdiff_core.demo.scenes import sample_scene


@pytest.fixture
def latents(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    module = importlib.import_module("training.latents")
    monkeypatch.setattr(module, "held_out", lambda: [sample_scene(0, size_hw=(96, 128))])
    return module


def autoencoder(seed):
    from diffusers import AutoencoderKL

    torch.manual_seed(seed)
    return AutoencoderKL(**AUTOENCODER_CONFIG, scaling_factor=0.5).eval()


def save(model, folder):
    saved = {"model": model.state_dict(), "scaling_factor": model.config.scaling_factor}
    torch.save(saved, folder / "autoencoder.pt")


def few_scenes(latents):
    images = np.stack([sample_scene(seed, size_hw=(96, 128)).image for seed in (1, 2)])
    return [latents.Bucket(images, np.zeros((2, 4, 96, 16), np.uint8), [(), ()])]


def test_they_are_kept_while_the_decoder_gets_better_and_refused_beside_another_encoder(
    latents, tmp_path
):
    model, scenes = autoencoder(0), few_scenes(latents)
    save(model, tmp_path)
    (first,), _ = latents.load_latents(tmp_path, scenes)
    assert first.shape == (2, 4, 24, 32)
    with torch.no_grad():
        model.decoder.conv_in.weight.add_(1)
    save(model, tmp_path)
    (again,), _ = latents.load_latents(tmp_path, scenes)
    assert torch.equal(first, again)
    save(autoencoder(1), tmp_path)
    with pytest.raises(SystemExit, match=r"latents\.pt' is of another autoencoder"):
        latents.load_latents(tmp_path, scenes)
