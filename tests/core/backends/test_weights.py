"""Model files as people have them: read whatever their suffix, or told what they are."""

import pickle
import sys
import types
import zipfile

import pytest
import torch
from checkpoints import write_sam
from safetensors.torch import load_file, save_file
from torch import nn

from refdiff_core.backends.checkpoints import load_stable_diffusion
from refdiff_core.backends.clip_models import load_clip
from refdiff_core.backends.sam_models import load_sam
from refdiff_core.backends.weights import fill, read_state_dict
from refdiff_core.demo.models import DENOISER_FILE
from refdiff_core.errors import ModelError

SMALL = {"a.weight": torch.arange(12.0).reshape(3, 4), "b.bias": torch.ones(5, dtype=torch.half)}
SMALL["c.weight"] = SMALL["a.weight"][:, 1:3]  # shares its numbers and is not contiguous


def same(found, wanted=SMALL):
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], value) for key, value in wanted.items())


@pytest.fixture
def callback(monkeypatch):
    """A class of a package that is not here when the file is read."""
    module = types.ModuleType("lightning_that_is_gone")
    kind = type("ModelCheckpoint", (), {"__module__": module.__name__})
    module.ModelCheckpoint = kind
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return kind


class Tree(nn.Module):
    """Weights as attributes of modules, as OpenAI's archives of CLIP have them."""

    def __init__(self, state):
        super().__init__()
        for key, value in state.items():
            at = self
            *path, leaf = key.split(".")
            for part in path:
                if not hasattr(at, part):
                    at.add_module(part, nn.Module())
                at = getattr(at, part)
            at.register_buffer(leaf, value.clone())

    def forward(self, x):
        return x


def write_archive(state, path):
    torch.jit.save(torch.jit.trace(Tree(state), torch.zeros(1)), str(path))


def test_a_training_checkpoint_is_read_without_the_package_that_wrote_it(tmp_path, callback):
    beside = {"callbacks": {callback: {"best": 1.0}}, "hyper": callback(), "epoch": 3}
    for name, zipped in (("new.ckpt", True), ("old.ckpt", False)):
        path = tmp_path / name
        torch.save({**beside, "state_dict": SMALL}, path, _use_new_zipfile_serialization=zipped)
        del sys.modules[callback.__module__]
        same(read_state_dict(path))
        sys.modules[callback.__module__] = types.ModuleType(callback.__module__)
        sys.modules[callback.__module__].ModelCheckpoint = callback


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"model": state},
        lambda state: {"model_state_dict": state, "optimizer": {"state": {0: {"m": state}}}},
        lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
        lambda state: {f"_orig_mod.{key}": value for key, value in state.items()},
        lambda state: {key: nn.Parameter(value) for key, value in state.items()},
    ],
    ids=["model", "model_state_dict", "several devices", "compiled", "parameters"],
)
def test_weights_are_found_wherever_training_programs_put_them(tmp_path, wrap):
    torch.save(wrap(SMALL), tmp_path / "model.pth")
    same(read_state_dict(tmp_path / "model.pth"))


@pytest.mark.parametrize("name", ["a.sft", "A.SAFETENSORS", "wrong.ckpt", "none"])
def test_the_content_tells_what_a_file_is(tmp_path, name):
    plain = {key: value.contiguous() for key, value in SMALL.items()}
    save_file(plain, tmp_path / name)
    same(read_state_dict(tmp_path / name), plain)
    torch.save(SMALL, tmp_path / name)
    same(read_state_dict(tmp_path / name))


def test_every_type_of_number_is_read(tmp_path):
    kinds = (torch.float64, torch.bfloat16, torch.int8, torch.bool, torch.float8_e4m3fn)
    state = {str(kind): torch.ones(3, 2).to(kind) for kind in kinds}
    try:
        torch.save(state, tmp_path / "a.pt")
    except KeyError:  # torch 2.1 cannot write eight bits
        del state["torch.float8_e4m3fn"]
        torch.save(state, tmp_path / "a.pt")
    found = read_state_dict(tmp_path / "a.pt")
    assert all(found[name].dtype == each.dtype for name, each in state.items())
    assert all(torch.equal(found[key].float(), value.float()) for key, value in state.items())


def test_an_archive_of_code_is_read_and_none_of_it_is_run(tmp_path):
    write_archive(SMALL, tmp_path / "script.pt")
    same(read_state_dict(tmp_path / "script.pt"))


@pytest.mark.parametrize("zipped", [True, False])
def test_no_pickle_runs_code(tmp_path, zipped):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    state = {"state_dict": {**SMALL, "x": Evil()}}
    torch.save(state, tmp_path / "evil.pt", _use_new_zipfile_serialization=zipped)
    same(read_state_dict(tmp_path / "evil.pt"))
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelError, match="cannot be read"):
        read_state_dict(tmp_path / "bare.pt")
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"GGUF\3\0\0\0" + bytes(200), "llama.cpp"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n", "git lfs pull"),
        (b"<!doctype html><title>Login</title>", "web page"),
        (b"\x80\x02" + b"(" * 300, "cannot be read"),
        (b"PK\3\4" + bytes(100), "cannot be read"),
        (b"\xff" * 7 + b"\x7f{}", "cannot be read"),
    ],
)
def test_what_is_no_model_is_told_by_its_name(tmp_path, content, message):
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_state_dict(tmp_path / "model.safetensors")


def test_an_archive_that_would_grow_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", bytes(50 << 20))
    with pytest.raises(ModelError, match="compressed"):
        read_state_dict(tmp_path / "bomb.pt")


@pytest.mark.parametrize(
    ("value", "message"),
    [(torch.nan, "no numbers"), (torch.inf, "no numbers"), (0.0, "are zero")],
    ids=str,
)
def test_weights_that_nobody_trained_are_told(tmp_path, value, message):
    state = {key: torch.full_like(each, value) for key, each in load_file(DENOISER_FILE).items()}
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match=message):
        load_stable_diffusion(tmp_path / "a.safetensors")


def test_a_single_value_that_is_no_number_is_found_in_any_type():
    for kind in (torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn):
        layer = nn.Linear(300, 300).to(kind)
        state = {key: value.clone() for key, value in layer.state_dict().items()}
        fill(layer, state, "whole")
        state["weight"] = (
            state["weight"]
            .float()
            .index_put_((torch.tensor(7), torch.tensor(9)), torch.tensor(torch.nan))
            .to(kind)
        )
        with pytest.raises(ModelError, match="'weight'"):
            fill(layer, state, "broken")


def with_channels(count):
    state = load_file(DENOISER_FILE)
    key = "model.diffusion_model.input_blocks.0.0.weight"
    more = [state[key][:, :1] * 0] * (count - 4)
    return {**state, key: torch.cat([state[key], *more], 1)}


@pytest.mark.parametrize("channels", [8, 9])
def test_checkpoints_that_see_a_picture_beside_give_the_same_map(tmp_path, channels, demo_models):
    from refdiff_core import load_models, segment
    from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene

    save_file(with_channels(channels), tmp_path / "a.safetensors")
    picture = torch.from_numpy(sample_scene(HELD_OUT_SEED + 11, size_hw=(96, 160)).image) / 255
    found = load_models(checkpoint=tmp_path / "a.safetensors", dtype=torch.float32)
    plain = load_models(checkpoint=DENOISER_FILE, dtype=torch.float32)
    (one,), (other,) = (segment(picture, "the red circle", each) for each in (plain, found))
    assert (one.attention.heat - other.attention.heat).abs().max() < 1e-4


def test_a_checkpoint_that_reads_a_depth_map_is_told(tmp_path):
    save_file(with_channels(5), tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match="a depth map"):
        load_stable_diffusion(tmp_path / "a.safetensors")


def test_a_folder_of_another_variant_is_read(tmp_path):
    model = load_stable_diffusion(DENOISER_FILE)
    for part in (model.unet, model.vae):  # safetensors of old writes nothing else
        part.to(memory_format=torch.contiguous_format)
    for variant, name in (("fp16", "half"), (None, "plain")):
        folder = tmp_path / name
        model.unet.save_pretrained(folder / "unet", variant=variant, max_shard_size="2MB")
        model.vae.save_pretrained(folder / "vae", variant=variant)
        model.text_encoders[0].save_pretrained(folder / "text_encoder", variant=variant)
        loaded = load_stable_diffusion(folder)
        same(loaded.unet.state_dict(), model.unet.state_dict())
        same(loaded.text_encoders[0].state_dict(), model.text_encoders[0].state_dict())
        places = [each for each in loaded.text_encoders[0].buffers() if each.dtype == torch.int64]
        assert not any(each.is_meta for each in places)
    (folder / "unet/config.json").write_text('{"layers_per_block": 1000000000}')
    with pytest.raises(ModelError, match="layers_per_block"):
        load_stable_diffusion(folder)
    (folder / "unet/config.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match="cannot be read"):
        load_stable_diffusion(folder)


@pytest.fixture(scope="module")
def sam_state(tmp_path_factory):
    return read_state_dict(write_sam(tmp_path_factory.mktemp("sam") / "sam_vit_b.pth"))


OTHERS = {
    "HQ-SAM": lambda state: {**state, "mask_decoder.hf_token.weight": torch.ones(1, 256)},
    "SAM 2": lambda _: {"image_encoder.trunk.pos_embed": torch.ones(1, 96, 7, 7)},
    "MobileSAM": lambda state: {
        **{key: value for key, value in state.items() if "image_encoder" not in key},
        "image_encoder.patch_embed.seq.0.c.weight": torch.ones(32, 3, 3, 3),
    },
    "transformers' layout": lambda _: {
        "vision_encoder.patch_embed.projection.weight": torch.ones(768, 3, 16, 16)
    },
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_kinds_of_segment_anything_are_named(tmp_path, sam_state, kind):
    torch.save({"model": OTHERS[kind](sam_state)}, tmp_path / "a.pt")
    with pytest.raises(ModelError, match=f"it is .*{kind}"):
        load_sam(tmp_path / "a.pt")


def test_a_segment_anything_that_was_trained_further_is_read(tmp_path, sam_state):
    wrapped = {"model_state_dict": {f"module.{k}": v.half() for k, v in sam_state.items()}}
    torch.save(wrapped, tmp_path / "tuned.pt")
    loaded = load_sam(tmp_path / "tuned.pt").state_dict()
    assert all(torch.equal(loaded[key], value.half().float()) for key, value in sam_state.items())


@pytest.fixture(scope="module")
def clip_state():
    import open_clip

    torch.manual_seed(0)
    return open_clip.CLIP(**open_clip.get_model_config("ViT-S-32-alt")).state_dict()


def test_openais_archives_bring_their_activation(tmp_path, clip_state):
    beside = {"input_resolution": 224, "context_length": 77, "vocab_size": 49408}
    numbers = {key: torch.tensor(value) for key, value in beside.items()}
    write_archive({**clip_state, **numbers}, tmp_path / "openai.pt")
    save_file(clip_state, tmp_path / "other.safetensors")
    one, other = (
        load_clip(f"ViT-S-32-alt:{tmp_path / name}").model
        for name in ("openai.pt", "other.safetensors")
    )
    same(one.state_dict(), clip_state)
    kinds = [type(each.visual.transformer.resblocks[0].mlp.gelu).__name__ for each in (one, other)]
    assert kinds == ["QuickGELU", "GELU"]


def test_a_clip_of_another_layout_or_cut_off_is_told(tmp_path, clip_state):
    save_file({"vision_model.embeddings.x": torch.ones(8)}, tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match="CLIP in transformers' layout"):
        load_clip(f"ViT-S-32-alt:{tmp_path / 'a.safetensors'}")
    torch.save(clip_state, tmp_path / "b.pt")
    whole = (tmp_path / "b.pt").read_bytes()
    (tmp_path / "b.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot be read"):
        load_clip(f"ViT-S-32-alt:{tmp_path / 'b.pt'}")
