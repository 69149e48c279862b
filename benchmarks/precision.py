"""What computing in bfloat16 costs in quality, on the demo benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import click
import torch

from refdiff_core import load_demo
from refdiff_core.evaluation.demo import to_markdown
from refdiff_core.evaluation.metrics import Record, mean_and_error, mean_iou
from refdiff_core.evaluation.questions import held_out_scenes, questions

from .optimisations import VARIANTS, ask_all

PAGE = """# What bfloat16 costs

Made by `python -m benchmarks precision --scenes {scenes} --write docs/precision.md`: mIoU on
{scenes} scenes of the demo benchmark ([which-one.md](which-one.md)), {count} expressions, with
the bundled models on the CPU. So real models are run where the processor computes bfloat16 faster;
these small ones are not, unless asked.

{table}

*Change* is followed by its standard error, over scenes. Rounding moves no mask by much, but where
two candidates are nearly equal the other one wins: it changed {moved:.1%} of the answers of gsd by
more than a tenth, for better or worse, so that few scenes say little.{early}"""

EARLY = 20
"""Scenes that say little."""


def mean_change(
    before: Sequence[Record], after: Sequence[Record], sizes: Sequence[int]
) -> tuple[float, float]:
    """By how much the mIoU changes, and the standard error of that.

    Args:
        before, after: answers to the same questions, in the same order.
        sizes: how many of them each scene has; questions about one scene err together.
    """
    changes = iter([b.iou - a.iou for a, b in zip(before, after, strict=True)])
    return mean_and_error({scene: list(islice(changes, size)) for scene, size in enumerate(sizes)})


@click.command()
@click.option("--scenes", default=400, show_default=True, help="How many held-out scenes.")
@click.option("--write", type=click.Path(path_type=Path), help="Also write the page here.")
def precision(scenes: int, write: Path | None) -> None:
    """What bfloat16 costs in mIoU on the demo benchmark: 25 minutes on one core."""
    drawn = list(held_out_scenes(scenes))
    sizes = [len(questions(scene, number)) for number, scene in enumerate(drawn)]
    trials = {"float32": load_demo(), "bfloat16": load_demo(dtype=torch.bfloat16)}
    before, after = ask_all(drawn, trials).values()
    rows = [["variant", *trials, "change"]]
    for variant in VARIANTS:
        figures = (mean_iou(before[variant]), mean_iou(after[variant]))
        change, error = mean_change(before[variant], after[variant], sizes)
        rows.append([variant, *(f"{each:.3f}" for each in figures), f"{change:+.4f} ± {error:.4f}"])
    pairs = list(zip(before["gsd"], after["gsd"], strict=True))
    changes = [b.iou - a.iou for a, b in pairs[: sum(sizes[:EARLY])]]
    first = f" The first {EARLY} alone say\n{sum(changes) / len(changes):+.3f}."
    text = PAGE.format(
        scenes=scenes,
        count=sum(sizes),
        table=to_markdown(rows),
        moved=sum(abs(a.iou - b.iou) > 0.1 for a, b in pairs) / len(pairs),
        early=first if scenes > EARLY else "",
    )
    click.echo(text)
    if write is not None:
        write.write_text(text + "\n")
