"""Attention from a checkpoint through diffusers, on the bundled model."""

import weakref

import pytest
import torch

from refdiff_core.backends.diffusers_attention import (
    DiffusersAttention,
    add_noise,
    noise_timestep,
    working_size,
)
from refdiff_core.backends.families import DEMO, SD1, SDXL
from refdiff_core.backends.unet_layers import capturing
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.language.expression import parse
from refdiff_core.seeing.capture import Capture
from refdiff_core.settings import SINKS, AttentionSettings


@pytest.fixture
def denoise(source):
    """The denoiser on one fixed input: (12 x 20 latents, 77 tokens)."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 4, 24, 40, generator=generator)
    text = torch.randn(1, 77, DEMO.context, generator=generator)

    def run():
        with torch.inference_mode():
            return source.model.unet(latents, 100, text).sample

    return run


def hooks_of(unet):
    return [m for m in unet.modules() if m._forward_hooks or m._forward_pre_hooks]


def test_the_hottest_place_is_on_the_thing_that_was_named(source):
    hits = total = 0
    for seed in range(12):
        scene = sample_scene(HELD_OUT_SEED + 60 + seed, count=3)
        colors = [each.color for each in scene.objects]
        asked = [(i, o) for i, o in enumerate(scene.objects) if colors.count(o.color) == 1]
        texts = [parse(f"the {each.color} {each.shape}") for _, each in asked]
        maps = source.read(torch.from_numpy(scene.image).float() / 255, texts) if texts else []
        for (index, _), found in zip(asked, maps, strict=True):
            hits += bool(scene.masks[index].flatten()[int(found.heat.argmax())])
            total += 1
    assert hits / total > 0.75


def test_maps_lie_on_the_pictures_grid_whatever_its_proportions(source):
    for size_hw in [(96, 160), (161, 97), (1, 1), (5, 400)]:
        (found,) = source.read(torch.rand(*size_hw, 3), [parse("the red circle")])
        assert found.heat.shape == size_hw and found.heat.isfinite().all()


def test_reading_leaves_the_denoiser_as_it_was_bit_for_bit(source, image, denoise):
    before = denoise()
    source.read(image, [parse("the red circle")])
    assert torch.equal(before, denoise())
    assert not hooks_of(source.model.unet)


def test_recording_does_not_change_the_pass_that_it_watches(source, denoise):
    before = denoise()
    capture = Capture(source.layers, torch.zeros(1, 77, 1), stop=False)
    with capturing(source.model.unet, capture):
        during = denoise()
    assert torch.equal(before, during) and not capture.pending


def test_an_error_inside_the_pass_leaves_nothing_behind(source, image, denoise, monkeypatch):
    before = denoise()

    def fail(*_, **__):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Capture, "record", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        source.read(image, [parse("the red circle")])
    assert not hooks_of(source.model.unet) and torch.equal(before, denoise())


def test_the_pass_ends_after_the_last_layer_that_is_read(source, image, monkeypatch):
    seen = []
    last = source.model.unet.conv_out
    handle = last.register_forward_hook(lambda *_: seen.append("conv_out"))
    try:
        source.read(image, [parse("the red circle")])
    finally:
        handle.remove()
    assert not seen


def test_expressions_of_one_batch_do_not_change_one_another(source, image):
    texts = ["the red circle", "a large square", "the star left of the purple ring"]
    together = source.read(image, [parse(text) for text in texts])
    for text, found in zip(texts, together, strict=True):
        (alone,) = source.read(image, [parse(text)])
        assert (alone.heat - found.heat).abs().max() < 1e-3
        assert [word.text for word in alone.words] == [word.text for word in found.words]


def test_nothing_of_the_last_layer_runs_after_its_keys(source, image):
    """Neither its values nor its feed-forward: queries and keys are all that is read."""
    ran, handles = [], []
    unet = dict(source.model.unet.named_modules())
    for name, module in unet.items():
        if not any(module.children()):
            handles.append(module.register_forward_hook(lambda *_, name=name: ran.append(name)))
    try:
        source.read(image, [parse("the red circle")])
    finally:
        for handle in handles:
            handle.remove()
    last = max(source.layers, key=lambda layer: ran.index(f"{layer}.to_k"))
    assert ran[-1] == f"{last}.to_k" and ran[-2] == f"{last}.to_q"
    assert {f"{layer}.to_q" for layer in source.layers} <= set(ran)


def test_ending_early_changes_no_map(source, denoise):
    weights = torch.full((1, 77, 1), 1 / 77)
    weights[:, 40:] = 0
    whole, short = (Capture(source.layers, weights, stop=stop) for stop in (False, True))
    for capture in (whole, short):
        with capturing(source.model.unet, capture):
            denoise()
    assert torch.equal(whole.word_maps(), short.word_maps())


def test_only_the_layers_that_are_read_are_watched(source, image, monkeypatch):
    hooked = []
    denoise = DiffusersAttention._denoise

    def look(self, *args):
        hooked.extend(m for m in self.model.unet.modules() if m._forward_hooks)
        denoise(self, *args)

    monkeypatch.setattr(DiffusersAttention, "_denoise", look)
    source.read(image, [parse("the red circle")])
    named = {id(module): name for name, module in source.model.unet.named_modules()}
    assert sorted(named[id(module)] for module in hooked) == sorted(
        f"{layer}.{part}" for layer in source.layers for part in ("to_q", "to_k")
    )


def test_queries_and_keys_are_gone_when_the_call_is_over(source, image, monkeypatch):
    seen = []
    record = Capture.record

    def watch(self, layer, query, key, **rest):
        seen.extend([weakref.ref(query), weakref.ref(key)])
        record(self, layer, query, key, **rest)

    monkeypatch.setattr(Capture, "record", watch)
    source.read(image, [parse("the red circle")])
    assert seen and not any(each() is not None for each in seen)


def test_more_expressions_than_fit_the_budget_are_read_in_several_passes(source, image):
    asked = [parse(text) for text in ("the red circle", "a large square", "the star", "a ring")]
    asked.append(parse("the " + "very " * 90 + "purple ring"))
    passes = []
    handle = source.model.unet.conv_in.register_forward_hook(lambda *a: passes.append(len(a[2])))
    try:
        together = source.read(image, asked)
        assert sorted(passes) == [1, 4], "a text is never padded to a longer one's length"
        passes.clear()
        narrow = DiffusersAttention(source.model, AttentionSettings(budget=0))
        apart = narrow.read(image, asked)
    finally:
        handle.remove()
    assert passes == [1] * 5
    for one, other in zip(together, apart, strict=True):
        assert [word.text for word in one.words] == [word.text for word in other.words]
        assert (one.word_maps - other.word_maps).abs().max() < 1e-5
        assert (one.heat - other.heat).abs().max() < 1e-3


def test_rows_at_once_follow_the_pictures_size_and_the_budget(source):
    latents = torch.zeros(1, 4, 24, 40)
    small = DiffusersAttention(source.model, AttentionSettings(budget=64)).rows_at_once(latents)
    assert small == 64 * 2**20 // (24 * 40 * 32 * 4 * 20)
    large = DiffusersAttention(source.model, AttentionSettings(budget=64))
    assert large.rows_at_once(torch.zeros(1, 4, 48, 80)) == small // 4


def test_the_same_seed_gives_the_same_map_and_another_seed_another(source, image):
    def heat(seed):
        reader = DiffusersAttention(source.model, AttentionSettings(seed=seed))
        return reader.read(image, [parse("the red circle")])[0].heat

    assert torch.equal(heat(0), heat(0)) and not torch.equal(heat(0), heat(1))


def test_root_alone_is_read_where_asked(source, image):
    reader = DiffusersAttention(source.model, AttentionSettings(words="root"))
    (found,) = reader.read(image, [parse("the red circle")])
    assert [word.text for word in found.words] == ["circle"]


def test_a_map_does_not_depend_on_what_else_is_asked(source, image):
    asked = [parse("the red circle"), parse(" ".join(["the blue square"] * 30)), parse("star")]
    together = source.read(image, asked)
    for expression, found in zip(asked, together, strict=True):
        (alone,) = source.read(image, [expression])
        torch.testing.assert_close(found.word_maps, alone.word_maps, rtol=1e-4, atol=1e-6)


WAYS = {"sinks": SINKS, "propagation": 1, "finest": True, "competing": True}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_reading_finds_the_thing_and_leaves_the_model_alone(
    source, scene, image, denoise, way
):
    before, names = denoise(), [f"the {each.color} {each.shape}" for each in scene.objects]
    lines = [f"{name} near the {other}" for name, other in zip(names, names[::-1], strict=True)]
    plain = source.read(image, [parse(line) for line in lines])
    reader = DiffusersAttention(source.model, AttentionSettings(**{way: WAYS[way]}))
    found = reader.read(image, [parse(line) for line in lines])
    hits = 0
    for index, (one, other) in enumerate(zip(plain, found, strict=True)):
        assert one.words == other.words and not torch.equal(one.heat, other.heat)
        inside = scene.masks[index]
        hits += other.heat[inside].mean() > other.heat[~inside].mean()
    assert hits >= 2
    assert not hooks_of(source.model.unet) and torch.equal(before, denoise())


def test_spreading_once_is_the_layers_own_self_attention(source, image):
    """Against attention computed by the library's own function from the layer's own input."""
    name = next(iter(source.layers)).removesuffix(".attn2")
    block, seen = source.model.unet.get_submodule(name), {}
    handle = block.attn1.register_forward_pre_hook(
        lambda _m, args, kwargs: seen.update(x=args[0] if args else kwargs["hidden_states"]),
        with_kwargs=True,
    )
    readers = [
        DiffusersAttention(source.model, AttentionSettings(propagation=times, even=False))
        for times in (0, 1)
    ]
    for each in readers:
        each.layers = dict(list(source.layers.items())[:1])
    try:
        plain, spread = (each.read(image, [parse("circle")])[0].word_maps for each in readers)
    finally:
        handle.remove()
    attention = block.attn1
    with torch.inference_mode():
        query, key = (
            attention.head_to_batch_dim(project(seen["x"]))
            for project in (attention.to_q, attention.to_k)
        )
        probabilities = attention.get_attention_scores(query, key).mean(0)
    assert torch.allclose(spread.flatten(1), plain.flatten(1) @ probabilities.T, atol=1e-6)


def test_an_expression_longer_than_the_text_encoder_is_read_to_its_end(source, image):
    text = "the " + "very " * 90 + "red circle"
    (found,) = source.read(image, [parse(text)])
    assert {"red", "circle"} <= {word.text for word in found.words}


def test_working_size_keeps_proportions_and_area():
    look = AttentionSettings()
    assert working_size((480, 640), SD1, look) == (448, 576)
    assert working_size((1080, 1920), SDXL, look) == (768, 1376)
    assert working_size((1, 4000), SD1, look) == (64, 2048)
    assert working_size((96, 160), DEMO, AttentionSettings(resolution=256)) == (192, 336)


def test_noise_is_that_of_the_librarys_schedule():
    from diffusers import DDPMScheduler

    schedule = DDPMScheduler(1000, 0.00085, 0.012, "scaled_linear")
    latents = torch.randn(1, 4, 3, 5)
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(7))
    expected = schedule.add_noise(latents, noise, torch.tensor([250]))
    assert torch.allclose(add_noise(latents, 250, seed=7), expected, atol=1e-5)


def test_each_family_has_a_timestep_that_settings_override():
    assert noise_timestep(SD1, AttentionSettings()) == 100
    assert noise_timestep(SD1, AttentionSettings(timestep=0)) == 0
