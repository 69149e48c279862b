"""Outlines that end other programs, kind by kind: the right mask, or one error of ours.

pycocotools ends Python on several of them, so what is wrong is found before it is asked.
"""

import json
import math
import pickle

import pytest
import refer_fixture as fixture
import torch

from refdiff_core.errors import DataError
from refdiff_core.evaluation.outlines import decode_mask
from refdiff_core.evaluation.refer import Annotation, load_plain_pickle, load_refer

SIZE = (8, 10)


def decoded(segmentation, size_hw=SIZE):
    return decode_mask(Annotation(1, "thing", segmentation), size_hw)


HOSTILE = {
    "no number among the points": [[0, 0, 4, math.nan, 4, 4]],
    "infinite": [[0, 0, math.inf, 0, 4, 4]],
    "minus infinite": [[0, 0, 4, -math.inf, 4, 4]],
    "2^63": [[0, 0, 2**63, 0, 4, 4]],
    "-2^63": [[0, 0, -(2**63), 0, 4, 4]],
    "beyond floats": [[0, 0, 10**400, 0, 4, 4]],
    "1e308": [[0, 0, 1e308, 0, 4, 4]],
    "far outside": [[0, 0, 10**6, 0, 10**6, 10**6]],
    "a text": [[0, 0, "4", 0, 4, 4]],
    "a list": [[0, 0, [4], 0, 4, 4]],
    "none": [[0, 0, None, 0, 4, 4]],
    "odd": [[0, 0, 4, 0, 4, 4, 1]],
    "no list of lists": [0, 0, 4, 0, 4, 4],
    "a number": 7,
    "nothing": None,
    "no counts": {"size": [8, 10]},
    "no size": {"counts": [80]},
    "a run of 10^18": {"size": [8, 10], "counts": [3, 10**18]},
    "runs too short": {"size": [8, 10], "counts": [3, 4]},
    "runs too long": {"size": [8, 10], "counts": [40, 41]},
    "negative runs": {"size": [8, 10], "counts": [90, -10]},
    "runs of floats": {"size": [8, 10], "counts": [40.0, 40.0]},
    "runs that are no numbers": {"size": [8, 10], "counts": [40, math.nan]},
    "runs of true": {"size": [8, 10], "counts": [79, True]},
    "a size of 10^9": {"size": [10**9, 10**9], "counts": [10**18]},
    "a turned size": {"size": [10, 8], "counts": [80]},
    "a negative size": {"size": [-8, -10], "counts": [80]},
    "a size of one": {"size": [80], "counts": [80]},
    "a size that is no list": {"size": 80, "counts": [80]},
    "an empty code": {"size": [8, 10], "counts": ""},
    "a code of other letters": {"size": [8, 10], "counts": "\u00e9\ud83d"},
    "a code that does not end": {"size": [8, 10], "counts": "oooooooooooooooooooo"},
    "a code that ends in the middle": {"size": [8, 10], "counts": "o"},
    "counts of another kind": {"size": [8, 10], "counts": {"a": 1}},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_outline_that_is_none_is_one_error(kind):
    with pytest.raises(DataError, match="Annotation 1"):
        decoded(HOSTILE[kind])


@pytest.mark.parametrize("side", [0, -1, 2**15 + 1, 10**9, 2**63, 1.5, math.nan, "8", None, True])
def test_a_picture_of_no_possible_size_concerns_that_picture_alone(tmp_path, side):
    root = fixture.write(tmp_path)
    file = root / "refcoco" / "instances.json"
    instances = json.loads(file.read_text())
    (first, second, *_) = instances["images"]
    first["height"] = side
    file.write_text(json.dumps(instances))
    data = load_refer(root, "refcoco", "val")
    sizes = {image.id: image.size_hw for image in data.images}
    if side is not True:  # one row, as Python counts
        assert sizes[first["id"]] == (0, 0)
        with pytest.raises(DataError, match="has no size"):
            decode_mask(data.images[0].annotations[0], sizes[first["id"]])
    assert sizes[second["id"]] == (second["height"], second["width"])


def test_what_reaches_past_the_picture_a_little_is_cut_off():
    assert decoded([[-4, -4, 14, -4, 14, 14, -4, 14]]).all()
    assert not decoded([[1, 1, 5, 5]]).any() and not decoded([]).any()


def test_a_code_in_either_form_is_the_same_mask():
    from refdiff_core.evaluation.outlines import encode_mask

    mask = torch.zeros(SIZE, dtype=torch.bool)
    mask[2:5, 3:7] = True
    columns = [26, 3, 5, 3, 5, 3, 5, 3, 27]
    assert torch.equal(decoded({"size": list(SIZE), "counts": columns}), mask)
    assert torch.equal(decoded(encode_mask(mask)), mask)


BOMBS = {
    "bytes of 2^40": b"\x80\x05\x96" + (2**40).to_bytes(8, "little"),
    "a text of 2^40": b"\x80\x05\x8d" + (2**40).to_bytes(8, "little"),
    "a number of 2^31 digits": b"\x80\x02\x8b" + (2**31 - 1).to_bytes(4, "little"),
    "a frame of 2^60": b"\x80\x05\x95" + (2**60).to_bytes(8, "little"),
    "an extension": b"\x80\x02\x82\x01.",
    "a memo that is not there": b"\x80\x02h\xff.",
    "deep": b"(" * 100_000,
    "a stack that is empty": b"\x80\x020.",
    "a list of itself": pickle.dumps([1])[:-1] + b"a.",
    "another class": b"\x80\x02ccollections\nOrderedDict\n)R.",
    "an attribute of a builtin": b"\x80\x04\x8c\x08builtins\x8c\x0estr.format_map\x93.",
    "cut off": pickle.dumps([{"a": 1}])[:-3],
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_pickle_that_would_harm_is_one_error(tmp_path, kind):
    root = fixture.write(tmp_path)
    (root / "refcoco" / "refs(unc).p").write_bytes(BOMBS[kind])
    with pytest.raises(DataError, match="refs"):
        load_refer(root, "refcoco", "val")


@pytest.mark.parametrize(
    "value", [10**400, math.nan, None, [1, 2], {"a": {1}}, "\ud800", 2**64], ids=repr
)
def test_odd_values_in_references_are_read_as_they_are(value):
    found = load_plain_pickle(pickle.dumps([value], protocol=2))
    assert repr(found) == repr([value])


@pytest.mark.parametrize(
    "change",
    [
        {"ref_id": None}, {"image_id": 10**400}, {"image_id": [1]}, {"ann_id": "x"},
        {"sentences": None}, {"sentences": [{}]}, {"sentences": [7]}, {"ann_id": [[1]]},
        {"sentences": [{"sent_id": None, "sent": "a", "raw": "a"}, {"sent_id": 1, "sent": "b"}]},
    ],
    ids=str,
)  # fmt: skip
def test_references_of_other_values_are_one_error_or_read(tmp_path, change):
    root = fixture.write(tmp_path)
    file = root / "refcoco" / "refs(unc).p"
    refs = pickle.loads(file.read_bytes())
    refs[0].update(change)
    file.write_bytes(pickle.dumps(refs))
    try:
        found = load_refer(root, "refcoco", "val")
    except DataError:
        return
    assert all(isinstance(said.text, str) for image in found.images for said in image.sentences)
