"""Long runs whose pictures go through encoders several at a time: the same answers, as safe."""

import json
from pathlib import Path

import PIL.Image
import pytest
import refer_fixture as fixture
import torch

from refdiff_core import load_demo
from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.backends.sam_proposer import SamProposer
from refdiff_core.command.cli import run
from refdiff_core.demo.scenes import HELD_OUT_SEED, expressions, sample_scene
from refdiff_core.errors import ImageError
from refdiff_core.grid import WORKING_SIDE
from refdiff_core.pictures.images import load_image
from refdiff_core.pipeline import Models
from refdiff_core.runs import ahead
from refdiff_core.runs.ahead import LookAhead
from refdiff_core.runs.workers import Crew

SIZES = [(96, 160), (96, 160), None, (160, 96), (96, 160)]
"""Of a list's pictures; the third is damaged."""


def make_room(monkeypatch, count):
    """As on a device that has room for so many."""
    for module in ("refdiff_core.runs.ahead", "refdiff_core.together"):
        monkeypatch.setattr(f"{module}.pictures_at_once", lambda *_: count)


@pytest.fixture
def encoded(monkeypatch):
    """What loads the demo models anew, and how many pictures each pass of theirs had."""
    demo, passes = load_demo(), {"autoencoder": [], "sam": []}

    def load(*_, **__):
        attention = DiffusersAttention(demo.attention.model)
        proposer = SamProposer(demo.proposer.sam, demo.proposer.settings)
        return Models(attention, proposer, demo.scorer, demo.settings)

    monkeypatch.setattr("refdiff_core.models.choice.load_demo", load)
    encoders = demo.attention.model.vae.encoder, demo.proposer.sam.image_encoder
    for module, seen in zip(encoders, passes.values(), strict=True):
        module.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(len(args[0])))
    return passes


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """A list of scenes, each asked for one of its things, and these things' masks."""
    monkeypatch.chdir(tmp_path)
    lines, truths = [], {}
    for number, size_hw in enumerate(SIZES):
        name = f"{number}.png"
        if size_hw is None:
            Path(name).write_bytes(b"no picture")
            lines.append({"image": name, "expression": "the red circle"})
            continue
        scene = sample_scene(HELD_OUT_SEED + 20 + number, size_hw=size_hw)
        asked = expressions(scene)[0]
        PIL.Image.fromarray(scene.image).save(name)
        lines.append({"image": name, "expression": asked.text})
        truths[name] = torch.from_numpy(scene.masks[asked.target])
    Path("list.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    return truths


def batch(out):
    assert run(["batch", "list.jsonl", "--demo", "--device", "cpu", "--out", out]) == 2
    told = [json.loads(line) for line in Path(out, "records.jsonl").read_text().splitlines()]
    return {each["image"]: each for each in told}


def mask(out, record):
    return load_image(Path(out) / record["mask"])[..., 0] > 0.5


def overlap(one, other):
    return float((one & other).sum() / (one | other).sum())


def test_a_list_is_done_in_passes_of_several_and_only_what_is_missing_again(
    listed, encoded, monkeypatch
):
    make_room(monkeypatch, 3)
    found = batch("together")
    # the damaged one goes into no pass; SAM sees all sizes alike
    assert encoded == {"autoencoder": [2, 1, 1], "sam": [2, 2]}
    assert [name for name, each in found.items() if "error" in each] == ["2.png"]
    for name, truth in listed.items():
        assert overlap(mask("together", found[name]), truth) > 0.5
    Path("together", found["0.png"]["mask"]).unlink()
    batch("together")
    assert encoded["sam"] == [2, 2, 1], "only what is missing is done again"


def test_one_by_one_on_a_processor_with_the_same_masks(listed, encoded, monkeypatch):
    alone = batch("alone")
    assert encoded == {"autoencoder": [1] * 4, "sam": [1] * 4}
    make_room(monkeypatch, 3)
    found = batch("together")
    for name in listed:
        assert overlap(mask("together", found[name]), mask("alone", alone[name])) >= 0.99
        assert found[name]["present"] == pytest.approx(alone[name]["present"], abs=1e-3)


def test_evaluation_looks_ahead_with_the_same_records(tmp_path, monkeypatch):
    make_room(monkeypatch, 3)
    root = fixture.write(tmp_path / "data", copies=2)
    opened = []
    monkeypatch.setattr(
        ahead, "load_image", lambda path: opened.append(path.name) or load_image(path)
    )
    fixture.run(root, tmp_path / "several")
    # of each lot of three its files are read once; the missing one is tried again in its turn
    assert opened[:4] == ["COCO_1.png", "COCO_2.png", "COCO_3.png", "COCO_2.png"]
    make_room(monkeypatch, 1)
    fixture.run(root, tmp_path / "one")
    found, alone = (
        [
            json.loads(line) | {"seconds": 0}
            for line in (tmp_path / out / "records.jsonl").read_text().splitlines()
        ]
        for out in ("several", "one")
    )
    assert len(found) == 14 and found == alone


class Asks:
    """Opens the picture of each task, and tells of it or of why it cannot."""

    def __init__(self, at_once):
        self.ahead = LookAhead(lambda path: path, at_once=at_once)
        self.open = []

    def __call__(self, path):
        self.open.append(len(self.ahead.lot.pictures))
        try:
            return tuple(self.ahead.open(path).shape)
        except ImageError:
            return "damaged"


def test_as_many_pictures_are_open_as_fit_a_pass_and_none_behind_a_large_one(tmp_path):
    shapes = [(4, 6), None, (4, 6), (1, WORKING_SIDE + 1), (4, 6), (4, 6), (4, 6)]
    paths = [tmp_path / f"{number}.png" for number in range(len(shapes))]
    for path, size_hw in zip(paths, shapes, strict=True):
        if size_hw:
            PIL.Image.new("RGB", size_hw[::-1]).save(path)
    for at_once, open_ in ((None, [0] * 7), (5, [2, 2, 2, 2, 2, 2, 2]), (2, [1, 1, 1, 1, 2, 2, 1])):
        work = Asks(at_once)
        found = [result for _, result in Crew(work).do(iter(paths))]
        assert found == [(*each, 3) if each else "damaged" for each in shapes]
        assert work.open == open_
        assert not work.ahead.lot.pictures, "nothing stays open"
