"""Checkpoints of other families in a real WebUI: small random ones, and for inpainting."""

import numpy as np
import pytest
import torch
from fake_host import demo_checkpoint
from scene import picture
from small_files import FAMILIES, write_small

from refdiff_core.backends import checkpoints
from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.language.expression import parse
from refdiff_core.pictures.images import from_pil

WORDS = "the blue square"


def held(webui, name):
    """What makes a call use a checkpoint, and keeps it."""
    webui.post("/sdapi/v1/refresh-checkpoints", {})
    return {
        "override_settings": {"sd_model_checkpoint": f"{name}.safetensors", "return_mask": True},
        "override_settings_restore_afterwards": False,
    }


def alike(heat, source):
    ours = torch.tensor(np.asarray(heat.convert("L")), dtype=torch.float32) / 255
    (theirs,) = source.read(from_pil(picture()), [parse(WORDS)])
    return float(torch.corrcoef(torch.stack([ours.flatten(), theirs.heat.flatten()]))[0, 1])


@pytest.fixture
def small(webui, request, monkeypatch):
    """A small checkpoint in the host, by name, and the same through diffusers."""
    folder = webui.base / "models" / "Stable-diffusion"
    path = write_small(request.param, folder, webui.base / "configs")
    monkeypatch.setattr(checkpoints, "identify", lambda *_: FAMILIES[request.param])
    yield held(webui, request.param), DiffusersAttention.load(path)
    webui.paint(picture(), **held(webui, "refdiff_demo"))
    for each in (path, path.with_suffix(".yaml")):
        each.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("small", FAMILIES, indirect=True)
def test_maps_of_other_families_are_those_through_diffusers(webui, small):
    chosen, source = small
    webui.paint(picture(), **chosen)  # the very first one draws what the others do not
    before = webui.paint(picture(), **chosen)[0]
    *_, mask = webui.paint(picture(), True, WORDS, **chosen)
    assert np.asarray(mask).any()
    assert alike(webui.paint(picture(), heat=WORDS, **chosen)[-1], source) >= 0.999
    after = webui.paint(picture(), **chosen)[0]
    assert (np.asarray(after) == np.asarray(before)).all()


def test_an_inpainting_checkpoint_sees_the_picture_unmasked(webui):
    chosen = held(webui, "demo_inpainting")
    source = DiffusersAttention(demo_checkpoint())
    assert alike(webui.paint(picture(), heat=WORDS, **chosen)[-1], source) >= 0.999
    webui.paint(picture(), **held(webui, "refdiff_demo"))
