"""Prints the shipped models' figures on the held-out scenes; needs nothing but the package.

python -m training.figures [--models denoiser,transformer,autoencoder,sam,clip]

With ``--work FOLDER`` the transformer is what `training.transformer` has saved there, read in
``--blocks`` and at ``--sigma`` as that said is best.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel

from refdiff_core.backends.checkpoints import load_stable_diffusion
from refdiff_core.backends.pipelines import load_demo_transformer
from refdiff_core.backends.transformer_families import DEMO_TRANSFORMER
from refdiff_core.demo.architectures import (
    AUTOENCODER_CONFIG,
    DENOISER_CONFIG,
    SCALING_FACTOR,
    TEXT_ENCODER_CONFIG,
)
from refdiff_core.demo.models import DENOISER_FILE, load_clip, load_sam
from refdiff_core.demo.scenes import HELD_OUT_SEED
from refdiff_core.evaluation.models import psnr, sam_iou
from training.autoencoder import encode
from training.clip import log_report
from training.dataset import HELD_OUT_SCENES, held_out
from training.joint_localisation import read_maps, selection
from training.layout import original_autoencoder, original_unet
from training.localisation import evaluate
from training.transformer import ask_scenes, load_transformer
from training.words import Words

log = logging.getLogger("refdiff.training")

Rename = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def _fill(model: nn.Module, prefix: str, rename: Rename) -> None:
    """Load a part of the single file through the names that ``rename`` gives."""
    shipped, own = load_file(DENOISER_FILE), model.state_dict()
    names = dict(zip(own, rename(own), strict=True))
    found = {key: shipped[prefix + names[key]].view_as(value) for key, value in own.items()}
    model.load_state_dict({key: value.float() for key, value in found.items()})
    model.eval()


def _autoencoder() -> AutoencoderKL:
    model = AutoencoderKL(**AUTOENCODER_CONFIG, scaling_factor=SCALING_FACTOR)
    _fill(model, "first_stage_model.", original_autoencoder)
    return model


def denoiser_figures(scenes: int) -> None:
    """Localisation by the mean of all layers of the finest grid that has cross-attention."""
    unet = UNet2DConditionModel(**DENOISER_CONFIG)
    _fill(unet, "model.diffusion_model.", original_unet)
    text_encoder = CLIPTextModel(CLIPTextConfig(**TEXT_ENCODER_CONFIG))
    _fill(text_encoder, "cond_stage_model.transformer.text_model.", dict)
    chosen, autoencoder = held_out(scenes), _autoencoder()
    latents = [encode(autoencoder, scene.image[None]) for scene in chosen]
    for timestep in (20, 100, 300, 500):
        found = evaluate(unet, text_encoder, Words.all(), chosen, latents, timestep=timestep)
        for name, by_group in found.items():
            for group, figures in by_group.items():
                log.info("timestep %d, %s, %s: %s", timestep, name, group, figures)


def transformer_figures(
    scenes: int, work: Path | None, blocks: tuple[int, int], sigma: float
) -> None:
    """How often attention chooses right in some blocks, by each reading."""
    model = load_transformer(work)[0] if work else load_demo_transformer().transformer
    asked = ask_scenes(HELD_OUT_SEED, scenes, load_stable_diffusion(DENOISER_FILE))
    for name, maps in read_maps(model, asked, sigma).items():
        if name.endswith("blocks {} to {}".format(*blocks)):
            count = sum(len(each) for each, _ in maps)
            log.info("transformer, %s: %.3f of %d", name, selection(maps), count)


def autoencoder_figures(scenes: int) -> None:
    """Reconstruction of held-out pictures."""
    log.info("autoencoder: %.2f dB", psnr(_autoencoder(), held_out(scenes)))


def sam_figures(scenes: int) -> None:
    """Mean IoU, a point or a box per object."""
    for name, value in sam_iou(load_sam(), held_out(scenes)):
        log.info("SAM, %s: %.3f", name, value)


def clip_figures(scenes: int) -> None:
    """Share of expressions whose object is picked among the scene's true masks."""
    clip = load_clip()

    def encode_texts(texts: Sequence[str]) -> Tensor:
        return F.normalize(clip.model.encode_text(clip.tokenizer(list(texts))), dim=-1)

    log_report(clip.model, encode_texts, scenes)


def main() -> None:
    """Print the figures of the models asked for."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--models", default="denoiser,transformer,autoencoder,sam,clip")
    parser.add_argument("--work", type=Path, help="a trained transformer in place of the shipped")
    first, *_, last = DEMO_TRANSFORMER.blocks  # where the package reads the shipped one
    parser.add_argument("--blocks", type=int, nargs=2, default=(first, last), help="first and last")
    parser.add_argument("--sigma", type=float, default=DEMO_TRANSFORMER.timestep / 1000)
    parser.add_argument("--scenes", type=int, default=HELD_OUT_SCENES)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(options.threads)
    figures = {
        "denoiser": denoiser_figures,
        "transformer": partial(
            transformer_figures, work=options.work, blocks=options.blocks, sigma=options.sigma
        ),
        "autoencoder": autoencoder_figures,
        "sam": sam_figures,
        "clip": clip_figures,
    }
    for name in options.models.split(","):
        figures[name](options.scenes)


if __name__ == "__main__":
    main()
