"""The demo benchmark's questions about several objects, the rest of the picture, and none.

    python -m refdiff_core.evaluation.how_many [--scenes 200] [--oracle] [--write docs/how-many.md]

As `refdiff_core.evaluation.demo` asks which one: with the true masks as proposals (is the set of
objects right?), and with nothing given (how good is the mask?).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ..demo.scenes import HELD_OUT_SEED, Scene
from ..settings import DEFAULT
from .demo import METHODS, by_group, compare, publish, to_markdown
from .metrics import mean_iou, selection
from .questions import Question, held_out_scenes
from .several import SEVERAL, several

HEAD = """# How many

Made by this command, with the bundled demo models on the CPU in float32:

    python -m refdiff_core.evaluation.how_many --scenes {scenes}{only} --write docs/how-many.md

{scenes} held-out scenes of 2 to 6 objects (seeds from {seed} on), {count} expressions. *number*:
"the two circles", "the two leftmost stars", "the second and third ring from the left". *all*: "all
the red shapes", "every star", "both rings", "the circles", "all the stars on the left". *list*:
"the star and the blue ring", "star . ring". *everything but*: "everything but the star" is the rest
of the picture, "all the shapes except the star" the other shapes. *absent*: nothing that is named
is there, and an empty mask is right."""


def choosing_table(scenes: Sequence[Scene]) -> list[list[str]]:
    """Among the true masks: the share of expressions whose set of objects is right, and the IoU."""
    methods = {name: METHODS[name] for name in ("both", "generative", "discriminative")}
    records = compare(scenes, methods, oracle=True, ask=several)
    rows = [["score", *SEVERAL, "all kinds"]]
    rows += [[name, *by_group(found, selection, SEVERAL)] for name, found in records.items()]
    drawn = records["both"]
    rows.append(["both, mIoU", *by_group(drawn, mean_iou, SEVERAL)])
    counts = [sum(each.group == group for each in drawn) for group in SEVERAL]
    return [*rows, ["expressions", *map(str, (*counts, len(drawn)))]]


def segmenting_table(scenes: Sequence[Scene]) -> list[list[str]]:
    """With nothing given: every variant's mIoU."""
    variants = {name: (name, DEFAULT) for name in ("g", "gs", "ds", "gsd")}
    found = compare(scenes, variants, ask=several)
    rows = [["variant", *SEVERAL, "all kinds"]]
    return [*rows, *([name, *by_group(each, mean_iou, SEVERAL)] for name, each in found.items())]


GROUND = ("background", "foreground")
GROUND_SCENES = 25


def _ask_ground(scene: Scene, seed: int) -> list[Question]:
    every = tuple(range(len(scene.objects)))
    return [Question(f"the {name}", every, name, rest=name == "background") for name in GROUND]


def ground_table(scenes: Sequence[Scene]) -> list[list[str]]:
    """With nothing given: what no thing covers and the things, by attention alone and by all."""
    variants = {name: (name, DEFAULT) for name in ("g", "gsd")}
    found = compare(scenes, variants, ask=_ask_ground)
    rows = [["variant", *GROUND, "both"]]
    return [*rows, *([name, *by_group(each, mean_iou, GROUND)] for name, each in found.items())]


def report(scenes: int, *, oracle: bool = False) -> str:
    """The page as markdown; with ``oracle`` only choosing among the true masks."""
    drawn = list(held_out_scenes(scenes))
    chosen = choosing_table(drawn)
    parts = [
        HEAD.format(
            scenes=scenes,
            only=" --oracle" if oracle else "",
            seed=HELD_OUT_SEED,
            count=chosen[-1][-1],
        ),
        "## Choosing: the true masks are the proposals",
        "The share of expressions whose set of objects is exactly right.",
        to_markdown(chosen),
        f"## Background and foreground: nothing is given, mIoU of {GROUND_SCENES} scenes",
        to_markdown(ground_table(drawn[:GROUND_SCENES])),
    ]
    if not oracle:
        parts += ["## Segmenting: nothing is given, mIoU", to_markdown(segmenting_table(drawn))]
    return "\n\n".join(parts)


@click.command()
@click.option("--scenes", default=200, show_default=True, help="How many held-out scenes.")
@click.option("--oracle", is_flag=True, help="Only choose among the true masks; much faster.")
@click.option("--write", type=click.Path(path_type=Path), help="Also write the page here.")
def main(scenes: int, oracle: bool, write: Path | None) -> None:
    """Print how the demo models answer for several objects, the rest, and none."""
    publish(report(scenes, oracle=oracle), write)


if __name__ == "__main__":
    main()
