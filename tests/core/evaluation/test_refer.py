"""The refer format: what is read, what is refused, and what the demo benchmark is in it."""

import json
import os
import pickle
from pathlib import Path

import pytest
import refer_fixture as fixture
import torch

from refdiff_core.demo.scenes import SHAPES
from refdiff_core.errors import DataError
from refdiff_core.evaluation.outlines import decode_mask, encode_mask
from refdiff_core.evaluation.questions import held_out_scenes, questions
from refdiff_core.evaluation.refer import Annotation, load_plain_pickle, load_refer, read_refs
from refdiff_core.evaluation.several import several
from refdiff_core.evaluation.write_refer import Recipe, write_refer


@pytest.fixture
def root(tmp_path):
    return fixture.write(tmp_path)


def test_sentences_come_with_their_pictures_and_outlines(root):
    data = load_refer(root, "refcoco", "val")
    assert [image.id for image in data.images] == [1, 2, 3]
    assert [len(image.sentences) for image in data.images] == [4, 1, 2]
    first = data.images[0]
    assert first.size_hw == (20, 30)
    assert first.path == root / "images/mscoco/images/train2014/COCO_1.png"
    assert [said.text for said in first.sentences] == [text for _, text, _, _ in fixture.ASKED[:4]]
    for annotation in first.annotations:
        assert torch.equal(decode_mask(annotation, (20, 30)), fixture.TRUTHS[annotation.id])


def test_raw_sentences_are_as_typed(root):
    data = load_refer(root, "refcoco", "val", text="raw")
    assert data.images[0].sentences[0].text == "BOX 2 3 12 9"


def test_pictures_may_lie_elsewhere(root, tmp_path):
    data = load_refer(root, "refcoco", "val", images=tmp_path / "other")
    assert data.images[0].path.parent == tmp_path / "other"


def test_an_outline_that_encloses_nothing_is_empty():
    for outline in ([], [[1, 1, 5, 5]]):
        assert not decode_mask(Annotation(1, "box", outline), (4, 6)).any()


def test_masks_survive_the_way_out_and_in():
    mask = torch.rand(7, 11, generator=torch.Generator().manual_seed(0)) > 0.5
    code = json.loads(json.dumps(encode_mask(mask)))
    assert torch.equal(decode_mask(Annotation(1, "box", code), (7, 11)), mask)


def test_an_outline_of_another_size_is_refused():
    code = encode_mask(torch.ones(3, 5, dtype=torch.bool))
    with pytest.raises(DataError, match="5 x 3 pixels, its picture 6 x 4"):
        decode_mask(Annotation(1, "box", code), (4, 6))


@pytest.mark.parametrize("kind", ["annotation", "sentence"])
def test_what_is_there_twice_is_refused(root, kind):
    instances, refs = root / "refcoco/instances.json", root / "refcoco/refs(unc).p"
    if kind == "annotation":
        data = json.loads(instances.read_text())
        data["annotations"].append(data["annotations"][0])
        instances.write_text(json.dumps(data))
    else:
        said = pickle.loads(refs.read_bytes())
        said[1]["sentences"] *= 2
        refs.write_bytes(pickle.dumps(said))
    with pytest.raises(DataError, match=f"picture 1 has two {kind}s"):
        load_refer(root, "refcoco", "val")


class Hostile:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "hostile",
    [
        Hostile(os.system, "touch owned"),
        Hostile(eval, "open('owned', 'w')"),
        Hostile(exec, "open('owned', 'w')"),
        Hostile(open, "owned", "w"),
        Hostile(getattr, "", "join"),
        Hostile(__import__, "antigravity"),
        Path("owned"),
    ],
)
def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path, monkeypatch, hostile, protocol):
    monkeypatch.chdir(tmp_path)
    Path("refs(unc).p").write_bytes(pickle.dumps([hostile], protocol=protocol))
    with pytest.raises(DataError, match="which no plain data needs"):
        read_refs(Path("refs(unc).p"))
    assert not Path("owned").exists()


def test_a_pickle_of_python_2_is_read():
    # cPickle.dumps([{'a': u'b', 'c': 5L, 'd': set([1])}]) of Python 2.7
    old = b"(lp1\n(dp2\nS'a'\nVb\nsS'c'\nL5L\nsS'd'\nc__builtin__\nset\np3\n((lp4\nI1\natRp5\nsa."
    assert load_plain_pickle(old) == [{"a": "b", "c": 5, "d": {1}}]


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps({"a": 1}), pickle.dumps([1])])
def test_what_is_no_list_of_references_is_refused(root, content):
    (root / "refcoco/refs(unc).p").write_bytes(content)
    with pytest.raises(DataError, match="refs"):
        load_refer(root, "refcoco", "val")


def test_each_thing_that_is_missing_is_named(root, tmp_path):
    with pytest.raises(DataError, match="no split 'testA'. It has: val"):
        load_refer(root, "refcoco", "testA")
    with pytest.raises(DataError, match=r"no '.*refs\(google\)\.p'"):
        load_refer(root, "refcoco", "val", by="google")
    with pytest.raises(DataError, match=r"no '.*instances\.json'"):
        load_refer(tmp_path / "nowhere", "refcoco", "val")
    (root / "refcoco/instances.json").write_text("{}")
    with pytest.raises(DataError, match="images, annotations, categories"):
        load_refer(root, "refcoco", "val")


def test_files_that_do_not_belong_together_are_refused(root):
    path = root / "refcoco/instances.json"
    instances = json.loads(path.read_text())
    instances["annotations"].pop()
    path.write_text(json.dumps(instances))
    with pytest.raises(DataError, match="picture 3 has no annotation 31"):
        load_refer(root, "refcoco", "val")


def test_the_demo_benchmark_is_the_questions_about_its_scenes(tmp_path):
    write_refer(tmp_path, Recipe(scenes=3))
    data = load_refer(tmp_path, "demo", "val")
    for seed, scene in enumerate(held_out_scenes(3)):
        image, asked = data.images[seed], [*questions(scene, seed), *several(scene, seed)]
        assert image.size_hw == scene.image.shape[:2]
        found = {(said.text, said.group, said.annotations, said.rest) for said in image.sentences}
        first = image.annotations[0].id
        assert found == {
            ("\n".join(q.lines), q.group, tuple(first + each for each in q.targets), q.rest)
            for q in asked
        }
        for annotation, mask, item in zip(
            image.annotations, scene.masks, scene.objects, strict=True
        ):
            assert torch.equal(decode_mask(annotation, image.size_hw), torch.from_numpy(mask))
            assert annotation.category == item.shape and item.shape in SHAPES
    assert len(load_refer(tmp_path, "demo", "test").images) == 3
    assert not {image.id for image in data.images} & {
        image.id for image in load_refer(tmp_path, "demo", "test").images
    }


def test_a_data_set_is_written_once_and_is_the_same_every_time(tmp_path):
    recipe = Recipe("refcocog", "umd", "images/train2014", scenes=2, seed=7)
    first, second = (write_refer(tmp_path / name, recipe) for name in "ab")
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(files) == 3 + 2 * 2
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in files)
    assert load_refer(first, "refcocog", "test").by == "umd"
    before = (first / "refcocog/instances.json").stat().st_mtime_ns
    write_refer(first, recipe)
    assert (first / "refcocog/instances.json").stat().st_mtime_ns == before
    write_refer(first, Recipe("refcocog", "umd", "images/train2014", scenes=1, seed=7))
    assert (first / "refcocog/instances.json").stat().st_mtime_ns != before
