"""`refdiff batch`: lists of pictures read, masks written, and no picture done twice."""

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from squares import models

from refdiff_core import Models, segment
from refdiff_core.command.batch import mask_name
from refdiff_core.command.cli import run
from refdiff_core.errors import DataError
from refdiff_core.runs.batch import Answer, Output, hand_out
from refdiff_core.runs.manifest import load_manifest
from refdiff_core.testing import FakeAttention


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch, two_squares):
    """A folder of two pictures, and fakes in the place of the demo models."""
    monkeypatch.chdir(tmp_path)
    Path("shots/more").mkdir(parents=True)
    for name in ("shots/a.png", "shots/more/a.png"):
        PIL.Image.fromarray(two_squares).save(name)
    models = Models(FakeAttention())
    monkeypatch.setattr("refdiff_core.models.choice.load_demo", lambda *_, **__: models)
    return models


def write(name, content):
    Path(name).write_text(content, encoding="utf-8")
    return name


JSON = """\
{"image": "a.png", "expressions": ["the red square", "the blue square"]}

{"image": "more/a.png", "expression": "the red square\\nnot: the blue square"}
{"image": "a.png", "expression": "the red square"}
"""
CSV = """\
\ufeffimage,expression,expression_2,note
a.png,the red square,the blue square,first
more/a.png,"the red square
not: the blue square",,second
a.png,the red square,,again
"""


@pytest.mark.parametrize(("name", "content"), [("shots/list.jsonl", JSON), ("shots/l.csv", CSV)])
def test_both_kinds_of_list_say_the_same(name, content):
    first, second = load_manifest(Path(write(name, content)))
    assert first.image == "a.png" and first.path == Path("shots/a.png")
    assert first.lines == ("the red square", "the blue square")
    assert second.lines == ("the red square", "not: the blue square")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", "", "lists no pictures"),
        ("a.jsonl", "{", "Line 1 of 'a.jsonl' is no JSON"),
        ("a.jsonl", '{"image": "a.png", "expression": "x"}\n[]', "Line 2"),
        ("a.jsonl", '{"image": "a.png", "expressions": [1]}', "a list, or one a line"),
        ("a.jsonl", '{"image": "a.png", "expressions": [" "]}', "Line 1 of 'a.jsonl' names no exp"),
        ("a.jsonl", '{"image": "", "expressions": ["x"]}', "names no picture"),
        ("a.csv", "", "must name the columns"),
        ("a.csv", "a.png,the red cup\n", "must name the columns"),
        ("a.csv", "image,expression\na.png\n", "Line 2 of 'a.csv' names no expression"),
    ],
)
def test_a_bad_list_is_refused_with_its_line(name, content, words):
    with pytest.raises(DataError, match=words):
        load_manifest(Path(write(name, content)))


def test_a_list_that_is_not_there():
    with pytest.raises(DataError, match=r"nowhere\.csv"):
        load_manifest(Path("nowhere.csv"))


def records():
    lines = Path("out/records.jsonl").read_text().splitlines()
    return {(each["image"], each["id"]): each for each in map(json.loads, lines)}


def batch(name, *options):
    return run(["batch", name, "--demo", "--out", "out", *options])


def test_masks_and_records_are_written(squares_masks, capsys):
    assert batch(write("shots/list.jsonl", JSON), "--previews") == 0
    assert "2 of 2 pictures done" in capsys.readouterr().out
    found = records()
    assert len(found) == 3  # the negative line has no mask of its own
    record = found["more/a.png", "the red square"]
    with PIL.Image.open(Path("out") / record["mask"]) as file:
        assert torch.equal(torch.from_numpy(np.asarray(file) > 0), squares_masks[0])
    assert record["box_xywh"] == [8, 12, 20, 20]
    assert len({each["mask"] for each in found.values()}) == 3
    assert len(list(Path("out").glob("*.overlay.png"))) == 3


def test_negative_lines_alone_have_one_record_of_the_rest(squares_masks):
    lines = json.dumps({"image": "a.png", "expressions": ["not: the red square", "not: the cup"]})
    assert batch(write("shots/list.jsonl", lines)) == 0
    ((key, record),) = records().items()
    assert key == ("a.png", "not: the red square\nnot: the cup") and record["found"]
    assert batch("shots/list.jsonl") == 0 and len(records()) == 1


def test_each_object_of_several_is_written_beside_the_list_of_them():
    lines = json.dumps({"image": "a.png", "expression": "the red square and the blue square"})
    assert batch(write("shots/list.jsonl", lines), "--each") == 0
    (record,) = records().values()
    assert len(record["objects"]) == 2
    assert all((Path("out") / each["mask"]).is_file() for each in record["objects"])


def test_only_what_is_new_is_done(elsewhere, capsys):
    source = elsewhere.attention
    assert batch(write("shots/list.jsonl", JSON)) == 0
    assert source.calls == 2
    assert batch("shots/list.jsonl") == 0
    assert source.calls == 2
    before = records()
    PIL.Image.open("shots/a.png").save("shots/b.png")
    more = '{"image": "b.png", "expression": "the red square"}\n' + JSON
    assert batch(write("shots/list.jsonl", more)) == 0
    assert source.calls == 3
    after = records()
    assert {key: after[key] for key in before} == before and len(after) == 4


def test_a_missing_picture_is_named_and_tried_again(capsys, squares_masks):
    listed = JSON + '{"image": "later.png", "expression": "the red square"}\n'
    assert batch(write("shots/list.jsonl", listed)) == 2
    captured = capsys.readouterr()
    assert "2 of 3 pictures done" in captured.out
    assert "later.png" in captured.err
    PIL.Image.open("shots/a.png").save("shots/later.png")
    assert batch("shots/list.jsonl") == 0
    assert "error" not in records()["later.png", "the red square"]


def test_a_line_that_cannot_be_read_is_told_of_by_every_run(capsys):
    line = '{"image": "a.png", "expressions": ["the red square", "the [red square"]}'
    for _ in range(2):
        assert batch(write("shots/list.jsonl", line)) == 2
        assert "0 of 1 pictures done" in capsys.readouterr().out


def test_several_things_that_a_negative_line_cuts_away_are_no_objects(picture, squares, tmp_path):
    lines = ["all red squares", "not: the red squares"]
    (alone,), (result,) = (segment(picture, each, models(squares)) for each in (lines[:1], lines))
    told = [
        hand_out(Answer(picture, each, 0.0), Path("a.png"), name, "gsd", Output(out=tmp_path))
        for each, name in ((alone, "both"), (result, "none"))
    ]
    assert len(told[0]["objects"]) == 3
    assert not told[1]["found"] and told[1]["objects"] == []


def test_other_settings_never_mix(capsys):
    assert batch(write("shots/list.jsonl", JSON)) == 0
    assert batch("shots/list.jsonl", "--seed", "1") == 2
    assert "preset.attention.seed was 0, is now 1" in capsys.readouterr().err
    assert batch("shots/list.jsonl", "--seed", "1", "--fresh") == 0


def test_names_of_masks_never_meet():
    images = ["a.png", "a.jpg", "b/a.png", "b-a.png", "b a.png", "A.png", "../a.png", "/a.png"]
    assert len({mask_name(image) for image in images}) == len(images)
    assert all("/" not in mask_name(image) for image in images)


def test_a_picture_whose_masks_were_deleted_is_done_again(capsys):
    write("shots/list.jsonl", JSON)
    command = ["batch", "shots/list.jsonl", "--demo", "--out", "out"]
    assert run(command) == 0
    masks = sorted(Path("out").rglob("*.png"))
    before = {mask: mask.read_bytes() for mask in masks}
    assert masks
    for mask in masks:
        mask.unlink()
    assert run(command) == 0
    assert {mask: mask.read_bytes() for mask in sorted(Path("out").rglob("*.png"))} == before
