"""Which models a set of names asks for; what a file must hold is the backends' tests' business."""

from dataclasses import replace

import pytest
import torch

from refdiff_core import AttentionSettings, load_demo, load_models, segment
from refdiff_core.backends.official import OfficialAttention, OfficialProposer, OfficialScorer
from refdiff_core.demo.models import CLIP_FILE, DENOISER_FILE, SAM_FILE, load_clip, load_sam
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.errors import ModelError, SettingsError
from refdiff_core.models.choice import ModelChoice
from refdiff_core.seeing.proposals import FixedProposals
from refdiff_core.settings import PAPER, PRESETS, ClipSettings
from refdiff_core.values import Proposals


def test_the_elephant_is_not_among_the_demos_shapes():
    scene = sample_scene(HELD_OUT_SEED, count=4, size_hw=(96, 144))
    picture = torch.from_numpy(scene.image).float() / 255
    texts = ["the elephant", f"the {scene.objects[0].name}"]
    elephant, other = segment(picture, texts, load_demo())
    assert not elephant.found and not elephant.mask.any() and elephant.winners.numel() == 0
    assert elephant.missing.startswith("nothing looks like 'the elephant' (.")
    assert elephant.present < 0.25 <= other.present
    shown = other.mask.bool()
    truth = torch.from_numpy(scene.masks[0])
    assert (shown & truth).sum() > 0.7 * (shown | truth).sum()


@pytest.mark.parametrize(
    ("named", "missing"),
    [
        ({}, "--checkpoint"),
        ({"sam": "a.pth"}, "--checkpoint"),
        ({"clip": "a"}, "--sam"),
        ({"checkpoint": "a", "clip": "a"}, "--sam"),
        ({"checkpoint": "a", "variant": "gs"}, "--sam"),
        ({"checkpoint": "a", "sam": "a", "variant": "gsd"}, "--clip"),
        ({"sam": "a", "variant": "g"}, "--checkpoint"),
        ({"checkpoint": "a", "variant": "x"}, "one of g, gs, ds, gsd"),
    ],
)
def test_what_is_missing_is_named(named, missing):
    with pytest.raises(ModelError, match=missing):
        load_models(**named)


def test_unknown_demo_variants_are_refused():
    with pytest.raises(ModelError, match="one of g, gs, ds, gsd"):
        load_demo("gd")


@pytest.mark.parametrize("variant", ["g", "gs", "ds", "gsd"])
def test_the_demo_has_every_variant(variant):
    assert load_demo(variant).variant == variant


@pytest.mark.parametrize("name", ["default", "paper"])
def test_settings_of_all_parts_belong_together(name):
    models, preset = load_demo(settings=name), PRESETS[name]
    assert models.settings == preset.fusion
    assert models.attention.settings == preset.attention
    assert models.scorer.settings == preset.clip
    assert models.proposer.settings.points_per_side == preset.sam.points_per_side
    assert models.proposer.settings.peaks == preset.sam.peaks


def test_official_parts_are_those_of_the_published_code():
    models = load_demo(settings="official")
    kinds = OfficialAttention, OfficialProposer, OfficialScorer
    assert (type(models.attention), type(models.proposer), type(models.scorer)) == kinds
    assert models.settings.alpha == pytest.approx(0.05 / 1.05)
    assert models.attention.side == 128, "the demo's own, not 1,024"


def test_the_papers_candidates_are_the_nineteen_whole_cuts(two_squares):
    """By default the cuts' parts are candidates, too, where both squares are in a cut."""
    picture = torch.from_numpy(two_squares).float() / 255
    paper, default = (
        len(segment(picture, "the square", load_demo("g", settings=settings))[0].proposals)
        for settings in ("paper", "default")
    )
    assert paper == 19 < default


@pytest.fixture
def half(monkeypatch):
    """A processor that is fastest in bfloat16."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)


def types(models):
    """What denoiser, autoencoder, Segment Anything and CLIP compute in."""
    model, kernel = models.attention.model, models.scorer.clip.model.visual.conv1.weight
    return model.unet.dtype, model.vae.dtype, models.proposer.dtype, kernel.dtype


@pytest.fixture
def demo_files(monkeypatch):
    """The bundled models, named as real ones are."""

    def clip(_name, device, dtype):
        loaded = load_clip()
        loaded.model.to(device, dtype)
        return loaded

    monkeypatch.setattr("refdiff_core.backends.sam_proposer.load_sam", lambda _: load_sam())
    monkeypatch.setattr("refdiff_core.backends.clip_scorer.load_clip", clip)
    return {"checkpoint": DENOISER_FILE, "sam": SAM_FILE, "clip": str(CLIP_FILE)}


def test_real_models_compute_in_what_is_fastest_and_the_demo_in_full(half, demo_files):
    assert set(types(load_models(**demo_files))) == {torch.bfloat16}
    assert set(types(load_demo())) == {torch.float32}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_type_may_be_named(half, demo_files, dtype):
    assert set(types(load_models(**demo_files, dtype=dtype))) == {dtype}
    assert set(types(load_demo(dtype=dtype))) == {dtype}


def test_settings_may_be_ones_own_and_attention_may_differ():
    own = replace(PAPER, clip=ClipSettings(beta=0.5))
    look = AttentionSettings(seed=3)
    models = load_demo("gsd", look, settings=own)
    assert models.scorer.settings.beta == 0.5 and models.attention.settings == look


def test_the_published_code_makes_no_proposals():
    with pytest.raises(ModelError, match="no variant 'g'.*--sam"):
        load_demo("g", settings="official")
    with pytest.raises(ModelError, match="no variant 'g'.*--sam"):
        load_models(checkpoint="a", settings="official")


def test_unknown_settings_are_refused():
    with pytest.raises(SettingsError, match="one of default, paper, official"):
        load_demo(settings="best")


def test_outside_masks_stand_in_for_the_demo_sam(squares_masks):
    proposer = FixedProposals(Proposals.of(squares_masks))
    assert load_demo("gs", proposer=proposer).proposer is proposer


def test_a_choice_says_in_what_it_computes(half):
    """So that a run that goes on elsewhere does not mix two kinds of answers."""

    def told(**named):
        return ModelChoice(device="cpu", **named).describe()["dtype"]

    assert told(demo="unet") == "float32"
    assert told(checkpoint=str(DENOISER_FILE)) == "bfloat16"
    assert told(checkpoint=str(DENOISER_FILE), dtype="float32") == "float32"
    chosen = ModelChoice(demo="unet", device="cpu", dtype="bfloat16").load()
    assert set(types(chosen)) == {torch.bfloat16}


def test_proposals_and_clip_alone_are_variant_ds():
    choice = ModelChoice(sam=str(SAM_FILE), clip=str(CLIP_FILE))
    assert choice.describe()["variant"] == "ds"
    with pytest.raises(ModelError, match="not a Segment Anything"):  # the demo's is of another size
        load_models(sam=SAM_FILE, clip=str(CLIP_FILE))
