"""What is measured, before it is shown: one suite of models at one size, its work and its times."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from .build import Build
from .measure import Stages
from .whole import Whole


@dataclass(frozen=True)
class Suite:
    """One set of models at one size.

    name: for the page. build: makes the models.
    side: of the picture and of the square that we show the denoiser, in pixels.
    published_side: of the published code's square; what is timed may be smaller than what is
        counted, which is always `refdiff_core.settings.OFFICIAL`'s.
    rounds: of the generative half and its floor, and of crops, in turn.
    """

    name: str
    build: Build
    side: int
    published_side: int
    rounds: int = 2


@dataclass
class Costs:
    """What a suite's work costs, by number of expressions, then by stage.

    published is for the published schedule, floor for the passes that anybody must run.
    """

    published: dict[int, Stages] = field(default_factory=dict)
    floor: dict[int, Stages] = field(default_factory=dict)
    ours: dict[int, Stages] = field(default_factory=dict)


@dataclass
class Timings:
    """Seconds of a suite's work, and what else was seen while it ran.

    dtype: what the models computed in.
    wall: of one expression and of many; empty stages were not timed.
    processor: seconds of the processors, of our generative half and of its floor.
    again: seconds of the first expression and of a second one on the same picture.
    second: what the second one's consisted of.
    memory: GiB at most, weights included, by what ran.
    whole: answers from picture to mask against the floors of all models.
    """

    dtype: torch.dtype
    wall: Costs
    processor: tuple[float, float]
    again: tuple[float, float]
    second: Stages
    memory: dict[str, float]
    whole: Whole
