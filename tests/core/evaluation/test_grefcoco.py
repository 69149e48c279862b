"""gRefCOCO: sentences that mean several things or none, and figures worked out by hand."""

import json

import pytest
import refer_fixture as fixture

from refdiff_core.command.cli import cli
from refdiff_core.errors import DataError
from refdiff_core.evaluation.evaluate import Evaluation, evaluate
from refdiff_core.evaluation.metrics import (
    Record,
    mean_iou,
    no_target_accuracy,
    overall_iou,
    target_accuracy,
)
from refdiff_core.evaluation.refer import load_refer
from refdiff_core.evaluation.report import comparison, to_text
from refdiff_core.runs.console import working

SAID = [
    # annotations, picture, sentence, intersection, union
    ([11, 13], 1, "box 2 3 12 9", 60, 129),
    ([11, 12], 1, "box 0 3 12 9", 60, 116),  # 12 is a crowd, which does not count
    ([-1], 1, "nothing", 0, 0),  # nothing where nothing is meant: an IoU of 1
    ([-1], 1, "box 20 0 25 8", 0, 40),
    ([31], 3, "box 10 10 20 20", 100, 100),
    ([13], 1, "nothing", 0, 25),
]


@pytest.fixture
def root(tmp_path):
    fixture.write(tmp_path)
    folder = tmp_path / "grefcoco"
    folder.mkdir()
    instances = (tmp_path / "refcoco" / "instances.json").read_text()
    (folder / "instances.json").write_text(instances)
    refs = [
        {
            "ref_id": 100 + number,
            "ann_id": annotations,
            "category_id": [-1 if each == -1 else 7 for each in annotations],
            "no_target": annotations == [-1],
            "image_id": image,
            "file_name": "not to be used.jpg",
            "split": "val",
            "sentences": [{"raw": text, "sent": text, "sent_id": number, "tokens": []}],
        }
        for number, (annotations, image, text, _, _) in enumerate(SAID)
    ]
    (folder / "grefs(unc).json").write_text(json.dumps(refs))
    return tmp_path


def run(root, out):
    models = fixture.ObedientModels(demo="unet", device="cpu")
    with working(2) as work:
        return evaluate(Evaluation("grefcoco", models, root, out=out), work)


def test_several_annotations_or_none_are_read(root):
    data = load_refer(root, "grefcoco", "val")
    said = {each.id: each.annotations for image in data.images for each in image.sentences}
    assert said == {0: (11, 13), 1: (11, 12), 2: (), 3: (), 4: (31,), 5: (13,)}


def test_figures_are_those_of_the_authors_by_hand(root, tmp_path):
    summary = run(root, tmp_path / "out")
    assert summary["figures"] == pytest.approx(
        {
            "gIoU": (60 / 129 + 60 / 116 + 1 + 0 + 1 + 0) / 6,
            "cIoU": 220 / 410,
            "N-acc": 1 / 2,
            "T-acc": 3 / 4,
            "Pr@0.7": 1 / 4,
            "Pr@0.8": 1 / 4,
            "Pr@0.9": 1 / 4,
        }
    )
    rows = summary["subsets"]["how many are meant"]
    assert {name: part["sentences"] for name, part in rows.items()} == {
        "none": 2, "one": 2, "several": 2
    }  # fmt: skip


def test_published_figures_stand_beside_ours(root, tmp_path):
    summary = run(root, tmp_path / "out")
    table = comparison(summary)
    assert ["gIoU", "31.50", "Early Semantic Grounding 12B", "ContourVLA, 2026"] in table
    assert sum(row[2] == "this run" for row in table) == 2


def test_records_say_what_was_meant_and_found(root, tmp_path):
    run(root, tmp_path / "out")
    lines = (tmp_path / "out" / "records.jsonl").read_text().splitlines()
    records = {each["id"]: each for each in map(json.loads, lines)}
    for number, (_, _, _, intersection, union) in enumerate(SAID):
        found = records[number]
        assert (found["intersection"], found["union"]) == (intersection, union)
    assert [records[at]["none"] for at in range(6)] == [False, False, True, True, False, False]
    assert [records[at]["found"] for at in range(6)] == [True, True, False, True, True, False]
    assert records[2]["iou"] == 1 and records[3]["iou"] == 0
    assert records[0]["annotation"] == [11, 13] and records[4]["annotation"] == 31


def test_what_could_not_be_done_is_not_right_where_nothing_is_meant(root, tmp_path):
    (root / "images/mscoco/images/train2014/COCO_1.png").unlink()
    summary = run(root, tmp_path / "out")
    assert summary["figures"]["N-acc"] == 0
    assert summary["figures"]["gIoU"] == pytest.approx(1 / 6)


def test_what_could_not_be_done_is_not_found_where_something_is_meant(root, tmp_path):
    (root / "images/mscoco/images/train2014/COCO_1.png").unlink()
    summary = run(root, tmp_path / "out")
    assert len(summary["failed"]) == 1 and summary["failed"][0]["sentences"] == 5
    assert summary["figures"]["T-acc"] == 1 / 4
    assert "not done, counted as 0: picture 1, sentences: 5" in to_text(summary)


def test_a_figure_about_no_sentence_is_a_dash_and_no_zero(root, tmp_path):
    rows = run(root, tmp_path / "out")["subsets"]["how many are meant"]
    assert rows["none"]["T-acc"] is None and rows["none"]["N-acc"] == 0.5
    assert rows["none"]["Pr@0.7"] is None and rows["one"]["N-acc"] is None
    told = to_text(run(root, tmp_path / "out")).splitlines()
    (row,) = (line.split() for line in told if line.startswith("  one"))
    assert row.count("-") == 1


def test_the_page_shows_and_explains_the_figures_that_there_are(root, tmp_path):
    run(root, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    tiles = page.partition('<div class="tiles">')[2].partition("<h2>")[0]
    assert all(f">{name}<" in tiles for name in ("gIoU", "cIoU", "N-acc", "T-acc"))
    assert "T-acc: of those that mean something" in page and "oIoU" not in page


def test_the_command_knows_the_data_set():
    choices = next(each for each in cli.commands["evaluate"].params if each.name == "dataset").type
    assert "grefcoco" in choices.choices


def test_damaged_references_are_named(root):
    path = root / "grefcoco" / "grefs(unc).json"
    path.write_text("[{]")
    with pytest.raises(DataError, match=r"grefs\(unc\)\.json' cannot be read"):
        load_refer(root, "grefcoco", "val")
    path.write_text('[{"ref_id": 1}]')
    with pytest.raises(DataError, match="not a list of references"):
        load_refer(root, "grefcoco", "val")


def test_metrics_of_none_and_some():
    right, wrong = (Record("x", "", 0, area, none=True, found=bool(area)) for area in (0, 30))
    half, missed = (Record("x", "", area, 40, found=bool(area)) for area in (20, 0))
    records = [right, wrong, half, missed]
    assert mean_iou(records) == pytest.approx((1 + 0 + 0.5 + 0) / 4)
    assert overall_iou(records) == pytest.approx(20 / 110)
    assert no_target_accuracy(records) == target_accuracy(records) == 0.5
