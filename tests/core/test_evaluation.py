"""The demo benchmark: its questions mean one thing, and the demo models answer them."""

import pytest
import torch

from refdiff_core.demo.models import CLIP_FILE, DENOISER_FILE, SAM_FILE
from refdiff_core.evaluation.demo import METHODS, KnownNouns, answer, compare, mirrored
from refdiff_core.evaluation.metrics import selection
from refdiff_core.evaluation.questions import (
    GROUPS,
    PER_GROUP,
    held_out_scenes,
    mirror,
    mirror_words,
    questions,
)
from refdiff_core.pipeline import Models
from refdiff_core.proposals import FixedProposals
from refdiff_core.settings import Settings
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
