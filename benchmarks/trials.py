"""What is said to make such models faster, tried on one picture."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import torch

from refdiff_core.backends.families import SD1
from refdiff_core.evaluation.demo import to_markdown

from . import work
from .build import build_clip, build_diffusion, build_sam
from .measure import machine
from .work import Part

CPU = torch.device("cpu")
CROPS, PROMPTS = 20, 64
"""Of a batch, as `ClipSettings` and `SamSettings` have them."""


@dataclass(frozen=True)
class Trial:
    """A way to run the same models.

    dtype: what they compute in. layout: of their kernels. compiled: the autoencoder goes through
    torch.compile, the rest is not tried; the denoiser's pass is cut short by an exception.
    """

    dtype: torch.dtype = torch.float32
    layout: torch.memory_format = torch.contiguous_format
    compiled: bool = False


TRIALS = {
    "float32": Trial(),
    "float32, channels last": Trial(layout=torch.channels_last),
    "the same, autoencoder compiled": Trial(layout=torch.channels_last, compiled=True),
    "bfloat16": Trial(torch.bfloat16),
    "bfloat16, channels last": Trial(torch.bfloat16, torch.channels_last),
}

HEAD = """# What else was tried

Made by `python -m benchmarks trials --write docs/trials.md` on {machine}, with torch {torch}.

Seconds of a picture of {side} pixels through full-size models with random weights: Stable
Diffusion 1.5, Segment Anything vit_b, CLIP ViT-B/16. The first encode in a process is all that
somebody with one picture waits for. Segment Anything computes in bfloat16 by autocast, and in its
encoder alone; CLIP's is open_clip's own.

{table}

So on the CPU a checkpoint's kernels are laid out channels last, Segment Anything is given few
prompts at once, and all but its decoder computes in bfloat16 where the processor can;
where it has none, bfloat16 would be emulated. `--dtype float32` and
`load_models(dtype=torch.float32)` turn that off. What it does to the masks:
[precision.md](precision.md)."""


def try_one(trial: Trial, side: int, rounds: int = 3) -> dict[str, float]:
    """Seconds of the first encode, and of everything later, by name."""
    model = build_diffusion(SD1, CPU, trial.dtype)
    sam = build_sam("vit_b", CPU, torch.float32)
    clip = build_clip("ViT-B-16", CPU, trial.dtype)
    for part in (model.unet, model.vae, sam, clip.model):
        part.to(memory_format=trial.layout)
    if trial.compiled:
        model.vae.encoder = torch.compile(model.vae.encoder)
    parts = {part.stage: part for part in work.diffusion_floor(model, side, 1)}
    found = {"first encode": seconds_of(parts[work.AUTOENCODER])}
    if trial.compiled:
        return found | {work.AUTOENCODER: _best(parts[work.AUTOENCODER], rounds)}
    timed = [
        parts[work.AUTOENCODER],
        parts[work.DENOISER],
        Part(work.SAM_PICTURE, "one", lambda: work.embed_picture(sam, trial.dtype)),
        Part(f"SAM, {PROMPTS} at once", "a batch", lambda: work.decode(sam, PROMPTS)),
        Part(f"SAM, {PROMPTS} by 4", "4", lambda: [work.decode(sam, 4) for _ in range(16)]),
        Part(f"CLIP, {CROPS} crops", "a batch", lambda: work.crops(clip, CROPS)),
    ]
    return found | {part.stage: _best(part, rounds) for part in timed}


@click.command()
@click.option("--side", default=512, show_default=True, help="Of the picture, in pixels.")
@click.option("--write", type=click.Path(path_type=Path), help="Also write the page.")
def trials(side: int, write: Path | None) -> None:
    """Time what is said to make such models faster, on one picture on the CPU."""
    work.warm_up(build_diffusion(SD1, CPU, torch.float32), side)
    found = {}
    for name, trial in TRIALS.items():
        click.echo(name, err=True)
        found[name] = try_one(trial, side)
    text = HEAD.format(
        machine=machine(CPU),
        torch=torch.__version__,
        side=side,
        table=_table(found),
    )
    click.echo(text)
    if write is not None:
        write.write_text(text + "\n")


def _table(found: Mapping[str, Mapping[str, float]]) -> str:
    stages = list(next(iter(found.values())))
    rows = [["", *stages]]
    for name, seconds in found.items():
        shown = (f"{seconds[stage]:.2f}" if stage in seconds else "-" for stage in stages)
        rows.append([name, *shown])
    return to_markdown(rows)


def _best(part: Part, rounds: int) -> float:
    return min(seconds_of(part) for _ in range(rounds))


@torch.inference_mode()
def seconds_of(part: Part) -> float:
    """Wall seconds of one run."""
    start = time.perf_counter()
    part.run()
    return time.perf_counter() - start
