"""Three hundred prompts in one server: what is still growing when everything has been seen."""

import sys

import numpy as np
import pytest
from graphs import known, segment_graph

RUNS, WARM, EVERY = 300, 100, 10
MOST = 24 << 20
"""Bytes: a map that is kept, 100 KB a run, would be as much by the end; a picture, three times."""


@pytest.mark.slow
def test_memory_stays_where_it_is_once_everything_is_warm(server, capsys):
    """The middle of the last third against that of the first after the warm-up.

    By medians, because an allocator gives memory back in steps, and late.
    """
    cases = known(server, 4)
    sizes = []
    for number in range(RUNS):
        case = cases[number % len(cases)]
        graph, _, _, segment, _ = segment_graph(case.name, f"{case.text}\nthe star")
        segment.set(seed=number)  # or ComfyUI would hand back what it has
        server.run(graph.nodes)
        if number % EVERY == EVERY - 1:
            sizes.append(server.memory)
    after = np.array(sizes[WARM // EVERY :])
    third = len(after) // 3
    early, late = np.median(after[:third]), np.median(after[-third:])
    with capsys.disabled():
        told = [round(each / 2**20) for each in (sizes[0], early, late)]
        sys.stdout.write(f"\nMiB after {EVERY} runs, then by the middle of two thirds: {told}\n")
    assert late - early < MOST, sizes
