"""Several threads share models, and whatever ends a call in the middle leaves nothing behind."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from refdiff_core import load_demo, segment
from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.backends.unet_layers import capturing
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.seeing.capture import Capture
from refdiff_core.settings import DEFAULT

TEXTS = ("the red circle", "the second star from the left")


@pytest.fixture(scope="module")
def pictures():
    scenes = [sample_scene(HELD_OUT_SEED + n, size_hw=(96, 160)).image for n in range(2)]
    return [torch.from_numpy(each).float() / 255 for each in scenes]


@pytest.fixture(scope="module")
def models():
    few = replace(DEFAULT.sam, points_per_side=3, peaks=1)  # enough to share, soon done
    return load_demo("gsd", settings=replace(DEFAULT, sam=few))


@pytest.fixture(scope="module")
def alone(pictures, models):
    """What one thread gets."""
    return masks_of(pictures, models, range(2))


def hooks(models):
    parts = models.attention.model.unet.modules()
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in parts)


def masks_of(pictures, models, order):
    """Masks by picture and text, asked in an order of pictures."""
    asked = [(number, text) for number in order for text in TEXTS]
    return {each: segment(pictures[each[0]], each[1], models)[0].mask for each in asked}


def test_threads_that_share_models_get_what_each_would_get_alone(pictures, models, alone):
    assert any(mask.any() for mask in alone.values())
    # the same models, with nothing kept of the pictures yet
    shared = replace(models, attention=DiffusersAttention(models.attention.model))
    before = hooks(models)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda o: masks_of(pictures, shared, o), ([0, 1], [1, 0])))
    for each in found:
        assert all(torch.equal(each[asked], mask) for asked, mask in alone.items())
    assert hooks(shared) == before


class Stop(BaseException):
    """Not an Exception, as an interrupt is not."""


@pytest.mark.parametrize("where", ["denoiser", "proposer", "scorer", "ranking"])
def test_what_ends_a_call_in_the_middle_leaves_nothing_behind(
    pictures, models, alone, monkeypatch, where
):
    def fail(*_args, **_kwargs):
        raise Stop

    before, unseen = hooks(models), sample_scene(HELD_OUT_SEED + 9, size_hw=(96, 160)).image
    unseen = torch.from_numpy(unseen).float() / 255
    with monkeypatch.context() as patch:
        if where == "denoiser":
            handle = models.attention.model.unet.up_blocks[0].register_forward_hook(fail)
        elif where == "ranking":
            patch.setattr("refdiff_core.pipeline._fuse_all", fail)
        else:
            name = "propose" if where == "proposer" else "score"
            patch.setattr(getattr(models, where), name, fail)
        with pytest.raises(Stop):
            segment(unseen, TEXTS[0], models)
        if where == "denoiser":
            handle.remove()
    assert hooks(models) == before
    assert torch.equal(segment(pictures[0], TEXTS[0], models)[0].mask, alone[0, TEXTS[0]])


def test_models_that_are_loaded_twice_work_side_by_side(pictures, models, alone):
    few = replace(DEFAULT.sam, points_per_side=3, peaks=1)
    both = [load_demo("gsd", settings=replace(DEFAULT, sam=few)) for _ in range(2)]
    before = [hooks(each) for each in both]
    with ThreadPoolExecutor(2) as pool:
        orders = ([0, 1], [1, 0])
        found = list(
            pool.map(lambda pair: masks_of(pictures, *pair), zip(both, orders, strict=True))
        )
    for each in found:
        assert all(torch.equal(each[asked], mask) for asked, mask in alone.items())
    assert [hooks(each) for each in both] == before


def test_an_interrupt_in_one_thread_is_none_in_another(pictures, models, alone):
    """Of two that share models one is ended in its pass over and over; the other never notices."""
    shared = replace(models, attention=DiffusersAttention(models.attention.model))
    source, before = shared.attention, hooks(shared)

    class Ending(DiffusersAttention):
        def _denoise(self, latents, text, pooled):
            super()._denoise(latents, text[..., :-1], pooled)  # its keys have no place for it

    broken = replace(shared, attention=Ending(source.model))

    def ended():
        for _ in range(4):
            with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
                segment(pictures[0], TEXTS[0], broken)
        return True

    with ThreadPoolExecutor(2) as pool:
        ending, going = pool.submit(ended), pool.submit(masks_of, pictures, shared, range(2))
        assert ending.result()
        assert all(torch.equal(going.result()[asked], mask) for asked, mask in alone.items())
    assert hooks(shared) == before


def test_answers_that_are_abandoned_half_way_leave_the_models_as_they_were(
    pictures, models, alone, tmp_path
):
    """A loop over pictures that is left: its generator is closed in the middle of a batch."""
    before = hooks(models)

    def answers():
        for picture in pictures:
            for text in TEXTS:
                yield segment(picture, text, models)[0].mask

    going = answers()
    first = next(going)
    going.close()
    del going
    assert hooks(models) == before
    assert torch.equal(first, alone[0, TEXTS[0]])
    assert torch.equal(segment(pictures[1], TEXTS[1], models)[0].mask, alone[1, TEXTS[1]])


def test_a_pass_that_is_left_open_blocks_nobody_once_it_is_closed(pictures, models, alone):
    """`capturing` as a generator somebody leaves half-way: hooks and its lock go with it."""
    unet, before = models.attention.model.unet, hooks(models)

    def half_way():
        capture = Capture(models.attention.layers, torch.zeros(1, 77, 1))
        with capturing(unet, capture):
            yield hooks(models)

    going = half_way()
    assert next(going) > before
    going.close()
    assert hooks(models) == before
    fresh = replace(models, attention=DiffusersAttention(models.attention.model))
    with ThreadPoolExecutor(1) as pool:  # another thread: the lock must be free
        found = pool.submit(segment, pictures[0], TEXTS[0], fresh).result(timeout=120)
    assert torch.equal(found[0].mask, alone[0, TEXTS[0]])
