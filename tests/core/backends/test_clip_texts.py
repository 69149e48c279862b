"""Several texts as one, without padding, against open_clip's own way of reading them."""

import pytest
import torch

open_clip = pytest.importorskip("open_clip")

from refdiff_core.backends import clip_texts  # noqa: E402
from refdiff_core.backends.clip_texts import encode_texts  # noqa: E402

CPU = torch.device("cpu")
TEXTS = [
    "a photo of a cup",
    "the red cup on the left of the table, behind the dog",
    "",
    "dog " * 90,
]
SMALL = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "patch_size": 16, "width": 64, "layers": 1},
    "text_cfg": {"width": 64, "heads": 2, "layers": 3},
}


def model_of(kind=open_clip.CLIP, **text):
    torch.manual_seed(0)
    return kind(**{**SMALL, "text_cfg": {**SMALL["text_cfg"], **text}}).eval()


@pytest.mark.parametrize("kind", [open_clip.CLIP, open_clip.CustomTextCLIP])
@torch.inference_mode()
def test_texts_read_as_one_mean_what_each_means_alone(kind, monkeypatch):
    model, ids = model_of(kind), open_clip.tokenize(TEXTS)
    expected = model.encode_text(ids)
    assert not torch.allclose(expected[0], expected[1], atol=0.1)
    for most in (512, 20, 1):  # all in one pass, some, each in its own
        monkeypatch.setattr(clip_texts, "TOKENS", most)
        assert torch.allclose(encode_texts(model, ids, CPU), expected, atol=1e-5)


@torch.inference_mode()
def test_the_demos_clip_reads_as_before(demo_models):
    clip = demo_models.scorer.clip
    ids = clip.tokenizer(["the red circle on the left", "circle", "the big blue square"])
    assert torch.allclose(
        encode_texts(clip.model, ids, CPU), clip.model.encode_text(ids), atol=1e-5
    )


@torch.inference_mode()
def test_padding_costs_nothing(monkeypatch):
    model, seen = model_of(), []
    model.transformer.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    encode_texts(model, open_clip.tokenize(["a cup", "a dog"]), CPU)
    assert seen == [2 * 4]  # its beginning and its end beside the words


@pytest.mark.parametrize("text", [{"no_causal_mask": True}, {"pool_type": "last"}])
@torch.inference_mode()
def test_an_encoder_that_reads_its_padding_is_asked_as_it_is(text):
    model, ids = model_of(open_clip.CustomTextCLIP, **text), open_clip.tokenize(TEXTS)
    assert torch.allclose(encode_texts(model, ids, CPU), model.encode_text(ids), atol=1e-6)
