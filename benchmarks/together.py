"""What is done one after the other, done at once: pictures in one pass, two models side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path

import click
import torch

from refdiff_core.backends.families import SD1
from refdiff_core.evaluation.demo import publish, to_markdown

from . import work
from .build import build_diffusion, build_sam
from .measure import machine, peak_memory
from .trials import seconds_of
from .work import Part

CPU, HALF = torch.device("cpu"), torch.bfloat16
PICTURES = 4
"""Of one size, such as a batch of ComfyUI's."""

HEAD = """# Done at once

Made by `python -m benchmarks together --write docs/together.md` on {machine}, with torch {torch}.

What is done one after the other, done at once: several pictures of one size in one pass, and two
models side by side in threads of their own. Wall seconds in bfloat16, the shortest of {rounds}, of
full-size models with random weights: Stable Diffusion 1.5 at {side} pixels, Segment Anything
vit_b. MiB beside the models.

{table}

CLIP's crops are of candidates that only their own picture has, and fill its batches already.

So on a CPU neither is done: it saves nothing and takes several times the memory. On a
GPU it was not measured."""


def try_together(side: int, rounds: int = 3) -> list[list[str]]:
    """What is done one after the other, done at once: a table, its head first."""
    model = build_diffusion(SD1, CPU, torch.bfloat16)
    sam = build_sam("vit_b", CPU, torch.float32)
    encode, embed = partial(work.encode, model, side), partial(work.embed_picture, sam, HALF)
    denoise = partial(work.run_denoiser, model, side, 1)
    works: dict[str, tuple[list[Callable[[], object]], Callable[[], object]]] = {
        f"{PICTURES} pictures, autoencoder": ([encode] * PICTURES, partial(encode, PICTURES)),
        f"{PICTURES} pictures, Segment Anything's encoder": (
            [embed] * PICTURES,
            partial(embed, PICTURES),
        ),
        "denoiser and Segment Anything's encoder": (
            [denoise, embed],
            partial(_side_by_side, denoise, embed),
        ),
    }
    rows = [["", "one by one", "MiB", "at once", "MiB"]]
    for name, (apart, together) in works.items():
        memory = dict[str, float]()
        seconds = {"apart": math.inf, "together": math.inf}
        runs = {"apart": lambda apart=apart: [each() for each in apart], "together": together}
        for _ in range(rounds):  # in turn, so that both are disturbed alike
            for way, run in runs.items():
                with peak_memory(memory, way, CPU, beside=True):
                    seconds[way] = min(seconds[way], seconds_of(Part(name, way, run)))
        shown = ([f"{seconds[way]:.2f}", f"{1024 * memory[way]:.0f}"] for way in runs)
        rows.append([name, *chain.from_iterable(shown)])
    return rows


def _side_by_side(*works: Callable[[], object]) -> None:
    with ThreadPoolExecutor(len(works)) as crew:
        for each in [crew.submit(torch.inference_mode()(one)) for one in works]:
            each.result()


@click.command()
@click.option("--side", default=512, show_default=True, help="Of the picture, in pixels.")
@click.option("--write", type=click.Path(path_type=Path), help="Also write the page.")
def together(side: int, write: Path | None) -> None:
    """Time pictures in one pass and models side by side, on the CPU; three minutes."""
    rounds = 2
    text = HEAD.format(
        machine=machine(CPU),
        torch=torch.__version__,
        rounds=rounds,
        side=side,
        table=to_markdown(try_together(side, rounds)),
    )
    publish(text, write)
