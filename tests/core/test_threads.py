"""Several threads share one set of models."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from refdiff_core import load_demo, segment
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene

LINES = ("the red circle", "the blue square on the left", "the second star from the left")


@pytest.fixture(scope="module")
def pictures():
    scenes = [sample_scene(HELD_OUT_SEED + seed, size_hw=(96, 128)) for seed in range(4)]
    return [torch.from_numpy(scene.image).float() / 255 for scene in scenes]


def hooks(models):
    """How many hooks hang on the denoiser."""
    every = models.attention.model.unet.modules()
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in every)


@pytest.mark.parametrize("variant", ["g", "gsd"])
def test_threads_that_share_models_get_the_answers_that_one_alone_gets(variant, pictures):
    models, alone = load_demo(variant), load_demo(variant)
    asked = [(index, line) for index in range(len(pictures)) for line in LINES]
    expected = [segment(pictures[index], line, alone)[0].mask for index, line in asked]
    before = hooks(models)

    def answer(question):
        index, line = question
        return segment(pictures[index], line, models)[0].mask

    with ThreadPoolExecutor(3) as crew:
        found = list(crew.map(answer, [*asked, *reversed(asked)]))
    for mask, wanted in zip(found, [*expected, *reversed(expected)], strict=True):
        assert torch.equal(mask, wanted)
    assert hooks(models) == before


def test_an_exception_between_picture_and_ranking_leaves_nothing_behind(pictures):
    models = load_demo()
    before, (expected,) = hooks(models), segment(pictures[0], LINES[0], models)

    def stop(_done, _total):
        raise KeyboardInterrupt

    models.proposer.progress = stop
    with pytest.raises(KeyboardInterrupt):
        segment(pictures[1], LINES[0], models)
    models.proposer.progress = None
    (again,) = segment(pictures[0], LINES[0], models)
    assert hooks(models) == before and torch.equal(again.mask, expected.mask)
