"""What has been computed of a picture, kept for the next question about it.

A cache belongs to one model, in a backend object that owns it or beside the model where several
share it (`nodes`), so that a result is never mistaken for another model's and goes when the model
goes. Pictures are told apart by their content, not by their name or place.
Several threads may share a cache.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from threading import Lock
from typing import NamedTuple

import torch
from torch import Tensor

from .grid import bring


class PictureCache:
    """Results within a bound; those used least recently leave first.

    Args:
        max_bytes: what all results may take together; 0 keeps none.
        device: where they are kept; None leaves them where they were computed.

    Attributes:
        hits: questions answered from here. misses: those that were not.
        bytes: what the results take now.
    """

    def __init__(self, max_bytes: int, device: torch.device | None = None) -> None:
        self.max_bytes = max_bytes
        self.device = device
        self.hits = 0
        self.misses = 0
        self.bytes = 0
        self._kept: OrderedDict[Hashable, tuple[Tensor, ...]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def __repr__(self) -> str:
        size = f"{self.bytes / 2**20:.1f} of {self.max_bytes / 2**20:.0f} MiB"
        return f"PictureCache({len(self)} results, {size}, {self.hits} hits, {self.misses} misses)"

    def clear(self) -> None:
        """Let everything go."""
        with self._lock:
            self._kept.clear()
            self.bytes = 0

    def get(self, key: Hashable) -> tuple[Tensor, ...] | None:
        """The result kept by this name, None where there is none. Not to be written to."""
        with self._lock:
            if key not in self._kept:
                self.misses += 1
                return None
            self.hits += 1
            self._kept.move_to_end(key)
            return self._kept[key]

    def put(self, key: Hashable, *result: Tensor) -> None:
        """Keep a result by this name; one larger than the whole cache is let go."""
        held = tuple(self._compact(each) for each in result)
        with self._lock:
            self.bytes -= _size(self._kept.pop(key, ()))
            if _size(held) > self.max_bytes:
                return
            self._kept[key] = held
            self.bytes += _size(held)
            while self.bytes > self.max_bytes:
                self.bytes -= _size(self._kept.popitem(last=False)[1])

    def once(self, key: Hashable, compute: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """What ``compute`` gives; it is called where nothing is kept by this name."""
        found = self.get(key)
        if found is None:
            found = compute()
            self.put(key, *found)
        return found

    def _compact(self, values: Tensor) -> Tensor:
        """Where results are kept, without the rest of a larger tensor that it may be a part of."""
        values = values.detach().to(self.device or values.device)
        return values if values.untyped_storage().nbytes() == values.nbytes else values.clone()


def _size(result: tuple[Tensor, ...]) -> int:
    return sum(each.nbytes for each in result)


class Hashed(NamedTuple):
    """A picture, and what reads it for its `fingerprint`, at most once."""

    picture: Tensor
    fingerprint: Callable[[], bytes]


_known: ContextVar[tuple[Hashed, ...]] = ContextVar("known", default=())


def hashed(picture: Tensor) -> Hashed:
    """A picture that is read for its fingerprint when that is first asked for.

    It must not be written to while this is used.
    """
    known = (each for each in _known.get() if each.picture is picture)
    return next(known, None) or Hashed(picture, cache(lambda: _digest(picture)))


@contextmanager
def knowing(*pictures: Hashed) -> Iterator[None]:
    """While the block runs, in this thread, these have their fingerprints from here."""
    token = _known.set((*pictures, *_known.get()))
    try:
        yield
    finally:
        _known.reset(token)


@contextmanager
def hashed_once(picture: Tensor, device: torch.device) -> Iterator[Tensor]:
    """The picture on a device; while the block runs, it is read but once for its `fingerprint`.

    It must not be written to meanwhile.
    """
    moved = bring(picture, device)
    with knowing(Hashed(moved, hashed(picture).fingerprint)):
        yield moved


def fingerprint(values: Tensor) -> bytes:
    """32 bytes that stand for a tensor's shape, type and content."""
    return hashed(values).fingerprint()


def _digest(values: Tensor) -> bytes:
    array = values.detach().cpu().contiguous().numpy()
    digest = hashlib.sha256(f"{array.shape} {array.dtype}".encode())
    digest.update(array.data)
    return digest.digest()
