"""What is kept of a picture, and that keeping it changes no answer."""

import pytest
import torch

from refdiff_core import Models, load_demo, segment
from refdiff_core.cache import PictureCache, fingerprint
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene


def numbers(count, value=0.0):
    return torch.full((count,), value)


def test_a_result_is_computed_once():
    cache, calls = PictureCache(1000), []
    for _ in range(3):
        (found,) = cache.once("a", lambda: (calls.append(1), (numbers(5, 2.0),))[1])
        assert torch.equal(found, numbers(5, 2.0))
    assert len(calls) == 1 and (cache.hits, cache.misses) == (2, 1)


def test_results_stay_within_the_bound_and_the_least_used_leaves_first():
    cache = PictureCache(60)  # three results of five float32
    for name in "abc":
        cache.put(name, numbers(5))
    assert cache.get("a") is not None
    cache.put("d", numbers(5))
    assert [name for name in "abcd" if cache.get(name)] == ["a", "c", "d"]
    assert cache.bytes == 60 and len(cache) == 3


def test_a_result_kept_again_is_counted_once():
    cache = PictureCache(100)
    cache.put("a", numbers(5))
    cache.put("a", numbers(5, 1.0), numbers(2))
    assert cache.bytes == 28 and cache.get("a")[0][0] == 1


@pytest.mark.parametrize("bound", [0, 19])
def test_a_result_larger_than_the_cache_is_let_go_and_drives_nothing_out(bound):
    cache = PictureCache(bound)
    cache.put("small", numbers(1)) if bound else None
    (found,) = cache.once("large", lambda: (numbers(5),))
    assert len(found) == 5 and cache.get("large") is None
    assert cache.bytes == (4 if bound else 0)


def test_a_part_of_a_larger_tensor_does_not_keep_the_whole():
    cache = PictureCache(100)
    cache.put("row", torch.zeros(1000, 5)[3])
    assert cache.get("row")[0].untyped_storage().nbytes() == cache.bytes == 20


def test_it_says_what_it_holds():
    cache = PictureCache(2**20)
    cache.once("a", lambda: (numbers(2**17),))
    cache.get("a")
    assert repr(cache) == "PictureCache(1 results, 0.5 of 1 MiB, 1 hits, 1 misses)"


def test_fingerprints_tell_content_shape_and_type_apart_but_not_layout():
    picture = torch.rand(3, 5, 3)
    assert fingerprint(picture) == fingerprint(picture.clone())
    assert fingerprint(picture) == fingerprint(
        picture.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    )
    nudged = picture.clone()
    nudged[2, 4, 1] += 1e-6
    others = [nudged, picture.reshape(5, 3, 3), picture.double(), torch.zeros(3, 5, 3)]
    assert len({fingerprint(each) for each in (picture, *others)}) == 5
    assert fingerprint(torch.zeros(2)) != fingerprint(torch.zeros(2, dtype=torch.int32))


@pytest.fixture
def fresh():
    """The demo's models, loaded for one test alone."""
    return load_demo()


@pytest.fixture
def passes(fresh):
    """How often each model has run, and on how many rows."""
    seen = {"autoencoder": 0, "denoiser": 0, "SAM": 0, "prompts": 0, "crops": 0, "soft passes": 0}

    def count(module, name, rows=lambda _: 1):
        def hook(_module, args, output):
            seen[name] += rows(output)

        module.register_forward_hook(hook)

    model, sam = fresh.attention.model, fresh.proposer.sam
    count(model.vae.encoder, "autoencoder")
    count(model.unet.conv_in, "denoiser")
    count(sam.image_encoder, "SAM")
    count(sam.mask_decoder, "prompts", lambda out: len(out[0]))
    visual = fresh.scorer.clip.model.visual
    count(visual.transformer, "soft passes", lambda out: 1 in out.shape[:2])
    count(visual.transformer, "crops", lambda out: 0 if len(out) == 1 else len(out))
    return seen


@pytest.fixture(scope="module")
def picture():
    scene = sample_scene(HELD_OUT_SEED + 3, count=4, size_hw=(96, 160))
    return torch.from_numpy(scene.image).float() / 255


def masks_of(results):
    return [result.mask for result in results]


def test_a_second_expression_costs_a_pass_and_its_own_prompts_only(fresh, passes, picture):
    segment(picture, "the red circle", fresh)
    first = dict(passes)
    assert first["autoencoder"] == first["SAM"] == first["denoiser"] == 1
    segment(picture, "the blue square", fresh)
    second = {name: passes[name] - first[name] for name in passes}
    assert second["autoencoder"] == second["SAM"] == 0 and second["denoiser"] == 1
    assert second["prompts"] <= fresh.proposer.settings.peaks
    assert second["crops"] <= 3 * second["prompts"] < first["crops"]


def test_the_same_expression_again_costs_one_pass_of_the_denoiser(fresh, passes, picture):
    results = segment(picture, "the red circle", fresh)
    first = dict(passes)
    again = segment(picture.clone(), "the red circle", fresh)
    assert torch.equal(again[0].mask, results[0].mask)
    done = {name: passes[name] - first[name] for name in passes}
    assert done.pop("denoiser") == 1
    assert done.pop("prompts") <= fresh.proposer.settings.peaks
    assert not any(done.values())


def test_eight_expressions_are_one_pass_of_everything(fresh, passes, picture):
    shapes = ("circle", "square", "star", "ring")
    segment(
        picture, [f"the {color} {shape}" for shape in shapes for color in ("red", "blue")], fresh
    )
    assert passes["autoencoder"] == passes["denoiser"] == passes["SAM"] == 1
    assert passes["soft passes"] == 1


def test_another_picture_is_another_answer(fresh, passes, picture):
    segment(picture, "the red circle", fresh)
    segment(picture.flip(1), "the red circle", fresh)
    assert passes["autoencoder"] == passes["SAM"] == 2


def test_what_is_kept_changes_no_answer(fresh, picture):
    asked = ["the red circle", "the star left of the ring", "the blue square"]
    kept = [masks_of(segment(picture, asked, fresh)) for _ in range(2)][1]
    assert all(part.cache.hits for part in (fresh.attention, fresh.proposer, fresh.scorer))
    for part in (fresh.attention, fresh.proposer, fresh.scorer):
        part.cache = PictureCache(0)
    for once, twice in zip(masks_of(segment(picture, asked, fresh)), kept, strict=True):
        assert torch.equal(once, twice)


def test_many_pictures_stay_within_the_bounds(fresh):
    models = Models(fresh.attention, fresh.proposer)
    fresh.attention.cache = PictureCache(3 * 4 * 24 * 40 * 4)
    fresh.proposer.cache = PictureCache(2**20)
    for seed in range(6):
        scene = sample_scene(HELD_OUT_SEED + seed, size_hw=(96, 160))
        segment(torch.from_numpy(scene.image).float() / 255, "the red circle", models)
    for cache in (fresh.attention.cache, fresh.proposer.cache):
        assert 0 < cache.bytes <= cache.max_bytes
