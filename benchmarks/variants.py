"""What is said to make such models faster, tried on one picture."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from refdiff_core.backends.checkpoints import StableDiffusion

from . import work
from .build import Build

Trial = Callable[[StableDiffusion], StableDiffusion]


def channels_last(model: StableDiffusion) -> StableDiffusion:
    """Weights, and with them activations, in the other order."""
    for part in (model.unet, model.vae):
        part.to(memory_format=torch.channels_last)
    return model


def compiled(model: StableDiffusion) -> StableDiffusion:
    """The autoencoder through torch.compile; the denoiser's pass is cut short by an exception."""
    model.vae.encoder = torch.compile(model.vae.encoder)
    return model


TRIALS: dict[str, tuple[torch.dtype, Trial]] = {
    "as it is": (torch.float32, lambda model: model),
    "channels_last": (torch.float32, channels_last),
    "bfloat16": (torch.bfloat16, lambda model: model),
    "bfloat16, channels_last": (torch.bfloat16, channels_last),
    "torch.compile, autoencoder alone": (torch.float32, compiled),
}


def try_all(build: Build, side: int, rounds: int = 3) -> list[tuple[str, float, float, float]]:
    """For every trial, seconds of the first encode, of a later one, and of the denoiser's pass."""
    found = []
    for name, (dtype, change) in TRIALS.items():
        model = change(build(torch.device("cpu"), dtype)[0])
        parts = {part.stage: part.run for part in work.diffusion_floor(model, side, 1)}
        first = _seconds(parts[work.AUTOENCODER])
        later = min(_seconds(parts[work.AUTOENCODER]) for _ in range(rounds))
        passes = min(_seconds(parts[work.DENOISER]) for _ in range(rounds))
        found.append((name, first, later, passes))
    return found


@torch.inference_mode()
def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
