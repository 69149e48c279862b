"""The denoiser and its text encoder: plain denoising, no mask is ever shown to it."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel

from refdiff_core.demo.architectures import (
    DENOISER_CONFIG,
    SCHEDULER_CONFIG,
    TEXT_ENCODER_CONFIG,
)
from refdiff_core.demo.scenes import caption
from training.captions import EMPTY_CAPTIONS, sample_caption
from training.dataset import Bucket, held_out, load_buckets
from training.latents import load_latents
from training.localisation import evaluate
from training.loop import (
    Progress,
    RunningMean,
    arguments,
    descend,
    is_first,
    learning_rate,
    own_share,
    set_learning_rate,
)
from training.words import FULL, SHORT, Words, small_table

log = logging.getLogger("refdiff.training")

DENOISER_FILE = "denoiser.pt"
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


def caption_words(buckets: list[Bucket]) -> Words:
    """The words of all captions, found by drawing one per training scene."""
    rng = np.random.default_rng(0)
    return Words([caption(b.scene(i), rng) for b in buckets for i in range(0, len(b), 4)])


def load_denoiser(work: Path, words: Words) -> tuple[Denoiser, int]:
    """The running mean of the trained weights, in eval mode, and the number of steps."""
    saved = torch.load(work / DENOISER_FILE, weights_only=True)
    model = Denoiser(len(words)).eval()
    with torch.no_grad():
        for parameter, mean in zip(model.parameters(), saved["mean"], strict=True):
            parameter.copy_(mean)
    return model, saved["step"]


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
        "" if rng.random() < EMPTY_CAPTIONS else sample_caption(buckets[which].scene(i), rng)
        for i in indices
    ]
    return latents[which][torch.from_numpy(indices)].float(), texts


class Run:
    """A training run that can be interrupted: every step draws from its own seed."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.path = options, options.work / DENOISER_FILE
        self.buckets, self.scenes = load_buckets(options.work), held_out()
        self.words = caption_words(self.buckets)
        self.latents, self.test_latents = load_latents(options.work, self.buckets)
        torch.manual_seed(options.seed)
        self.model = Denoiser(len(self.words))
        self.parameters = list(self.model.parameters())
        self.optimizer = torch.optim.AdamW(
            self.parameters, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        self.mean = RunningMean(self.parameters, 0.998)
        self.first = self._resume() if self.path.exists() else 0
        self.scheduler = DDPMScheduler(**SCHEDULER_CONFIG)

    def _resume(self) -> int:
        saved = torch.load(self.path, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.mean.mean, self.mean.steps = saved["mean"], saved["step"]
        return int(saved["step"])

    def save(self, step: int) -> None:
        """Write the checkpoint beside the old one, then replace that."""
        saved = {
            "step": step,
            "model": self.model.state_dict(),
            "mean": self.mean.mean,
            "optimizer": self.optimizer.state_dict(),
        }
        torch.save(saved, self.path.with_suffix(".tmp"))
        self.path.with_suffix(".tmp").replace(self.path)

    def step(self, step: int) -> float:
        """One optimisation step; returns its loss."""
        options, rng = self.options, np.random.default_rng((self.options.seed, step))
        rate = learning_rate(step, options.steps, options.rate, decay=options.decay)
        set_learning_rate(self.optimizer, rate)
        clean, texts = _batch(self.buckets, self.latents, rng, options.batch)
        length = FULL if rng.random() < FULL_LENGTH_BATCHES else SHORT
        timesteps = _timesteps(rng, options.batch)
        noise = torch.from_numpy(rng.standard_normal(clean.shape, dtype=np.float32))
        clean, noise, timesteps = own_share(clean), own_share(noise), own_share(timesteps)
        noisy = self.scheduler.add_noise(clean, noise, timesteps)
        velocity = self.scheduler.get_velocity(clean, noise, timesteps)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = self.model(noisy, timesteps, self.words.rows(own_share(texts), length))
        loss = F.mse_loss(found.float(), velocity)
        descend(loss, self.optimizer, self.parameters)
        self.mean.update()
        return float(loss.detach())

    def report(self, step: int) -> None:
        """Log the localisation figures of the weights' running mean."""
        self.mean.swap()
        unet, text_encoder = self.model.eval().unet, self.model.text_encoder
        found = evaluate(unet, text_encoder, self.words, self.scenes, self.test_latents)
        for group, figures in found["all"].items():
            log.info("step %d, %s: %s", step, group, figures)
        self.model.train()
        self.mean.swap()


def main() -> None:
    """Train the demo denoiser, going on where an interrupted run left off."""
    options = arguments(
        main.__doc__, steps=9_000, decay=4_700, batch=16, rate=1.2e-3, seed=0, report=1_000
    )
    run, progress = Run(options), Progress(100)
    log.info("%d words, %d parameters", len(run.words), sum(p.numel() for p in run.parameters))
    for step in range(run.first, options.steps):
        progress.add(step, loss=run.step(step))
        done = step + 1
        last = done == options.steps
        if is_first() and (last or done % 100 == 0):
            run.save(done)
        if is_first() and (last or done % options.report == 0):
            run.report(done)


if __name__ == "__main__":
    main()
