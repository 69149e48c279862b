"""Several threads share models, and whatever ends a call in the middle leaves nothing behind."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from refdiff_core import load_demo, segment
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene

TEXTS = ("the red circle", "the blue square on the left", "the second star from the left", "ring")


@pytest.fixture(scope="module")
def pictures():
    scenes = [sample_scene(HELD_OUT_SEED + n, size_hw=(96, 160)).image for n in range(4)]
    return [torch.from_numpy(each).float() / 255 for each in scenes]


@pytest.fixture(scope="module", params=["g", "gsd"])
def models(request):
    return load_demo(request.param)


def hooks(models):
    parts = models.attention.model.unet.modules()
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in parts)


def masks_of(pictures, models, order):
    """Masks by picture and text, asked in an order of pictures."""
    asked = [(number, text) for number in order for text in TEXTS]
    return {each: segment(pictures[each[0]], each[1], models)[0].mask for each in asked}


def test_threads_that_share_models_get_what_each_would_get_alone(pictures, models):
    alone, before = masks_of(pictures, models, range(4)), hooks(models)
    assert any(mask.any() for mask in alone.values())
    shared = load_demo(models.variant)  # nothing kept of the pictures yet
    orders = ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2])
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda order: masks_of(pictures, shared, order), orders))
    for each in found:
        assert all(torch.equal(each[asked], mask) for asked, mask in alone.items())
    assert hooks(shared) == before


def test_models_of_their_own_do_not_meet(pictures):
    alone = masks_of(pictures, load_demo("g"), range(4))
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: masks_of(pictures, load_demo("g"), range(4)), range(2)))
    for each in found:
        assert all(torch.equal(each[asked], mask) for asked, mask in alone.items())


class Stop(BaseException):
    """Not an Exception, as an interrupt is not."""


@pytest.mark.parametrize("where", ["denoiser", "proposer", "scorer", "ranking"])
@pytest.mark.parametrize("kind", [RuntimeError, Stop])
def test_what_ends_a_call_in_the_middle_leaves_nothing_behind(pictures, monkeypatch, where, kind):
    models = load_demo("gsd")
    plain, before = segment(pictures[0], TEXTS[0], models)[0].mask, hooks(models)

    def fail(*_args, **_kwargs):
        raise kind

    with monkeypatch.context() as patch:
        if where == "denoiser":
            handle = models.attention.model.unet.up_blocks[0].register_forward_hook(fail)
        elif where == "ranking":
            patch.setattr("refdiff_core.pipeline._fuse_all", fail)
        else:
            part = getattr(models, where)
            patch.setattr(part, "propose" if where == "proposer" else "score", fail)
        with pytest.raises(kind):
            segment(pictures[1], TEXTS[0], models)
        if where == "denoiser":
            handle.remove()
    assert hooks(models) == before
    fresh = load_demo("gsd")
    for number in (0, 1):
        expected = segment(pictures[number], TEXTS[0], fresh)[0].mask
        assert torch.equal(segment(pictures[number], TEXTS[0], models)[0].mask, expected)
    assert torch.equal(segment(pictures[0], TEXTS[0], models)[0].mask, plain)
