"""The demo transformer, in SD 3's layout: plain denoising, no mask is ever shown to it.

It works on the latents and the texts of the demo denoiser, whose autoencoder and text encoder
stay as they are. The pooled text is shut off, so that words reach the picture by attention alone.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from multiprocessing import Pool
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from diffusers import SD3Transformer2DModel
from torch import Tensor, nn
from torch.nn import functional as F

from refdiff_core.backends.checkpoints import StableDiffusion, load_stable_diffusion
from refdiff_core.backends.diffusers_attention import encode_pixels
from refdiff_core.backends.tokens import stack_layouts, tokenize
from refdiff_core.demo.architectures import TEXT_ENCODER_CONFIG, TRANSFORMER_CONFIG
from refdiff_core.demo.models import DENOISER_FILE
from refdiff_core.demo.scenes import HELD_OUT_SEED, SIZES_HW, Scene, sample_scene
from training.captions import EMPTY_CAPTIONS, sample_caption
from training.dataset import COUNT
from training.joint_localisation import Asked, ask, read_maps, selection
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

log = logging.getLogger("refdiff.training")

TRANSFORMER_FILE = "transformer.pt"
CAPTIONS = 8
# Where the text decides most: below, the picture shows everything; above, nothing binds.
MIDDLE_SHARE, MIDDLE = 0.65, (0.4, 0.9)
# For choosing block, noise and reading: of none of these is any figure reported.
CHOOSING_SEED, CHOOSING_SCENES = HELD_OUT_SEED + 500_000, 200


class Bucket(NamedTuple):
    """Training scenes of one size: latents (S, 4, h, w), token ids (S, CAPTIONS, 77)."""

    latents: Tensor
    texts: Tensor


def new_transformer(blocks: int) -> SD3Transformer2DModel:
    """Fresh weights that begin as the identity, as DiT's do, with the pooled text shut off."""
    model = SD3Transformer2DModel(**{**TRANSFORMER_CONFIG, "num_layers": blocks})
    quiet = [model.norm_out.linear, model.proj_out]
    for block in model.transformer_blocks:
        quiet += [block.norm1.linear, block.norm1_context.linear]
    pooled = model.time_text_embed.text_embedder.linear_1
    for layer in (*quiet, pooled):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    pooled.requires_grad_(False)
    return model


def load_transformer(work: Path) -> tuple[SD3Transformer2DModel, int]:
    """The running mean of the trained weights, in eval mode, and the number of steps."""
    saved = torch.load(work / TRANSFORMER_FILE, weights_only=True)
    model = new_transformer(saved["blocks"]).eval()
    model.load_state_dict({name: value.float() for name, value in saved["model"].items()})
    return model, saved["step"]


def _draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A scene's picture, uint8 (H, W, 3), and its captions' token ids, int32 (CAPTIONS, 77)."""
    scene, rng = sample_scene(seed, count=COUNT), np.random.default_rng((seed, 1))
    texts = [sample_caption(scene, rng) for _ in range(CAPTIONS)]
    texts = ["" if rng.random() < EMPTY_CAPTIONS else text for text in texts]
    ids = stack_layouts([tokenize(text) for text in texts], TEXT_ENCODER_CONFIG["pad_token_id"])
    return scene.image, ids[:, 0].int().numpy()


def draw_scenes(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Scenes 0 to ``count`` - 1, by as many processes as there are processors."""
    with Pool() as pool:
        return pool.map(_draw, range(count), chunksize=64)


def encode_scenes(
    scenes: list[tuple[np.ndarray, np.ndarray]], frozen: StableDiffusion
) -> list[Bucket]:
    """Latents and captions by the pictures' size."""
    buckets = []
    for size_hw in SIZES_HW:
        chosen = [each for each in scenes if each[0].shape[:2] == size_hw]
        if chosen:
            texts = torch.from_numpy(np.stack([ids for _, ids in chosen]))
            latents = encode(frozen, [image for image, _ in chosen])
            buckets.append(Bucket(latents, texts.to(latents.device)))
    return buckets


@torch.no_grad()
def encode(frozen: StableDiffusion, images: list[np.ndarray], batch: int = 256) -> Tensor:
    """uint8 pictures of one size to latents, float16 (S, 4, h, w)."""
    parts = []
    for start in range(0, len(images), batch):
        pixels = torch.from_numpy(np.stack(images[start : start + batch])).to(frozen.vae.device)
        latents = encode_pixels(frozen.vae, pixels.permute(0, 3, 1, 2).float() / 255)
        parts.append(latents.half())
    return torch.cat(parts)


def ask_scenes(first_seed: int, count: int, frozen: StableDiffusion) -> list[Asked]:
    """Held-out scenes with their expressions, by size."""
    scenes = [sample_scene(first_seed + i) for i in range(count)]
    by_size: dict[tuple[int, ...], list[Scene]] = {}
    for scene in scenes:
        by_size.setdefault(scene.image.shape[:2], []).append(scene)
    return [
        ask(group, encode(frozen, [scene.image for scene in group]).float(), frozen)
        for group in by_size.values()
    ]


class Run:
    """A training run: every step draws from its own seed."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.device, self.start = options, options.device, time.monotonic()
        scenes = draw_scenes(options.scenes)
        self.frozen = load_stable_diffusion(DENOISER_FILE, options.device)
        self.buckets = encode_scenes(scenes, self.frozen)
        self.asked = ask_scenes(CHOOSING_SEED, CHOOSING_SCENES, self.frozen)
        torch.manual_seed(options.seed)
        self.model = new_transformer(options.blocks).to(options.device)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        self.mean = RunningMean(self.parameters, 0.998)

    def share_done(self, step: int) -> float:
        """How much of the budget is spent, of steps or of seconds, whichever is the more."""
        seconds = (time.monotonic() - self.start) / (self.options.seconds or float("inf"))
        return max(step / self.options.steps, seconds)

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Latents, noise, sigmas and token ids, of one size."""
        draw = torch.Generator(self.device).manual_seed(self.options.seed * 10**6 + step)
        count, where = self.options.batch, {"generator": draw, "device": self.device}
        sizes = torch.tensor([len(bucket.latents) for bucket in self.buckets], dtype=torch.float)
        which = int(sizes.multinomial(1, generator=torch.Generator().manual_seed(step)))
        latents, texts = self.buckets[which]
        rows = torch.randint(len(latents), (count,), **where)
        clean = latents[rows].float()
        ids = texts[rows, torch.randint(CAPTIONS, (count,), **where)].long()
        low, high = MIDDLE
        sigmas = torch.rand(count, **where)
        middle = torch.rand(count, **where) < MIDDLE_SHARE
        sigmas = torch.where(middle, low + (high - low) * sigmas, sigmas)
        return clean, torch.randn(clean.shape, **where), sigmas, ids

    def step(self, step: int) -> Tensor:
        """One optimisation step; returns its loss."""
        rate = learning_rate_at(self.share_done(step), step, self.options.rate)
        set_learning_rate(self.optimizer, rate)
        clean, noise, sigmas, ids = (own_share(part) for part in self.batch(step))
        with torch.no_grad():
            text = self.frozen.text_encoders[0](ids).last_hidden_state
        at = sigmas[:, None, None, None]
        noisy = (1 - at) * clean + at * noise
        with torch.autocast(self.device.partition(":")[0], dtype=torch.bfloat16):
            found = self.model(noisy, text, text[:, 0], sigmas * 1000, return_dict=False)[0]
        loss = F.mse_loss(found.float(), noise - clean)
        descend(loss, self.optimizer, self.parameters)
        self.mean.update()
        return loss.detach()

    def save(self, step: int) -> None:
        """Write the weights' running mean beside the old file, then replace that."""
        self.mean.swap()
        weights = {name: value.cpu().clone() for name, value in self.model.state_dict().items()}
        self.mean.swap()
        path = self.options.work / TRANSFORMER_FILE
        saved = {"step": step, "blocks": self.options.blocks, "model": weights}
        torch.save(saved, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def report(self, step: int, sigmas: tuple[float, ...]) -> None:
        """Log how often attention chooses right on the scenes for choosing, best first."""
        self.mean.swap()
        found = [
            (selection(maps), sigma, name)
            for sigma in sigmas
            for name, maps in read_maps(self.model.eval(), self.asked, sigma).items()
        ]
        self.model.train()
        self.mean.swap()
        for share, sigma, name in sorted(found, reverse=True)[:12]:
            log.info("step %d, sigma %.1f, %s: selection %.3f", step, sigma, name, share)


def learning_rate_at(done: float, step: int, peak: float) -> float:
    """Warm-up over 200 steps, then as `learning_rate`, by the share of the budget that is spent."""
    return learning_rate(round(done * 10_000), 10_000, min(1.0, (step + 1) / 200) * peak, warm_up=1)


def main() -> None:
    """Train the demo transformer."""
    options = arguments(
        main.__doc__,
        **{"steps": 1_200, "seconds": 0, "batch": 32, "rate": 1e-3, "scenes": 4_000},
        **{"blocks": 4, "seed": 0, "report": 1_000, "device": "cpu"},
    )
    options.work.mkdir(parents=True, exist_ok=True)
    run, progress, step = Run(options), Progress(100), 0
    log.info("%d parameters, %d processors", sum(map(Tensor.numel, run.parameters)), os.cpu_count())
    while run.share_done(step) < 1:
        loss, step = run.step(step), step + 1
        if step % 50 == 0:
            progress.add(step - 1, loss=float(loss))
        if is_first() and step % options.report == 0:
            run.save(step)
            run.report(step, (0.5, 0.7))
    if is_first():
        run.save(step)
        run.report(step, (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9))


if __name__ == "__main__":
    main()
