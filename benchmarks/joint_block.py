"""What reading the words costs beside one block of Flux's own width, on the CPU.

    python -m benchmarks.joint_block [--places 4096] [--threads 2] [--rounds 5]

Needs no weights: diffusers' own block with random ones, 24 heads of 128, 512 tokens of text.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from threading import Event, Thread

import torch
from diffusers.models.transformers.transformer_flux import FluxTransformerBlock

from refdiff_core.backends.transformers_attention import watching
from refdiff_core.seeing.attention import word_weights
from refdiff_core.seeing.capture import Capture
from refdiff_core.seeing.joint import READINGS, JointReader, TokenLayout

HEADS, SIZE, TOKENS, WORDS = 24, 128, 512, 3


def resident() -> int:
    """Bytes of memory in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@contextmanager
def peak() -> Iterator[list[int]]:
    """The largest memory in use inside the block, above what was in use before it."""
    found, over, before = [0], Event(), resident()

    def look() -> None:
        while not over.wait(0.002):
            found[0] = max(found[0], resident() - before)

    thread = Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def timed(call: Callable[[], object]) -> tuple[float, float, int]:
    """Seconds of wall and processor, and the peak of memory above the start, of one call."""
    clocks = (time.perf_counter, time.process_time)
    with peak() as most:
        start = [clock() for clock in clocks]
        call()
        wall, processor = (clock() - begun for clock, begun in zip(clocks, start, strict=True))
    return wall, processor, most[0]


@dataclass(frozen=True)
class Cost:
    """Medians over rounds: wall and processor seconds, bytes at the peak; and beside the block.

    A machine that does other work stretches the wall's time, and hardly the processor's.
    """

    name: str
    seconds: tuple[float, ...]
    shares: tuple[float, ...]
    memory: int
    more: int


def measure(groups: Sequence[Mapping[str, Callable[[], object]]], rounds: int) -> Iterator[Cost]:
    """What calls cost, and how much more than the first of their group, round by round."""
    for group in groups:
        next(iter(group.values()))()
    # in turns, so that a busy machine is busy for all
    found = [
        [{name: timed(call) for name, call in group.items()} for group in groups]
        for _ in range(rounds)
    ]
    for number, group in enumerate(groups):
        base = [each[number][next(iter(group))] for each in found]
        for name in group:
            own = [each[number][name] for each in found]
            pairs = list(zip(own, base, strict=True))
            wall, processor = (
                (median(a[at] for a in own), median(a[at] / b[at] - 1 for a, b in pairs))
                for at in (0, 1)
            )
            memory = int(median(a[2] for a in own)), int(median(a[2] - b[2] for a, b in pairs))
            yield Cost(name, *zip(wall, processor, strict=True), *memory)


def asked(places: int, reading: str) -> JointReader:
    """A reader of three words in the first block, which the pass outlives."""
    side = round(places**0.5)
    layout = TokenLayout(TOKENS, 0, TOKENS, (side, places // side))
    weights = word_weights([[[at] for at in range(WORDS)]], TOKENS)
    said = torch.ones(1, TOKENS, dtype=torch.bool)
    return JointReader(Capture(["0"], weights, stop=False), layout, weights, said, reading)


def diffusers_block(places: int) -> dict[str, Callable[[], object]]:
    """diffusers' block, alone and with each reading."""
    width = HEADS * SIZE
    torch.manual_seed(0)
    block = FluxTransformerBlock(width, HEADS, SIZE).eval()
    picture, text, temb = (torch.randn(1, n, width) for n in (places, TOKENS, 1))
    angles = torch.zeros(places + TOKENS, SIZE)
    rotary = angles.cos(), angles.sin()

    def alone() -> object:
        return block(picture, text, temb[:, 0], image_rotary_emb=rotary)

    def read(reading: str) -> object:
        with watching(asked(places, reading), [block]):
            return alone()

    return {"alone": alone, **{each: partial(read, each) for each in READINGS}}


@torch.inference_mode()
def show(groups: Sequence[Mapping[str, Callable[[], object]]], rounds: int) -> None:
    """Print a table of time and memory."""
    for cost in measure(groups, rounds):
        times = [f"{s:.2f} s | {x:+.1%}" for s, x in zip(cost.seconds, cost.shares, strict=True)]
        memory = f"{cost.memory / 2**20:.0f} MiB | {cost.more / 2**20:+.0f} MiB"
        print("|", cost.name, "|", " | ".join(times), "|", memory, "|")  # noqa: T201


def options(description: str | None) -> argparse.ArgumentParser:
    """What the measurements of a block are told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--places", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    return parser


def main() -> None:
    """Print a table of the block's time and memory, alone and read."""
    given = options(main.__doc__).parse_args()
    torch.set_num_threads(given.threads)
    show([diffusers_block(given.places)], given.rounds)


if __name__ == "__main__":
    main()
