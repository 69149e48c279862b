"""Settings by name and from a file."""

import json
import os
from dataclasses import fields, replace

import pytest

from refdiff_core.errors import SettingsError
from refdiff_core.ranges import RANGES
from refdiff_core.seeing.joint import READINGS
from refdiff_core.settings import (
    DEFAULT,
    PAPER,
    AttentionSettings,
    Calibration,
    ClipSettings,
    SamSettings,
    Settings,
    find_preset,
)

NUMBERS = ("int", "float", "int | None")


@pytest.fixture
def write(tmp_path):
    def to(told):
        path = tmp_path / "mine.json"
        path.write_text(told if isinstance(told, str) else json.dumps(told))
        return str(path)

    return to


def test_a_file_says_what_differs_from_what_it_is_based_on(write):
    told = {
        "fusion": {
            "min_present": 0.3,
            "calibration": {"steep": 5, "match": [0.5, 0.3, 0.9, 1.2, 0]},
        }
    }
    found = find_preset(write({**told, "figures": {"mIoU": 0.5}}))
    known = replace(DEFAULT.fusion.calibration, steep=5.0, match=(0.5, 0.3, 0.9, 1.2, 0.0))
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
        {"clip": {"zoom": 10**400}},
    ],
)
def test_a_file_that_holds_no_settings_is_told_with_what_to_write(write, told):
    with pytest.raises(SettingsError, match="holds no settings .* Write JSON such as"):
        find_preset(write(told))


def test_a_name_that_is_none_is_told_with_those_that_are():
    with pytest.raises(
        SettingsError, match="use one of default, paper, official, or a preset file"
    ):
        find_preset("best")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SettingsError, match="FileNotFoundError"):
        find_preset(str(tmp_path / "gone.json"))


@pytest.mark.parametrize(
    "told",
    [
        {"attention": {"timestep": 1000}},
        {"attention": {"timestep": "early"}},
        {"attention": {"resolution": 10**9}},
        {"attention": {"resolution": 512.5}},
        {"attention": {"words": "all"}},
        {"attention": {"reading": "sideways"}},
        {"sam": {"points_per_side": 10**6}},
        {"clip": {"surround": "white"}},
        {"clip": {"zoom": 1e9}},
        {"fusion": {"min_present": float("nan")}},
        {"fusion": {"alpha": -0.1}},
        {"fusion": {"calibration": {"present": [float("inf"), 0]}}},
    ],
    ids=str,
)
def test_a_value_out_of_range_is_told_with_what_may_be(write, told):
    with pytest.raises(SettingsError, match=r"is .*, expected (a whole number|one of|[\d.-]+ to)"):
        find_preset(write(told))


def test_values_are_checked_in_python_too():
    with pytest.raises(SettingsError, match="alpha is 1.5, expected 0 to 1"):
        Settings(alpha=1.5)


def test_every_number_has_a_range_and_the_presets_keep_to_them():
    parts = (AttentionSettings, SamSettings, ClipSettings, Calibration, Settings)
    named = {field.name for part in parts for field in fields(part) if field.type in NUMBERS}
    assert named and named <= set(RANGES)


def test_ways_of_reading_are_those_that_there_are():
    assert RANGES["reading"] == READINGS


def test_a_file_may_begin_with_a_mark_of_its_encoding(tmp_path):
    (tmp_path / "mine.json").write_text('{"base": "paper"}', encoding="utf-8-sig")
    assert find_preset(str(tmp_path / "mine.json")) == PAPER


@pytest.mark.parametrize("told", ["[" * 10**5, '{"fusion":' * 10**5], ids=["list", "object"])
def test_a_deep_file_is_told(write, told):
    with pytest.raises(SettingsError, match="holds no settings"):
        find_preset(write(told))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_a_pipe_is_no_file_of_settings(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(SettingsError, match="it is no file"):
        find_preset(str(tmp_path / "pipe.json"))


def test_what_counts_is_a_whole_number():
    with pytest.raises(SettingsError, match="timestep is 200.0, expected a whole number"):
        AttentionSettings(timestep=200.0)
