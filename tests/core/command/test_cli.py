"""The command line: what it prints, what it writes, and how it takes bad input."""

import json
import re

import numpy as np
import PIL.Image
import pytest
from shell import complaint, read_mask, records, segment

from refdiff_core.command.cli import run


def test_an_animation_is_noted_on_standard_error(fakes, capsys):
    frames = [PIL.Image.new("RGB", (4, 3), color) for color in ("red", "blue")]
    frames[0].save("a.gif", save_all=True, append_images=frames[1:])
    assert segment("a.gif", "--expression", "the red square", "--json") == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1
    assert captured.err.startswith("refdiff: note: 'a.gif' is animated")


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "[red", "[]"])
def test_expressions_that_say_nothing(fakes, scene, text, capsys):
    assert segment(scene, "--expression", text) == 2
    complaint(capsys)


def test_a_blank_expression_among_good_ones_is_still_an_error(fakes, scene, capsys):
    assert segment(scene, "--expression", "the red square", "--expression", " ") == 2
    complaint(capsys)


def bad_pictures(folder):
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no picture")
    (folder / "folder").mkdir()
    return "missing.png", "empty.png", "text.png", "folder"


def test_a_bad_picture_is_one_line_and_status_2(fakes, tmp_path, capsys):
    for name in bad_pictures(tmp_path):
        assert segment(name, "--expression", "the red square", "--json") == 2
        assert name in complaint(capsys)


def test_bad_pictures_do_not_lose_the_others(fakes, scene, tmp_path, capsys):
    names = bad_pictures(tmp_path)
    assert segment(*names[:2], scene, *names[2:], "--expression", "the red square", "--json") == 2
    captured = capsys.readouterr()
    (line,) = captured.out.splitlines()
    assert json.loads(line)["found"]
    *errors, summary = captured.err.splitlines()
    assert len(errors) == 4
    assert summary.startswith("refdiff: 1 of 5 pictures done; not done: ")
    assert all(name in summary for name in names)


@pytest.mark.parametrize("out", ["taken", "taken/below"])
def test_an_output_folder_that_cannot_be(fakes, scene, tmp_path, out, capsys):
    (tmp_path / "taken").touch()
    assert segment(scene, "--expression", "the red square", "--out", out) == 2
    assert "--out" in complaint(capsys)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--demo"),
        (["--demo", "--checkpoint", "a"], "Leave out --checkpoint"),
        (["--demo", "--sam", "a"], "Leave out --sam"),
        (["--checkpoint", "nowhere.safetensors"], "no model 'nowhere.safetensors'"),
        (["--checkpoint", ""], "no model ''"),
        (["--clip", "nowhere", "--sam", "scene.png"], "no model 'nowhere'"),
        (["--demo", "--variant", "x"], "'x'"),
        (["--demo", "--settings", "x"], "'x'"),
        (["--demo", "--settings", "official", "--variant", "g"], "no variant 'g'"),
        (["--demo", "--seed", "-1"], "-1"),
        (["--demo", "--device", "abacus"], "no device 'abacus'"),
        (["--demo", "--device", "meta"], "no device 'meta'"),
        (["--demo", "--masks", "nowhere"], "no masks at 'nowhere'"),
        (["--demo", "--masks", "scene.png", "--variant", "g"], "Leave out --masks"),
        (["--checkpoint", "a", "--masks", "a", "--sam", "a"], "Leave one"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_options_that_do_not_go_together(scene, arguments, words, capsys):
    assert run(["segment", scene, "--expression", "the red square", *arguments]) == 2
    assert words in complaint(capsys)


@pytest.mark.parametrize(
    "arguments", [["segment"], ["segment", "--demo", "a.png"], ["nonsense"], ["parse"]]
)
def test_what_is_missing_is_named(arguments, capsys):
    assert run(arguments) == 2
    complaint(capsys)


@pytest.mark.parametrize("name", ["text.safetensors", "text.ckpt", "empty.ckpt", "folder", "a.npy"])
def test_a_checkpoint_that_is_none(scene, tmp_path, name, capsys):
    (tmp_path / "text.safetensors").write_text("no checkpoint")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    (tmp_path / "empty.ckpt").touch()
    (tmp_path / "folder").mkdir()
    np.save("a.npy", np.zeros(3))
    status = run(["segment", scene, "--expression", "the red square", "--checkpoint", name])
    assert status == 2
    assert name in complaint(capsys)


def test_interrupted_is_130_and_keeps_what_was_done(fakes, scene, monkeypatch, capsys, tmp_path):
    from refdiff_core.command import segment as job

    answer = job.answer_picture

    def answer_once(path, *rest):
        if path.name != scene:
            raise KeyboardInterrupt
        return answer(path, *rest)

    monkeypatch.setattr(job, "answer_picture", answer_once)
    assert segment(scene, "later.png", "--expression", "the red square", "--json") == 130
    captured = capsys.readouterr()
    read_mask(json.loads(captured.out)["mask"])
    assert captured.err.strip() == "refdiff: interrupted"


def test_parse_prints_one_object_a_line(capsys):
    assert run(["parse", "the red cup\nleft dog", "not: cat", "--json"]) == 0
    found = records(capsys)
    keys = ["text", "negative", "root", "attributes", "position", "order", "extreme", "relations"]
    keys += ["count", "region", "excluded", "things", "notes"]
    assert [list(each) for each in found] == [keys] * 3
    assert [each["root"] for each in found] == ["cup", "dog", "cat"]


def test_parse_for_people(capsys):
    assert run(["parse", "the red cup"]) == 0
    assert re.search(r"root +cup", capsys.readouterr().out)


def test_parse_takes_no_blank_text(capsys):
    assert run(["parse", " "]) == 2
    complaint(capsys)


def test_models_lists_what_is_there(tmp_path, monkeypatch, capsys):
    (tmp_path / "store" / "sams").mkdir(parents=True)
    (tmp_path / "store" / "sams" / "sam_vit_b.pth").touch()
    monkeypatch.setenv("REFDIFF_MODELS", str(tmp_path / "store"))
    assert run(["models"]) == 0
    out = capsys.readouterr().out
    assert "sam_vit_b.pth" in out and str(tmp_path / "store") in out
    for word in ("Stable Diffusion 1.x", "vit_h", "coloured shapes", "CLIP"):
        assert word in out


def test_version(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("refdiff ")


def test_demo_writes_pictures_and_tells_the_truth(tmp_path, capsys):
    assert run(["demo"]) == 0
    out = capsys.readouterr().out
    assert "coloured shapes and nothing else" in out
    masks = re.findall(r"\S+\.mask\.png", out)
    assert len(masks) == 4
    rows = [line for line in out.splitlines() if line.endswith(".mask.png")]
    assert all(float(row.split()[-2]) > 0.5 for row in rows)  # IoU with the drawn shapes
    for mask in masks:
        read_mask(mask)
        for kind in ("overlay", "heat", "candidates"):
            PIL.Image.open(mask.replace(".mask.", f".{kind}.")).verify()
    PIL.Image.open("refdiff-out/summary.png").verify()
