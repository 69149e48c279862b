"""Settings by name and from a file."""

import json
from dataclasses import replace

import pytest

from refdiff_core.errors import ModelError
from refdiff_core.settings import DEFAULT, PAPER, find_preset


@pytest.fixture
def write(tmp_path):
    def to(told):
        path = tmp_path / "mine.json"
        path.write_text(told if isinstance(told, str) else json.dumps(told))
        return str(path)

    return to


def test_a_file_says_what_differs_from_what_it_is_based_on(write):
    told = {
        "fusion": {"min_present": 0.3, "calibration": {"steep": 5, "match": [0.5, 0.3, 0.9, 0.1]}}
    }
    found = find_preset(write({**told, "figures": {"mIoU": 0.5}}))
    known = replace(DEFAULT.fusion.calibration, steep=5.0, match=(0.5, 0.3, 0.9, 0.1))
    assert found == replace(
        DEFAULT, fusion=replace(DEFAULT.fusion, min_present=0.3, calibration=known)
    )


def test_a_file_may_be_based_on_others(write):
    found = find_preset(write({"base": "paper", "attention": {"timestep": 201}}))
    assert found == replace(PAPER, attention=replace(PAPER.attention, timestep=201))


@pytest.mark.parametrize(
    "told",
    [
        "no json",
        "[]",
        {"base": "mine"},
        {"fusion": {"no such": 1}},
        {"fusion": {"min_present": "much"}},
        {"fusion": {"fill": 1}},
        {"fusion": {"calibration": {"match": [1, 2]}}},
        {"clip": 3},
    ],
)
def test_a_file_that_holds_no_settings_is_told_with_what_to_write(write, told):
    with pytest.raises(ModelError, match="holds no settings .* Write JSON such as"):
        find_preset(write(told))


def test_a_name_that_is_none_is_told_with_those_that_are():
    with pytest.raises(ModelError, match="use one of default, paper, official, or a preset file"):
        find_preset("best")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ModelError, match="FileNotFoundError"):
        find_preset(str(tmp_path / "gone.json"))
