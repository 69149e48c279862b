"""What evaluation costs beside the method is measured by a command of its own, which must run."""

import importlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from refdiff_core.evaluation import evaluate as evaluation
from refdiff_core.evaluation.write_refer import Recipe
from refdiff_core.runs import batch


@pytest.fixture
def overhead(monkeypatch):
    """The benchmark, a small data set, and what it puts in place of ours put back afterwards."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3]))
    for owner, name in ((batch, "segment_apart"), (evaluation, "answering"), (evaluation, "Judge")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(evaluation, "Recipe", lambda: Recipe(scenes=2))
    return importlib.import_module("benchmarks.evaluation_overhead").main


def test_most_of_the_time_is_the_methods(overhead):
    said = CliRunner().invoke(overhead, ["--limit", "1", "--variant", "g"], catch_exceptions=False)
    shares = [line for line in said.output.splitlines() if "overhead" in line]
    assert [line.split(", ")[1].split(":")[0] for line in shares] == [
        "by the clock",
        "processor time",
    ]
    assert all(0 < float(line.split()[-1].rstrip("%")) < 100 for line in shares)
