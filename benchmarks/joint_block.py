"""What reading the words costs beside one block of Flux's own width, on one core.

    python -m benchmarks.joint_block [--places 4096] [--write docs/transformers.md]

Needs no weights: diffusers' own block with random ones, 24 heads of 128, 512 tokens of text.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import torch
from diffusers.models.transformers.transformer_flux import FluxTransformerBlock
from torch import Tensor

from refdiff_core.backends.transformers_attention import watching
from refdiff_core.seeing.attention import word_weights
from refdiff_core.seeing.capture import Capture
from refdiff_core.seeing.joint import READINGS, JointReader, Layout

HEADS, SIZE, TOKENS, WORDS, ROUNDS = 24, 128, 512, 3, 1


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


def timed(call: Callable[[], object]) -> tuple[float, int]:
    """Seconds and the peak of memory above the start, of one call."""
    with peak() as most:
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
    return seconds, most[0]


def measure(places: int) -> Iterator[tuple[str, float, int]]:
    """Seconds and peak memory of the block alone, and of it with each reading; best of rounds."""
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
        with watching(reader):
            return call()

    names = (None, *READINGS)
    runs: dict[str | None, list[tuple[float, int]]] = {name: [] for name in names}
    run()
    for _ in range(ROUNDS):  # in turns, so that a busy machine is busy for all
        for name in names:
            runs[name].append(timed(lambda name=name: run(name)))
    for name, found in runs.items():
        yield name or "alone", min(s for s, _ in found), min(m for _, m in found)


@torch.inference_mode()
def main() -> None:
    """Print a table of the block's time and memory, alone and read."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--places", type=int, default=4096)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = list(measure(options.places))
    _, seconds, memory = rows[0]
    for name, own, most in rows:
        share = own / seconds - 1
        more = (most - memory) / 2**20
        print(f"| {name} | {own:.2f} s | {share:+.1%} | {most / 2**20:.0f} MiB | {more:+.0f} MiB |")  # noqa: T201


if __name__ == "__main__":
    main()
