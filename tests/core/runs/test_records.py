"""Records: nothing lost, nothing twice, nothing mixed, whatever ends a run."""

import json
import os
import subprocess
import sys

import pytest

from refdiff_core.errors import DataError
from refdiff_core.runs.records import open_records

RUN = {"version": "1", "models": {"sam": "abc"}}
WANTED = {image: [f"{image}.{n}" for n in range(3)] for image in range(4)}


def of(image):
    return [{"image": image, "id": name, "value": 0.1 * image} for name in WANTED[image]]


def go_on(folder, run=RUN, **options):
    """Do whatever is left; the pictures that were, and all records."""
    with open_records(folder, run, **options) as records:
        todo = [image for image in WANTED if image not in records.resume(WANTED)]
        for image in todo:
            records.append(of(image))
        return todo, records.records


def test_a_run_goes_on_where_it_ended(tmp_path):
    with open_records(tmp_path, RUN) as records:
        assert records.resume(WANTED) == set()
        records.append(of(0))
        records.append(of(2))
    todo, found = go_on(tmp_path)
    assert todo == [1, 3]
    assert sorted(each["id"] for each in found) == sorted(sum(WANTED.values(), []))
    assert go_on(tmp_path)[0] == []


def test_cut_anywhere_nothing_is_lost_or_done_twice(tmp_path):
    go_on(tmp_path)
    path = tmp_path / "records.jsonl"
    whole = path.read_bytes()
    breaks = [at for at, byte in enumerate(whole) if byte == ord("\n")]
    for end in sorted({0, *range(5, len(whole), 37), *breaks, *(at + 1 for at in breaks)}):
        path.write_bytes(whole[:end])
        todo, found = go_on(tmp_path)
        done = whole[:end].count(b"\n") // 3
        assert todo == list(WANTED)[done:]
        assert path.read_bytes() == whole
        assert [each["id"] for each in found] == sum(WANTED.values(), [])


def test_rubbish_in_the_middle_costs_one_picture(tmp_path):
    go_on(tmp_path)
    path = tmp_path / "records.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[4] = b"\x00\xff{"
    path.write_bytes(b"\n".join(lines))
    assert go_on(tmp_path)[0] == [1]


def test_what_failed_is_tried_again(tmp_path):
    with open_records(tmp_path, RUN) as records:
        records.append([{**each, "error": "no such file"} for each in of(1)])
    todo, found = go_on(tmp_path)
    assert todo == [0, 1, 2, 3]
    assert not any("error" in each for each in found)


def test_pictures_that_are_not_wanted_now_stay(tmp_path):
    go_on(tmp_path)
    with open_records(tmp_path, RUN) as records:
        assert records.resume({0: WANTED[0]}) == {0}
    assert go_on(tmp_path)[0] == []


def test_a_picture_of_which_more_is_wanted_is_done_as_a_whole(tmp_path):
    go_on(tmp_path)
    with open_records(tmp_path, RUN) as records:
        assert records.resume({0: [*WANTED[0], "one more"], 1: WANTED[1]}) == {1}


def test_other_settings_never_mix(tmp_path):
    go_on(tmp_path)
    other = {"version": "1", "models": {"sam": "xyz"}}
    with pytest.raises(DataError, match=r"models\.sam was 'abc', is now 'xyz'.*--fresh"):
        go_on(tmp_path, other)
    assert go_on(tmp_path, other, fresh=True)[0] == [*WANTED]
    assert json.loads((tmp_path / "run.json").read_text()) == other


def test_records_that_nobody_knows_are_left_alone(tmp_path):
    (tmp_path / "records.jsonl").write_text("somebody's\n")
    with pytest.raises(DataError, match=r"no run\.json"):
        go_on(tmp_path)
    assert (tmp_path / "records.jsonl").read_text() == "somebody's\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no file locks")
def test_two_runs_in_one_folder_are_one_too_many(tmp_path):
    with open_records(tmp_path, RUN):
        code = f"from test_records import *; go_on(__import__('pathlib').Path({str(tmp_path)!r}))"
        path = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
    assert "Another run is at work" in done.stderr
    go_on(tmp_path)
