"""Weights in torch's pickled files, read without running anything that is in them.

torch.load(weights_only=True) runs a TorchScript archive's code before torch 2.6, and refuses what
people have: training checkpoints that name their callbacks' classes, OpenAI's archives of CLIP.
Here every class that a file names is a stand-in that only holds what it is given, and no read is
larger than the file.

Source of the layouts: torch/serialization.py and torch/csrc/jit/serialization, as documented there.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

MAGIC = 0x1950A86A20F9469CFC6C
"""The number that begins a file of torch before 1.6."""

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}


def read_archive(path: Path) -> object:
    """What a zip archive of torch.save or of TorchScript holds; modules are mappings.

    Raises:
        Exception: of any kind, where the file is damaged or is none.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        entries = {each.filename: each for each in archive.infolist()}
        name = next((each for each in entries if each.endswith("data.pkl")), None)
        if name is None:
            raise ValueError("an archive without data.pkl")
        place = name.removesuffix("data.pkl")
        order = entries.get(f"{place}byteorder")
        if order is not None and _entry(file, order) == b"big":
            raise ValueError("written by a big-endian machine")

        def fetch(key: str, dtype: torch.dtype, _count: int) -> Tensor:
            return _as_tensor(_entry(file, entries[f"{place}data/{key}"]), dtype)

        return _Unpickler(io.BytesIO(_entry(file, entries[name])), fetch).load()


def read_legacy(path: Path) -> object:
    """What a file of torch before 1.6 holds: pickles one after another, then the numbers.

    Raises:
        Exception: of any kind, where the file is damaged or is none.
    """
    storages: dict[str, Tensor] = {}
    left = path.stat().st_size

    def reserve(key: str, dtype: torch.dtype, count: int) -> Tensor:
        nonlocal left
        left -= count * dtype.itemsize
        if count < 0 or left < 0:
            raise ValueError("more numbers than the file is long")
        return storages.setdefault(key, torch.zeros(count, dtype=dtype))

    with path.open("rb") as file:
        head = [_Unpickler(file, reserve).load() for _ in range(3)]
        if head[0] != MAGIC:
            raise ValueError("no file of torch's")
        found, keys = _Unpickler(file, reserve).load(), _Unpickler(file, reserve).load()
        for key in keys:
            (count,) = struct.unpack("<q", file.read(8))
            content = storages[key].view(torch.uint8).numpy().data
            if count != len(storages[key]) or file.readinto(content) != len(content):
                raise ValueError("it ends too early")
    return found


def _entry(file: IO[bytes], info: zipfile.ZipInfo) -> bytearray:
    """An entry as it lies there: torch packs nothing, so that none is larger than the file."""
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > info.compress_size:
        raise ValueError(f"'{info.filename}' is compressed")
    file.seek(info.header_offset)
    name, extra = struct.unpack("<26xHH", file.read(30))
    file.seek(name + extra, 1)
    content = bytearray(min(info.file_size, Path(file.name).stat().st_size))
    if file.readinto(content) != info.file_size:  # type: ignore[attr-defined]
        raise ValueError("it ends too early")
    return content


def _as_tensor(content: bytearray, dtype: torch.dtype) -> Tensor:
    count = len(content) // dtype.itemsize
    if not count:
        return torch.zeros(0, dtype=dtype)
    return torch.frombuffer(content, dtype=dtype, count=count)


class Inert(dict[Any, Any]):
    """Stands in for whatever class a file names: holds what it is given and does nothing."""

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        if isinstance(state, Mapping):
            self.update(state)

    def _ignore(self, *_args: object) -> None:
        pass

    append = extend = add = _ignore
    __hash__ = object.__hash__  # type: ignore[assignment]


Fetch = Callable[[str, torch.dtype, int], Tensor]


class _Unpickler(pickle._Unpickler):
    """Python's own, in Python: the one in C lets a few bytes reserve gigabytes.

    Args:
        file: holds the pickle.
        fetch: gives a storage by key, type and count.
    """

    # these reserve what a file asks for, or name code by number
    dispatch = {
        code: run
        for code, run in pickle._Unpickler.dispatch.items()
        if bytes([code]) not in (pickle.BYTEARRAY8, pickle.EXT1, pickle.EXT2, pickle.EXT4)
    }

    def __init__(self, file: Any, fetch: Fetch) -> None:
        super().__init__(file, encoding="latin1")
        self._fetch = fetch
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """The few things that weights are made of; a stand-in for all else."""
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch.storage" and name == "UntypedStorage":
            return torch.uint8
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if module == "torch._utils" and name in _REBUILD:
            return _REBUILD[name]
        return OrderedDict if (module, name) == ("collections", "OrderedDict") else Inert

    def persistent_load(self, pid: Any) -> Tensor:
        """A storage: ("storage", type, key, place, count, ...)."""
        _, dtype, key, _, count = pid[:5]
        if not isinstance(dtype, torch.dtype):
            raise ValueError("numbers of an unknown type")
        if key not in self._storages:
            self._storages[key] = self._fetch(key, dtype, count)
        return self._storages[key]


def _tensor(storage: Tensor, offset: int, size: Any, stride: Any, *_: object) -> Tensor:
    size, stride = tuple(size), tuple(stride)
    # a stride of 0 would make much of little
    if math.prod(size) > storage.numel():
        raise ValueError("a tensor larger than its numbers")
    return torch.as_strided(storage, size, stride, offset)


def _typed_tensor(
    storage: Tensor, offset: int, size: Any, stride: Any, _grad: object, _hooks: object,
    dtype: torch.dtype, *_: object,
) -> Tensor:  # fmt: skip
    return _tensor(storage.view(torch.uint8).view(dtype), offset, size, stride)


def _parameter(data: Tensor, *_: object) -> Tensor:
    return data


_REBUILD: dict[str, Callable[..., Tensor]] = {
    "_rebuild_tensor": _tensor,
    "_rebuild_tensor_v2": _tensor,
    "_rebuild_tensor_v3": _typed_tensor,
    "_rebuild_parameter": _parameter,
    "_rebuild_parameter_with_state": _parameter,
}
