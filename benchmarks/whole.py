"""Whole answers, from a picture to its mask, against what the models' own passes take."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from refdiff_core import Models, load_demo, segment
from refdiff_core.grid import blank

from .measure import Clock, peak_memory, stopwatch
from .ours import EXPRESSIONS, Ours, modules_of
from .work import Part

SIZES_HW = {"1": (870, 1160), "12": (3000, 4000), "48": (6000, 8000)}
"""Pictures by their megapixels, of the same proportions, so that all show the same."""

ROUNDS = 3

ONE, MANY, SECOND = "one expression", "eight expressions", "a second expression"


@dataclass(frozen=True)
class Whole:
    """Seconds, by what was asked: of our whole answer, and of the floor of all its models."""

    ours: Mapping[str, float]
    floor: Mapping[str, float]


@dataclass(frozen=True)
class Size:
    """What a picture of a size costs: seconds of a processor, and MiB.

    total: all of it. beside: beside the models. least: of that, what nobody can do without, to read
        the picture's pixels once and to write those of the mask that are not empty. memory: beside
        picture and models.
    """

    total: float
    beside: float
    least: float
    memory: float

    @property
    def rest(self) -> float:
        """Seconds beside the models and what nobody can do without."""
        return self.beside - self.least


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
    _measure_time(models, blocks(SIZES_HW["1"]))  # allocates what all others use again
    memory = {name: _measure_memory(models, blocks(hw)) for name, hw in SIZES_HW.items()}
    found: dict[str, Size] = {}
    for _ in range(1 + ROUNDS):  # the first has memory to get that measuring it gave back
        for name, size_hw in SIZES_HW.items():
            size = Size(*_measure_time(models, blocks(size_hw)), memory[name])
            # the least disturbed counts
            if name not in found or size.rest < found[name].rest:
                found[name] = size
    return found


def blocks(size_hw: tuple[int, int]) -> Tensor:
    """A picture of ten by ten areas of a colour each, the same at any size."""
    drawn = torch.rand(10, 10, 3, generator=torch.Generator().manual_seed(0))
    return drawn.repeat_interleave(size_hw[0] // 10, 0).repeat_interleave(size_hw[1] // 10, 1)


def _measure_memory(models: Models, picture: Tensor) -> float:
    gc.collect()
    forget(models)
    memory = dict[str, float]()
    with peak_memory(memory, "beside", torch.device("cpu"), beside=True):
        _ask(models, picture)
    return 1024 * memory["beside"]


def _measure_time(models: Models, picture: Tensor) -> tuple[float, float, float]:
    """All, beside the models, and the least of that; see `Size`."""
    gc.collect()
    forget(models)
    clock = Clock()
    with stopwatch(modules_of(models), processor=True) as spent:
        mask = clock("all", lambda: _ask(models, picture))
    rows, columns = (mask.amax(axis).nonzero()[:, 0].tolist() for axis in (1, 0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    for _ in range(3):
        clock("read", lambda: torch.aminmax(picture))
        clock("write", lambda: blank(*mask.shape)[window].fill_(1))
    seconds = {name: min(times.processor) for name, times in clock.times.items()}
    least, beside = seconds["read"] + seconds["write"], seconds["all"] - sum(spent.values())
    return seconds["all"], beside, least


def _ask(models: Models, picture: Tensor) -> Tensor:
    return segment(picture, EXPRESSIONS[0], models)[0].mask


def size_rows(sizes: Mapping[str, Size]) -> list[list[str]]:
    """A table of sizes, its head first."""
    rows = [["megapixels", "seconds", "beside the models", "of these, least", "the rest", "MiB"]]
    for name, size in sizes.items():
        seconds = (size.total, size.beside, size.least, size.rest)
        rows.append([name, *(f"{each:.2f}" for each in seconds), f"{size.memory:.0f}"])
    return rows


def forget(models: Models) -> None:
    """As before the first question."""
    for part in (models.attention, models.proposer, models.scorer):
        if hasattr(part, "cache"):
            part.cache.clear()
