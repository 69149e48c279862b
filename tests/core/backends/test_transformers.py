"""Transformers through diffusers: the demo's by what it finds, others by plain attention."""

from types import SimpleNamespace

import pytest
import torch

from refdiff_core import load_demo, load_models
from refdiff_core.backends.transformer_families import PIXART
from refdiff_core.backends.transformers_attention import TransformersAttention
from refdiff_core.choosing.scoring import generative_score
from refdiff_core.demo.scenes import HELD_OUT_SEED, expressions, sample_scene
from refdiff_core.errors import ModelError, UnavailableError
from refdiff_core.language.expression import parse
from refdiff_core.settings import AttentionSettings

READ = AttentionSettings()


@pytest.fixture(scope="module")
def transformer():
    return load_demo("g", denoiser="transformer").attention


def asked(seed):
    scene = sample_scene(HELD_OUT_SEED + seed)
    colors = [item.color for item in scene.objects]
    told = [each for each in expressions(scene) if each.kind == "attribute"]
    return scene, [each for each in told if colors.count(colors[each.target]) == 1]


def picture(scene):
    return torch.from_numpy(scene.image).float() / 255


def test_the_demo_transformer_chooses_the_right_object_by_attention_alone(transformer):
    right = []
    for seed in range(12):
        scene, told = asked(seed)
        maps = transformer.read(picture(scene), [parse(each.text) for each in told])
        masks = torch.from_numpy(scene.masks)
        for each, found in zip(told, maps, strict=True):
            right.append(int(generative_score(found.heat, masks).argmax()) == each.target)
    assert len(right) > 10
    assert sum(right) / len(right) >= 0.9


@pytest.mark.parametrize("reading", ["all", "text", "output"])
def test_every_reading_gives_maps_of_the_pictures_shape(transformer, reading):
    transformer.reading = reading
    scene, told = asked(3)
    (found, *_) = transformer.read(picture(scene), [parse(told[0].text)])
    transformer.reading = "all"
    assert found.size_hw == scene.image.shape[:2]
    assert found.word_maps.shape[1:] == (scene.image.shape[0] // 8, scene.image.shape[1] // 8)
    assert float(found.heat.max()) > 0.9 and float(found.word_maps.min()) >= 0


def test_several_expressions_are_read_as_each_alone(transformer):
    scene, _ = asked(5)
    lines = [parse(text) for text in ("the red circle", "a very long " * 40 + "star", "square")]
    together = transformer.read(picture(scene), lines)
    for line, found in zip(lines, together, strict=True):
        (alone,) = transformer.read(picture(scene), [line])
        torch.testing.assert_close(found.word_maps, alone.word_maps)


def test_a_strip_is_seen_within_the_places_that_the_model_has(transformer):
    (found,) = transformer.read(torch.rand(8, 900, 3), [parse("the red circle")])
    assert found.word_maps.shape[-1] == 48 and found.size_hw == (8, 900)


def test_the_official_settings_and_clean_references_are_refused():
    with pytest.raises(UnavailableError, match="U-Nets only"):
        load_demo("gs", denoiser="transformer", settings="official")
    with pytest.raises(ModelError, match="ComfyUI only"):
        load_demo("g", AttentionSettings(reference=True), denoiser="transformer")
    with pytest.raises(ModelError, match="unet, transformer"):
        load_demo("g", denoiser="flux")


def test_maps_of_words_that_are_read_apart_are_not_spread(transformer):
    spread = AttentionSettings(propagation=1)
    assert TransformersAttention(transformer.model, spread).settings == spread
    apart = SimpleNamespace(family=PIXART)
    with pytest.raises(ModelError, match=r"Set propagation to 0\."):
        TransformersAttention(apart, spread)


def test_a_folder_of_an_unknown_kind_is_refused(tmp_path):
    (tmp_path / "transformer").mkdir()
    with pytest.raises(ModelError, match="says what it is"):
        load_models(checkpoint=tmp_path, variant="g")
    (tmp_path / "transformer" / "config.json").write_text('{"_class_name": "Sora"}')
    with pytest.raises(ModelError, match="Sora"):
        load_models(checkpoint=tmp_path, variant="g")
