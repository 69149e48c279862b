"""The demo benchmark: its questions mean one thing, and the demo models answer them."""

import importlib
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.demo.models import CLIP_FILE, DENOISER_FILE, SAM_FILE
from refdiff_core.demo.scenes import HELD_OUT_SEED
from refdiff_core.evaluation.chart import line_chart
from refdiff_core.evaluation.demo import METHODS, KnownNouns, answer, compare, mirrored
from refdiff_core.evaluation.metrics import selection
from refdiff_core.evaluation.questions import (
    ATTRIBUTES,
    GROUPS,
    PER_GROUP,
    held_out_scenes,
    mirror,
    mirror_words,
    questions,
)
from refdiff_core.evaluation.sweep import TUNING_SEED, measure, tuning_scenes
from refdiff_core.evaluation.write_refer import TEST_OFFSET, Recipe, _seeds
from refdiff_core.pipeline import Models
from refdiff_core.seeing.proposals import FixedProposals
from refdiff_core.settings import AttentionSettings, Settings
from refdiff_core.values import Proposals

there = pytest.mark.skipif(
    not all(file.exists() for file in (CLIP_FILE, DENOISER_FILE, SAM_FILE)),
    reason="the demo weights are not here",
)


def known_nouns(scene):
    proposals = Proposals.of(torch.from_numpy(scene.masks))
    return Models(None, FixedProposals(proposals), KnownNouns(scene.objects))


def test_geometry_answers_every_question_where_the_nouns_are_known():
    wrong = []
    for seed, scene in enumerate(held_out_scenes(25)):
        asked = questions(scene, seed)
        found = answer(scene, asked, known_nouns(scene), Settings())
        wrong += [
            (seed, each) for each, result in zip(asked, found, strict=True)
            if result.best != each.target
        ]  # fmt: skip
    assert not wrong


def test_questions_are_seeded_few_of_a_kind_and_of_every_kind():
    scenes = list(held_out_scenes(25))
    drawn = [questions(scene, seed) for seed, scene in enumerate(scenes)]
    assert drawn == [questions(scene, seed) for seed, scene in enumerate(scenes)]
    groups = [[each.group for each in asked] for asked in drawn]
    assert {group for found in groups for group in found} == {*GROUPS}
    assert max(found.count(group) for found in groups for group in GROUPS) == PER_GROUP


def test_a_mirror_turns_the_picture_and_the_words():
    scene = next(held_out_scenes(1))
    again = mirror(mirror(scene))
    assert (again.image == scene.image).all() and (again.masks == scene.masks).all()
    assert (mirror(scene).masks[:, :, 0] == scene.masks[:, :, -1]).all()
    assert mirror_words("the second cup from the left") == "the second cup from the right"


@there
def test_the_demo_models_choose_the_right_object():
    found = compare(list(held_out_scenes(12)), {"both": METHODS["both"]}, oracle=True)["both"]
    assert selection(found) >= 0.95
    for group in GROUPS:
        own = [each for each in found if each.group == group]
        assert selection(own) >= 0.85, group


@there
def test_mirrored_scenes_have_the_mirrored_winner():
    same, count = mirrored(list(held_out_scenes(4)))
    assert same >= 0.97 * count


def test_a_chart_shows_every_series_in_full():
    from xml.etree import ElementTree

    series = {"down & up": [0.2, 0.9, 0.5], "up": [0.2, 0.1, 0.5]}
    chart = line_chart(series, ["20", "100", "300"], across="timestep", up="share")
    root = ElementTree.fromstring(chart)
    tag = "{http://www.w3.org/2000/svg}"
    lines = [each.get("points").split() for each in root.iter(f"{tag}polyline")]
    heights = [[float(point.split(",")[1]) for point in line] for line in lines]
    assert heights[0][1] < heights[0][2] < heights[0][0] == heights[1][0] < heights[1][1]
    texts = {each.text: float(each.get("y")) for each in root.iter(f"{tag}text")}
    assert {*series} <= {*texts} and abs(texts["up"] - texts["down & up"]) > 12


@there
def test_reading_content_words_chooses_better_than_the_root_word_alone():
    scenes = tuning_scenes(6)
    first = DiffusersAttention.load(DENOISER_FILE)
    root = DiffusersAttention(first.model, AttentionSettings(words="root"))
    content = selection(measure(first, scenes, ATTRIBUTES))
    assert content > selection(measure(root, scenes, ATTRIBUTES))
    assert content > 0.4


def test_tuning_scenes_are_none_of_the_benchmarks():
    held_out = {scene.image.tobytes() for scene in held_out_scenes(8)}
    assert held_out.isdisjoint(scene.image.tobytes() for scene in tuning_scenes(8))


def test_no_seed_serves_two_ends(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3]))
    training = (
        importlib.import_module("training.dataset"),
        importlib.import_module("training.transformer"),
    )
    first = {
        "training": 0,
        "val": HELD_OUT_SEED,
        "tuning": TUNING_SEED,
        "the transformer's reading": training[1].CHOOSING_SEED,
        "test": HELD_OUT_SEED + TEST_OFFSET,
    }
    counts = {
        "training": training[0].SCENES,
        "the transformer's reading": training[1].CHOOSING_SCENES,
    }
    used = [range(start, start + counts.get(name, 10_000)) for name, start in first.items()]
    assert all(a.stop <= b.start for a, b in pairwise(used))
    written = {split: seed + HELD_OUT_SEED for split, seed in _seeds(Recipe(scenes=1))}
    assert written == {"val": first["val"], "test": first["test"]}
