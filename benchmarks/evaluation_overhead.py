"""What `refdiff evaluate` costs beside the method: 1,000 sentences of the demo benchmark.

    python -m benchmarks.evaluation_overhead [--limit 1000]

Inside is the time in `segment_apart`; overhead is everything else until the last record is
written: opening the folder, reading pictures, decoding outlines, judging, writing and flushing
records. Both are measured by the clock and in this process's own processor time, which a busy
machine does not stretch.
"""

import contextlib
import tempfile
import time
from pathlib import Path

import click

from refdiff_core.evaluation import evaluate as evaluation
from refdiff_core.models.choice import ModelChoice
from refdiff_core.runs import batch
from refdiff_core.runs.console import working

CLOCKS = {"by the clock": time.perf_counter, "processor time": time.process_time}


class Stopwatch:
    """Adds up the time inside a function, by every clock."""

    def __init__(self, function):
        self.function = function
        self.spent = dict.fromkeys(CLOCKS, 0.0)

    def __call__(self, *given, **named):
        start = {name: clock() for name, clock in CLOCKS.items()}
        try:
            return self.function(*given, **named)
        finally:
            for name, clock in CLOCKS.items():
                self.spent[name] += clock() - start[name]


@click.command()
@click.option("--limit", default=1000, show_default=True, help="About so many sentences.")
@click.option("--variant", default="gsd", show_default=True)
def main(limit, variant):
    """Print how much of a run is spent outside the method."""
    batch.segment_apart = inside = Stopwatch(batch.segment_apart)
    answering, whole, spent = evaluation.answering, {}, {}

    @contextlib.contextmanager
    def timed(*given):
        start = {name: clock() for name, clock in CLOCKS.items()}
        with answering(*given) as found:
            whole.update({name: clock() - start[name] for name, clock in CLOCKS.items()})
            spent.update(inside.spent)  # not what drawing the report's cases adds later
            yield found

    evaluation.answering = timed
    choice = ModelChoice(demo="unet", variant=variant, device="cpu")
    with tempfile.TemporaryDirectory() as folder, working(2) as work:
        asked = evaluation.Evaluation(
            "demo", choice, root=Path(folder), limit=limit, out=Path(folder) / "out"
        )
        judge = evaluation.Judge

        def loaded(*given, **named):
            made = judge(*given, **named)
            assert made.models  # loading them is no part of the loop
            return made

        evaluation.Judge = loaded
        summary = evaluation.evaluate(asked, work)
    for name in CLOCKS:
        share = 1 - spent[name] / whole[name]
        print(
            f"{summary['sentences']} sentences, {name}: {whole[name]:.1f} s, "
            f"{spent[name]:.1f} s in the method, overhead {share:.1%}"
        )


if __name__ == "__main__":
    main()
