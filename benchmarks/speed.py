"""What an expression costs: here, by the published schedule, and at least."""

from __future__ import annotations

from pathlib import Path

import click
import torch

from refdiff_core.backends.families import SD1, SDXL
from refdiff_core.backends.precision import fastest_dtype
from refdiff_core.settings import SamSettings

from . import page, work
from .build import META, Trio, full_size
from .figures import Costs, Suite, Timings
from .measure import Clock, count_parts, peak_memory
from .ours import EXPRESSIONS, Ours
from .start import starts, whole_path
from .whole import Whole, measure_sizes, time_whole
from .work import Part

MANY = len(EXPRESSIONS)
COUNTS = (1, MANY)


SD_512 = Suite("Stable Diffusion 1.5, 512 px", full_size(SD1, "vit_b"), 512, 512)
SD_1024 = Suite("Stable Diffusion 1.5, 1024 px", full_size(SD1, "vit_b"), 1024, 1024)
SDXL_1024 = Suite("Stable Diffusion XL, 1024 px", full_size(SDXL, "vit_h"), 1024, 1024)
COUNTED = (SD_512, SD_1024, SDXL_1024)


def floor(models: Trio, side: int, expressions: int, crops_at_once: int = 20) -> list[Part]:
    """What must run for so many expressions."""
    diffusion, sam, clip = models
    return [
        *work.diffusion_floor(diffusion, side, expressions),
        *work.sam_floor(sam, expressions, dtype=diffusion.unet.dtype),
        *work.clip_floor(clip, expressions, crops_at_once),
    ]


def published(models: Trio, side: int, picture_side: int, expressions: int) -> list[Part]:
    """What the published schedule runs; CLIP sees the picture at its native size."""
    diffusion, sam, clip = models
    return [
        *work.diffusion_published(diffusion, expressions, side),
        *work.sam_published(sam, expressions, diffusion.unet.dtype),
        *work.clip_published(clip, expressions, picture_side),
    ]


def count(suite: Suite) -> Costs:
    """TFLOP, on the meta device: nothing is computed."""
    models = suite.build(META, torch.float32)
    costs, known = Costs(), {}
    for number in COUNTS:
        theirs = published(models, work.PUBLISHED_SIDE, suite.side, number)
        costs.published[number] = count_parts(theirs, known)
        costs.floor[number] = count_parts(floor(models, suite.side, number), known)
    return costs


def clock(
    suite: Suite, device: torch.device, dtype: torch.dtype, say: page.Say, *, quick: bool
) -> Timings:
    """Seconds, our code and the floor in turn, so that the machine's moods meet both.

    Args:
        suite: what is built and run.
        device: where. dtype: in what.
        say: tells how far it is.
        quick: one expression alone.
    """
    say(f"{suite.name}: building")
    models = suite.build(device, dtype)
    ours = Ours(*models, suite.side)
    crops_at_once = ours.scorer._crops_at_once()
    bare = floor(models, suite.side, 1, crops_at_once)
    half = [each for each in bare if each.stage in work.HALVES["generative"]]
    theirs = published(models, suite.published_side, suite.side, 1)
    # one by one or in batches is nearly a tie on a processor
    crops = [each for each in (*bare, *theirs) if each.stage == work.CLIP_CROPS]
    memory: dict[str, float] = {}
    _warm_up(ours, [*bare, *theirs], suite.side, device)
    for turn in range(suite.rounds):
        say(f"{suite.name}: round {turn + 1} of {suite.rounds}")
        _ask_once(ours, memory, device, again=turn > 0)
        ours.clock.parts([*half, *crops] if turn else [*bare, *crops])
    if not quick:
        say(f"{suite.name}: {MANY} expressions")
        ours.forget()
        with peak_memory(memory, f"here, {MANY} expressions", device):
            ours.answer(EXPRESSIONS, f"ours {MANY}")
        ours.clock.parts(_untimed(floor(models, suite.side, MANY, crops_at_once), ours.clock))
    say(f"{suite.name}: the published schedule")
    with peak_memory(memory, "published", device):
        # all of it: its memory is that of the largest, whoever else runs that, too
        ours.clock.parts(theirs)
    bares = {number: floor(models, suite.side, number, crops_at_once) for number in COUNTS}
    say(f"{suite.name}: whole answers")
    asked = {1: bares[1]} if quick and device.type == "cpu" else bares
    rounds = 5 if device.type == "cuda" else 1
    whole = time_whole(ours, asked, second_floor(models, suite.side), rounds=rounds)
    return _timings(dtype, ours.clock, bares, theirs, memory, whole)


def _warm_up(ours: Ours, parts: list[Part], side: int, device: torch.device) -> None:
    """Every side alike, on a GPU by all of it: there the first of each costs as much as ten."""
    if device.type != "cuda":
        work.warm_up(ours.attention.model, side // 2)
        return
    ours.answer(EXPRESSIONS[:1], "warm")
    ours.clock.parts(parts)
    ours.clock.times.clear()


def _ask_once(ours: Ours, memory: dict[str, float], device: torch.device, *, again: bool) -> None:
    """One expression about a picture as new; first all of it, then the generative half alone."""
    ours.forget()
    if again:
        ours.read(EXPRESSIONS[:1], "ours 1")
        return
    with peak_memory(memory, "here, one expression", device):
        ours.answer(EXPRESSIONS[:1], "ours 1")
    ours.answer(EXPRESSIONS[1:2], "second")


def second_floor(models: Trio, side: int) -> list[Part]:
    """What must run for another expression about a picture that is known."""
    diffusion, sam, clip = models
    text, _, denoiser = work.diffusion_floor(diffusion, side, 1)
    own = work.OWN
    regions = [
        Part(work.CLIP_CROPS, f"{own} at once", lambda: work.crops(clip, own)),
        Part(work.CLIP_PICTURE, f"{own} regions", lambda: work.soft_pass(clip, regions=own)),
        Part(work.CLIP_TEXT, "2 texts, unpadded", lambda: work.short_texts(clip)),
    ]
    peaks = SamSettings().peaks
    prompts = Part(work.SAM_PROMPTS, f"{peaks}", lambda: work.decode(sam, peaks))
    return [text, denoiser, prompts, *regions]


def _untimed(parts: list[Part], clocked: Clock) -> list[Part]:
    return [each for each in parts if each.name not in clocked.times]


def _timings(
    dtype: torch.dtype,
    clocked: Clock,
    bares: dict[int, list[Part]],
    theirs: list[Part],
    memory: dict[str, float],
    whole: Whole,
) -> Timings:
    wall = Costs()
    for number in COUNTS:
        wall.floor[number] = clocked.stages(bares[number])
        wall.ours[number] = clocked.below(f"ours {number}")
        once = clocked.stages(theirs)
        wall.published[number] = {stage: number * seconds for stage, seconds in once.items()}
    half = [each for each in bares[1] if each.stage in work.HALVES["generative"]]
    spent = min(clocked.times["ours 1, generative"].processor), clocked.processor(half)
    first, second = clocked.times["ours 1"].best, clocked.below("second")
    return Timings(dtype, wall, spent, (first, clocked.times["second"].best), second, memory, whole)


@click.command()
@click.option("--quick", is_flag=True, help="Two to three minutes on two cores: SD 1.5 alone.")
@click.option("--count", "only_count", is_flag=True, help="Run nothing: a minute, any machine.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    default="auto",
    show_default=True,
    help="What models compute in; SDXL in float32 needs more than 24 GiB.",
)
@click.option("--write", type=click.Path(path_type=Path), help="Also write the page, and its plot.")
def speed(quick: bool, only_count: bool, device: str, dtype: str, write: Path | None) -> None:
    """Count and time full-size models with random weights: ours, published, and the floor."""
    say = page.Say()
    suites = () if only_count else (SD_512,) if quick else COUNTED
    counts = {}
    for suite in COUNTED:
        say(f"{suite.name}: counting")
        counts[suite] = count(suite)
    place, kind = torch.device(device), fastest_dtype(device)
    if dtype != "auto":
        kind = getattr(torch, dtype)
    # first: the models below push what has to be read out of memory
    say("starting processes")
    rounds = 3 if device == "cpu" else 1
    started, path = ({}, {}) if only_count else (starts(rounds), whole_path(device))
    sizes = {} if only_count else measure_sizes(place)
    timings = {suite: clock(suite, place, kind, say, quick=quick) for suite in suites}
    mode = " --count" if only_count else " --quick" if quick else ""
    options = "" if device == "cpu" else f" --device {device}"
    options += "" if dtype == "auto" else f" --dtype {dtype}"
    run = page.Run(mode, options, place)
    text = page.render(counts, timings, started, path, run, sizes)
    click.echo(text)
    if write is not None:
        summary = page.summarise(counts, timings, started, run)
        page.write(text, summary, counts, write)
