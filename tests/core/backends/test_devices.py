"""What runs on a GPU, followed on a machine that has none: shapes, types and places, no numbers.

PyTorch's fake tensors say they are on "cuda" and refuse to be mixed with others, as real ones do.
What depends on numbers (noise drawn, regions cut out) is left out.
"""

import gc
import importlib
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils._python_dispatch import TorchDispatchMode

from refdiff_core import together
from refdiff_core.backends import diffusers_attention, sam_proposer
from refdiff_core.backends.checkpoints import StableDiffusion, _text_model
from refdiff_core.backends.clip_scorer import ClipModel, ClipScorer
from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.backends.families import DEMO, SD1, SD2, SDXL
from refdiff_core.backends.sam_proposer import SamProposer
from refdiff_core.choosing.scoring import generative_score
from refdiff_core.demo.models import load_clip, load_sam
from refdiff_core.fine import LogitMasks
from refdiff_core.language.expression import parse
from refdiff_core.seeing.attention import sharpen
from refdiff_core.seeing.proposals import peaks_of
from refdiff_core.settings import SINKS, AttentionSettings

HALF = torch.float16


@pytest.fixture(scope="module")
def clip():
    return load_clip()


@pytest.fixture
def sam():
    return load_sam()


@pytest.fixture
def gpu():
    """Everything that is made while the test runs is fake; how many masks pass, is left open."""
    fake = FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv())
    try:
        with fake:
            torch.ones(1, device="cuda")
    except RuntimeError as error:
        pytest.skip(f"this torch cannot imagine a GPU: {error}")
    with fake, torch.inference_mode():
        yield torch.device("cuda")


def on_gpu(module, dtype=None):
    """Weights without numbers; to be called where they are fake."""
    for part in module.modules():
        for held in (part._parameters, part._buffers):
            for name, value in held.items():
                if value is not None:
                    kind = dtype if dtype and value.is_floating_point() else value.dtype
                    moved = torch.empty(value.shape, dtype=kind, device="cuda")
                    held[name] = moved if held is part._buffers else torch.nn.Parameter(moved)
    return module.eval().requires_grad_(False)


class Waits(TorchDispatchMode):
    """Counts what waits for a GPU: its tensors read on the CPU, or asked for how many are true."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        left = "device" in kwargs and torch.device(kwargs["device"] or "cuda").type == "cpu"
        masks = any(each is not None and each.dtype == torch.bool for each in _indices(name, args))
        if self._on_gpu(args) and (left or masks or name in ("_local_scalar_dense", "nonzero")):
            self.found.append(name)
        return func(*args, **kwargs)

    @staticmethod
    def _on_gpu(args):
        return any(isinstance(each, torch.Tensor) and each.device.type == "cuda" for each in args)


def _indices(name, args):
    return args[1] if name in ("index", "index_put", "index_put_") else ()


def there():
    """All tensors that are on the GPU now."""
    gc.collect()
    fake = [each for each in gc.get_objects() if isinstance(each, FakeTensor)]
    return [each for each in fake if each.device.type == "cuda"]


@pytest.fixture
def built(request):
    """Family, denoiser, autoencoder and text encoders, without numbers."""
    family, channels = request.param
    with torch.device("meta"):
        unet = UNet2DConditionModel(**{**family.unet, "in_channels": channels})
        texts = [_text_model(each) for each in family.text_encoders]
        return family, unet, AutoencoderKL(**family.vae), texts


def place(family, unet, vae, texts):
    """As `load_stable_diffusion` places them: denoiser and words in half precision."""
    texts = tuple(on_gpu(each, HALF) for each in texts)
    return StableDiffusion(family, on_gpu(unet, HALF), on_gpu(vae), texts, v_prediction=False)


@pytest.fixture
def no_numbers(monkeypatch, gpu):
    """Without the steps that look at values, and with a timestep that is a tensor already."""
    step = torch.full((), 300, device=gpu)
    monkeypatch.setattr(diffusers_attention, "noise_timestep", lambda *_: step)
    monkeypatch.setattr(together, "fingerprint", id)
    monkeypatch.setattr(diffusers_attention, "add_noise", lambda latents, *_: latents.clone())


@pytest.mark.parametrize(
    ("built", "settings"),
    [
        ((DEMO, 4), {}),
        ((SD1, 4), {}),
        ((SD1, 9), {"sinks": SINKS}),
        ((SD2, 4), {"propagation": 1}),
        ((SDXL, 4), {"competing": True}),
    ],
    ids=["demo", "sd1", "sd1-inpainting", "sd2", "sdxl"],
    indirect=["built"],
)
def test_attention_is_read_in_half_precision_and_stays_there(built, no_numbers, settings):
    source = DiffusersAttention(place(*built), AttentionSettings(**settings))
    lines = ["the red circle", "a very large blue square " * 20]
    before = there()
    with Waits() as waits:
        maps = source.read(torch.rand(96, 160, 3), [parse(line) for line in lines])
    assert len(maps) == 2 and not waits.found
    for each in maps:
        assert each.heat.device.type == "cuda" and each.heat.dtype == torch.float32
        assert each.heat.shape == (96, 160)
    del maps, each
    assert len(source.cache) == 1 and len(there()) == len(before) + 1, "more is kept than latents"


@pytest.fixture
def ids(clip):
    """As an array, whose numbers are known: how long texts are is seen on the processor."""
    return clip.tokenizer(["the red circle", "circle"]).numpy()


def test_regions_and_words_are_embedded_and_compared_there(clip, ids, gpu):
    scorer = ClipScorer(ClipModel(on_gpu(clip.model), lambda _: ids, *clip[2:]))
    image, masks = torch.rand(96, 160, 3, device=gpu), torch.zeros(3, 96, 160, device=gpu) > 0
    with Waits() as waits:
        regions = scorer.embed_regions(image, masks, ["left"])
        texts = scorer.embed_texts(["the red circle", "circle"])
    assert not waits.found
    assert (regions @ texts.T).shape == (3, 2, 2), "regions by views by texts"
    assert regions.device.type == "cuda" and regions.dtype == torch.float32


def test_masks_are_decoded_and_filtered_there(sam, gpu):
    # autocast asks the real CUDA, which is not there
    proposer = SamProposer(on_gpu(sam), dtype=torch.float32)
    image = torch.rand(96, 160, 3, device=gpu)
    with Waits() as waits:
        embedding = proposer.embed(image)
    assert embedding.device.type == "cuda"
    frame, points = proposer._frame(image), torch.rand(70, 2, device=gpu)
    step = sam_proposer._Steps(None, 70)
    with waits:
        masks = proposer._decode(embedding, frame, points, points[:, 0] > 0.5, step)
        near, quality = proposer._compare(masks)
    assert len(waits.found) == 1, "the survivors are read once"
    assert near.device.type == quality.device.type == "cpu"
    assert masks.logits.shape[1:] == (39, 64) and masks.logits.dtype == torch.float32
    assert masks.logits.device.type == masks.quality.device.type == "cuda"


def test_what_lies_between_the_models_stays_there(gpu):
    heat, image = torch.rand(96, 160, device=gpu), torch.rand(96, 160, 3, device=gpu)
    masks = torch.rand(5, 96, 160, device=gpu) > 0.5
    with Waits() as waits:
        points, heights = peaks_of(sharpen(heat, image, 8), 4)
        scores = generative_score(heat, masks, 0.25)
        shown = LogitMasks(torch.rand(5, 39, 64, device=gpu), (38.4, 64)).on_grid((96, 160))
    assert not waits.found
    assert {each.device.type for each in (points, heights, scores, shown)} == {"cuda"}


@pytest.mark.parametrize("built", [(DEMO, 4)], indirect=True)
def test_the_benchmark_of_speed_runs_there(monkeypatch, built, sam, clip, gpu):
    monkeypatch.syspath_prepend(Path(__file__).parents[3])
    work = importlib.import_module("benchmarks.work")
    model, sam = place(*built), on_gpu(sam)
    held = ClipModel(on_gpu(clip.model, HALF), *clip[1:])
    # how long a text is nobody knows of imagined numbers
    monkeypatch.setattr(work, "encode_texts", lambda *given: given[0].encode_text(given[1].cuda()))
    for part in [
        *work.diffusion_floor(model, 128, 2),
        *work.diffusion_published(model, 2, 128),
        *work.sam_floor(sam, 2, dtype=torch.float32),
        *work.sam_published(sam, 1, torch.float32),
        *work.clip_floor(held, 2),
        *work.clip_published(held, 1, 128),
    ]:
        part.run()


def test_a_tensor_left_on_the_cpu_would_be_told(gpu):
    with pytest.raises(RuntimeError, match=r"cuda.*cpu|cpu.*cuda|two different devices"):
        torch.ones(2, device=gpu) + torch.ones(2)
