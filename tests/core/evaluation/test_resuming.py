"""`refdiff evaluate`'s records: what they say, and the same report however a run was cut."""

import random
import signal
import subprocess
import sys
import time

import pytest
import refer_fixture as fixture

from refdiff_core.errors import DataError


@pytest.fixture
def root(tmp_path):
    return fixture.write(tmp_path / "data")


def without_time(records):
    return [{key: each[key] for key in each if key != "seconds"} for each in records]


def test_a_record_says_what_it_is_of(root, tmp_path):
    fixture.run(root, tmp_path / "out")
    record = fixture.records_of(tmp_path / "out")[0]
    assert record["text"] == "box 2 3 12 9" and record["annotation"] == 11 and record["ref"] == 100
    assert record["iou"] == 60 / 104 and record["found"] and record["chosen"] == 0
    assert record["scores"]["generative"] > 0 and 0 < record["score"] <= 1
    assert record["settings"] == "default" and record["variant"] == "gsd" and record["version"]
    assert {*record["models"]} == {"checkpoint", "sam", "clip"}


def test_records_cut_anywhere_give_the_same_report(root, tmp_path):
    out = tmp_path / "out"
    fixture.run(root, out)
    path, names = out / "records.jsonl", ("report.json", "report.html")
    whole, reports = path.read_bytes(), [(out / name).read_bytes() for name in names]
    for end in random.Random(0).sample(range(len(whole)), 12):
        path.write_bytes(whole[:end])
        fixture.run(root, out)
        assert [(out / name).read_bytes() for name in names] == reports
        assert len(fixture.records_of(out)) == len(fixture.ASKED)


def test_a_limit_takes_whole_pictures_and_can_be_raised(root, tmp_path):
    assert fixture.run(root, tmp_path / "out", limit=1)["sentences"] == 4
    assert fixture.run(root, tmp_path / "out", limit=5)["sentences"] == 5
    assert fixture.run(root, tmp_path / "out")["sentences"] == 7
    assert fixture.run(root, tmp_path / "out", limit=1)["sentences"] == 4
    assert len(fixture.records_of(tmp_path / "out")) == 7


def test_records_of_other_code_are_not_taken_for_this_ones(root, tmp_path, monkeypatch):
    fixture.run(root, tmp_path / "out")
    monkeypatch.setattr("refdiff_core.evaluation.evaluate.code_digest", lambda: "other")
    with pytest.raises(DataError, match="code was '[0-9a-f]{16}', is now 'other'"):
        fixture.run(root, tmp_path / "out")


@pytest.mark.parametrize("other", [{"text": "raw"}, {"oracle": True}])
def test_a_run_with_other_settings_is_refused(root, tmp_path, other):
    fixture.run(root, tmp_path / "out")
    with pytest.raises(DataError, match="of another run"):
        fixture.run(root, tmp_path / "out", **other)


def killed_and_run_again(root, out, kills, rng, seconds=0.3):
    """Kill -9 so many times while pictures are being done, then let it finish."""
    command = [sys.executable, fixture.__file__, str(root), str(out), str(seconds)]
    for _ in range(kills):
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = size_of(out)
        while size_of(out) == before and running.poll() is None:
            time.sleep(0.02)  # until it has got somewhere
        time.sleep(rng.uniform(0, 2 * seconds))
        running.send_signal(signal.SIGKILL)
        running.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def size_of(out):
    path = out / "records.jsonl"
    return path.stat().st_size if path.exists() else 0


def check_kills(root, tmp_path, kills):
    fixture.run(root, tmp_path / "whole")
    killed_and_run_again(root, tmp_path / "killed", kills, random.Random(kills))
    for name in ("report.json", "report.html"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    whole, killed = (
        without_time(fixture.records_of(tmp_path / name)) for name in ("whole", "killed")
    )
    assert killed == whole


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_run_ends_with_the_same_report(root, tmp_path):
    check_kills(root, tmp_path, kills=2)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_run_killed_ten_times_ends_with_the_same_report(tmp_path):
    check_kills(fixture.write(tmp_path / "data", copies=12), tmp_path, kills=10)
