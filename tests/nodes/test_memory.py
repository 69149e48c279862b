"""What the nodes remember, and what they hand on, with models on a device that is not there."""

import gc
import sys
from contextlib import nullcontext
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch

if not hasattr(torch._C, "_ensureCUDADeviceGuardSet"):  # 2.1 has none
    pytest.skip("this torch has no devices that are not there", allow_module_level=True)
from elsewhere import Elsewhere, There, on_device

ROOT = Path(__file__).parents[2]
LINES = ("the red cross", "the ring")


@pytest.fixture(scope="module")
def pack():
    """Gives modules of the pack, without its nodes, which only a host can load."""
    for name, folder in (("pack", ROOT), ("pack.nodes", ROOT / "nodes")):
        module = ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    yield lambda name: import_module(f"pack.{name}")
    for name in [each for each in sys.modules if each.split(".")[0] == "pack"]:
        del sys.modules[name]


@pytest.fixture
def look(pack, monkeypatch):
    """Answers `LINES` on a picture by models that are remembered; ``there``: on the device."""
    scenes, loading = pack("refdiff_core.demo.scenes"), pack("refdiff_core.models.loading")
    cache, memory = pack("refdiff_core.cache"), pack("nodes._memory")
    for backend in ("sam_proposer", "clip_scorer"):  # autocast asks the real CUDA
        module = pack(f"refdiff_core.backends.{backend}")
        monkeypatch.setattr(module, "autocast", lambda *_: nullcontext())
    scene = scenes.sample_scene(scenes.HELD_OUT_SEED + 1, size_hw=(96, 160))
    picture = torch.from_numpy(scene.image).float() / 255

    def build(variant, there):
        models = loading.load_demo(variant)
        unet, vae = models.attention.model.unet, models.attention.model.vae
        encoder, *_ = models.attention.model.text_encoders
        encoder.patcher = None  # as ComfyUI's CLIP has one
        for part in filter(None, (models.attention, models.proposer, models.scorer)):
            part.cache = cache.PictureCache(2**27, torch.device("cpu"))  # as `nodes._caches` has it
        if models.scorer:
            assert models.scorer.scale > 0  # read once, when it is first asked
        parts = [unet, vae, encoder]
        parts += [models.proposer.sam] if models.proposer else []
        parts += [models.scorer.clip.model] if models.scorer else []
        for part in parts if there else ():
            on_device(part)
        seen = memory.RememberedAttention(models.attention, (unet, encoder, vae), 0)
        found = memory.RememberedProposer(models.proposer, parts[3], 0) if models.proposer else None
        fits = memory.RememberedScorer(models.scorer, parts[-1], 0) if models.scorer else None
        return replace(models, attention=seen, proposer=found, scorer=fits), parts

    def run(variant, there):
        models, parts = build(variant, there)
        with torch.inference_mode(), Elsewhere() if there else nullcontext():
            results = pack("refdiff_core.pipeline").segment(picture, LINES, models)
            results = pack("nodes._rest").at_rest(results)  # as `nodes._run` hands them on
        return results, parts

    return run


@pytest.mark.parametrize("variant", ["gsd", "gs", "g"])
def test_after_an_answer_only_weights_are_left_on_the_device(look, variant):
    here, _ = look(variant, there=False)
    gc.collect()
    before = {id(each) for each in gc.get_objects() if isinstance(each, There)}
    results, parts = look(variant, there=True)
    gc.collect()
    weights = {id(each) for part in parts for each in (*part.parameters(), *part.buffers())}
    left = [each for each in gc.get_objects() if isinstance(each, There)]
    assert len(weights) > 100
    assert not [each.shape for each in left if id(each) not in before | weights]
    for result, expected in zip(results, here, strict=True):
        assert result.found and expected.found
        mask, other = result.mask >= 0.5, expected.mask >= 0.5
        assert (mask & other).sum() > 0.95 * (mask | other).sum()
