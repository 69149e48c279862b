"""Several pictures through an encoder in one pass, though each is answered by itself.

Who has several pictures says so by `together`. Where a model must encode one of them, `encode`
takes along some that come after it and keeps each where its own turn will look for it; so nothing
else knows of it, and no picture's answer waits for another's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import dropwhile, islice

import torch
from torch import Tensor

from .cache import Hashed, PictureCache, fingerprint, hashed, knowing
from .grid import WORKING_SIDE, bring
from .values import Image

MOST = 8
"""Pictures of one pass: Segment Anything's cache holds nine with their grids' masks."""

BUDGET = 6 * 2**30
"""Bytes that a pass may take: what the published schedule's one picture of 1024 x 1024 takes in the
autoencoder in float32. docs/speed-gpu.md has 8.8 GiB at that size, 2.8 of them weights."""

AUTOENCODER = 1767
"""Values that an autoencoder holds at once for a pixel, as ComfyUI reckons it (comfy/sd.py)."""


class Lot:
    """Pictures that are answered one after the other, in this order.

    Args:
        pictures: as `refdiff_core.pictures.images.check_image` gives them; not to be written to
            while they are here. Those so large that models see a copy of them are left out.
        at_once: how many go through an encoder in one pass; None for what `pictures_at_once` says.
    """

    def __init__(self, pictures: Sequence[Image], at_once: int | None = None) -> None:
        self.pictures = [hashed(each) for each in pictures if max(each.shape) <= WORKING_SIDE]
        self.at_once = at_once


_nothing = Lot([])
_lot: ContextVar[Lot] = ContextVar("lot", default=_nothing)


@contextmanager
def together(lot: Lot) -> Iterator[None]:
    """While the block runs, in this thread, what has to be encoded takes others of a lot along."""
    token = _lot.set(lot)
    try:
        with knowing(*lot.pictures):
            yield
    finally:
        _lot.reset(token)


def pictures_at_once(device: torch.device, cost: int = 1) -> int:
    """How many pictures to encode in one pass: on a processor one (docs/together.md).

    On CUDA what fits `BUDGET` and half of the memory that is free, `MOST` at most; elsewhere, where
    none can be told to be free, one.

    Args:
        device: where the encoder is.
        cost: bytes that a picture takes in it.
    """
    if device.type != "cuda":
        return 1
    free = torch.cuda.mem_get_info(device)[0]
    # what torch keeps for itself without using it
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return max(1, min(MOST, min(BUDGET, free // 2) // cost))


def encode(
    cache: PictureCache,
    image: Image,
    key: Callable[[Image], Hashable],
    pixels: Callable[[Image], Tensor],
    run: Callable[[Tensor], Tensor],
    *,
    values: int,
    device: torch.device | None = None,
) -> Tensor:
    """A picture's result (1, ...), kept or new; with a new one, those of pictures to come.

    Args:
        cache: where results are kept.
        image: float32 (H, W, 3).
        key: what a picture's result is kept by beside its fingerprint; those with another one are
            not taken along.
        pixels: a picture as the encoder sees it, (1, 3, h, w).
        run: encodes B of them to (B, ...).
        values: held at once for a pixel of what the encoder sees, of the pixels' type.
        device: where it runs, if pixels are brought there later.
    """
    name = (fingerprint(image), key(image))
    kept = cache.get(name)
    if kept is not None:
        return kept[0]
    batch = {name: pixels(image)}
    cost = values * batch[name][0, 0].nbytes
    for other, digest in _behind(name[0], device or batch[name].device, cost):
        own = (digest(), key(other))
        # a result takes less than its pixels: none is thrown out before its turn
        room = (len(batch) + 1) * batch[name].nbytes <= cache.max_bytes
        if own[1] == name[1] and room and own not in cache:
            batch[own] = pixels(bring(other, image.device))
    rows: Sequence[Tensor] = _run(list(batch.values()), run).split(1)
    for own, row in zip(batch, rows, strict=False):
        cache.put(own, row)
    if len(rows) < len(batch):  # what there was no room for once is not tried again
        _lot.get().at_once = 1
    return rows[0]


def _behind(digest: bytes, device: torch.device, cost: int) -> Iterator[Hashed]:
    """The pictures of the lot after that of a fingerprint, as many as may go with it."""
    lot = _lot.get()
    most = (lot.at_once or pictures_at_once(device, cost)) if lot.pictures else 1
    if most > 1:
        rest = dropwhile(lambda each: each.fingerprint() != digest, lot.pictures)
        yield from islice(rest, 1, most)


def _run(pixels: Sequence[Tensor], run: Callable[[Tensor], Tensor]) -> Tensor:
    """All in one pass, or the first alone where there is no memory for that."""
    if len(pixels) > 1:
        try:
            return run(torch.cat(list(pixels)))
        except RuntimeError:  # as each back end tells of it; if it is another, it will come again
            pass
    return run(pixels[0])
