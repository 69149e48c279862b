"""What docs/results.md says, measured anew by one command; `demo` makes docs/which-one.md.

python -m refdiff_core.evaluation.results [--scenes 200] [--write docs/results.md]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click

from ..demo.scenes import HELD_OUT_SEED, Scene, expressions, sample_scene
from ..models.loading import VARIANTS
from ..settings import DEFAULT, OFFICIAL, PAPER
from .demo import Method, by_group, compare, to_markdown
from .metrics import chance, mean_iou, overall_iou, precision_at, selection
from .models import own_figures
from .questions import RIVAL, UNIQUE, Question

COLOUR_AND_SHAPE = (UNIQUE, RIVAL)
SPEED = "\n## Speed\n"
"""Begins the page's last section, which `python -m benchmarks speed` writes."""

HEAD = """# Results on the demo scenes

Made by `python -m refdiff_core.evaluation.results --scenes {scenes} --write docs/results.md`, with
the bundled demo models on the CPU in float32. These are synthetic scenes of coloured shapes: the
figures say that the method works as it should, and what each part adds. They say nothing about
photographs.

The models saw none of these scenes in training. How long the denoiser and the CLIP were trained was
decided by looking at scenes like these, the first two hundred among them
([demo-models.md](demo-models.md)); the exponents were set on the first eighty. The noise level at
which the demo's attention is read, and the weights (`Calibration` in `refdiff_core/settings.py`),
were found on others (seeds from 1,100,000 on). "The paper's settings" and "the published code" are
`--settings paper` and `official`, whole; [method.md](method.md) says what they are, and what had to
be assumed. The published code has no variant g.

Sizes, positions, order, relations and negation: [which-one.md](which-one.md). More about the
models: [demo-models.md](demo-models.md). Every variant by subset: [evaluation.md](evaluation.md).
Time and work: [speed.md](speed.md).
"""

FIRST = """## "The <colour> <shape>", 2 to 4 objects

{scenes} scenes, {count} expressions. *{unique}*: no other object has that colour. *{rival}*:
another one has. Attention knows colours and hardly any shapes, so that with a rival the generative
half alone is near chance; CLIP knows shapes. That division of labour is the paper's.
"""


def color_and_shape(scene: Scene, number: int = 0) -> list[Question]:
    """Every unambiguous "the <colour> <shape>" of a scene."""
    colors = [item.color for item in scene.objects]
    return [
        Question(
            each.text, (each.target,), RIVAL if colors.count(colors[each.target]) > 1 else UNIQUE
        )
        for each in expressions(scene)
        if each.kind == "attribute"
    ]


OTHERS = {"the paper's settings": PAPER, "the published code": OFFICIAL}
"""What our own settings are compared with."""


def choosing(scenes: Sequence[Scene]) -> list[list[str]]:
    """Choosing among the true masks by each score, by our settings and by others."""
    scores = {"generative": "gs", "discriminative": "ds", "both": "gsd"}
    methods = by_settings(scores)
    found = compare(scenes, methods, oracle=True, ask=color_and_shape)
    rows = [["score", *COLOUR_AND_SHAPE, "all"]]
    rows += [[name, *by_group(found[name], selection, COLOUR_AND_SHAPE)] for name in methods]
    return [*rows, ["chance", *by_group(found["both"], chance, COLOUR_AND_SHAPE)]]


def segmenting(scenes: Sequence[Scene]) -> list[list[str]]:
    """Every variant with nothing given, by our settings and by others."""
    methods = by_settings({variant: variant for variant in VARIANTS})
    shares = replace(PAPER, fusion=replace(PAPER.fusion, percentiles=False))
    methods["g, the paper's settings, cut at shares of the peak"] = ("g", shares)
    rows = [["variant", *(f"mIoU, {g}" for g in COLOUR_AND_SHAPE), "mIoU", "oIoU", "Pr@0.5"]]
    for name, found in compare(scenes, methods, ask=color_and_shape).items():
        others = (overall_iou(found), precision_at(found, 0.5))
        figures = by_group(found, mean_iou, COLOUR_AND_SHAPE)
        rows.append([name, *figures, *(f"{each:.3f}" for each in others)])
    return rows


def by_settings(variants: Mapping[str, str]) -> dict[str, Method]:
    """Every variant by our settings, then by all the others that know it."""
    methods: dict[str, Method] = {name: (variant, DEFAULT) for name, variant in variants.items()}
    for whose, preset in OTHERS.items():
        known = [name for name in variants if not preset.official or variants[name] != "g"]
        methods |= {f"{name}, {whose}": (variants[name], preset) for name in known}
    return methods


def results(scenes: int) -> str:
    """The whole page as markdown."""
    drawn = [sample_scene(HELD_OUT_SEED + index, count=(2, 4)) for index in range(scenes)]
    count = sum(len(color_and_shape(scene)) for scene in drawn)
    return "\n".join(
        [
            HEAD.format(scenes=scenes),
            FIRST.format(scenes=scenes, count=count, unique=UNIQUE, rival=RIVAL),
            "### Choosing: the true masks are the proposals\n",
            to_markdown(choosing(drawn)),
            "\n### Segmenting: nothing is given\n",
            to_markdown(segmenting(drawn)),
            "",
            own_figures(drawn),
        ]
    )


def split_speed(page: str) -> tuple[str, str]:
    """The page without its section about speed, and that section."""
    own, heading, section = page.partition(SPEED)
    return own, heading + section


@click.command()
@click.option("--scenes", default=200, show_default=True, help="How many held-out scenes.")
@click.option("--write", type=click.Path(path_type=Path), help="Also write the page here.")
def main(scenes: int, write: Path | None) -> None:
    """Measure everything and print the page."""
    text = results(scenes)
    click.echo(text)
    if write is not None:
        speed = split_speed(write.read_text())[1] if write.exists() else ""
        write.write_text(text + "\n" + speed)


if __name__ == "__main__":
    main()
