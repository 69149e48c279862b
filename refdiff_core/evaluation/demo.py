"""The demo benchmark: held-out synthetic scenes whose truth is known.

    python -m refdiff_core.evaluation.demo [--scenes 200] [--write docs/results.md]

Two questions, asked apart: does the right proposal win when the true masks are the proposals
(choosing), and how good is the mask when nothing is given (segmenting)?
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click
import torch
from tqdm import tqdm

from ..demo.scenes import HELD_OUT_SEED, Scene, expressions, sample_scene
from ..loading import load_demo
from ..pipeline import Models, segment
from ..proposals import FixedProposals
from ..settings import Settings
from ..values import Proposals, Segmentation
from .metrics import Record, chance, mean_iou, overall_iou, overlap, precision_at, selection

UNIQUE, RIVAL = "colour unique", "same-colour rival"
"""Groups of "the <colour> <shape>": whether another object of the scene has that colour."""


def held_out_scenes(count: int) -> Iterator[Scene]:
    """``count`` scenes of 2 to 4 objects that no model was trained on."""
    return (sample_scene(HELD_OUT_SEED + index) for index in range(count))


def questions(scene: Scene) -> list[tuple[str, int, str]]:
    """(text, target, group) of every unambiguous "the <colour> <shape>" in a scene."""
    colors = [item.color for item in scene.objects]
    return [
        (each.text, each.target, RIVAL if colors.count(colors[each.target]) > 1 else UNIQUE)
        for each in expressions(scene)
        if each.kind == "attribute"
    ]


def evaluate(
    models: Models, scenes: Sequence[Scene], settings: Settings, *, oracle: bool = False
) -> list[Record]:
    """Ask every question of every scene.

    Args:
        models: what looks at the scenes.
        scenes: from `held_out_scenes`.
        settings: of the ranking.
        oracle: the true masks are the proposals, in place of the models' own.
    """
    records: list[Record] = []
    for scene in tqdm(scenes, disable=None, leave=False):
        asked = questions(scene)
        truth = torch.from_numpy(scene.masks)
        each = replace(models, proposer=FixedProposals(Proposals.of(truth))) if oracle else models
        image = torch.from_numpy(scene.image).float() / 255
        answers = segment(image, [text for text, _, _ in asked], each, settings)
        for (text, target, group), answer in zip(asked, answers, strict=True):
            records.append(_record(answer, text, target, group, truth, oracle))
    return records


def _record(
    answer: Segmentation, text: str, target: int, group: str, truth: torch.Tensor, oracle: bool
) -> Record:
    intersection, union = overlap(answer.mask, truth[target])
    known = {"chosen": answer.best, "target": target} if oracle else {}
    return Record(text, group, intersection, union, chance=1 / len(truth), **known)


def choosing_table(scenes: Sequence[Scene], settings: Settings) -> list[list[str]]:
    """Choosing among the true masks: share of expressions whose object wins."""
    rows = [["score", UNIQUE, RIVAL, "all"]]
    for name, variant in (("generative", "gs"), ("discriminative", "ds"), ("both", "gsd")):
        records = evaluate(load_demo(variant), scenes, settings, oracle=True)
        rows.append([name, *_by_group(records, selection)])
    return [*rows, ["chance", *_by_group(records, chance)]]


def segmenting_table(scenes: Sequence[Scene], settings: Settings) -> list[list[str]]:
    """Segmenting with nothing given: every variant's mIoU by group, oIoU and precision."""
    rows = [["variant", f"mIoU, {UNIQUE}", f"mIoU, {RIVAL}", "mIoU", "oIoU", "Pr@0.5", "Pr@0.9"]]
    for variant in ("g", "gs", "ds", "gsd"):
        records = evaluate(load_demo(variant), scenes, settings)
        others = (
            overall_iou(records),
            precision_at(records, 0.5),
            precision_at(records, 0.9),
        )
        rows.append([variant, *_by_group(records, mean_iou), *(f"{each:.3f}" for each in others)])
    return rows


def _by_group(records: Sequence[Record], figure: Callable[[Sequence[Record]], float]) -> list[str]:
    parts = [[each for each in records if each.group == group] for group in (UNIQUE, RIVAL)]
    return [f"{figure(part):.3f}" for part in (*parts, records)]


def to_markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


@click.command()
@click.option("--scenes", default=200, show_default=True, help="How many held-out scenes.")
@click.option("--write", type=click.Path(path_type=Path), help="Also write the tables here.")
def main(scenes: int, write: Path | None) -> None:
    """Print the demo benchmark's tables."""
    drawn, settings = list(held_out_scenes(scenes)), Settings()
    count = sum(len(questions(scene)) for scene in drawn)
    text = "\n\n".join(
        [
            f"{scenes} held-out scenes of 2 to 4 objects (seeds from {HELD_OUT_SEED} on, most of "
            f'them not square), {count} expressions "the <colour> <shape>".',
            "### Choosing: the true masks are the proposals",
            to_markdown(choosing_table(drawn, settings)),
            "### Segmenting: nothing is given",
            to_markdown(segmenting_table(drawn, settings)),
        ]
    )
    click.echo(text)
    if write is not None:
        write.write_text(text + "\n")


if __name__ == "__main__":
    main()
