"""Segment Anything as proposer, on the bundled model."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from segment_anything import SamAutomaticMaskGenerator

from refdiff_core.backends.sam_masks import LowMasks
from refdiff_core.backends.sam_proposer import DEMO, SamProposer, SamSettings, _Steps, load_sam
from refdiff_core.demo.models import load_sam as load_demo_sam
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.errors import ModelError
from refdiff_core.seeing.proposals import mask_iou
from refdiff_core.values import AttentionMap


@pytest.fixture(scope="module")
def sam():
    return load_demo_sam()


@pytest.fixture(scope="module")
def scene():
    return sample_scene(HELD_OUT_SEED + 3, count=3, size_hw=(96, 160))


def picture(scene):
    return torch.from_numpy(scene.image).float() / 255


@pytest.mark.parametrize(("side", "prompts"), [(256, 4), (64, 64)])
def test_a_processor_is_given_no_more_prompts_than_suit_it(side, prompts):
    """Of real models, and of small ones."""
    decoder = SimpleNamespace(transformer_dim=256)
    encoder = SimpleNamespace(mask_input_size=(side, side))
    model = SimpleNamespace(
        device=torch.device("cpu"), mask_decoder=decoder, prompt_encoder=encoder
    )
    assert SamProposer(model).prompts_at_once() == prompts
    assert SamProposer(model, SamSettings(batch=2)).prompts_at_once() == 2
    model.device = torch.device("cuda")
    assert SamProposer(model).prompts_at_once() == SamSettings().batch


def test_every_object_of_a_scene_is_proposed(sam):
    found = []
    for seed in range(6):
        scene = sample_scene(HELD_OUT_SEED + seed, count=3)
        (proposals,) = SamProposer(sam, DEMO).propose(picture(scene), [None])
        assert proposals.size_hw == scene.image.shape[:2]
        found += mask_iou(torch.from_numpy(scene.masks), proposals.masks).amax(1).tolist()
    assert np.mean(found) > 0.85 and np.min(found) > 0.5


def test_peaks_of_the_map_are_prompts_of_their_own_expression_only(sam, scene):
    heat = torch.from_numpy(scene.masks[0]).float()
    none, guided = SamProposer(
        sam, SamSettings(0, 4, min_predicted_iou=0.5, min_stability=0.5)
    ).propose(picture(scene), [None, AttentionMap(heat)])
    assert len(none) == 0
    assert mask_iou(guided.masks, torch.from_numpy(scene.masks[:1])).max() > 0.8


def test_an_answer_does_not_depend_on_what_else_was_asked(sam, scene):
    maps = [AttentionMap(torch.from_numpy(mask).float()) for mask in scene.masks[:2]]
    proposer = SamProposer(sam, DEMO)
    together = proposer.propose(picture(scene), maps)
    alone = proposer.propose(picture(scene), maps[1:])
    assert torch.equal(together[1].masks, alone[0].masks)


def test_points_that_are_not_asked_push_out_none_that_are(sam, scene, monkeypatch):
    """As elsewhere than on a processor, where masks stay in their places, rejected or not."""
    monkeypatch.setattr(SamProposer, "_filter", lambda _, masks: masks)
    proposer, image = SamProposer(sam, DEMO), picture(scene)
    points = torch.rand(200, 2, generator=torch.Generator().manual_seed(0))
    asked = torch.arange(200) >= 197
    given = proposer.embed(image), proposer._frame(image)
    found = proposer._decode(*given, points, asked, _Steps(None, 200))
    alone = proposer._decode(*given, points[asked], None, _Steps(None, 200))
    kept = found.quality > -torch.inf
    torch.testing.assert_close(found.quality[kept], alone.quality)
    torch.testing.assert_close(found.logits[kept], alone.logits, atol=1e-3, rtol=1e-3)


def test_the_grid_agrees_with_the_packages_own_generator(sam):
    """Ours keeps more (duplicates are told by masks, not by boxes); it must not lose any."""
    theirs = SamAutomaticMaskGenerator(
        sam, points_per_side=8, pred_iou_thresh=0.7, stability_score_thresh=0.8
    )
    ours = SamProposer(sam, SamSettings(8, 0, 64, 0.7, 0.8, duplicate_iou=0.95))
    shares = []
    for seed in range(4):
        scene = sample_scene(HELD_OUT_SEED + seed)
        wanted = np.stack([each["segmentation"] for each in theirs.generate(scene.image)])
        (found,) = ours.propose(picture(scene), [None])
        shares += (mask_iou(torch.from_numpy(wanted), found.masks).amax(1) >= 0.9).tolist()
    assert np.mean(shares) >= 0.95


def test_no_two_proposals_are_the_same_thing(sam, scene):
    (found,) = SamProposer(sam, DEMO).propose(picture(scene), [None])
    overlap = mask_iou(found.masks, found.masks).fill_diagonal_(0)
    assert overlap.max() <= DEMO.duplicate_iou + 0.05, "filtered on the decoder's coarser grid"


def test_filters_that_nothing_passes_leave_no_proposals(sam, scene):
    (found,) = SamProposer(sam, SamSettings(4, 0, min_predicted_iou=1.0)).propose(
        picture(scene), [None]
    )
    assert len(found) == 0 and found.size_hw == (96, 160)


def test_progress_is_told_and_may_stop_the_work(sam, scene):
    seen = []
    SamProposer(sam, SamSettings(4, 0, batch=6), lambda *done: seen.append(done)).propose(
        picture(scene), [None]
    )
    assert seen == [(6, 16), (12, 16), (16, 16)]

    class Stopped(Exception):
        pass

    def stop(done, total):
        raise Stopped

    with pytest.raises(Stopped):
        SamProposer(sam, DEMO, stop).propose(picture(scene), [None])


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 900), (900, 2)])
def test_strips_and_single_pixels_do_not_crash(sam, size_hw):
    (found,) = SamProposer(sam, DEMO).propose(torch.rand(*size_hw, 3), [None])
    assert found.size_hw == size_hw


def test_a_file_of_another_model_is_told(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "clip.safetensors"
    save_file({"visual.conv1.weight": torch.zeros(2, 3, 4, 4)}, path)
    with pytest.raises(ModelError, match="not a Segment Anything checkpoint"):
        load_sam(path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vit_b", "vit_l", "vit_h"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_full_size_checkpoints_are_told_apart_by_their_weights(kind, suffix, tmp_path):
    from safetensors.torch import save_file
    from segment_anything import sam_model_registry

    state = sam_model_registry[kind]().state_dict()
    path = tmp_path / f"sam{suffix}"
    torch.save(state, path) if suffix == ".pth" else save_file(state, path)
    loaded = load_sam(path).state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_the_many_masks_of_one_thing_leave_the_few_of_another():
    """More good masks of one thing than are compared; the other's are less sure of themselves."""
    logits = torch.full((1200, 24, 32), -8.0)
    logits[:, 2:14, 3:15] = 8.0
    logits[700:, 2:14, 3:15] = -8.0
    logits[700:702, 8:20, 20:30] = 8.0
    quality = torch.linspace(0.99, 0.9, 1200)
    quality[700:702] = 0.75
    quality[702:] = -torch.inf
    best = LowMasks(logits, quality).best(512, 0.0, 0.9)
    assert len(best.quality) == 512 and best.quality.isfinite().all()
    assert 0.75 in best.quality and best.quality.max() == quality.max()
    few = LowMasks(logits[:3], quality[:3])
    assert few.best(512, 0.0, 0.9) is few


def test_every_thing_is_found_by_the_full_grid_of_prompts(demo_models):
    """A thing that a thousand prompts agree on keeps none of the others from being found."""
    scene = sample_scene(HELD_OUT_SEED + 3, size_hw=(128, 188))
    picture = torch.from_numpy(scene.image).float() / 255
    settings = replace(DEMO, points_per_side=32)
    (found,) = SamProposer(demo_models.proposer.sam, settings).propose(picture, [None])
    for mask in torch.from_numpy(scene.masks):
        drawn = [found.draw(at) for at in range(len(found))]
        assert max(float((mask & d).sum() / (mask | d).sum()) for d in drawn) > 0.7
