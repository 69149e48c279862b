"""The page about speed, and its plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import torch

from refdiff_core.evaluation.demo import to_markdown
from refdiff_core.evaluation.results import SPEED, split_speed

from .figures import Costs, Suite, Timings
from .measure import Stages, machine
from .whole import MANY as EIGHT
from .whole import ONE, SECOND, Size, size_rows
from .work import AUTOENCODER, CLIP_CROPS, DENOISER, HALVES, OWN, REGIONS, SAM_PROMPTS

MANY = 8

HEAD = """# Speed

Made by `{command} --write docs/speed.md` on {machine}, with torch {torch}.
{duration}

Full-size architectures with random weights: what a pass costs does not depend on what the weights
know. *Published* is the schedule of the published code, run with the same modules: two steps with
classifier-free guidance on a square of 1024 pixels, everything anew for every expression, 1,024
grid prompts, one crop after the other. *Floor* is what anybody has to run who reads the same
layers: texts without their padding, one encode of the picture, one pass that ends with the last
key, one embedding, {regions} crops and {own} more for every further expression. *Here* is `segment`
by default. How much quality each saving costs: [optimisations.md](optimisations.md).
What else was tried: [trials.md](trials.md)."""

DURATION = {
    " --count": "Nothing was run or timed: without `--count`, there are seconds here, too.",
    " --quick": "That takes two to three minutes on two cores that do nothing else.",
    "": "That takes about twenty minutes on two cores that do nothing else, and 13 GiB.",
}

WORK = """## Work

TFLOP as `torch.utils.flop_counter` counts them, two for a multiplication and an addition; our code
runs the floor's passes. The share is that of autoencoder and denoiser, per expression."""

TIME = """## Time: {name}

Seconds in {dtype}, Segment Anything's decoder in float32; of {rounds} in turn, the shortest. Of the
published schedule, which repeats itself, each piece was timed once, at {published_side} pixels;
its crops in every round. "-" was not timed."""

WHOLE = """Whole answers, from the picture to its mask, nobody watching in between, against the
floor's passes in a row; seconds, and their ratio."""

SIZES = """## Pictures of any size

The demo's models, one expression; a processor's seconds of the whole answer and of what is no
model's, and the memory that came on top of models and picture."""

GOALS = """## Goals

Ratios within this run."""

SUMMARY = """
Measured by `{command}` on {machine}, with torch {torch}: ratios within
that run, of full-size architectures with random weights. What is compared with what, and all
seconds: [speed.md](speed.md).

{goals}
"""


@dataclass(frozen=True)
class Run:
    """How the command was run.

    mode: "", " --quick" or " --count". options: the others that differ from the default.
    device: where models ran.
    """

    mode: str = ""
    options: str = ""
    device: torch.device = torch.device("cpu")

    def fill(self, text: str, **more: object) -> str:
        """A text about this run with its places filled in."""
        command = f"python -m benchmarks speed{self.mode}{self.options}"
        where = machine(self.device)
        return text.format(command=command, machine=where, torch=torch.__version__, **more)


class Say:
    """Tells on standard error how far a long measurement is."""

    def __call__(self, text: str) -> None:
        """Write a line."""
        click.echo(text, err=True)


def render(
    counts: Mapping[Suite, Costs],
    timings: Mapping[Suite, Timings],
    started: Mapping[str, float],
    path: Mapping[str, float],
    run: Run,
    sizes: Mapping[str, Size],
) -> str:
    """The page as markdown."""
    head = run.fill(HEAD, duration=DURATION[run.mode], regions=REGIONS, own=OWN)
    parts = [head, "![TFLOP for an expression](images/speed.svg)", WORK, _work_table(counts)]
    for suite, timing in timings.items():
        rounds = "one round" if suite.rounds == 1 else f"{suite.rounds} rounds"
        told = TIME.format(
            name=suite.name,
            rounds=rounds,
            published_side=suite.published_side,
            dtype=str(timing.dtype).removeprefix("torch."),
        )
        parts += [told, _time_table(timing), WHOLE, _whole_table(timing), _memory(timing)]
        parts += [_beside(timing)]
    if sizes:
        parts += [SIZES, _size_table(sizes)]
    parts += [GOALS, _goal_table(counts, timings, started, run)]
    if started:
        parts += ["## From nothing to a mask", _seconds_table("start", started)]
        parts += ["The whole path with the demo models, in one process:"]
        parts += [_seconds_table("step", path)]
    return "\n\n".join(parts)


def _work_table(counts: Mapping[Suite, Costs]) -> str:
    rows = [["", "stage", "published, 1", "here, 1", f"published, {MANY}", f"here, {MANY}"]]
    for suite, cost in counts.items():
        name = suite.name
        for stage in cost.floor[1]:
            figures = [
                _tera(side[number].get(stage))
                for number in (1, MANY)
                for side in (cost.published, cost.floor)
            ]
            rows.append([name, stage, *figures])
            name = ""
        shares = [f"{generative_share(cost, number):.3f}" for number in (1, MANY)]
        rows.append(["", "share", "", f"**{shares[0]}**", "", f"**{shares[1]}**"])
    return to_markdown(rows)


def generative_share(cost: Costs, number: int) -> float:
    """Our autoencoder and denoiser against the published ones, for so many expressions."""
    ours, theirs = (
        sum(side[number][stage] for stage in (AUTOENCODER, DENOISER))
        for side in (cost.floor, cost.published)
    )
    return ours / theirs


def _time_table(timing: Timings) -> str:
    bare, ours, theirs = timing.wall.floor, timing.wall.ours, timing.wall.published
    columns = [side[number] for number in (1, MANY) for side in (bare, ours, theirs)]
    kinds = ("floor", "here", "published")
    rows = [["stage", *(f"{kind}, {number}" for number in (1, MANY) for kind in kinds)]]
    for half, stages in HALVES.items():
        rows += [[stage, *(_seconds(each.get(stage)) for each in columns)] for stage in stages]
        sums = (_sum(each, stages) if half not in each else each[half] for each in columns)
        rows.append([f"**{half} half**", *map(_seconds, sums)])
    return to_markdown(rows)


def _sum(stages: Stages, names: Sequence[str]) -> float | None:
    """None where a stage is missing."""
    return sum(stages[name] for name in names) if all(name in stages for name in names) else None


def _whole_table(timing: Timings) -> str:
    rows = [["", "floor", "here", "ratio"]]
    for what, bare in timing.whole.floor.items():
        here = timing.whole.ours[what]
        rows.append([what, f"{bare:.3f}", f"{here:.3f}", f"{here / bare:.2f}"])
    return to_markdown(rows)


def _beside(timing: Timings) -> str:
    """Of one expression, watched at every stage, what each half takes that is no model's."""
    ours, shown = timing.wall.ours[1], []
    for half, stages in HALVES.items():
        spent = sum(ours.get(stage, 0.0) for stage in stages)
        shown.append(f"{half} half {ours[half] - spent:.3f}")
    rest = timing.again[0] - sum(ours[half] for half in HALVES)
    shown.append(f"all else {rest:.3f}")
    return f"No model's, of one expression's seconds: {', '.join(shown)}."


def _size_table(sizes: Mapping[str, Size]) -> str:
    return to_markdown(size_rows(sizes))


def _memory(timing: Timings) -> str:
    shown = ", ".join(f"{name} {peak:.1f} GiB" for name, peak in timing.memory.items())
    return f"Memory at most, all weights included: {shown or 'not known on this system'}."


def _goal_table(
    counts: Mapping[Suite, Costs],
    timings: Mapping[Suite, Timings],
    started: Mapping[str, float],
    run: Run,
) -> str:
    by_side = {suite.side: cost for suite, cost in counts.items() if "1.5" in suite.name}
    rows = [
        ["what", "goal", "here"],
        _goal("work of one expression, same resolution", 1 / 3, generative_share(by_side[1024], 1)),
        _goal("work of one expression at 512 px", 1 / 10, generative_share(by_side[512], 1)),
        _goal("work of one of eight, same resolution", 1 / 8, generative_share(by_side[1024], 8)),
    ]
    crop_goal = 1.0 if run.device.type == "cpu" else 0.25
    for suite, timing in timings.items():
        rows += _time_goals(suite, timing, crop_goal)
        rows += _whole_goals(timing, gpu=run.device.type != "cpu")
    if started:
        beyond = started["`from refdiff_core import segment`"] - started["`import torch`"]
        rows += [
            _goal("seconds to `refdiff --help`", 0.3, started["`refdiff --help`"]),
            _goal("seconds of `from refdiff_core import segment` beyond torch's", 0.2, beyond),
        ]
    return to_markdown(rows)


def _time_goals(suite: Suite, timing: Timings, crop_goal: float) -> list[list[str]]:
    wall = timing.wall
    ours, bare, theirs = wall.ours[1], wall.floor[1], wall.published[1]
    half = HALVES["generative"]
    whole = ours["generative"]
    first, second = timing.again
    figures = {
        f"{suite.name}: time of the generative half against the floor": (
            1.15,
            whole / sum(bare[stage] for stage in half),
        ),
        "- in processor time": (1.15, timing.processor[0] / timing.processor[1]),
        "- against the modules' own part of that very time": (
            1.15,
            whole / sum(ours[stage] for stage in half),
        ),
        "- guided prompts against 1,024": (0.2, ours[SAM_PROMPTS] / theirs[SAM_PROMPTS]),
        f"- {REGIONS} crops in batches against one by one": (
            crop_goal,
            bare[CLIP_CROPS] / theirs[CLIP_CROPS],
        ),
        "- a second expression against the first": (0.35, second / first),
    }
    return [_goal(what, *figure) for what, figure in figures.items()]


def _whole_goals(timing: Timings, *, gpu: bool) -> list[list[str]]:
    goals = {ONE: 1.35, EIGHT: 1.25, SECOND: 1.5} if gpu else {ONE: 1.1, EIGHT: 1.1, SECOND: 1.1}
    whole = timing.whole
    return [
        _goal(
            f"- the whole answer, {what}, against the floor", goals[what], whole.ours[what] / bare
        )
        for what, bare in whole.floor.items()
    ]


def _goal(what: str, goal: float, got: float) -> list[str]:
    return [what, f"<= {goal:.3g}", f"{got:.3f}" if got <= goal else f"{got:.3f} (missed)"]


def _seconds_table(what: str, seconds: Mapping[str, float]) -> str:
    return to_markdown([[what, "seconds"], *([name, f"{s:.2f}"] for name, s in seconds.items())])


def _tera(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def summarise(
    counts: Mapping[Suite, Costs],
    timings: Mapping[Suite, Timings],
    started: Mapping[str, float],
    run: Run,
) -> str:
    """The goals alone, for the page of results."""
    return run.fill(SUMMARY, goals=_goal_table(counts, timings, started, run))


def write(text: str, summary: str, counts: Mapping[Suite, Costs], path: Path) -> None:
    """The page, its plot beside it in images/, and the last section of a results.md beside it."""
    path.write_text(text + "\n")
    results = path.parent / "results.md"
    if results.exists():
        results.write_text(split_speed(results.read_text())[0] + SPEED + summary)
    plot = path.parent / "images" / "speed.svg"
    plot.parent.mkdir(exist_ok=True)
    plot.write_text(draw(counts))


def draw(counts: Mapping[Suite, Costs]) -> str:
    """Bars of TFLOP per expression of autoencoder and denoiser, as SVG."""
    bars = []
    for suite, cost in counts.items():
        for name, side, number in (
            ("published", cost.published, 1),
            ("here, one expression", cost.floor, 1),
            ("here, one of eight", cost.floor, MANY),
        ):
            work = [side[number][stage] / number for stage in (AUTOENCODER, DENOISER)]
            bars.append((suite.name if name == "published" else "", name, work))
    widest = max(sum(work) for _, _, work in bars)
    lines, y = [], 34
    for group, name, work in bars:
        y += 22 if group else 0
        if group:
            lines.append(f'<text x="8" y="{y}" font-weight="bold">{group}</text>')
            y += 8
        start = 170.0
        for value, color in zip(work, ("#9aa5b1", "#3b6ea5"), strict=True):
            width = value / widest * 420
            lines.append(
                f'<rect x="{start:.1f}" y="{y}" width="{width:.1f}" height="14" fill="{color}"/>'
            )
            start += width
        lines.append(f'<text x="162" y="{y + 11}" text-anchor="end">{name}</text>')
        lines.append(f'<text x="{start + 6:.1f}" y="{y + 11}">{sum(work):.2f}</text>')
        y += 20
    title = "TFLOP for an expression: autoencoder (grey), denoiser (blue)"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="660" height="{y + 12}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
        f'<text x="8" y="20" font-size="14">{title}</text>' + "".join(lines) + "</svg>\n"
    )
