"""What is said to make such models faster, tried on one picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import torch

from refdiff_core.backends.checkpoints import StableDiffusion
from refdiff_core.backends.families import SD1
from refdiff_core.evaluation.demo import to_markdown

from . import work
from .build import build_diffusion
from .measure import machine

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


HEAD = """# What else was tried

Made by `python -m benchmarks trials --write docs/trials.md` on {machine}, with torch {torch}.

Seconds of Stable Diffusion 1.5 at {side} pixels, full size, random weights: the first encode of a
picture, a later one, the denoiser's pass. Something that pays only from the second picture on
does not pay for somebody who has one. None of it is on by default; `load_models(dtype=...)` sets
the denoiser's type, and [optimisations.md](optimisations.md) says what that does to the masks."""


def try_all(side: int, rounds: int = 3) -> Iterator[tuple[str, float, float, float]]:
    """For every trial, seconds of the first encode, of a later one, and of the denoiser's pass."""
    work.warm_up(build_diffusion(SD1, torch.device("cpu"), torch.float32), side)
    for name, (dtype, change) in TRIALS.items():
        model = change(build_diffusion(SD1, torch.device("cpu"), dtype))
        parts = {part.stage: part.run for part in work.diffusion_floor(model, side, 1)}
        first = _seconds(parts[work.AUTOENCODER])
        later = min(_seconds(parts[work.AUTOENCODER]) for _ in range(rounds))
        passes = min(_seconds(parts[work.DENOISER]) for _ in range(rounds))
        yield name, first, later, passes


@click.command()
@click.option("--side", default=512, show_default=True, help="Of the picture, in pixels.")
@click.option("--write", type=click.Path(path_type=Path), help="Also write the page.")
def trials(side: int, write: Path | None) -> None:
    """Time what is said to make such models faster, on one picture on the CPU."""
    rows = [["", "first encode", "later encode", "denoiser"]]
    for name, *figures in try_all(side):
        click.echo(name, err=True)
        rows.append([name, *(f"{seconds:.2f}" for seconds in figures)])
    head = HEAD.format(machine=machine(), torch=torch.__version__, side=side)
    text = f"{head}\n\n{to_markdown(rows)}"
    click.echo(text)
    if write is not None:
        write.write_text(text + "\n")


@torch.inference_mode()
def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
