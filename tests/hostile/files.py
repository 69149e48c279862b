"""Damaged pictures, model files and masks: whole numbers, or one error of ours."""

import io
import json
import pickle
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from damage import damaged
from safetensors.torch import save as to_safetensors

from refdiff_core.backends.clip_models import load_clip
from refdiff_core.backends.sam_models import load_sam
from refdiff_core.backends.weights import read_state_dict
from refdiff_core.demo.models import DENOISER_FILE
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.pictures.images import load_image
from refdiff_core.pictures.masks import load_masks

# --- pictures ---------------------------------------------------------------------------

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "PCX", "DIB", "SGI")
MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16", "I", "F", "YCbCr")
EXACT = {("PNG", "RGB"), ("PNG", "RGBA"), ("BMP", "RGB"), ("TIFF", "RGB"), ("PPM", "RGB")}


def _drawn() -> PIL.Image.Image:
    return PIL.Image.fromarray(sample_scene(HELD_OUT_SEED + 3, size_hw=(96, 160)).image)


def _written(picture: PIL.Image.Image, kind: str, mode: str) -> bytes:
    content = io.BytesIO()
    if mode == "I;16":
        picture = picture.convert("L").convert("I")
    picture.convert(mode).save(content, kind)
    return content.getvalue()


def pictures(rng: random.Random, folder: Path):
    """Every format and mode of one scene, whole and damaged; and what is no picture at all."""
    scene, path = _drawn(), folder / "picture"
    wanted = torch.from_numpy(np.array(scene)).float() / 255
    whole = {}
    for kind in FORMATS:
        for mode in MODES:
            try:
                whole[kind, mode] = _written(scene, kind, mode)
            except (OSError, ValueError, KeyError):
                continue
    names = list(whole)

    def check(exact):
        found = load_image(path)
        if found.ndim != 3 or found.shape[-1] != 3 or found.dtype != torch.float32:
            return f"{tuple(found.shape)} of {found.dtype}"
        if not (found.isfinite().all() and found.min() >= 0 and found.max() <= 1):
            return "values beyond [0, 1]"
        return "another picture" if exact and not torch.equal(found, wanted) else None

    for number in range(10**9):
        name = names[number % len(names)]
        exact = number < len(names)
        content = whole[name] if exact else damaged(whole[name], rng)
        path.write_bytes(content)
        yield f"{name} {number}", lambda exact=exact and name in EXACT: check(exact)


# --- model files ------------------------------------------------------------------------


def _small():
    generator = torch.Generator().manual_seed(0)
    shapes = {"a.weight": (8, 4), "b.bias": (9,), "c.d.weight": (3, 2, 2)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def _saved(state, zipped: bool = True) -> bytes:
    content = io.BytesIO()
    torch.save(state, content, _use_new_zipfile_serialization=zipped)
    return content.getvalue()


class _Runs:
    """Becomes a call of what a file must never call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return (open, (str(self.folder / "RAN"), "w"))


def _archive(data: bytes, rng: random.Random) -> bytes:
    """A zip of the right names around a pickle of somebody's own."""
    content = io.BytesIO()
    packing = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(content, "w", packing) as archive:
        archive.writestr("m/data.pkl", data)
        archive.writestr("m/data/0", bytes(rng.choice((0, 16, 10**6))))
    return content.getvalue()


def _claims(rng: random.Random) -> bytes:
    """A safetensors head of somebody's own."""
    size = rng.choice((0, 4, 2**31, 2**62, -4))
    entry = {
        "dtype": rng.choice(("F32", "F16", "BOOL", "F8_E4M3", "X", 7)),
        "shape": rng.choice(([1], [2**31, 2**31], [-1], [], "1", [0], [10**30])),
        "data_offsets": rng.choice(([0, size], [size, 0], [0], [0, 4])),
    }
    head = json.dumps({"a": entry, "__metadata__": rng.choice(({}, {"a": "b"}, 3))}).encode()
    length = rng.choice((len(head), 2**63, len(head) + 10**6))
    return struct.pack("<Q", length) + head + bytes(4)


_OPCODES = (
    b"r\xff\xff\xff\x7f", b"\x96" + struct.pack("<Q", 2**40), b"\x8e" + struct.pack("<Q", 2**40),
    b"\x8b" + struct.pack("<i", 2**31 - 1), b"(" * 500, b"]" * 500 + b"a" * 499, b"\x82\x01",
    b"cos\nsystem\n(S'touch RAN'\ntR", b"cbuiltins\neval\n(S'1'\ntR", b"X\xff\xff\xff\x7fa",
)  # fmt: skip


def models(rng: random.Random, folder: Path):
    """Files of weights, whole, damaged and made to harm, for each of the three loaders."""
    state, path = _small(), folder / "model.pt"
    plain = {"zip": _saved({"state_dict": state}), "old": _saved(state, False)}
    plain["safetensors"] = to_safetensors(state)
    evil = {"state_dict": {**state, "x": _Runs(folder)}}
    makes = (
        *[lambda each=each: damaged(each, rng) for each in plain.values()],
        lambda: _saved(evil, rng.random() < 0.5),
        lambda: damaged(_saved(evil, rng.random() < 0.5), rng),
        lambda: _archive(b"\x80\x02" + rng.choice(_OPCODES) + b".", rng),
        lambda: _archive(damaged(pickle.dumps(evil), rng), rng),
        lambda: b"\x80\x02" + rng.choice(_OPCODES) + b".",
        lambda: _claims(rng),
    )

    def read(whole):
        found = read_state_dict(path)
        if not all(isinstance(each, torch.Tensor) for each in found.values()):
            return "no tensors"
        same = found.keys() == state.keys() and all(torch.equal(found[k], state[k]) for k in state)
        return "other weights" if whole and not same else None

    def load(loader):
        loader()
        return "a model out of eight numbers"

    loaders = (lambda: load_sam(path), lambda: load_clip(f"ViT-B-32:{path}"))
    for content in plain.values():
        path.write_bytes(content)
        yield "whole", lambda: read(True)
    for number in range(10**9):
        path.write_bytes(makes[number % len(makes)]())
        if number % 10 == 9:
            yield f"loader {number}", lambda at=number: load(loaders[at // 10 % 2])
        else:
            yield f"file {number}", lambda: read(False)


def checkpoints(rng: random.Random, folder: Path):
    """The demo checkpoint with weights damaged, missing, of other shapes, or none at all."""
    from safetensors.torch import load_file, save_file

    from refdiff_core.backends.checkpoints import load_stable_diffusion

    whole, path = load_file(DENOISER_FILE), folder / "checkpoint.safetensors"
    names = sorted(whole)

    def spoil():
        state = dict(whole)
        for name in rng.sample(names, rng.choice((1, 1, 5, 100))):
            value = state.pop(name)
            change = rng.randrange(6)
            if change == 0:
                state[name] = torch.full_like(value, rng.choice((torch.nan, torch.inf)))
            elif change == 1:
                state[name] = value[..., :1].contiguous()
            elif change == 2:
                state[name] = value.flatten()
            elif change == 3:
                state[f"{name}.more"] = value
        return state

    for number in range(10**9):
        save_file(spoil(), path)

        def load():
            model = load_stable_diffusion(path)
            broken = [n for n, v in model.unet.state_dict().items() if not v.isfinite().all()]
            return f"loaded with {broken[:1]}" if broken else None

        yield f"checkpoint {number}", load


# --- masks ------------------------------------------------------------------------------


def masks(rng: random.Random, folder: Path):
    """Arrays and pictures of masks, whole and damaged."""
    square = np.zeros((2, 6, 10))
    square[0, 1:4, 2:7] = 1
    square[1, :3] = 1
    wanted = torch.from_numpy(square > 0)
    kinds = ("bool", "uint8", "int16", "float16", "float64", ">f4")
    whole = []
    for kind in kinds:
        for scale in (1, 255):
            content = io.BytesIO()
            np.save(content, (square * scale).astype(kind))
            whole.append(content.getvalue())
    archive = io.BytesIO()
    np.savez(archive, square)
    path = folder / "masks.npy"

    def check(exact):
        found = load_masks(path)
        if found.dtype != torch.bool or found.ndim != 3:
            return f"{tuple(found.shape)} of {found.dtype}"
        return "other masks" if exact and not torch.equal(found, wanted) else None

    def claim():
        shape = rng.choice(((10**9, 10**9), (2**63, 1, 1), (-1, 2, 2), (0, 5, 5), (3,), "x"))
        head = {"descr": rng.choice(("<f8", "|O", "<M8[s]", "|V9", "<c16")), "fortran_order": False}
        text = repr({**head, "shape": shape}).encode().ljust(117) + b"\n"
        return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + bytes(64)

    for content in whole:
        path.write_bytes(content)
        yield "whole", lambda: check(True)
    makes = (lambda: damaged(rng.choice(whole), rng), claim, archive.getvalue)
    for number in range(10**9):
        path.write_bytes(makes[number % 3]())
        yield f"array {number}", lambda: check(False)
