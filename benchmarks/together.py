"""What is done one after the other, done at once: pictures in one pass, two models side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import click
import torch

from refdiff_core import together as core
from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.backends.families import SD1
from refdiff_core.backends.sam_proposer import ENCODER, SamProposer
from refdiff_core.evaluation.demo import publish, to_markdown
from refdiff_core.values import Image

from . import work
from .build import build_diffusion, build_sam
from .measure import Clock, machine, peak_memory

PICTURES = 4
"""Of one size, such as a batch of ComfyUI's."""

HEAD = """# Done at once

Made by `python -m benchmarks together{options} --write {page}` on {machine}, with
torch {torch}.

What is done one after the other, done at once: several pictures of one size in one pass, as
`refdiff_core/together.py` has it, and two models side by side in threads of their own. Seconds
on the wall, in brackets the processors' own, which others' work changes less, in {dtype}, the
least of {rounds}, of full-size models with random weights: Stable Diffusion 1.5 at {side} pixels,
Segment Anything vit_b. MiB beside the models.

{table}

Of its own accord a pass of the autoencoder takes {latents} of these pictures here, and one of
Segment Anything's encoder {embeddings}.

CLIP's crops are of candidates that only their own picture has, and fill its batches already; so
does its pass over the whole picture, in which each candidate has a token.

{so}"""

ON_CPU = """So on a CPU neither is done: it saves little or nothing, and takes several times the
memory.

On a CUDA device `refdiff batch`, `refdiff evaluate` and batches in ComfyUI take several pictures in
one pass, as many as fit half of its free memory and what the published schedule takes at 1024
pixels. What that saves there was not measured; `python -m benchmarks together --device cuda` does
so. Segment Anything does not run beside the denoiser anywhere: what it saves here is nothing."""

ON_GPU = """Segment Anything does not run beside the denoiser: on a CPU that saved nothing
([together.md](together.md))."""


@torch.inference_mode()
def try_together(
    source: DiffusersAttention, proposer: SamProposer, side: int, rounds: int
) -> list[list[str]]:
    """What is done one after the other, done at once: a table, its head first."""
    draw = torch.Generator().manual_seed(0)
    pictures = torch.rand(PICTURES, side, side, 3, generator=draw).unbind()
    encode, embed = partial(_encode, source, pictures), partial(_encode, proposer, pictures)
    denoise = partial(work.run_denoiser, source.model, side, 1)
    look = partial(proposer.embed, pictures[0])
    works: dict[str, dict[str, Callable[[], object]]] = {
        f"{PICTURES} pictures, autoencoder": {
            "one by one": partial(encode, 1),
            "at once": partial(encode, PICTURES),
        },
        f"{PICTURES} pictures, Segment Anything's encoder": {
            "one by one": partial(embed, 1),
            "at once": partial(embed, PICTURES),
        },
        "denoiser and Segment Anything's encoder": {
            "one by one": lambda: (denoise(), look()),
            "at once": partial(_side_by_side, source.device, denoise, look),
        },
    }
    rows = [["", "one by one", "MiB", "at once", "MiB"]]
    for name, ways in works.items():
        memory, clock = dict[str, float](), Clock()
        for _ in range(rounds):  # in turn, so that both are disturbed alike
            for way, run in ways.items():
                with peak_memory(memory, way, source.device, beside=True):
                    clock(way, run)
        rows.append([name])
        for way, times in clock.times.items():
            seconds = f"{times.best:.2f} ({min(times.processor):.2f})"
            rows[-1] += [seconds, f"{1024 * memory[way]:.0f}"]
    return rows


def _encode(
    backend: DiffusersAttention | SamProposer, pictures: Sequence[Image], at_once: int
) -> None:
    """All pictures, each in its turn, with nothing kept of them."""
    backend.cache.clear()
    with core.together(core.Lot(pictures, at_once)):
        for each in pictures:
            backend.encode_picture(each)


def _side_by_side(device: torch.device, *works: Callable[[], object]) -> None:
    @torch.inference_mode()
    def run(one: Callable[[], object]) -> None:
        # in one stream a GPU does one after the other
        alone = torch.cuda.stream(torch.cuda.Stream()) if device.type == "cuda" else nullcontext()
        with alone:
            one()

    with ThreadPoolExecutor(len(works)) as crew:
        list(crew.map(run, works))


@click.command()
@click.option("--side", default=512, show_default=True, help="Of the picture, in pixels.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--write", type=click.Path(path_type=Path), help="Also write the page.")
def together(side: int, device: str, write: Path | None) -> None:
    """Time pictures in one pass and models side by side; three minutes on a CPU."""
    place, on_cpu = torch.device(device), device == "cpu"
    half, rounds = (torch.bfloat16, 2) if on_cpu else (torch.float16, 5)
    source = DiffusersAttention(build_diffusion(SD1, place, half))
    proposer = SamProposer(build_sam("vit_b", place, torch.float32), dtype=half)
    # what each encoder holds of a picture: the autoencoder in its own type, the other in float32
    shown = proposer.sam.image_encoder.img_size
    latents = core.AUTOENCODER * side**2 * source.model.vae.dtype.itemsize
    embeddings = ENCODER * shown**2 * torch.float32.itemsize
    text = HEAD.format(
        options="" if on_cpu else f" --device {device}",
        page="docs/together.md" if on_cpu else "docs/together-gpu.md",
        machine=machine(place),
        torch=torch.__version__,
        dtype=str(half).removeprefix("torch."),
        rounds=rounds,
        side=side,
        table=to_markdown(try_together(source, proposer, side, rounds)),
        latents=core.pictures_at_once(place, latents),
        embeddings=core.pictures_at_once(place, embeddings),
        so=ON_CPU if on_cpu else ON_GPU,
    )
    publish(text, write)
