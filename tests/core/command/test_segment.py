"""`refdiff segment`: pictures and words in, masks and records out."""

import re

import numpy as np
import PIL.Image
import pytest
import torch
from shell import complaint, read_mask, records, segment

from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.settings import Settings

KEYS = "image expression mask found present missing box_xywh area score scores".split()
KEYS += ["candidates", "objects", "variant", "seconds"]


def test_json_has_one_record_per_picture_and_expression(fakes, scene, capsys, squares_masks):
    texts = ["the red square", "the blue square"]
    options = [part for text in texts for part in ("--expression", text)]
    assert segment(scene, *options, "--json") == 0
    found = records(capsys)
    assert [list(each) for each in found] == [KEYS, KEYS]
    for record, text, truth in zip(found, texts, squares_masks, strict=True):
        assert record["expression"] == text and record["image"] == scene
        assert record["found"] is True
        assert torch.equal(read_mask(record["mask"]), truth)
        assert record["area"] == int(truth.sum())
        assert record["variant"] == "g" and list(record["scores"]) == ["generative", "match"]
        assert record["score"] == pytest.approx(record["scores"]["match"])
        assert record["candidates"] >= 1 and record["seconds"] >= 0
    assert found[0]["box_xywh"] == [8, 12, 20, 20]


def test_nothing_found_is_an_empty_mask_and_no_error(fakes, scene, capsys):
    assert segment(scene, "--expression", "the square", "--json") == 0
    (record,) = records(capsys)
    assert record["found"] is False
    assert record["box_xywh"] is None and record["score"] is None and record["scores"] == {}
    assert record["area"] == 0 and record["candidates"] == 0
    assert not read_mask(record["mask"]).any()


def test_the_elephant_is_not_found_and_the_command_line_says_why(tmp_path, capsys):
    scene = sample_scene(HELD_OUT_SEED, count=4, size_hw=(96, 144))
    PIL.Image.fromarray(scene.image).save(tmp_path / "shapes.png")
    lines = f"the elephant\nthe {scene.objects[0].name}"
    assert segment("shapes.png", "--expression", lines, "--json", "--previews") == 0
    elephant, other = records(capsys)
    assert elephant["found"] is False and not read_mask(elephant["mask"]).any()
    assert elephant["present"] < Settings().min_present <= other["present"] <= 1
    assert re.fullmatch(r"nothing looks like 'the elephant' \(\.\d\d\)", elephant["missing"])
    assert other["found"] is True and other["missing"] == ""
    assert segment("shapes.png", "--expression", "the elephant") == 0
    assert f"not found: {elephant['missing']}, empty mask in" in capsys.readouterr().out
    assert segment("shapes.png", "--expression", lines, "--json", "--min-present", "0") == 0
    assert all(each["found"] for each in records(capsys)), "0 always gives the best there is"


def test_attention_alone_says_that_it_cannot_tell_whether_it_is_there(fakes, scene, capsys):
    assert segment(scene, "--expression", "the red square", "--json") == 0
    (record,) = records(capsys)
    assert record["present"] is None and record["found"] is True


def test_plain_output_names_the_mask(fakes, scene, capsys):
    assert segment(scene, "--expression", "the red square") == 0
    assert "refdiff-out/scene.the-red-square.mask.png" in capsys.readouterr().out
    assert segment(scene, "--expression", "the square") == 0
    assert "not found: nothing looks like 'the square' (.00)" in capsys.readouterr().out


def test_several_lines_are_several_expressions(fakes, scene, capsys):
    assert segment(scene, "--expression", "red square\n\nblue square\n", "--json") == 0
    assert [each["expression"] for each in records(capsys)] == ["red square", "blue square"]


def test_a_negative_line_has_no_mask_of_its_own(fakes, scene, capsys):
    assert segment(scene, "--expression", "red square\nnot: blue square", "--json") == 0
    (found,) = records(capsys)
    assert found["expression"] == "red square"


def test_negative_lines_alone_ask_for_the_rest(fakes, scene, capsys, squares_masks):
    assert segment(scene, "--expression", "not: blue square", "--json") == 0
    (found,) = records(capsys)
    assert found["expression"] == "everything but blue square" and found["objects"] == []
    assert torch.equal(read_mask(found["mask"]), ~squares_masks[1])
    assert segment(scene, "--expression", "not: blue square") == 0
    assert "everything but blue square: mask in" in capsys.readouterr().out


def test_each_object_of_several_has_a_mask(fakes, scene, capsys, squares_masks):
    text = "red square . blue square"
    assert segment(scene, "--expression", text, "--each", "--json") == 0
    (found,) = records(capsys)
    assert torch.equal(read_mask(found["mask"]), squares_masks.any(0))
    objects = found["objects"]
    assert len(objects) == 2 and [each["box_xywh"] for each in objects][0] == [8, 12, 20, 20]
    for each, truth in zip(objects, squares_masks, strict=True):
        assert torch.equal(read_mask(each["mask"]), truth) and each["area"] == int(truth.sum())
    assert segment(scene, "--expression", text, "--json") == 0
    (plain,) = records(capsys)
    assert [list(each) for each in plain["objects"]] == [["box_xywh", "area", "score"]] * 2
    assert segment(scene, "--expression", text) == 0
    assert "2 objects, score" in capsys.readouterr().out


def test_names_never_collide(fakes, scene, tmp_path, capsys):
    for name in ("other/scene.png", "scene.jpg", "scene-2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        PIL.Image.open(scene).save(tmp_path / name)
    pictures = [scene, "other/scene.png", "scene.jpg", "scene-2.png"]
    texts = ["--expression", "the red square", "--expression", "the red SQUARE!"]
    assert segment(*pictures, *texts, "--json") == 0
    masks = [each["mask"].lower() for each in records(capsys)]
    assert len(set(masks)) == 8


def test_previews_are_written_when_asked_for(fakes, scene, tmp_path):
    assert segment(scene, "--expression", "the red square", "--out", "a/b", "--previews") == 0
    kinds = sorted(path.name.split(".")[2] for path in (tmp_path / "a/b").iterdir())
    assert kinds == ["candidates", "heat", "mask", "overlay"]


def test_long_and_foreign_names(fakes, scene, capsys):
    texts = [
        "the red square " + "very " * 100,
        "das rote Viereck für Ärger",
        "\u7ea2\u8272\u7684 red \u65b9\u5757",
    ]
    options = [part for text in texts for part in ("--expression", text)]
    assert segment(scene, *options, "--json") == 0
    for record in records(capsys):
        read_mask(record["mask"])


def test_outside_masks_are_the_proposals(fakes, scene, tmp_path, capsys, squares_masks):
    np.save("masks.npy", squares_masks.numpy())
    (tmp_path / "folder").mkdir()
    for index, mask in enumerate(squares_masks.numpy()):
        PIL.Image.fromarray(mask).save(f"folder/{index}.png")
    for source in ("masks.npy", "folder"):
        expression = ["--expression", "the blue square", "--masks", source]
        assert segment(scene, *expression, "--json") == 0
        (record,) = records(capsys)
        assert torch.equal(read_mask(record["mask"]), squares_masks[1])
        assert record["variant"] == "gsd" and record["candidates"] == 2
        assert set(record["scores"]) == {"generative", "discriminative", "match"}


def test_masks_of_another_size_are_bad_input(fakes, scene, capsys):
    np.save("masks.npy", np.ones((2, 10, 10)))
    assert segment(scene, "--expression", "the red square", "--masks", "masks.npy") == 2
    assert "10 x 10 pixels, the picture is 80 x 48" in complaint(capsys)


def test_a_picture_of_36_megapixels_is_worked_on_small(fakes, two_squares, capsys):
    side = (6000, 6000)
    picture = PIL.Image.fromarray(two_squares[:, :48]).resize(side, PIL.Image.Resampling.NEAREST)
    picture.save("large.png", compress_level=1)
    assert segment("large.png", "--expression", "the red square", "--json") == 0
    (record,) = records(capsys)
    assert read_mask(record["mask"]).shape == (6000, 6000)
    cell = 6000 / 512  # of the working grid, where what is cut out of a map ends
    assert record["box_xywh"] == pytest.approx([1000, 1500, 2500, 2500], abs=2 * cell)


def test_outside_masks_of_a_large_picture(fakes, capsys):
    picture = np.full((300, 4000, 3), 128, np.uint8)
    picture[100:200, 1000:2000] = (215, 40, 40)
    PIL.Image.fromarray(picture).save("wide.png")
    np.save("masks.npy", np.stack([picture[..., 0] == 215, picture[..., 0] == 128]))
    assert segment("wide.png", "--expression", "red", "--masks", "masks.npy", "--json") == 0
    (record,) = records(capsys)
    assert record["box_xywh"] == pytest.approx([1000, 100, 1000, 100], abs=2)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1)])
def test_extreme_sizes(fakes, size, capsys):
    PIL.Image.new("RGB", size, (215, 40, 40)).save("a.png")
    assert segment("a.png", "--expression", "the red square", "--json", "--previews") == 0
    (record,) = records(capsys)
    assert read_mask(record["mask"]).shape == size[::-1]


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "CMYK", "I;16", "LA", "1"])
def test_every_kind_of_picture(fakes, mode, capsys):
    source = PIL.Image.new("RGB", (7, 5), (215, 40, 40))
    picture = PIL.Image.new("I;16", (7, 5)) if mode == "I;16" else source.convert(mode)
    name = "a.tif" if mode == "CMYK" else "a.png"
    picture.save(name)
    assert segment(name, "--expression", "the red square", "--json") == 0
    (record,) = records(capsys)
    assert read_mask(record["mask"]).shape == (5, 7)


@pytest.mark.parametrize("variant", ["g", "gs", "ds", "gsd"])
def test_every_variant_finds_the_only_red_thing(scene, variant, capsys, squares_masks):
    assert segment(scene, "--expression", "the red square", "--variant", variant, "--json") == 0
    (record,) = records(capsys)
    mask = read_mask(record["mask"])
    overlap = (mask & squares_masks[0]).sum() / (mask | squares_masks[0]).sum()
    assert record["variant"] == variant
    assert overlap > 0.5


@pytest.mark.parametrize("settings", ["paper", "official"])
def test_settings_are_chosen_by_name_and_add_no_keys(scene, settings, capsys, squares_masks):
    options = ["--expression", "the red square", "--json", "--settings"]
    assert segment(scene, *options, settings) == 0
    assert segment(scene, *options, "default") == 0
    other, default = records(capsys)
    assert list(other) == list(default) == KEYS
    mask = torch.from_numpy(np.asarray(PIL.Image.open(other["mask"])) > 0)
    overlap = (mask & squares_masks[0]).sum() / (mask | squares_masks[0]).sum()
    assert overlap > 0.5 and other["score"] != default["score"]


def test_the_same_seed_gives_the_same_bytes(scene, tmp_path, capsys):
    for out in ("a", "b"):
        assert segment(scene, "--expression", "the red square", "--out", out) == 0
    first, second = (tmp_path / out / "scene.the-red-square.mask.png" for out in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
