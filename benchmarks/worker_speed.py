"""How much faster two workers are than one: the demo benchmark, one thread for each worker.

    OMP_NUM_THREADS=1 python -m benchmarks.worker_speed [--limit 400] [--workers 2]

Counted from the first picture's records to the last one's, so that neither Ray's start nor
loading models counts. Both runs follow one another on the same machine; their records must agree.
"""

import json
import tempfile
import time
from pathlib import Path

import click
import torch

from refdiff_core.evaluation.evaluate import Evaluation, evaluate
from refdiff_core.models.choice import ModelChoice
from refdiff_core.runs.console import working
from refdiff_core.runs.records import RecordFile


@click.command()
@click.option("--limit", default=400, show_default=True, help="About so many sentences.")
@click.option("--workers", default=2, show_default=True)
@click.option("--variant", default="gsd", show_default=True)
def main(limit, workers, variant):
    """Print sentences a second of one worker and of several."""
    torch.set_num_threads(1)
    times = []
    append = RecordFile.append

    def timed(self, records):
        append(self, records)
        times.append((time.perf_counter(), len(records)))

    RecordFile.append = timed
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in (1, workers):
            times.clear()
            out = Path(folder) / str(count)
            choice = ModelChoice(demo="unet", variant=variant, device="cpu")
            asked = Evaluation(
                "demo", choice, root=Path(folder), limit=limit, out=out, workers=count
            )
            with working(2) as work:
                evaluate(asked, work)
            if len(times) <= count:
                raise click.UsageError(f"{len(times)} pictures are too few. Raise --limit.")
            # from when every worker is at work
            start, rest = times[count - 1][0], sum(number for _, number in times[count:])
            rate = rest / (times[-1][0] - start)
            print(f"{count} at work: {rest} sentences, {rate:.2f} a second")
            found[count] = [json.loads(line) for line in (out / "records.jsonl").open()]
    first, other = (
        sorted(({**each, "seconds": 0} for each in found[n]), key=lambda each: each["id"])
        for n in (1, workers)
    )
    print("the same records" if first == other else "the records differ")


if __name__ == "__main__":
    main()
