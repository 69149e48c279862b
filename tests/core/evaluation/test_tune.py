"""`refdiff tune`: what is chosen, what it costs, and that nothing is done twice."""

import json
import pickle
import shutil

import pytest
import torch

from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.command.cli import run
from refdiff_core.errors import DataError
from refdiff_core.evaluation.evaluate import Evaluation, evaluate, load_data
from refdiff_core.evaluation.judge import Task
from refdiff_core.evaluation.tune import Tuner, Tuning, all_trials, choose, tune
from refdiff_core.evaluation.write_refer import Recipe, write_refer
from refdiff_core.models.choice import ModelChoice
from refdiff_core.ranges import changed
from refdiff_core.runs.console import working
from refdiff_core.settings import DEFAULT, find_preset

OPTIONS = {"trials": 3, "timesteps": (100,)}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four pictures laid out as RefCOCO, with the sentences about one of its objects each."""
    root = tmp_path_factory.mktemp("data")
    recipe = Recipe("refcoco", "unc", "images/mscoco/images/train2014", scenes=4)
    path = write_refer(root, recipe) / "refcoco/refs(unc).p"
    refs = pickle.loads(path.read_bytes())
    images = dict.fromkeys(each["image_id"] for each in refs)
    few = [each for image in images for each in [r for r in refs if r["image_id"] == image][:1]]
    path.write_bytes(pickle.dumps(few, protocol=2))
    return root


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """The folder of a finished run with the demo's U-Net alone, and what it told."""
    out = tmp_path_factory.mktemp("tuned")
    return out, ask(tune, Tuning, data, out, **OPTIONS)


def ask(command, kind, data, out, settings="default", **options):
    choice = ModelChoice(demo="unet", variant="g", device="cpu", settings=settings)
    with working(2) as work:
        return command(kind("refcoco", choice, data, out=out, **options), work)


# --- trials ---------------------------------------------------------------------------------


def trials_of(variant, absent=True, **options):
    asked = Tuning("demo", ModelChoice(demo="unet", variant=variant), **options)
    return [*all_trials(asked, variant, absent=absent)]


def test_trials_begin_as_it_is_then_one_at_a_time_then_several():
    trials = trials_of("gsd")
    assert len(trials) == 60 and trials[0] == {}
    assert {"fusion": {"calibration": {"steep": 16.0}}} in trials
    assert len(trials[-1]["fusion"]) > 3
    assert trials == trials_of("gsd")


def test_every_trial_is_a_preset():
    for variant in ("g", "gs", "ds", "gsd"):
        for trial in trials_of(variant, timesteps=(20, 300), resolutions=(64,)):
            changed(DEFAULT, trial)


def test_only_what_the_models_can_tell_is_tried():
    tried = {
        variant: {name for each in trials_of(variant) for name in each.get("fusion", ())}
        for variant in ("g", "gs", "ds", "gsd")
    }
    assert tried["g"] == {"spatial_weight", "sharpen", "size_exponent"}
    assert tried["gs"] == {"spatial_weight"}
    assert tried["ds"] == {"spatial_weight", "min_present"}
    assert tried["gsd"] == {"alpha", "calibration", "spatial_weight", "min_present"}


def test_presence_is_tuned_only_where_something_is_absent():
    trials = trials_of("gsd", absent=False)
    assert not any("min_present" in each.get("fusion", {}) for each in trials)


def test_each_way_of_reading_has_all_rankings():
    trials = trials_of("g", timesteps=(20,), resolutions=(64,), trials=5)
    readings = [json.dumps(each.get("attention", {})) for each in trials]
    assert len(set(readings)) == 4 and all(readings.count(each) == 5 for each in readings)


# --- choosing -------------------------------------------------------------------------------


def test_the_clearly_best_trial_is_chosen_and_judged_on_the_other_half():
    ious = {number: [[0.5, 0.6 if number % 2 else 0.9, 0.1]] * 2 for number in range(10)}
    best, figures = choose(ious)
    assert best == 1
    assert figures["tuned_on"]["gain"] == (0.4, 0.0) and figures["judged_on"]["gain"] == (0.1, 0.0)
    assert figures["judged_on"]["sentences"] == 10


def test_luck_changes_nothing():
    # better by .005 on average, by .4 either way in every picture
    assert choose({number: [[0.5, 0.9 if number % 4 else 0.11]] for number in range(8)})[0] == 0


def test_two_pictures_are_too_few():
    with pytest.raises(DataError, match=r"2 pictures could be read, at least 4 are needed"):
        choose({0: [[0.5, 0.6]], 1: [[0.5, 0.6]], 2: []})


# --- a run ----------------------------------------------------------------------------------


def records_of(out):
    return [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]


def test_a_preset_is_written_that_evaluate_takes_and_confirms(data, finished, tmp_path):
    out, told = finished
    preset = find_preset(str(out / "tuned.json"))
    assert preset == changed(DEFAULT, told["changed"])
    assert set(told["models"]) == {"checkpoint"} and len(told["models"]["checkpoint"]) == 64
    summary = ask(evaluate, Evaluation, data, tmp_path, settings=str(out / "tuned.json"))
    halves = [told["figures"][name] for name in ("tuned_on", "judged_on")]
    count = sum(each["sentences"] for each in halves)
    mean = sum(each["sentences"] * each["tuned"][0] for each in halves) / count
    assert summary["sentences"] == count
    assert summary["figures"]["mIoU"] == pytest.approx(mean, abs=1e-3)


def test_a_picture_is_read_once_for_each_way_of_reading(data, monkeypatch):
    read, passes = DiffusersAttention.read, {}

    def counted(source, image, expressions):
        assert source.settings.timestep not in passes
        passes[source.settings.timestep] = read(source, image, expressions)
        return passes[source.settings.timestep]

    monkeypatch.setattr(DiffusersAttention, "read", counted)
    choice = ModelChoice(demo="unet", variant="g", device="cpu")
    asked = Tuning("refcoco", choice, data, **OPTIONS)
    trials = [*all_trials(asked, "g", absent=True)]
    image = max(load_data(asked).images, key=lambda each: len(each.sentences))
    records = Tuner(choice, trials, oracle=False)(Task(image)).records
    assert set(passes) == {None, 100}
    assert not torch.equal(passes[None][0].heat, passes[100][0].heat)
    assert [len(each["ious"]) for each in records] == [6] * len(image.sentences)


def test_a_run_that_was_cut_off_does_only_what_is_left(data, finished, tmp_path, monkeypatch):
    whole, told = finished
    lines = (whole / "records.jsonl").read_text().splitlines(keepends=True)
    last = json.loads(lines[-1])["image"]
    (tmp_path / "run.json").write_text((whole / "run.json").read_text())
    # torn in the midst of the last picture
    (tmp_path / "records.jsonl").write_text("".join(lines)[:-20])
    done, work = [], Tuner.__call__

    def noted(tuner, task):
        done.append(task.image.id)
        return work(tuner, task)

    monkeypatch.setattr(Tuner, "__call__", noted)
    assert ask(tune, Tuning, data, tmp_path, **OPTIONS) == told
    assert done == [last]
    assert records_of(tmp_path) == records_of(whole)
    # and nothing is left to do
    assert ask(tune, Tuning, data, tmp_path, **OPTIONS) == told and done == [last]


def test_other_trials_are_another_run(data, finished):
    with pytest.raises(DataError, match="trials was"):
        ask(tune, Tuning, data, finished[0], trials=3)


def test_a_picture_that_is_missing_is_told_of_and_left_out(data, tmp_path, capsys):
    shutil.copytree(data, tmp_path / "data")
    images = sorted((tmp_path / "data/images/mscoco/images/train2014").iterdir())
    images[0].unlink()
    arguments = ["--dataset", "refcoco", "--root", str(tmp_path / "data"), "--demo"]
    status = run(
        ["tune", *arguments, "--variant", "g", "--trials", "2", "--out", str(tmp_path / "out")]
    )
    said = capsys.readouterr().err
    assert status == 2 and images[0].name in said and "3 pictures could be read" in said


def test_the_official_settings_are_not_tuned(data, capsys):
    assert run(["tune", "--dataset", "demo", "--root", str(data), "--settings", "official"]) == 2
    assert "official settings are the published code's" in capsys.readouterr().err
