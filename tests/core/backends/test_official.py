"""The published code's computation against a plain second derivation of it (METHOD.md 1b)."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler
from PIL import Image

from refdiff_core import load_demo, segment
from refdiff_core.backends.checkpoints import load_stable_diffusion
from refdiff_core.backends.families import SD2, SDXL
from refdiff_core.backends.official import (
    OfficialAttention,
    OfficialProposer,
    OfficialScorer,
    ddim_step,
    pad_to_square,
    unpad,
)
from refdiff_core.backends.sam_proposer import SamProposer
from refdiff_core.choosing.contrast import Compared
from refdiff_core.choosing.fusion import fuse
from refdiff_core.demo.models import DENOISER_FILE
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.errors import UnavailableError
from refdiff_core.evaluation.demo import compare
from refdiff_core.evaluation.metrics import selection
from refdiff_core.evaluation.results import color_and_shape
from refdiff_core.language.expression import parse
from refdiff_core.settings import OFFICIAL, AttentionSettings
from refdiff_core.values import Likeness, Proposals

SIDE = 128
LOOK = AttentionSettings(resolution=SIDE)


@pytest.fixture(scope="module")
def model():
    return load_stable_diffusion(DENOISER_FILE)


@pytest.fixture(scope="module")
def image():
    generator = torch.Generator().manual_seed(3)
    small = torch.rand(1, 3, 6, 9, generator=generator)
    return F.interpolate(small, (96, 144), mode="bilinear")[0].permute(1, 2, 0)


class KeepLogits:
    """An attention processor that computes everything itself and keeps the logits."""

    def __init__(self):
        self.logits = []

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **_):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)
        heads, size = attn.heads, query.shape[-1] // attn.heads
        out, kept = [], []
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            logits = query[..., part] @ key[..., part].transpose(1, 2) / size**0.5
            kept.append(logits)
            out.append(logits.softmax(-1) @ value[..., part])
        self.logits.append(torch.stack(kept).mean(0))  # head mean
        return attn.to_out[0](torch.cat(out, -1))


def plain_map(model, image, text, token):
    """Two guided DDIM steps, the logits of one token, min-max per layer and call, the mean."""
    scheduler = DDIMScheduler(1000, 0.00085, 0.012, "scaled_linear", clip_sample=False)
    import open_clip

    ids = open_clip.get_tokenizer("ViT-B-32")(["", text])
    for row in ids:  # open_clip pads with 0, Stable Diffusion 1.x with the end token
        row[row.argmax() :] = 49407
    ids[0, 0] = ids[1, 0] = 49406
    with torch.no_grad():
        context = model.text_encoders[0](ids).last_hidden_state
        square = pad_to_square(image, SIDE).permute(2, 0, 1)[None]
        drawn = model.vae.encode(square * 2 - 1).latent_dist
        generator = torch.Generator().manual_seed(0)
        latents = drawn.mean + drawn.std * torch.randn(drawn.mean.shape, generator=generator)
        noise = torch.randn(drawn.mean.shape, generator=generator)
        latents = latents * model.vae.config.scaling_factor
        x = scheduler.add_noise(latents, noise, torch.tensor([101]))
        names = OfficialAttention(model).layers
        processors = dict(model.unet.attn_processors)
        keepers = {f"{name}.processor": KeepLogits() for name in names}
        model.unet.set_attn_processor({**processors, **keepers})
        try:
            for t, previous in ((51, 1), (1, 0)):
                uncond, cond = model.unet(torch.cat([x, x]), t, context).sample.chunk(2)
                velocity = uncond + 9 * (cond - uncond)
                a, b = scheduler.alphas_cumprod[t], scheduler.alphas_cumprod[previous]
                epsilon = a**0.5 * velocity + (1 - a) ** 0.5 * x  # the demo predicts it
                x = b**0.5 * (x - (1 - a) ** 0.5 * epsilon) / a**0.5 + (1 - b) ** 0.5 * epsilon
        finally:
            model.unet.set_attn_processor(processors)
    total = 0
    for keeper in keepers.values():
        for logits in keeper.logits:
            guided = logits[0, :, token] + 9 * (logits[1, :, token] - logits[0, :, token])
            total = total + (guided - guided.min()) / (guided.max() - guided.min())
    side = int(len(total) ** 0.5)
    return (total / 2 / len(keepers)).view(side, side)


def test_the_map_is_that_of_two_guided_ddim_steps(model, image):
    expression = parse("the red circle")
    (found,) = OfficialAttention(model, LOOK).read(image, [expression])
    # tokens of "the red circle, ": start, the, red, circle
    expected = plain_map(model, image, "the red circle, ", 3)
    assert (found.word_maps[0] - expected).abs().max() < 1e-4
    eight = Image.fromarray((expected * 255).byte().numpy())
    whole = np.array(eight.resize((144, 144), Image.Resampling.LANCZOS))[24:120].astype(float)
    whole = (whole - whole.min()) / (whole.max() - whole.min())
    # a value on the border between two of the 8-bit steps may fall to either side
    assert np.abs(found.heat.numpy() - whole).max() < 2.5 / 255


def test_the_last_piece_of_the_root_is_read(model, image):
    (found,) = OfficialAttention(model, LOOK).read(image, [parse("the snowplough")])
    pieces = plain_map(model, image, "the snowplough, ", 4)
    assert (found.word_maps[0] - pieces).abs().max() < 1e-4


def test_a_ddim_step_equals_the_librarys():
    scheduler = DDIMScheduler(
        1000,
        0.00085,
        0.012,
        "scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    scheduler.set_timesteps(20)
    generator = torch.Generator().manual_seed(0)
    x, epsilon = torch.randn(2, 1, 4, 6, 9, generator=generator)
    expected = scheduler.step(epsilon, 51, x).prev_sample
    assert torch.allclose(ddim_step(x, epsilon, 51, 1), expected, atol=1e-5)


def test_a_padded_picture_comes_back_where_it_was():
    image = torch.zeros(60, 100, 3)
    image[10:30, 70:90] = 1
    square = pad_to_square(image, 100)
    assert square.shape == (100, 100, 3) and not square[:20].any() and not square[80:].any()
    back = unpad(square.mean(-1), (60, 100), 100)
    assert ((back > 0.5) == (image[..., 0] > 0.5)).all()


def many_masks(self, image, attention):
    """Stands in for Segment Anything's masks: rectangles of 1 to 14 rows."""
    masks = torch.zeros(14, 20, 30, dtype=torch.bool)
    for index in range(14):
        masks[index, : index + 1] = True
    return [Proposals.of(masks)]


def test_the_ten_largest_masks_above_the_floor_survive(monkeypatch):
    monkeypatch.setattr(SamProposer, "propose", many_masks)
    proposer = OfficialProposer(None, smallest=200)
    (found,) = proposer.propose(torch.zeros(20, 30, 3), [None])
    assert found.masks.flatten(1).sum(1).tolist() == [420, 390, 360, 330, 300, 270, 240, 210]
    proposer.smallest = 0
    assert len(proposer.propose(torch.zeros(20, 30, 3), [None])[0]) == 10


def test_a_map_comes_back_by_the_8_bits_of_its_mean():
    """The mean of layers, each in [0, 1], need not reach either end: it is not stretched first."""
    values = torch.rand(8, 8, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.2
    grey = Image.fromarray((values.numpy() * 255).astype(np.uint8))
    whole = np.array(grey.resize((90, 90), Image.Resampling.LANCZOS))[15:75] / 255
    expected = (whole - whole.min()) / (whole.max() - whole.min() + 1e-8)
    assert np.abs(unpad(values, (60, 90), 64).numpy() - expected).max() < 1e-5


def test_a_model_that_predicts_the_velocity_is_stepped_by_the_noise_in_it(model):
    assert model.v_prediction
    scheduler = DDIMScheduler(
        1000, 0.00085, 0.012, "scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1, prediction_type="v_prediction",
    )  # fmt: skip
    scheduler.set_timesteps(20)
    generator = torch.Generator().manual_seed(0)
    x, velocity = torch.randn(2, 1, 4, 6, 9, generator=generator)
    epsilon = OfficialAttention(model, LOOK)._noise_in(x, velocity, 51)
    expected = scheduler.step(velocity, 51, x).prev_sample
    assert torch.allclose(ddim_step(x, epsilon, 51, 1), expected, atol=1e-5)


def test_the_hard_branch_takes_strips_and_empty_masks(demo_models, image):
    masks = torch.zeros(3, 96, 144, dtype=torch.bool)
    masks[0, 5], masks[1, :, 7] = True, True
    with torch.inference_mode():
        vectors = OfficialScorer(demo_models.scorer.clip).embed_hard(image, masks)
    assert len(vectors) == 3 and vectors.isfinite().all()


@pytest.mark.parametrize("family", [SD2, SDXL])
def test_other_families_are_refused(model, family):
    with pytest.raises(UnavailableError, match=f"this is {family.name}"):
        OfficialAttention(replace(model, family=family))


def test_the_published_code_finds_the_only_blue_thing(two_squares, squares_masks):
    picture = torch.from_numpy(two_squares).float() / 255
    (result,) = segment(picture, "the blue square", load_demo("gs", settings="official"))
    found = result.mask > 0
    assert (found & squares_masks[1]).sum() / (found | squares_masks[1]).sum() > 0.8


def test_the_published_code_chooses_the_right_object():
    scenes = [sample_scene(HELD_OUT_SEED + seed, count=(2, 4)) for seed in range(4)]
    methods = {"official": ("gsd", OFFICIAL)}
    found = compare(scenes, methods, oracle=True, ask=color_and_shape)["official"]
    assert len(found) > 4 and selection(found) > 0.9


def test_the_total_is_the_published_mix_over_its_sum(image):
    masks = torch.zeros(2, 96, 144, dtype=torch.bool)
    masks[0, 20:60, 10:50] = masks[1, 30:90, 80:140] = True
    generative, clip = torch.tensor([0.4, -0.1]), torch.tensor([0.21, 0.24])  # .7 hard + .3 soft
    said = Compared(Likeness.of(clip))
    result = fuse(parse("left cup"), None, Proposals.of(masks), generative, said, OFFICIAL.fusion)
    assert torch.allclose(result.scores.total, (clip + 0.05 * generative) / 1.05)
