"""The published code's CLIP: its crops, its regions, its mix."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from refdiff_core.backends.clip_models import attend
from refdiff_core.backends.official import (
    OfficialScorer,
    position_ramp,
)
from refdiff_core.language.expression import parse
from refdiff_core.values import Proposals


@pytest.mark.parametrize(
    ("text", "bright", "dark"), [("left cup", 0, -1), ("the cup on the right", -1, 0)]
)
def test_position_darkens_the_other_side(text, bright, dark):
    ramp = position_ramp(text, 90)
    assert ramp[bright] == 1 and ramp[dark] == 0 and (ramp == 0).sum() == 31
    assert (position_ramp("the top cup", 90) == 1).all()


def plain_vectors(clip, pixels, inside=None):
    """CLIP's vision transformer by hand: N class tokens before the patches, in float32.

    ``inside``: for each region a list of its patches; None for one token without any mask.
    """
    visual = clip.model.visual
    mean, std = (torch.tensor(each)[:, None, None] for each in (clip.mean, clip.std))
    normal = ((torch.from_numpy(np.array(pixels)).permute(2, 0, 1) / 255) - mean) / std
    patches = visual.conv1(normal[None])[0]
    h, w = patches.shape[1:]
    table, side = visual.positional_embedding, visual.grid_size[0]
    if (h, w) != (side, side):
        grid = table[1:].T.reshape(1, -1, side, side)
        scale = ((h + 0.1) / side, (w + 0.1) / side)
        grid = F.interpolate(grid, scale_factor=scale, mode="bicubic")[0].flatten(1).T
        table = torch.cat([table[:1], grid])
    count = 1 if inside is None else len(inside)
    classes = (visual.class_embedding + table[0]).expand(count, -1)
    tokens = visual.ln_pre(torch.cat([classes, patches.flatten(1).T + table[1:]]))
    mask = torch.zeros(len(tokens), len(tokens))
    if inside is not None:
        mask[:, :count] = -torch.inf
        mask[:count] = -torch.inf
        for index, own in enumerate(inside):
            mask[index, index] = 0
            mask[index, [count + patch for patch in own]] = 0
    out = attend(visual.transformer, tokens[None], mask)[0, :count]
    return F.normalize(visual.ln_post(out) @ visual.proj, dim=-1)


@pytest.fixture(scope="module")
def regions():
    """One square, one wide, one that no patch's corner lies in, on 100 x 149 pixels."""
    masks = torch.zeros(3, 100, 149, dtype=torch.bool)
    masks[0, 20:60, 10:50] = masks[1, 60:90, 70:140] = masks[2, 33:38, 37:42] = True
    return masks


@pytest.fixture(scope="module")
def odd_picture():
    """Its sides are no multiples of CLIP's patches; 8 bits, as from a file."""
    return np.random.default_rng(5).integers(0, 256, (100, 149, 3), dtype=np.uint8)


@torch.inference_mode()
def test_soft_regions_see_the_patches_that_the_nearest_pixel_gives_them(
    demo_models, odd_picture, regions
):
    clip = demo_models.scorer.clip
    patch = clip.model.visual.patch_size[0]
    rows, columns = 100 // patch, 149 // patch
    inside = [
        [
            row * columns + column
            for row in range(rows)
            for column in range(columns)
            if mask[row * 100 // rows, column * 149 // columns]
        ]
        for mask in regions
    ]
    assert inside[0] and inside[1]
    expected = plain_vectors(clip, odd_picture, inside)
    image = torch.from_numpy(odd_picture).float() / 255
    found = OfficialScorer(clip).embed_soft(image, regions)
    assert (found - expected).abs().max() < 1e-5


def plain_crop(picture, mask, size, ramp):
    """A region on black through 8 bits and pillow, its shorter side at CLIP's size."""
    rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
    area = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    dark = (picture * ramp[None, :, None] * mask.numpy()[..., None]).astype(np.uint8)[area]
    height, width = dark.shape[:2]
    if height <= width:
        sides = (int(size * width / height), size)
    else:
        sides = (size, int(size * height / width))
    return Image.fromarray(dark).resize(sides, Image.Resampling.BILINEAR)


@torch.inference_mode()
@pytest.mark.parametrize("text", ["the red circle", "the left circle", "the right circle"])
def test_hard_regions_are_8_bit_crops_of_the_darkened_picture(
    demo_models, odd_picture, regions, text
):
    clip, bright = demo_models.scorer.clip, 149 * 2 // 3
    dark = np.zeros(149 - bright)
    ramp = {
        "left": np.concatenate([np.linspace(1, 0, bright), dark]),
        "right": np.concatenate([dark, np.linspace(0, 1, bright)]),
        "red": np.ones(149),
    }[text.split()[1]]
    crops = [plain_crop(odd_picture, mask, clip.size, ramp) for mask in regions[:2]]
    expected = torch.cat([plain_vectors(clip, crop) for crop in crops])
    image = torch.from_numpy(odd_picture).float() / 255
    found = OfficialScorer(clip).embed_hard(image, regions[:2], position_ramp(text, 149))
    assert (found - expected).abs().max() < 1e-5


@torch.inference_mode()
def test_scores_are_seven_parts_hard_and_three_soft(demo_models, odd_picture, regions):
    scorer = OfficialScorer(demo_models.scorer.clip)
    image = torch.from_numpy(odd_picture).float() / 255
    (scores,) = scorer.score(image, [parse("the red circle")], [Proposals.of(regions)])
    sentence, root = scorer.embed_texts(["the red circle", "circle"])
    hard = scorer.embed_hard(image, regions) @ sentence
    # the mixed text keeps its length
    soft = scorer.embed_soft(image, regions) @ (0.5 * sentence + 0.5 * root)
    assert torch.allclose(scores.cosine, 0.7 * hard + 0.3 * soft, atol=1e-5)


def test_the_ramp_reaches_nothing_a_column_before_two_thirds():
    ramp = position_ramp("left", 90)
    assert ramp[59] == 0 and ramp[58] > 0
    assert np.allclose(ramp[:60].numpy(), np.linspace(1, 0, 60), atol=1e-12)
