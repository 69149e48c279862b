"""The denoiser and its text encoder: plain denoising, no mask is ever shown to it."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel

from refdiff_core.demo.architectures import (
    DENOISER_CONFIG,
    SCHEDULER_CONFIG,
    TEXT_ENCODER_CONFIG,
)
from refdiff_core.demo.scenes import caption
from training.dataset import Bucket, held_out, load_buckets
from training.localisation import evaluate
from training.loop import (
    Progress,
    RunningMean,
    arguments,
    descend,
    learning_rate,
    set_learning_rate,
)
from training.words import FULL, SHORT, Words, small_table

log = logging.getLogger("refdiff.training")

EMPTY_CAPTIONS = 0.08
FULL_LENGTH_BATCHES = 0.1
# Where the text decides most: below, the picture shows everything; above, nothing binds.
MIDDLE_SHARE, MIDDLE = 0.65, (400, 950)


class Denoiser(nn.Module):
    """UNet and text encoder, with the small word table in place of the full one."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.unet = UNet2DConditionModel(**DENOISER_CONFIG)
        # Faster than the fused kernel in the backward pass on CPU.
        self.unet.set_attn_processor(AttnProcessor())
        self.text_encoder = CLIPTextModel(CLIPTextConfig(**TEXT_ENCODER_CONFIG))
        table = small_table(words, TEXT_ENCODER_CONFIG["hidden_size"])
        self.text_encoder.get_input_embeddings().weight = table.weight

    def forward(self, noisy: Tensor, timesteps: Tensor, rows: Tensor) -> Tensor:
        """Predicted velocity, (B, 4, h, w)."""
        hidden = self.text_encoder(rows).last_hidden_state
        return self.unet(noisy, timesteps, hidden).sample


def _start_from(folder: Path, model: Denoiser, words: Words) -> None:
    """Load a diffusers folder's UNet and text encoder as the first step's weights."""
    unet = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    text_encoder = load_file(folder / "text_encoder" / "model.safetensors")
    table = "embeddings.token_embedding.weight"
    text_encoder[table] = text_encoder[table][words.ids]
    model.unet.load_state_dict(unet)
    model.text_encoder.load_state_dict(text_encoder)


def caption_words(buckets: list[Bucket]) -> Words:
    """The words of all captions, found by drawing one per training scene."""
    rng = np.random.default_rng(0)
    return Words([caption(b.scene(i), rng) for b in buckets for i in range(0, len(b), 4)])


def _timesteps(rng: np.random.Generator, count: int) -> Tensor:
    anywhere, middle = rng.integers(0, 1000, count), rng.integers(*MIDDLE, count)
    return torch.from_numpy(np.where(rng.random(count) < MIDDLE_SHARE, middle, anywhere))


def _batch(
    buckets: list[Bucket], latents: list[Tensor], rng: np.random.Generator, count: int
) -> tuple[Tensor, list[str]]:
    """Latents of one size and a caption each; some captions are empty."""
    which = rng.integers(len(buckets))
    indices = rng.integers(len(latents[which]), size=count)
    texts = [
        "" if rng.random() < EMPTY_CAPTIONS else caption(buckets[which].scene(i), rng)
        for i in indices
    ]
    return latents[which][torch.from_numpy(indices)].float(), texts


def _save(path: Path, step: int, model: Denoiser, mean: RunningMean, state: object) -> None:
    saved = {"step": step, "model": model.state_dict(), "mean": mean.mean, "optimizer": state}
    torch.save(saved, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def main() -> None:
    """Train the demo denoiser; every step draws from its own seed, so a run can be resumed."""
    options = arguments(
        main.__doc__, name="denoiser", steps=8_000, decay=2_500, batch=16, rate=1.2e-3, seed=0,
        start="", report=1_000, compile=1,
    )  # fmt: skip
    torch.manual_seed(options.seed)
    buckets = load_buckets(options.work)
    saved = torch.load(options.work / "latents.pt", weights_only=True)
    latents, test_latents = saved["training"], saved["held out"]
    scenes, words = held_out(), caption_words(buckets)
    model = Denoiser(len(words))
    if options.start:
        _start_from(Path(options.start), model, words)
    parameters = list(model.parameters())
    log.info("%d words, %.2f M parameters", len(words), sum(p.numel() for p in parameters) / 1e6)
    optimizer = torch.optim.AdamW(parameters, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    mean = RunningMean(parameters, 0.999)
    path = options.work / f"{options.name}.pt"
    first = 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        first, mean.mean, mean.steps = saved["step"], saved["mean"], saved["step"]
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
    forward = torch.compile(model, dynamic=False) if options.compile else model
    scheduler, progress = DDPMScheduler(**SCHEDULER_CONFIG), Progress(100)
    for step in range(first, options.steps):
        rng = np.random.default_rng((options.seed, step))
        rate = learning_rate(step, options.steps, options.rate, decay=options.decay)
        set_learning_rate(optimizer, rate)
        clean, texts = _batch(buckets, latents, rng, options.batch)
        length = FULL if rng.random() < FULL_LENGTH_BATCHES else SHORT
        timesteps = _timesteps(rng, options.batch)
        noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32))
        noisy = scheduler.add_noise(clean, noise, timesteps)
        velocity = scheduler.get_velocity(clean, noise, timesteps)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = forward(noisy, timesteps, words.rows(texts, length))
        loss = F.mse_loss(found.float(), velocity)
        descend(loss, optimizer, parameters)
        mean.update()
        progress.add(step, loss=float(loss.detach()))
        if (step + 1) % 250 == 0:
            _save(path, step + 1, model, mean, optimizer.state_dict())
        if (step + 1) % options.report == 0 or step + 1 == options.steps:
            mean.swap()
            model.eval()
            found_figures = evaluate(model.unet, model.text_encoder, words, scenes, test_latents)
            for name, figures in found_figures.items():
                log.info("step %d, %s: %s", step + 1, name, figures)
            model.train()
            mean.swap()
    _save(path, options.steps, model, mean, optimizer.state_dict())


if __name__ == "__main__":
    main()
