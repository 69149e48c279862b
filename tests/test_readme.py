"""What the README says is so."""

import json
import re
from pathlib import Path

import PIL.Image
import pytest

from refdiff_core import Models
from refdiff_core.command.cli import cli, run
from refdiff_core.testing import FakeAttention

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_two_commands_stand_there_literally():
    lines = README.splitlines()
    assert "pip install . && refdiff demo" in lines
    assert 'pip install ".[test]" && pytest' in lines


def test_every_linked_file_is_there():
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link


def test_the_picture_is_small():
    assert (ROOT / "docs/images/demo.png").stat().st_size < 300_000


def test_every_json_key_is_explained(tmp_path, monkeypatch, two_squares, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "refdiff_core.models.choice.load_demo", lambda *_, **__: Models(FakeAttention())
    )
    PIL.Image.fromarray(two_squares).save("a.png")
    assert run(["segment", "a.png", "--expression", "red", "--demo", "--json"]) == 0
    rows = [line.split("|")[1] for line in README.splitlines() if line.startswith("| `")]
    explained = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert set(json.loads(capsys.readouterr().out)) <= explained


def test_the_python_example_runs(tmp_path, monkeypatch, two_squares):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in example.splitlines() if line]) <= 8
    monkeypatch.chdir(tmp_path)
    (tmp_path / "refdiff-out").mkdir()
    PIL.Image.fromarray(two_squares).save("refdiff-out/scene.png")
    exec(compile(example, "README.md", "exec"), {})
    assert len(list((tmp_path / "refdiff-out").iterdir())) == 3


@pytest.mark.parametrize("option", ["--checkpoint", "--sam", "--clip", "--masks", "--previews"])
def test_options_in_the_examples_exist(option):
    names = [name for each in cli.commands["segment"].params for name in each.opts]
    assert option in README and option in names
