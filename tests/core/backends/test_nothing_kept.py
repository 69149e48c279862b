"""A call that has returned holds no tensor but its answer and what its cache is for."""

import gc
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.demo.models import DENOISER_FILE
from refdiff_core.language.expression import parse
from refdiff_core.settings import AttentionSettings

TEXTS = ("the red circle", "blue star left of the square")


class Made(TorchDispatchMode):
    """Keeps in mind, without keeping them, all tensors that are made while it is on."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = (each for each in tree_flatten(out)[0] if isinstance(each, torch.Tensor))
        self.seen += [weakref.ref(each) for each in tensors]
        return out

    def alive(self):
        return [each for ref in self.seen if (each := ref()) is not None]


@pytest.fixture
def no_gc():
    """Reference counts alone: what a cycle holds on to would stay for a while, on a GPU too."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="module")
def model():
    return DiffusersAttention.load(DENOISER_FILE).model


def answer_of(maps, source, image):
    kept = [image, *(each for one in maps for each in (one.heat, one.word_maps))]
    kept += [each for entry in vars(source.cache).values() for each in _tensors(entry)]
    return {each.untyped_storage().data_ptr() for each in kept}


def _tensors(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return (
        [each for one in value for each in _tensors(one)]
        if isinstance(value, (list, tuple))
        else []
    )


@pytest.mark.parametrize(
    "way", [{}, {"propagation": 1}, {"finest": True}, {"words": "root"}], ids=str
)
def test_a_read_keeps_nothing_but_its_maps_and_the_latents(model, no_gc, way):
    source = DiffusersAttention(model, AttentionSettings(**way))
    image = torch.rand(96, 160, 3, generator=torch.Generator().manual_seed(0))
    asked = [parse(each) for each in TEXTS]
    with Made() as made:
        maps = source.read(image, asked)
    assert len(made.seen) > 500
    kept = answer_of(maps, source, image)
    left = [each for each in made.alive() if each.untyped_storage().data_ptr() not in kept]
    # a handful of numbers, such as a size that is asked again
    assert sum(each.numel() for each in left) < 2_000, [tuple(each.shape) for each in left]


class Broken(RuntimeError):
    pass


@pytest.mark.parametrize("place", [3, 40, 90])
def test_an_error_in_the_middle_keeps_nothing_and_leaves_no_hook(model, no_gc, place):
    source = DiffusersAttention(model)
    image = torch.rand(96, 160, 3, generator=torch.Generator().manual_seed(1))
    asked = [parse(each) for each in TEXTS]

    def hooks():
        return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in parts)

    def fail(*_):
        raise Broken

    parts = list(model.unet.modules())
    before = hooks()
    handle = parts[place].register_forward_hook(fail)
    try:
        with Made() as made:
            source.read(image, asked)
    except Broken:
        pass
    finally:
        handle.remove()
    assert hooks() == before
    left = [each for each in made.alive() if each.numel() > 20_000]
    cached = answer_of([], source, image)
    left = [each for each in left if each.untyped_storage().data_ptr() not in cached]
    assert not left, [tuple(each.shape) for each in left]
