"""Full disks, pipes in place of files, options of other machines: each has its one clear error."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from refdiff_core.command.cli import run

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
RED = ("--demo", "--variant", "g", "--expression", "the red square")


def one_error(capsys, status):
    """The one line on standard error of a command that found bad input."""
    (line,) = capsys.readouterr().err.splitlines()
    assert status == 2 and line.startswith("refdiff: ")
    return line


def started(*arguments, **options):
    """The command line in a process of its own, as people start it."""
    command = [sys.executable, "-W", "ignore", "-m", "refdiff_core", *arguments]
    return subprocess.run(command, stderr=subprocess.PIPE, timeout=240, **options)


# --- where results go -------------------------------------------------------------------


@needs_full
@pytest.mark.parametrize("arguments", [("parse", "the red cup"), ("--version",), ("models",)])
def test_standard_output_that_is_full_is_said_once(arguments):
    with open("/dev/full", "wb") as full:
        done = started(*arguments, stdout=full)
    assert done.returncode == 2
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("refdiff: results cannot be written (")


@pytest.mark.parametrize(
    "arguments",
    [("parse", "the red \u7ea2 square"), ("segment", "scene.png", *RED[:-1], "\u7ea2 red square")],
    ids=["parse", "segment"],
)
def test_letters_that_a_terminal_lacks_end_nothing(scene, arguments):
    """Standard output as Windows' pipes have it."""
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = started(*arguments, stdout=subprocess.PIPE, env=environment)
    assert done.returncode == 0, done.stderr
    assert b"\\u7ea2" in done.stdout


@contextlib.contextmanager
def room_of(size):
    """A disk that is full beyond so many bytes of a file."""
    resource = pytest.importorskip("resource")
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def left_in(folder):
    return {each.name: each.stat().st_size for each in Path(folder).iterdir()}


def test_a_full_disk_ends_segment_with_one_error_and_no_half_file(fakes, scene, capsys):
    with room_of(20):
        status = run(["segment", scene, *RED])
    assert "scene.the-red-square.mask.png' cannot be written (" in one_error(capsys, status)
    assert left_in("refdiff-out") == {}


def listed(count):
    rows = [{"image": "scene.png", "expression": f"the red square {n}"} for n in range(count)]
    Path("list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return ["batch", "list.jsonl", "--demo", "--variant", "g", "--out", "out"]


def test_a_full_disk_ends_batch_before_its_masks(fakes, scene, capsys):
    arguments = listed(1)
    with room_of(20):
        status = run(arguments)
    assert "'out' cannot be written to (" in one_error(capsys, status)
    assert not any(left_in("out").values())


def test_a_full_disk_ends_batch_with_one_error_and_no_half_picture(fakes, capsys):
    noise = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
    PIL.Image.fromarray(noise).save("scene.png")
    arguments = [*listed(1), "--previews"]
    with room_of(8000):
        status = run(arguments)
    assert "overlay.png' cannot be written (" in one_error(capsys, status)
    assert not [name for name in left_in("out") if name.endswith((".png", ".part"))]


def test_a_disk_that_fills_with_records_is_told_and_the_rest_is_done_later(fakes, scene, capsys):
    arguments = listed(40)  # their records are larger than that, masks are not
    with room_of(8000):
        status = run(arguments)
    assert "records.jsonl' cannot be written to (" in one_error(capsys, status)
    assert run(arguments) == 0
    records = [json.loads(line) for line in Path("out/records.jsonl").read_text().splitlines()]
    assert len(records) == 40 and all(left_in("out")[each["mask"]] for each in records)


@pytest.mark.parametrize("out", ["/dev/null", "/dev/null/below", "pipe", "x" * 300])
def test_results_go_to_folders_only(fakes, scene, capsys, out):
    if out == "pipe":
        pytest.importorskip("fcntl")
        os.mkfifo("pipe")
    assert "--out" in one_error(capsys, run(["segment", scene, *RED, "--out", out]))


# --- where input comes from -------------------------------------------------------------


@needs_pipes
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["segment", "pipe", *RED], "'pipe' is no file"),
        (["segment", "scene.png", *RED, "--settings", "pipe.json"], "it is no file"),
        (["segment", "scene.png", *RED[2:], "--checkpoint", "pipe"], "no model file at 'pipe'"),
        (["segment", "scene.png", "--sam", "pipe", "--clip", "pipe", *RED[3:]], "no model"),
        (["segment", "scene.png", "--demo", "--masks", "pipe", *RED[3:]], "no masks at 'pipe'"),
        (["batch", "pipe", *RED[:3]], "it is no file"),
    ],
    ids=["picture", "settings", "checkpoint", "sam", "masks", "list"],
)
def test_pipes_are_no_files_and_nothing_waits_for_them(fakes, scene, capsys, arguments, told):
    os.mkfifo("pipe")
    os.mkfifo("pipe.json")
    assert told in one_error(capsys, run(arguments))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["segment", "~nosuchuser/a.png", *RED], "no picture at '~nosuchuser/a.png'"),
        (["segment", "scene.png", *RED[2:], "--checkpoint", "~nosuchuser/a"], "'~nosuchuser/a'"),
        (["batch", "~nosuchuser/list.csv", *RED[:3]], "'~nosuchuser/list.csv' cannot be read"),
    ],
    ids=["picture", "checkpoint", "list"],
)
def test_a_user_that_is_none_has_no_files(fakes, scene, capsys, arguments, told):
    assert told in one_error(capsys, run(arguments))


def test_results_of_a_user_that_is_none_go_to_a_folder_of_that_name(fakes, scene):
    assert run(["segment", scene, *RED, "--out", "~nosuchuser/out"]) == 0
    assert left_in("~nosuchuser/out")


DEEP = "[" * 10**5


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("list.jsonl", DEEP, "Line 1 of 'list.jsonl' is no JSON"),
        ("list.jsonl", f'{{"image": "a.png", "expression": {DEEP}', "is no JSON"),
        ("list.csv", f"image,{'x' * 200_000},expression\n", "Line 1 of 'list.csv' is no CSV"),
        ("list.csv", f'image,expression\na.png,"{"x" * 200_000}', "is no CSV"),
    ],
    ids=["deep", "deep expression", "wide head", "wide cell"],
)
def test_lists_beyond_all_measure_have_one_error(fakes, capsys, name, content, told):
    Path(name).write_text(content)
    status = run(["batch", name, *RED[:3], "--out", "out"])
    error = capsys.readouterr().err.splitlines()[0]
    assert status == 2 and error.startswith("refdiff: ") and told in error


# --- options of other machines ----------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--seed", str(2**64), "is not in the range"),
        ("--seed", "1e3", "'1e3'"),
        ("--device", "hpu", "There is no device 'hpu' here"),
        ("--device", "cuda:99", "There is no device 'cuda:99' here"),
        ("--device", "", "There is no device '' here"),
        ("--min-present", "nan", "min_present is nan, expected 0 to 1"),
        ("--settings", "", "There are no settings ''"),
    ],
)
def test_options_that_no_machine_takes_have_one_error(fakes, scene, capsys, option, value, told):
    assert told in one_error(capsys, run(["segment", scene, *RED, option, value]))
