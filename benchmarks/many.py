"""Many masks, many lines, and noise that falls into thousands of parts: seconds and memory."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import torch

from refdiff_core import Models, load_demo, segment
from refdiff_core.backends import clip_scorer
from refdiff_core.seeing.proposals import FixedProposals
from refdiff_core.testing import FakeAttention
from refdiff_core.values import Proposals

from .measure import peak_memory, stopwatch
from .ours import discs, modules_of
from .whole import blocks, forget

OUTSIDE, SIDE = 500, 1024
NOISE_HW = ((400, 600), (512, 512), (1500, 2000), (6000, 8000))
LINES = [
    f"the {color} {noun}{place}"
    for color in "red green blue yellow white black brown orange".split()
    for noun in "circle square triangle star ring".split()
    for place in ("", " on the left", " on the right", " at the top", " left of the blue circle")
]


def rows() -> Iterator[list[str]]:
    """A table, its head first."""
    yield ["", "seconds", "of them the models'", "the rest", "MiB"]
    yield from _outside()
    models, picture = load_demo(), blocks((390, 520))
    lines = _measure(lambda: segment(picture, LINES, models), models)
    yield [f"{len(LINES)} lines in one call, 520 x 390", *lines]
    alone = load_demo("g")
    for height, width in NOISE_HW:
        noise = torch.rand(height, width, 3)
        found = _measure(lambda noise=noise: segment(noise, "the red circle", alone)[0].mask, alone)
        yield [f"{width} x {height} noise, attention alone", *found]
    heat = torch.rand(512, 512)
    noisy, picture = Models(FakeAttention(lambda *_: heat)), torch.rand(512, 512, 3)
    yield [
        "a map of noise, 512 x 512",
        *_measure(lambda: segment(picture, "the cup", noisy)[0].mask, noisy),
    ]


def _outside() -> Iterator[list[str]]:
    """Masks from outside, with CLIP and, its passes' answers known already, without."""
    models, picture = load_demo(), torch.rand(SIDE, SIDE, 3)
    masks = discs(torch.zeros(SIDE, SIDE, 3), OUTSIDE, 0)

    def ask() -> None:
        proposer = FixedProposals(Proposals.of(masks))
        segment(picture, "the red circle on the left", Models(models.attention, proposer, scorer))

    scorer = models.scorer
    yield [f"{OUTSIDE} masks of {SIDE} x {SIDE}", *_measure(ask, models)]
    attend = clip_scorer.attend
    known = [remember(scorer.clip.model, "encode_image"), remember(clip_scorer, "attend")]
    forget(models)
    ask()
    for each in known:
        each()
    yield ["the same beyond CLIP: its passes' answers known", *_measure(ask, models)]
    clip_scorer.attend = attend


def remember(owner: Any, name: str) -> Callable[[], None]:
    """Note what a function answers from now on; what is returned makes it answer so at once."""
    run, answers = getattr(owner, name), []

    def noting(*given: Any, **named: Any) -> Any:
        answers.append(run(*given, **named))
        return answers[-1]

    def again() -> None:
        following = cycle(answers)
        setattr(owner, name, lambda *_, **__: next(following))

    setattr(owner, name, noting)
    return again


def _measure(work: Callable[[], object], models: Any) -> list[str]:
    """Seconds of a processor, of them the models', the rest, and MiB beside the models."""
    found = []
    for _ in range(3):  # the first allocates what later ones use again
        gc.collect()
        forget(models)
        memory = dict[str, float]()
        with (
            peak_memory(memory, "beside", torch.device("cpu"), beside=True),
            stopwatch(modules_of(models), processor=True) as spent,
        ):
            start = time.process_time()
            work()
            seconds = time.process_time() - start
        within = sum(spent.values())
        found.append((seconds - within, seconds, within, 1024 * memory["beside"]))
    rest, seconds, within, _ = min(found)
    most = max(memory for *_, memory in found)
    return [f"{seconds:.2f}", f"{within:.2f}", f"{rest:.2f}", f"{most:.0f}"]
