"""CLIP as scorer, on the bundled model."""

import pytest
import torch

from refdiff_core.backends.clip_scorer import ClipScorer, load_clip
from refdiff_core.backends.clip_views import (
    blocked_pairs,
    cut_out,
    patch_coverage,
    patch_grid,
    position_ramp,
)
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.errors import ModelError
from refdiff_core.language.expression import parse
from refdiff_core.settings import ClipSettings
from refdiff_core.values import Proposals

HALF = torch.bfloat16


@pytest.fixture(scope="module")
def scene():
    return sample_scene(HELD_OUT_SEED + 11, count=4, size_hw=(96, 160))


@pytest.fixture(scope="module")
def masks(scene):
    return torch.from_numpy(scene.masks)


def scorer_of(demo_models, **settings):
    return ClipScorer(demo_models.scorer.clip, ClipSettings(**settings))


@torch.inference_mode()
def test_all_regions_in_one_pass_equal_one_pass_each(demo_models, image, masks):
    scorer = scorer_of(demo_models)
    together = scorer.embed_soft(image, masks)
    alone = torch.cat([scorer.embed_soft(image, mask[None]) for mask in masks])
    assert (together - alone).abs().max() < 1e-4


@torch.inference_mode()
def test_batched_crops_equal_one_by_one(demo_models, image, masks):
    one, many = scorer_of(demo_models, budget=0), scorer_of(demo_models)
    assert one._crops_at_once() == 1 and many._crops_at_once() >= len(masks)
    one, many = one.embed_hard(image, masks), many.embed_hard(image, masks)
    assert (one - many).abs().max() < 1e-4


@torch.inference_mode()
def test_a_region_of_the_whole_picture_sees_what_the_class_token_sees(demo_models, image):
    """Of a square picture, whose patches are those the model was built for."""
    clip = demo_models.scorer.clip
    square = image[:96, 20:116]
    whole = torch.ones(1, 96, 96, dtype=torch.bool)
    region = scorer_of(demo_models, zoom=1).embed_soft(square, whole)
    pixels = torch.nn.functional.interpolate(
        square.permute(2, 0, 1)[None], (clip.size, clip.size), mode="bicubic", antialias=True
    ).clamp(0, 1)
    pixels = (pixels - torch.tensor(clip.mean)[:, None, None]) / torch.tensor(clip.std)[
        :, None, None
    ]
    expected = torch.nn.functional.normalize(clip.model.encode_image(pixels), dim=-1)
    # not the same: the class token also attends to itself as everyone sees it, as does ours
    assert (region - expected).abs().max() < 1e-4


def test_the_right_object_scores_best(demo_models):
    right = total = 0
    for seed in range(8):
        scene = sample_scene(HELD_OUT_SEED + 40 + seed, count=3)
        picture = torch.from_numpy(scene.image).float() / 255
        names = [f"{each.color} {each.shape}" for each in scene.objects]
        asked = [(f"the {name}", i) for i, name in enumerate(names) if names.count(name) == 1]
        candidates = Proposals.of(torch.from_numpy(scene.masks))
        scores = demo_models.scorer.score(
            picture, [parse(text) for text, _ in asked], [candidates] * len(asked)
        )
        right += sum(int(s.cosine.argmax()) == i for s, (_, i) in zip(scores, asked, strict=True))
        total += len(asked)
    assert right / total >= 0.9


@torch.inference_mode()
def test_the_papers_scores_are_the_mixed_cosines(demo_models, image, masks):
    scorer = scorer_of(demo_models)
    (scores,) = scorer.score(image, [parse("the red circle")], [Proposals.of(masks)])
    text = torch.nn.functional.normalize(
        scorer.embed_texts(["the red circle", "red circle"]).mean(0), dim=-1
    )
    hard, soft = scorer.embed_hard(image, masks) @ text, scorer.embed_soft(image, masks) @ text
    assert torch.allclose(scores.cosine, 0.7 * hard + 0.3 * soft, atol=1e-6)
    assert torch.allclose(scores.views, torch.stack([hard, soft]), atol=1e-6)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_papers_ramp_prefers_the_twin_on_the_named_side(demo_models, side):
    image = torch.full((96, 160, 3), 0.5)
    rows, columns = torch.arange(96)[:, None], torch.arange(160)[None]
    masks = torch.stack([(rows - 48) ** 2 + (columns - x) ** 2 < 400 for x in (35, 124)])
    image[masks.any(0)] = torch.tensor([0.85, 0.15, 0.15])
    asked = [parse(f"the {side} red circle")]
    wanted, leads = ["left", "right"].index(side), []
    for ramp in (True, False):
        soft = scorer_of(demo_models, beta=1.0, ramp=ramp)
        (scores,) = soft.score(image, asked, [Proposals.of(masks)])
        lead = scores.logits[wanted] - scores.logits[1 - wanted]
        leads.append(float(lead))
    # without the ramp, the twins differ by what their places do to CLIP
    assert leads[0] > 0 and leads[0] > leads[1] + 0.05


def test_a_ramp_falls_away_from_the_side_and_corners_multiply():
    left, top = position_ramp(["left"], (3, 5)), position_ramp(["top"], (3, 5))
    assert left.tolist() == [[1, 0.75, 0.5, 0.25, 0]] * 3
    assert top.tolist() == [[1] * 5, [0.5] * 5, [0] * 5]
    assert torch.equal(position_ramp(["right"], (3, 5)), left.flip(1))
    assert torch.equal(position_ramp(["bottom", "left"], (3, 5)), top.flip(0) * left)
    assert (position_ramp(["middle"], (3, 5)) == 1).all() and position_ramp(["left"], (1, 1)) == 1


def test_no_proposals_have_no_scores(demo_models, image):
    empty = Proposals.of(torch.zeros(0, 96, 160, dtype=torch.bool))
    (scores,) = demo_models.scorer.score(image, [parse("the red circle")], [empty])
    assert scores.views.shape == (2, 0)


def test_an_empty_mask_does_not_crash(demo_models, image, masks):
    candidates = Proposals.of(torch.cat([masks, torch.zeros_like(masks[:1])]))
    (scores,) = demo_models.scorer.score(image, [parse("the red circle")], [candidates])
    assert scores.views.isfinite().all()


def test_a_cut_out_shows_the_region_alone_in_its_proportions():
    image = torch.full((40, 60, 3), 0.5)
    image[10:20, 30:50] = torch.tensor([1.0, 0, 0])
    mask = torch.zeros(1, 40, 60, dtype=torch.bool)
    mask[0, 10:20, 30:50] = True
    (crop,) = cut_out(image, mask, 20)
    red = (crop[0] > 0.9) & (crop[1] < 0.1)
    assert red[6:14].all() and not crop[:, :4].any() and not crop[:, 16:].any()
    (mean,) = cut_out(image, mask, 20, surround="mean")
    assert torch.allclose(mean[:, 0, 0], torch.zeros(3), atol=1) and mean[1, 0, 10] > 0.3


def test_a_cut_out_at_the_border_reaches_past_the_picture():
    mask = torch.zeros(1, 40, 60, dtype=torch.bool)
    mask[0, :4, :30] = True
    (crop,) = cut_out(torch.ones(40, 60, 3), mask, 30)
    assert crop[:, 14:16].min() > 0.9 and not crop[:, :12].any()


def test_patches_are_those_covered_by_half_and_none_vanishes():
    masks = torch.zeros(3, 8, 12, dtype=torch.bool)
    masks[0, :4, :6] = True
    masks[1, 5, 9] = True
    inside = patch_coverage(masks, (2, 3))
    assert inside[0].tolist() == [True, True, False, False, False, False]
    assert inside[1].tolist() == [False, False, False, False, False, True]
    assert not inside[2].any()


def test_regions_see_their_patches_and_themselves_and_nobody_sees_them():
    blocked = blocked_pairs(torch.tensor([[True, False], [False, False]]))
    assert (~blocked).int().tolist() == [
        [1, 0, 0, 1, 1],
        [0, 1, 0, 1, 0],
        [0, 0, 1, 0, 0],
        [1, 0, 0, 1, 1],
        [1, 0, 0, 1, 1],
    ]


@pytest.mark.parametrize(
    ("size_hw", "grid"), [((100, 100), (16, 16)), ((96, 160), (10, 16)), ((1, 4000), (1, 16))]
)
def test_patches_keep_the_pictures_proportions(size_hw, grid):
    assert patch_grid(size_hw, 16) == grid


def test_a_name_that_is_no_model_is_told():
    with pytest.raises(ModelError, match="names no CLIP model"):
        load_clip("nothing-of-the-kind")


@pytest.fixture(scope="module")
def small_vit(tmp_path_factory):
    """One of open_clip's own architectures with random weights, as a file."""
    import open_clip
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-S-32-alt")
    path = tmp_path_factory.mktemp("clip") / "vit.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    return model.eval(), path


@torch.inference_mode()
def test_a_model_is_loaded_by_architecture_and_local_file(small_vit, image, masks):
    model, path = small_vit
    clip = load_clip(f"ViT-S-32-alt:{path}")
    ids = clip.tokenizer(["the red circle"])
    assert torch.equal(clip.model.encode_text(ids), model.encode_text(ids))
    scorer = ClipScorer(clip)
    assert scorer.embed_regions(image, masks).shape == (len(masks), 2, model.visual.output_dim)


@torch.inference_mode()
def test_a_model_in_half_precision_sees_nearly_the_same(small_vit, image, masks):
    name = f"ViT-S-32-alt:{small_vit[1]}"
    whole, half = (ClipScorer(load_clip(name, dtype=each)) for each in (torch.float32, HALF))
    visual = half.clip.model.visual
    assert (visual.conv1.weight.dtype, visual.ln_pre.weight.dtype) == (HALF, torch.float32)
    expected, found = whole.embed_regions(image, masks), half.embed_regions(image, masks)
    assert found.dtype == torch.float32
    assert torch.cosine_similarity(expected, found, dim=-1).min() > 0.999
    expected, found = (each.embed_texts(["the red circle", "a square"]) for each in (whole, half))
    assert torch.cosine_similarity(expected, found, dim=-1).min() > 0.999


def test_another_models_weights_are_told(tmp_path):
    from safetensors.torch import save_file

    from refdiff_core.demo.models import SAM_FILE

    with pytest.raises(ModelError, match="cannot be loaded as a CLIP model"):
        load_clip(f"ViT-S-32-alt:{SAM_FILE}")
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match="cannot be loaded as a CLIP model"):
        load_clip(f"ViT-S-32-alt:{tmp_path / 'a.safetensors'}")
