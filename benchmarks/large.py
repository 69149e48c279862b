"""What grows with a picture, and with masks from outside: seconds and memory beside the models."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click
import torch

from refdiff_core.evaluation.demo import publish, to_markdown
from refdiff_core.fine import LogitMasks
from refdiff_core.finishing import Finish
from refdiff_core.grid import working_grid
from refdiff_core.pictures.images import check_image, shrink
from refdiff_core.settings import Settings
from refdiff_core.values import Drawing, Proposals

from . import many
from .measure import machine
from .whole import SIZES_HW, measure_sizes, size_rows

CPU = torch.device("cpu")
SHAPES = {
    "as it is": {},
    "grown by 20 pixels": {"grow": 20},
    "feathered by 20 pixels": {"feather": 20},
    "filled": {"fill": True},
    "inverted": {"invert": True},
}

HEAD = """# Large pictures and many masks

Made by `python -m benchmarks large --write docs/large-pictures.md` on {machine}, with torch
{torch}, in one thread. A processor's seconds, which other work on the machine disturbs least.

{sizes}

All three show the same drawing. The least that anybody must do is to read a picture's pixels once
and to write its mask's that are not empty. Models see a copy of {side} pixels a side at most, of
whole pixels averaged; what is beside them there is the same for every picture that large.

{work}

A mask is drawn where there is something of it. Here it is an ellipse over an eighth of the picture.

{masks}

MiB are what came on top of picture, masks and models. What CLIP takes for the crops of masks is
told from the rest by having its passes' answers ready: what is left is all that is not CLIP, with
its memory. Maps of noise fall into thousands of parts, of which few become candidates."""


def steps() -> list[list[str]]:
    """What is done to a picture's pixels, and to those of its mask."""
    rows: dict[str, list[str]] = {}
    for size_hw in SIZES_HW.values():
        picture = torch.rand(size_hw[0] // 10, size_hw[1] // 10, 3).repeat_interleave(10, 0)
        picture = picture.repeat_interleave(10, 1)
        works: dict[str, Callable[[], object]] = {
            "reading the pixels": lambda picture=picture: torch.aminmax(picture),
            "checking them": lambda picture=picture: check_image(picture),
            "the models' copy": lambda picture=picture: shrink(picture),
            "writing a mask": lambda size_hw=size_hw: torch.zeros(size_hw).fill_(1),
        }
        winner = _ellipse(size_hw)
        for name, shape in SHAPES.items():
            drawing = Drawing(winner, finish=Finish(Settings(**shape)))
            works[f"a mask {name}"] = drawing.draw
        for name, work in works.items():
            rows.setdefault(name, [name]).append(f"{_seconds(work):.3f}")
    return [["megapixels", *SIZES_HW], *rows.values()]


def _ellipse(size_hw: tuple[int, int]) -> Proposals:
    y, x = torch.linspace(-1, 1, 192)[:, None], torch.linspace(-1, 1, 256)
    fine = LogitMasks((0.16 - x**2 - y**2)[None], (192.0, 256.0))
    return Proposals(fine.on_grid(working_grid(size_hw)), torch.ones(1), size_hw, fine)


def _seconds(work: Callable[[], object], rounds: int = 3) -> float:
    found = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


@click.command()
@click.option("--write", type=click.Path(path_type=Path), help="Also write the page.")
def large(write: Path | None) -> None:
    """Measure what large pictures and many masks cost beside the models; two minutes."""
    torch.set_num_threads(1)
    sizes = size_rows(measure_sizes(CPU))
    tables = (to_markdown(each) for each in (sizes, steps(), list(many.rows())))
    text = HEAD.format(
        machine=machine(CPU),
        torch=torch.__version__,
        side=2048,
        **dict(zip(("sizes", "work", "masks"), tables, strict=True)),
    )
    publish(text, write)
