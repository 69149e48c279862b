"""What reading the words costs beside one block of Flux's own width, on the CPU.

    python -m benchmarks.joint_block [--places 4096] [--threads 2] [--rounds 5]

Needs no weights: diffusers' own block with random ones, 24 heads of 128, 512 tokens of text.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from threading import Event, Thread

import torch
from diffusers.models.transformers.transformer_flux import FluxTransformerBlock
from torch import Tensor

from refdiff_core.backends.transformers_attention import watching
from refdiff_core.seeing.attention import word_weights
from refdiff_core.seeing.capture import Capture
from refdiff_core.seeing.joint import READINGS, JointReader, Layout

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


def measure(places: int, rounds: int) -> Iterator[Cost]:
    """What the block costs alone and with each reading, in turns and round by round."""
    width = HEADS * SIZE
    torch.manual_seed(0)
    block = FluxTransformerBlock(width, HEADS, SIZE).eval()
    picture, text, temb = (torch.randn(1, n, width) for n in (places, TOKENS, 1))
    angles = torch.zeros(places + TOKENS, SIZE)
    rotary = angles.cos(), angles.sin()
    side = round(places**0.5)
    layout = Layout(TOKENS, 0, TOKENS, (side, places // side))
    weights = word_weights([[[at] for at in range(WORDS)]], TOKENS)
    said = torch.ones(1, TOKENS, dtype=torch.bool)

    def run(reading: str | None = None) -> Tensor | None:
        def call() -> Tensor:
            done: Tensor = block(picture, text, temb[:, 0], image_rotary_emb=rotary)[1]
            return done

        if reading is None:
            return call()
        reader = JointReader(Capture(["0"], weights, stop=False), layout, weights, said, reading)
        with watching(reader, [block]):
            return call()

    names = (None, *READINGS)
    run()
    # in turns, so that a busy machine is busy for all
    found = [[timed(lambda name=name: run(name)) for name in names] for _ in range(rounds)]
    for column, name in enumerate(names):
        own = [row[column] for row in found]
        shares = [
            (a / c - 1, b / d - 1) for (a, b, _), ((c, d, _), *_) in zip(own, found, strict=True)
        ]
        wall, processor, memory = (median(each) for each in zip(*own, strict=True))
        more = median(row[column][2] - row[0][2] for row in found)
        middle = tuple(median(each) for each in zip(*shares, strict=True))
        yield Cost(name or "alone", (wall, processor), middle, int(memory), int(more))


@torch.inference_mode()
def main() -> None:
    """Print a table of the block's time and memory, alone and read."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--places", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for cost in measure(options.places, options.rounds):
        times = [f"{s:.2f} s | {x:+.1%}" for s, x in zip(cost.seconds, cost.shares, strict=True)]
        memory = f"{cost.memory / 2**20:.0f} MiB | {cost.more / 2**20:+.0f} MiB"
        print("|", cost.name, "|", " | ".join(times), "|", memory, "|")  # noqa: T201


if __name__ == "__main__":
    main()
