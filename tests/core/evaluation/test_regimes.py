"""The test bed whose CLIP errs as real ones do."""

import numpy as np
import pytest
import torch

from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.evaluation.absent import COLOUR, NOUN, ORDINAL, UNKNOWN, absent
from refdiff_core.evaluation.metrics import mean_and_error
from refdiff_core.evaluation.simulated import GAP, SimulatedClip, likeness
from refdiff_core.language.expression import parse
from refdiff_core.values import Proposals


@pytest.fixture
def scene():
    return sample_scene(HELD_OUT_SEED + 3, count=5, size_hw=(96, 160))


def said(clip, text, masks=None):
    shown = torch.from_numpy(clip.scene.masks) if masks is None else masks
    (found,) = clip.score(torch.zeros(96, 160, 3), [parse(text)], [Proposals.of(shown)])
    return found


def test_words_add_up_to_a_likeness(scene):
    item = scene.objects[0]
    name, shape, color = item.name, item.shape, item.color
    assert likeness(f"the {name}", item) == pytest.approx(1)
    assert likeness(f"the {name}", item) > likeness(shape, item) > likeness(f"{color} thing", item)
    assert likeness(f"{color} thing", item) > likeness("thing", item) > likeness("elephant", item)


def test_without_noise_it_is_right_by_the_gap(scene):
    item = scene.objects[0]
    found = said(SimulatedClip(scene, 0.0), f"the {item.name}")
    like = torch.tensor([likeness(item.name, each) for each in scene.objects])
    assert torch.allclose(found.cosine - found.cosine[0], GAP * (like - like[0]), atol=1e-6)
    assert found.scale == 100


def test_the_same_region_and_text_get_the_same_answer_and_others_another(scene):
    clip = SimulatedClip(scene, 0.02)
    once, again = said(clip, "the star"), said(SimulatedClip(scene, 0.02), "the star")
    assert torch.equal(once.views, again.views)
    assert not torch.equal(once.views, said(SimulatedClip(scene, 0.02, seed=1), "the star").views)
    few = said(clip, "the star", torch.from_numpy(scene.masks)[[1, 0]])
    assert torch.equal(few.views, once.views[:, [1, 0]])


def test_errors_have_the_deviation_that_is_asked_for_half_of_it_common(scene):
    clip, quiet = SimulatedClip(scene, 0.02), SimulatedClip(scene, 0.0)
    texts = [f"the {word} star" for word in map(str, range(400))]
    errors = torch.stack([said(clip, text).views - said(quiet, text).views for text in texts])
    shares = torch.tensor([0.7, 0.3])
    mean = torch.einsum("v,tvn->tn", shares, errors)
    assert float(mean.std()) == pytest.approx(0.02, rel=0.05)
    common = float((errors[:, 0] * errors[:, 1]).mean()) ** 0.5
    assert common == pytest.approx(0.02 * 0.5**0.5, rel=0.1)


def test_scraps_and_background_look_less_like_an_object(scene):
    whole = torch.from_numpy(scene.masks)[0]
    scrap = whole.clone()
    scrap[:, : int(whole.nonzero()[:, 1].median())] = False
    ground = ~torch.from_numpy(scene.masks).any(0)
    found = said(
        SimulatedClip(scene, 0.0), scene.objects[0].name, torch.stack([whole, scrap, ground])
    )
    assert found.cosine[0] > found.cosine[1] > found.cosine[2]


def test_what_is_absent_is_not_in_the_scene(scene):
    asked = list(absent(scene, 5))
    assert {kind for _, kind in asked} == {UNKNOWN, NOUN, COLOUR, ORDINAL}
    names = {each.name for each in scene.objects}
    shapes = {each.shape for each in scene.objects}
    for text, kind in asked:
        words = text.split()
        if kind == NOUN:
            assert words[-1] not in shapes
        elif kind == COLOUR:
            assert " ".join(words[1:]) not in names
    assert asked == list(absent(scene, 5))


def test_the_error_of_a_mean_counts_scenes_not_questions():
    alone = {number: [float(number % 2)] for number in range(10)}
    often = {number: [float(number % 2)] * 50 for number in range(10)}
    error = np.std([0, 1] * 5, ddof=1) / 10**0.5
    assert mean_and_error(alone) == pytest.approx((0.5, error))
    assert mean_and_error(often) == pytest.approx((0.5, error))
    assert np.isclose(mean_and_error({0: [1.0], 1: [0.0, 0.0, 0.0]})[0], 0.25)


def test_of_one_scene_nobody_knows_the_error():
    mean, error = mean_and_error({0: [1.0, 0.0]})
    assert mean == 0.5 and np.isnan(error)


def test_the_error_covers_the_truth_as_often_as_it_says_also_with_few_scenes():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        mean, error = mean_and_error({at: [value] for at, value in enumerate(rng.normal(size=4))})
        inside += abs(mean) <= 3.182 * error  # Student's t for three degrees of freedom, 95 %
    assert inside / 2000 == pytest.approx(0.95, abs=0.012)
