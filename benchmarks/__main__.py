"""`python -m benchmarks NAME`: measurements, each printing what it found."""

from __future__ import annotations

import click

from .large import large
from .optimisations import optimisations
from .precision import precision
from .sam_agreement import main as sam_agreement
from .speed import speed
from .together import together
from .trials import trials


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def benchmarks() -> None:
    """Measure what Ref-Diff costs, and what savings cost it."""


benchmarks.add_command(speed)
benchmarks.add_command(large)
benchmarks.add_command(optimisations)
benchmarks.add_command(precision)
benchmarks.add_command(trials)
benchmarks.add_command(together)
benchmarks.add_command(sam_agreement, "sam-agreement")

if __name__ == "__main__":
    benchmarks()
