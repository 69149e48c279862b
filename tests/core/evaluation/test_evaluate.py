"""`refdiff evaluate`: exact figures on a data set worked out by hand, and the same however run."""

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import refer_fixture as fixture

from refdiff_core.command.cli import run
from refdiff_core.evaluation.judge import Judge, Task
from refdiff_core.evaluation.refer import Annotation, ReferImage, Sentence
from refdiff_core.evaluation.report import figures_of, show, summarise
from refdiff_core.evaluation.write_refer import Recipe
from refdiff_core.models.choice import ModelChoice
from refdiff_core.pipeline import Models
from refdiff_core.testing import FakeAttention


@pytest.fixture
def root(tmp_path):
    return fixture.write(tmp_path / "data")


# --- figures -----------------------------------------------------------------------------


def test_every_intersection_and_union_is_exact(root, tmp_path):
    fixture.run(root, tmp_path / "out")
    found = [(each["intersection"], each["union"]) for each in fixture.records_of(tmp_path / "out")]
    assert found == [(i, u) for _, _, i, u in fixture.ASKED]


def test_the_figures_are_those_worked_out_by_hand(root, tmp_path):
    figures = fixture.run(root, tmp_path / "out")["figures"]
    assert figures["mIoU"] == pytest.approx((60 / 104 + 60 / 116 + 0.8 + 0 + 0 + 1 + 0) / 7)
    assert figures["oIoU"] == pytest.approx((60 + 60 + 40 + 100) / (104 + 116 + 50 + 25 + 300))
    # an IoU of exactly .8 counts at .8
    shares = [figures[f"Pr@{at}"] for at in (0.5, 0.6, 0.7, 0.8, 0.9)]
    assert shares == pytest.approx([4 / 7, 2 / 7, 2 / 7, 2 / 7, 1 / 7])


def predicted(text):
    words = text.split()
    return fixture.rectangle(*map(int, words[1:])) if words[0] == "box" else None


def masks_of_the_fixture():
    """The answers and truths as arrays; of what could not be done an empty answer."""
    nothing = np.zeros((fixture.HEIGHT, fixture.WIDTH), bool)
    for annotation, text, _, _ in fixture.ASKED:
        given = nothing if annotation == 21 or predicted(text) is None else predicted(text).numpy()
        yield given, fixture.TRUTHS[annotation].numpy()


def lavt(pairs):
    """As LAVT-RIS test.py sums: per cent."""
    cum_I, cum_U, mean_IoU, seg_total = 0, 0, [], 0
    eval_seg_iou_list = [0.5, 0.6, 0.7, 0.8, 0.9]
    seg_correct = np.zeros(len(eval_seg_iou_list), dtype=np.int32)
    for output, target in pairs:
        I = np.sum(np.logical_and(output, target))  # noqa: E741
        U = np.sum(np.logical_or(output, target))
        this_iou = 0.0 if U == 0 else I * 1.0 / U
        mean_IoU.append(this_iou)
        cum_I += I
        cum_U += U
        for n_eval_iou in range(len(eval_seg_iou_list)):
            seg_correct[n_eval_iou] += this_iou >= eval_seg_iou_list[n_eval_iou]
        seg_total += 1
    return np.mean(mean_IoU) * 100, cum_I * 100.0 / cum_U, seg_correct * 100.0 / seg_total


def zero_shot_ris(pairs):
    """As Zero-shot-RIS (and HybridGL) sum, in torch: overall and mean, per cent."""
    import torch

    cum_I, cum_U, m_IoU = 0.0, 0.0, []
    for pred, target in pairs:
        pred, target = torch.from_numpy(pred), torch.from_numpy(target)
        I, U = torch.sum(pred & target), torch.sum(pred | target)  # noqa: E741
        m_IoU.append(0.0 if U == 0 else float(I * 1.0 / U))
        cum_I += I
        cum_U += U
    return float(cum_I * 100.0 / cum_U), float(torch.mean(torch.tensor(m_IoU)) * 100.0)


def test_two_other_implementations_agree(root, tmp_path):
    figures = fixture.run(root, tmp_path / "out")["figures"]
    mean, overall, correct = lavt(masks_of_the_fixture())
    assert 100 * figures["mIoU"] == pytest.approx(mean)
    assert 100 * figures["oIoU"] == pytest.approx(overall)
    assert [100 * figures[f"Pr@{at}"] for at in (0.5, 0.6, 0.7, 0.8, 0.9)] == pytest.approx(correct)
    assert zero_shot_ris(masks_of_the_fixture()) == pytest.approx((overall, mean))


def test_what_could_not_be_done_is_counted_and_named(root, tmp_path):
    summary = fixture.run(root, tmp_path / "out")
    assert summary["sentences"] == 7 and summary["pictures"] == 3
    missing, unreadable = summary["failed"]
    assert missing["image"] == 2 and "COCO_2.png" in missing["why"]
    assert unreadable["image"] == 3 and "brackets" in unreadable["why"]
    assert summary["nothing_found"] == 3


def test_a_picture_that_came_back_is_done_then(root, tmp_path):
    fixture.run(root, tmp_path / "out")
    image = PIL.Image.new("RGB", (fixture.WIDTH, fixture.HEIGHT))
    image.save(root / "images/mscoco/images/train2014/COCO_2.png")
    summary = fixture.run(root, tmp_path / "out")
    assert [each["image"] for each in summary["failed"]] == [3]
    assert fixture.records_of(tmp_path / "out")[4]["iou"] == 1


def test_a_picture_of_another_size_is_counted_and_named(root, tmp_path):
    image = PIL.Image.new("RGB", (fixture.HEIGHT, fixture.WIDTH))
    image.save(root / "images/mscoco/images/train2014/COCO_2.png")
    summary = fixture.run(root, tmp_path / "out")
    assert "is 20 x 30 pixels, its annotations are for 30 x 20" in summary["failed"][0]["why"]


def test_a_large_picture_is_judged_at_its_own_size(tmp_path):
    picture = np.full((50, 4000, 3), 128, np.uint8)
    picture[10:40, 1000:3000] = (215, 40, 40)
    PIL.Image.fromarray(picture).save(tmp_path / "wide.png")
    outline = [[1000, 10, 3000, 10, 3000, 40, 1000, 40]]
    image = ReferImage(
        1,
        tmp_path / "wide.png",
        (50, 4000),
        (Annotation(1, "box", outline),),
        (Sentence(1, 1, (1,), "the red box"),),
    )
    judge = Judge(fixture.ObedientModels(demo="unet"), {})
    judge._models = Models(FakeAttention(), settings=fixture.PLAIN)
    (record,) = judge(Task(image)).records
    assert record["area"] == 30 * 2000
    assert record["intersection"] == pytest.approx(30 * 2000, rel=0.02)
    assert record["iou"] > 0.95


def test_subsets_hold_the_right_sentences(root, tmp_path):
    fixture.run(root, tmp_path / "out")
    first = fixture.records_of(tmp_path / "out")[0]
    told = [
        {**first, "image": n, "id": n, "text": text, "share": share, "same_category": same}
        for n, (text, share, same) in enumerate(
            [("Left man", 0.01, 1), ("red thing", 0.1, 2), ("leftover", 0.3, 5)]
        )
    ]
    about = {"data": {"name": "refcoco", "split": "val", "by": "unc"}}
    subsets = summarise(told, about)["subsets"]
    counts = {name: part["sentences"] for rows in subsets.values() for name, part in rows.items()}
    assert counts == {
        "position words": 1, "colour words": 1, "neither": 1,
        "below 5%": 1, "5% to 20%": 1, "20% and more": 1,
        "it alone": 1, "2": 1, "4 and more": 1,
    }  # fmt: skip


def test_what_means_several_things_or_none_is_no_one_thing_of_a_size_and_class(root, tmp_path):
    fixture.run(root, tmp_path / "out")
    one = fixture.records_of(tmp_path / "out")[0]
    several = {**one, "annotation": [11, 13], "same_category": 0, "id": 90}
    none = {**one, "annotation": [], "same_category": 0, "none": True, "share": 0.0, "id": 91}
    about = {"data": {"name": "demo", "split": "val", "by": "refdiff"}}
    subsets = summarise([one, several, none], about)["subsets"]
    assert (
        sum(
            each["sentences"]
            for each in subsets["things of its class, where one is meant"].values()
        )
        == 1
    )
    shares = subsets["share of the picture that is meant"]
    assert sum(each["sentences"] for each in shares.values()) == 2


def outlined(number, x, crowd=False):
    return Annotation(number, "box", [[x, 0, x + 4, 0, x + 4, 4, x, 4]], crowd)


def test_chance_is_that_of_one_proposal_drawn_by_lot(tmp_path):
    PIL.Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    objects = (
        outlined(1, 0),
        outlined(2, 6),
        outlined(3, 12, crowd=True),
        outlined(4, 18, crowd=True),
    )
    meant = {1: (1,), 2: (1, 2), 3: (), 4: (2, 3)}
    said = tuple(Sentence(n, n, each, "box 0 0 4 4") for n, each in meant.items())
    image = ReferImage(1, tmp_path / "a.png", (20, 30), objects, said)
    models = Models(FakeAttention(fixture.boxed_heat), settings=fixture.PLAIN)
    records = Judge(ModelChoice(demo="unet"), {}, oracle=True, models=models)(Task(image)).records
    # the crowd that no sentence means is no proposal; where others are meant, a crowd is not
    assert [each["objects"] for each in records] == [3] * 4
    assert [each["target"] for each in records] == [0, [0, 1], [], 1]
    assert [each["same_category"] for each in records] == [2, 0, 0, 0]
    assert figures_of(records)["chance"] == pytest.approx((1 / 3 + 0 + 0 + 1 / 3) / 4)


def test_an_empty_mask_is_right_only_where_nothing_is_meant(tmp_path):
    PIL.Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    nothing = Annotation(1, "box", [[1, 1, 5, 5]])  # two points enclose nothing
    said = Sentence(1, 1, (1,), "nothing"), Sentence(2, 2, (), "nothing")
    image = ReferImage(1, tmp_path / "a.png", (20, 30), (nothing,), said)
    models = Models(FakeAttention(fixture.boxed_heat), settings=fixture.PLAIN)
    records = Judge(ModelChoice(demo="unet"), {}, models=models)(Task(image)).records
    assert [each["iou"] for each in records] == [0, 1]
    assert figures_of(records)["mIoU"] == 0.5


def test_a_figure_of_nothing_is_a_dash(root, tmp_path):
    fixture.run(root, tmp_path / "out")
    right = {**fixture.records_of(tmp_path / "out")[3], "none": True, "union": 0, "annotation": []}
    figures = figures_of([right])
    assert figures["mIoU"] == 1 and figures["oIoU"] is None
    assert show(figures["oIoU"]) == "-" and show(1234) == "1,234" and show(0.5) == "0.500"


def test_published_figures_stand_beside_ours_where_the_split_is_theirs(root, tmp_path):
    published = fixture.run(root, tmp_path / "out")["published"]
    ours = {(each["method"], each["metric"]): each["value"] for each in published}
    assert ours["Ref-Diff", "oIoU"] == 35.16 and ours["Ref-Diff", "mIoU"] == 37.21
    assert all(each["source"] for each in published)
    about = {"data": {"name": "refcocog", "split": "val", "by": "google"}}
    assert summarise(fixture.records_of(tmp_path / "out"), about)["published"] == []


# --- the report -----------------------------------------------------------------------------


def test_the_page_needs_nothing_else_and_trusts_no_sentence(root, tmp_path):
    path = root / "refcoco/refs(unc).p"
    content = path.read_bytes()
    meant, hostile = b"box 10 10 20 20", b"<b onload=x()/>"
    assert len(hostile) == len(meant) and meant in content
    path.write_bytes(content.replace(meant, hostile))
    fixture.run(root, tmp_path / "out")
    page = (tmp_path / "out/report.html").read_text()
    assert "<b onload" not in page and "&lt;b onload=x()/&gt;" in page
    assert "http" not in page and "<link" not in page and "<script" not in page
    assert page.count("data:image/jpeg;base64,") >= 5
    assert "<svg" in page and "Published figures" in page


def test_cases_are_best_median_and_worst(root, tmp_path):
    cases = fixture.run(root, tmp_path / "out")["cases"]
    # of the two pictures that could be done one each, in turns
    assert cases == {"best": [5], "median": [0], "worst": []}


# --- the demo's models ------------------------------------------------------------------------


def test_the_demo_is_measured_by_one_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("refdiff_core.evaluation.evaluate.Recipe", lambda: Recipe(scenes=2))
    assert run(["evaluate", "--dataset", "demo", "--oracle", "--variant", "ds"]) == 0
    told = capsys.readouterr().out
    assert "selection" in told and "by what it tests" in told
    report = json.loads(Path("refdiff-out/demo-val-ds-default-oracle/report.json").read_text())
    assert report["figures"]["selection"] >= 0.9 > 0.5 > report["figures"]["chance"]
    assert report["figures"]["oIoU"] >= 0.9
    assert (
        figures_of(fixture.records_of(Path("refdiff-out/demo-val-ds-default-oracle")))
        == (report["figures"])
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--dataset", "refcoco", "--demo"], "--root"),
        (["--dataset", "refcoco", "--root", "nowhere"], "--checkpoint"),
        (["--dataset", "refcoco", "--root", "nowhere", "--demo"], "nowhere"),
        (["--dataset", "demo", "--oracle", "--variant", "g"], "--variant g"),
        (["--dataset", "demo", "--workers", "2", "--device", "cuda:1"], "--device cuda"),
        (["--dataset", "coco"], "refcocog"),
    ],
)
def test_bad_options_are_one_line(tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    assert run(["evaluate", *options]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert not captured.out and words in line
