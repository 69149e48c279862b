"""Several objects, the rest of the picture, and none: the demo's questions and answers."""

import pytest
import torch

from refdiff_core.demo.models import CLIP_FILE, DENOISER_FILE, SAM_FILE
from refdiff_core.evaluation.demo import METHODS, KnownNouns, answer, compare
from refdiff_core.evaluation.how_many import report
from refdiff_core.evaluation.metrics import mean_iou, selection
from refdiff_core.evaluation.questions import PER_GROUP, held_out_scenes
from refdiff_core.evaluation.several import ABSENT, ALL, NUMBER, REST, SEVERAL, several
from refdiff_core.pipeline import Models, segment
from refdiff_core.seeing.proposals import FixedProposals
from refdiff_core.settings import Settings
from refdiff_core.values import Proposals

there = pytest.mark.skipif(
    not all(file.exists() for file in (CLIP_FILE, DENOISER_FILE, SAM_FILE)),
    reason="the demo models are not here",
)


def test_geometry_answers_every_question_where_the_nouns_are_known():
    wrong = []
    for seed, scene in enumerate(held_out_scenes(25)):
        proposals = Proposals.of(torch.from_numpy(scene.masks))
        known = Models(None, FixedProposals(proposals), KnownNouns(scene.objects))
        asked = several(scene, seed)
        for each, result in zip(asked, answer(scene, asked, known, Settings()), strict=True):
            if sorted(result.chosen) != sorted(each.targets):
                wrong.append((seed, each, result.chosen))
            meant = proposals.masks[list(each.targets)].any(0)
            mask = result.mask > 0
            assert torch.equal(mask, ~meant if each.rest else meant) or wrong
    assert not wrong


def test_questions_are_seeded_few_of_a_kind_and_of_every_kind():
    drawn = [several(scene, seed) for seed, scene in enumerate(held_out_scenes(25))]
    assert drawn == [several(scene, seed) for seed, scene in enumerate(held_out_scenes(25))]
    groups = [[each.group for each in asked] for asked in drawn]
    assert {group for found in groups for group in found} == {*SEVERAL}
    assert max(found.count(group) for found in groups for group in SEVERAL) == PER_GROUP
    for each in (each for asked in drawn for each in asked):
        assert bool(each.targets) == (each.group != ABSENT)
        assert not each.rest or each.group == REST


@there
def test_the_demo_models_find_the_right_sets():
    found = compare(list(held_out_scenes(5)), {"both": METHODS["both"]}, oracle=True, ask=several)
    groups = {name: [each for each in found["both"] if each.group == name] for name in SEVERAL}
    for name in (NUMBER, ALL, ABSENT):
        assert selection(groups[name]) >= 0.85, name
    assert mean_iou(groups[REST]) >= 0.95


@there
def test_everything_but_what_is_not_there_is_all_of_the_picture_and_says_so(demo_models):
    scene = next(
        each for each in held_out_scenes(9) if "star" not in {o.shape for o in each.objects}
    )
    image = torch.from_numpy(scene.image).float() / 255
    absent = next(q.text for q in several(scene) if q.group == ABSENT)
    (found,) = segment(image, absent.replace("the ", "everything but the "), demo_models)
    assert found.mask.all() and found.found
    assert any("nothing is left out" in note for note in found.expression.notes)


@there
def test_the_page_has_a_table_of_every_kind():
    page = report(1, oracle=True)
    head = next(line for line in page.splitlines() if line.startswith("| score"))
    assert all(kind in head for kind in SEVERAL)
