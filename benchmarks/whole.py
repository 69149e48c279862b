"""Whole answers, from a picture to its mask, against what the models' own passes take."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from refdiff_core import load_demo, segment

from .measure import Clock, peak_memory, stopwatch
from .ours import EXPRESSIONS, Ours, modules_of
from .work import Part

SIZES_HW = {"1": (1000, 1000), "12": (3000, 4000), "48": (6000, 8000)}
"""Pictures by their megapixels."""

ONE, MANY, SECOND = "one expression", "eight expressions", "a second expression"


@dataclass(frozen=True)
class Whole:
    """Seconds, by what was asked: of our whole answer, and of the floor of all its models."""

    ours: Mapping[str, float]
    floor: Mapping[str, float]


@dataclass(frozen=True)
class Size:
    """What a picture of a size costs beside the models: seconds of a processor, and MiB."""

    total: float
    beside: float
    memory: float


def time_whole(
    ours: Ours, floors: Mapping[int, Sequence[Part]], second: Sequence[Part], rounds: int
) -> Whole:
    """Whole answers and bare passes in turn, nobody watching in between.

    Args:
        ours: our code over full-size models.
        floors: what must run, by number of expressions.
        second: what must run for another expression about a picture that is known.
        rounds: how many; the shortest of each counts.
    """
    clock = Clock()
    for _ in range(rounds):
        for number, parts in floors.items():
            ours.forget()
            name = ONE if number == 1 else MANY
            clock(f"ours, {name}", lambda number=number: ours.whole(EXPRESSIONS[:number]))
            if number == 1:
                clock(f"ours, {SECOND}", lambda: ours.whole(EXPRESSIONS[1:2]))
                clock(f"floor, {SECOND}", lambda: run_all(second))
            clock(f"floor, {name}", lambda parts=parts: run_all(parts))
    return Whole(clock.below("ours"), clock.below("floor"))


@torch.inference_mode()
def run_all(parts: Sequence[Part]) -> None:
    """Every part, as often as it is due."""
    for part in parts:
        for _ in range(part.times):
            part.run()


def measure_sizes(device: torch.device) -> dict[str, Size]:
    """The same drawing at several sizes, by the demo's models."""
    models = load_demo(device=str(device))
    drawn = torch.rand(10, 10, 3, generator=torch.Generator().manual_seed(0))
    found = {}
    for name, size_hw in SIZES_HW.items():
        picture = drawn.repeat_interleave(size_hw[0] // 10, 0).repeat_interleave(
            size_hw[1] // 10, 1
        )
        for turn in range(2):
            gc.collect()
            _forget(models)
            clock, memory = Clock(), dict[str, float]()
            with (
                peak_memory(memory, "beside", torch.device("cpu"), beside=True),
                stopwatch(modules_of(models), processor=True) as spent,
            ):
                clock(
                    "all", lambda picture=picture: segment(picture, EXPRESSIONS[0], models)[0].mask
                )
            total = clock.times["all"].processor[0]
            if turn:  # the first allocates what all later ones use again
                found[name] = Size(total, total - sum(spent.values()), 1024 * memory["beside"])
    return found


def _forget(models: object) -> None:
    for part in (models.attention, models.proposer, models.scorer):
        part.cache.clear()
