"""The demo models one by one, on a few scenes that they were not trained on."""

import numpy as np
import pytest

from refdiff_core.demo.models import load_sam
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.evaluation.models import box_around, choosing_alone, points_in, psnr, sam_iou


@pytest.fixture(scope="module")
def scenes():
    return [sample_scene(HELD_OUT_SEED + seed, count=(3, 4)) for seed in range(6)]


def half_mask():
    mask = np.zeros((3, 5), bool)
    mask[1:, 2:] = True
    return mask


def test_points_lie_in_the_mask():
    points = points_in(half_mask(), np.random.default_rng(0), 20)
    assert points.min(0).tolist() == [2.5, 1.5] and points.max(0).tolist() == [4.5, 2.5]


def test_the_box_is_tight():
    assert box_around(half_mask()).tolist() == [2, 1, 5, 3]


def test_sam_finds_objects_by_a_point_and_by_a_box(scenes):
    figures = dict(sam_iou(load_sam(), scenes))
    assert figures["point, best predicted of three"] > 0.85
    assert figures["box"] > 0.85
    assert figures["point, best of three"] >= figures["point, best predicted of three"]


def test_psnr_tells_a_faithful_autoencoder_from_a_grey_one(scenes):
    faithful = psnr(Passing(scale=1.0), scenes)
    assert faithful > 80 > 20 > psnr(Passing(scale=0.0), scenes)


def test_clip_knows_shapes_and_attention_does_not(scenes):
    head, *rows = choosing_alone(scenes)
    figures = {name: dict(zip(head[1:], map(float, row), strict=True)) for name, *row in rows}
    assert figures["CLIP"]["shape"] > 0.9 > figures["denoiser"]["shape"]
    assert figures["CLIP"]["colour unique"] > 0.9
    assert figures["denoiser"]["colour unique"] > figures["chance"]["colour unique"] + 0.3


class Passing:
    """An autoencoder that hands pictures on, paler by ``scale``."""

    def __init__(self, scale):
        self.scale, self.latent_dist, self.sample = scale, self, None

    def encode(self, images):
        self.images = images
        return self

    def mode(self):
        return self.images

    def decode(self, latents):
        self.sample = latents * self.scale + 1e-6
        return self
