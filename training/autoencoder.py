"""The denoiser's autoencoder: factor 4, four latent channels.

Encoder and decoder are trained together first. The decoder is refined afterwards, with the
encoder frozen, so that latents stay what they are.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from refdiff_core.demo.architectures import AUTOENCODER_CONFIG
from refdiff_core.evaluation.models import psnr
from training.dataset import Bucket, held_out, load_buckets
from training.loop import (
    Progress,
    arguments,
    descend,
    is_first,
    learning_rate,
    own_share,
    pixels,
    set_learning_rate,
)

log = logging.getLogger("refdiff.training")

AUTOENCODER_FILE = "autoencoder.pt"
CROP = 64
PEAK_RATE = {"joint": 1e-3, "decoder": 5e-4}
FIRST_LOG_VARIANCE = -6.0


def load_autoencoder(work: Path) -> AutoencoderKL:
    """The trained autoencoder, float32, in eval mode, with its scaling factor."""
    saved = torch.load(work / AUTOENCODER_FILE, weights_only=True)
    model = AutoencoderKL(**AUTOENCODER_CONFIG, scaling_factor=saved["scaling_factor"])
    model.load_state_dict(saved["model"])
    return model.eval()


@torch.no_grad()
def encode(model: AutoencoderKL, images: np.ndarray, batch: int = 32) -> Tensor:
    """uint8 (B, H, W, 3) to scaled latent means, float32 (B, 4, H / 8, W / 8)."""
    parts = []
    for start in range(0, len(images), batch):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            distribution = model.encode(pixels(images[start : start + batch]) / 127.5 - 1)
        parts.append(distribution.latent_dist.mean.float())
    return torch.cat(parts) * model.config.scaling_factor


def _fresh() -> AutoencoderKL:
    """Fresh weights whose latents carry little noise, so that colours get through at once."""
    model = AutoencoderKL(**AUTOENCODER_CONFIG, scaling_factor=1.0)
    with torch.no_grad():
        model.quant_conv.bias[AUTOENCODER_CONFIG["latent_channels"] :] = FIRST_LOG_VARIANCE
    return model


def _crops(buckets: list[Bucket], rng: np.random.Generator, count: int) -> Tensor:
    """Pieces around objects: flat background teaches nothing about colours."""
    pieces = []
    for _ in range(count):
        bucket = buckets[rng.integers(len(buckets))]
        index = int(rng.integers(len(bucket)))
        item = bucket.objects[index][rng.integers(len(bucket.objects[index]))]
        corner = np.array(item.center_xy[::-1]) + rng.integers(-20, 20, 2) - CROP / 2
        y, x = np.clip(corner, 0, np.array(bucket.size_hw) - CROP).astype(int)
        pieces.append(bucket.images[index, y : y + CROP, x : x + CROP])
    return pixels(pieces) / 127.5 - 1


def _whole(buckets: list[Bucket], rng: np.random.Generator, count: int) -> Tensor:
    bucket = buckets[rng.integers(len(buckets))]
    return pixels(bucket.images[rng.integers(len(bucket), size=count)]) / 127.5 - 1


def _reconstruction_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """3 MSE + 0.4 L1 + 0.4 gradient; L1 alone turns colours grey."""
    error = found - wanted
    slope = (error[..., 1:] - error[..., :-1]).abs().mean()
    slope = slope + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return 3 * error.square().mean() + 0.4 * error.abs().mean() + 0.4 * slope


def _train(model: AutoencoderKL, buckets: list[Bucket], stage: str, steps: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    joint = stage == "joint"
    model.train()
    model.encoder.requires_grad_(joint)
    model.quant_conv.requires_grad_(joint)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, betas=(0.9, 0.99), weight_decay=0.0)
    progress = Progress(50)
    for step in range(steps):
        set_learning_rate(optimizer, learning_rate(step, steps, PEAK_RATE[stage], warm_up=30))
        # Whole pictures at the end only: a crop costs a quarter.
        crops = step < (0.88 if joint else 0.5) * steps
        wanted = own_share(_crops(buckets, rng, 8) if crops else _whole(buckets, rng, 4))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            distribution = model.encode(wanted).latent_dist
            found = model.decode(distribution.sample()).sample.float()
        divergence = distribution.kl().mean() / distribution.mean[0].numel()
        loss = _reconstruction_loss(found, wanted) + (2e-4 * divergence if joint else 0.0)
        descend(loss, optimizer, parameters)
        error = float((found.detach() - wanted).square().mean())
        progress.add(step, loss=float(loss.detach()), psnr=10 * float(np.log10(4 / error)))
    model.eval()


def _scaling_factor(model: AutoencoderKL, buckets: list[Bucket]) -> float:
    """What brings the latents to unit deviation."""
    sample = torch.cat([encode(model, bucket.images[:100]).flatten() for bucket in buckets])
    return float(model.config.scaling_factor / sample.std())


def _save(model: AutoencoderKL, work: Path) -> None:
    saved = {"model": model.state_dict(), "scaling_factor": model.config.scaling_factor}
    if is_first():
        torch.save(saved, work / AUTOENCODER_FILE)


def main() -> None:
    """Train the demo autoencoder."""
    options = arguments(main.__doc__, steps=800, refinement=800, seed=0)
    torch.manual_seed(options.seed)
    buckets = load_buckets(options.work)
    model = _fresh()
    _train(model, buckets, "joint", options.steps, options.seed)
    model.register_to_config(scaling_factor=_scaling_factor(model, buckets))
    # The encoder is final here: latents may be made of it while the decoder gets better.
    _save(model, options.work)
    _train(model, buckets, "decoder", options.refinement, options.seed + 1)
    _save(model, options.work)
    if is_first():
        log.info("scaling factor %r", model.config.scaling_factor)
        log.info("held-out PSNR %.2f dB", psnr(model, held_out()))


if __name__ == "__main__":
    main()
