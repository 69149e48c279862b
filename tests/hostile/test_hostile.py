"""Bad input of every kind ends in a right answer or in one error of ours; see `attack.py`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KINDS = (
    "pictures", "model files", "checkpoints", "masks", "texts", "lists", "settings", "records",
    "outlines", "data sets", "downloads", "whole runs",
)  # fmt: skip


def attacked(*options):
    """What came of each kind, by name."""
    places = [str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": os.pathsep.join(places)}
    command = [sys.executable, "-W", "ignore", str(HERE / "attack.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found, done.stderr[-3000:]
    return {each["name"]: each for each in found}


@pytest.fixture(scope="module")
def quick():
    return attacked()


def holds(tally):
    assert tally["inputs"] > 0
    assert not tally["raw"], "\n".join(tally["raw"][:10])
    assert not tally["wrong"], "\n".join(tally["wrong"][:10])


@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_ends_in_a_right_answer_or_one_error_of_ours(quick, kind):
    holds(quick[kind])


@pytest.mark.slow
def test_ten_thousand_bad_inputs_end_in_right_answers_or_errors_of_ours():
    found = attacked("--long", "--seed", "1")
    assert set(found) == set(KINDS)
    assert sum(each["inputs"] for each in found.values()) >= 10_000
    for tally in found.values():
        holds(tally)
