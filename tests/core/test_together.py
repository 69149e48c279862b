"""Several pictures go through an encoder in one pass, and each is answered as if it had not."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from refdiff_core import load_demo, segment
from refdiff_core import together as module
from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.backends.sam_proposer import DEMO, SamProposer
from refdiff_core.backends.transformers_attention import TransformersAttention
from refdiff_core.cache import PictureCache
from refdiff_core.demo.scenes import HELD_OUT_SEED, expressions, sample_scene
from refdiff_core.errors import ImageError
from refdiff_core.together import Lot, pictures_at_once, together

CPU = torch.device("cpu")


def scenes(*sizes):
    return [sample_scene(HELD_OUT_SEED + 20 + n, size_hw=size) for n, size in enumerate(sizes)]


def picture(scene):
    return torch.from_numpy(scene.image).float() / 255


SAME = scenes((96, 160), (96, 160), (96, 160))
MIXED = scenes((96, 160), (160, 96), (100, 166))


@pytest.fixture(scope="module")
def loaded():
    return load_demo()


@pytest.fixture
def fresh(loaded):
    """The same models, with nothing kept of any picture."""
    return new(loaded)


def new(models):
    attention = DiffusersAttention(models.attention.model)
    return replace(models, attention=attention, proposer=SamProposer(models.proposer.sam, DEMO))


@pytest.fixture
def passes(loaded, monkeypatch):
    """How many pictures each pass of the autoencoder's encoder and of SAM's has."""
    found = {"autoencoder": [], "sam": []}
    encoders = loaded.attention.model.vae.encoder, loaded.proposer.sam.image_encoder
    handles = [
        module.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(len(args[0])))
        for module, seen in zip(encoders, found.values(), strict=True)
    ]
    yield found
    for each in handles:
        each.remove()


def answers(shown, lines, models, at_once=None):
    """Of each picture to its own line, all of one lot."""
    pictures = [picture(each) for each in shown]
    with together(Lot(pictures, at_once)):
        return [segment(*each, models)[0] for each in zip(pictures, lines, strict=True)]


def iou(one, other):
    one, other = one > 0.5, other > 0.5
    return float((one & other).sum() / (one | other).sum().clamp(min=1))


def truth(scene, asked):
    return torch.from_numpy(scene.masks[asked.target])


@pytest.mark.parametrize("shown", [SAME, MIXED], ids=["one size", "several sizes"])
def test_each_picture_of_a_pass_has_its_own_thing_found_as_alone(shown, fresh, passes, loaded):
    asked = [expressions(each)[0] for each in shown]
    lines = [each.text for each in asked]
    alone = answers(shown, lines, new(loaded))
    assert passes == {"autoencoder": [1, 1, 1], "sam": [1, 1, 1]}, "one by one on a processor"
    for each in passes.values():
        each.clear()
    found = answers(shown, lines, fresh, at_once=3)
    # the third is of the first's working size, the second is not
    assert passes == {"autoencoder": [3] if shown is SAME else [2, 1], "sam": [3]}
    for scene, said, one, other in zip(shown, asked, found, alone, strict=True):
        assert iou(one.mask, truth(scene, said)) > 0.5
        assert iou(one.mask, other.mask) >= 0.99
        assert (one.attention.heat - other.attention.heat).abs().max() < 1e-4
        assert len(one.proposals) == len(other.proposals)


def test_a_transformers_autoencoder_takes_several_too(monkeypatch):
    source = load_demo("g", denoiser="transformer").attention
    run, seen = source.model.encode, []
    monkeypatch.setattr(
        type(source.model), "encode", lambda _, pixels: seen.append(len(pixels)) or run(pixels)
    )
    pictures, size_hw = [picture(each) for each in SAME], (96, 160)
    with torch.inference_mode():
        alone = [source._encode_image(each, size_hw) for each in pictures]
        source = TransformersAttention(source.model)
        with together(Lot(pictures, 3)):
            found = [source._encode_image(each, size_hw) for each in pictures]
    assert seen == [1, 1, 1, 3]
    for one, other in zip(found, alone, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


class Encoder:
    """Doubles what it sees; keeps how many pictures each pass had."""

    def __init__(self, most=8, max_bytes=2**20):
        self.cache, self.passes, self.most = PictureCache(max_bytes), [], most

    def run(self, pixels):
        self.passes.append(len(pixels))
        if len(pixels) > self.most:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return pixels.mean((2, 3), keepdim=True) * 2

    def __call__(self, image, device=None):
        planes = lambda each: each.movedim(-1, 0)[None]  # noqa: E731
        key = lambda each: each.shape  # noqa: E731
        return module.encode(self.cache, image, key, planes, self.run, values=1, device=device)


def small(count, *size_hw):
    return list(torch.rand(count, *(size_hw or (4, 6)), 3).unbind())


def right(image):
    return image.mean((0, 1)).mul(2)[None, :, None, None]


def check(encoder, pictures, at_once=None, device=None):
    with together(Lot(pictures, at_once)):
        for each in pictures:
            torch.testing.assert_close(encoder(each, device), right(each))


def test_where_memory_runs_out_pictures_are_encoded_one_by_one():
    encoder = Encoder(most=1)
    check(encoder, small(3), at_once=3)
    assert encoder.passes == [3, 1, 1, 1], "and what failed is not tried again"


def test_an_error_that_is_not_the_batchs_is_told_of():
    encoder = Encoder(most=0)
    with pytest.raises(RuntimeError, match="out of memory"), together(Lot(pair := small(2), 2)):
        encoder(pair[0])


def test_nothing_is_encoded_that_would_be_thrown_out_before_its_turn():
    pictures = small(6)
    encoder = Encoder(max_bytes=2 * pictures[0].nbytes)
    check(encoder, pictures, at_once=6)
    assert encoder.passes == [2, 2, 2]
    encoder = Encoder(max_bytes=0)
    check(encoder, pictures, at_once=6)
    assert encoder.passes == [1] * 6


def test_what_is_kept_or_behind_or_larger_than_models_see_is_not_taken_along():
    encoder, (first, second, third, fourth) = Encoder(), small(4)
    encoder(third)
    with together(Lot([first, second, third, fourth], 4)):
        encoder(second)
        encoder(first)
    assert encoder.passes == [1, 2, 1]
    long = torch.rand(1, module.WORKING_SIDE + 1, 3)
    check(other := Encoder(), [long, long.flip(1)], at_once=2)
    assert other.passes == [1, 1]


def test_a_picture_that_is_none_of_the_lot_takes_nothing_along_and_a_lot_ends():
    encoder, (first, second, third) = Encoder(), small(3)
    with together(Lot([first, second], 2)):
        encoder(third)
    encoder(first)
    assert encoder.passes == [1, 1]


def test_a_lots_pictures_are_read_once_for_their_fingerprints(monkeypatch, fresh):
    read, digest = [], module.fingerprint.__globals__["_digest"]
    monkeypatch.setitem(
        module.fingerprint.__globals__,
        "_digest",
        lambda values: read.append(values.data_ptr()) or digest(values),
    )
    pictures = [picture(each) for each in SAME]
    with together(Lot(pictures, 3)):
        for each in pictures:
            segment(each, "the red circle", fresh)
    assert [read.count(each.data_ptr()) for each in pictures] == [1, 1, 1]


def test_a_picture_that_cannot_be_used_does_the_others_no_harm(fresh):
    asked = expressions(SAME[0])[0], expressions(SAME[2])[0]
    pictures = [picture(SAME[0]), torch.full((96, 160, 3), torch.nan), picture(SAME[2])]
    with together(Lot(pictures, 3)):
        first = segment(pictures[0], asked[0].text, fresh)[0]
        with pytest.raises(ImageError, match="not finite"):
            segment(pictures[1], "the red circle", fresh)
        last = segment(pictures[2], asked[1].text, fresh)[0]
    assert iou(first.mask, truth(SAME[0], asked[0])) > 0.5
    assert iou(last.mask, truth(SAME[2], asked[1])) > 0.5


def test_two_threads_with_lots_of_their_own_get_what_each_gets_alone(fresh, loaded):
    lines = [expressions(each)[0].text for each in SAME]
    alone = answers(SAME, lines, new(loaded))
    orders = [0, 1, 2], [2, 1, 0]
    with ThreadPoolExecutor(2) as pool:
        found = list(
            pool.map(
                lambda order: answers(
                    [SAME[n] for n in order], [lines[n] for n in order], fresh, at_once=3
                ),
                orders,
            )
        )
    for order, those in zip(orders, found, strict=True):
        for number, one in zip(order, those, strict=True):
            assert iou(one.mask, alone[number].mask) >= 0.99


@pytest.fixture
def card(monkeypatch):
    """A CUDA device that says how much of its memory is free."""
    free = {"bytes": 80 * 2**30}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free["bytes"], 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 2**30)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 2**30)
    return free


def test_what_fits_is_taken_on_a_gpu_and_one_elsewhere(card):
    gpu, mebi = torch.device("cuda"), 2**20
    assert pictures_at_once(CPU) == pictures_at_once(torch.device("mps")) == 1
    assert pictures_at_once(gpu) == module.MOST
    at_512, at_1024 = (module.AUTOENCODER * 4 * side**2 for side in (512, 1024))
    assert (pictures_at_once(gpu, at_512), pictures_at_once(gpu, at_1024)) == (3, 1)
    card["bytes"] = 8 * 2**30
    assert pictures_at_once(gpu, at_512) == 2, "half of what is free"
    card["bytes"] = 100 * mebi
    assert pictures_at_once(gpu, at_512) == 1
    check(encoder := Encoder(), small(12), device=gpu)
    assert encoder.passes == [8, 4]
