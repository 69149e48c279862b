"""Work on an unchanged picture is done once: results live as long as the model they came from."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch

from ..refdiff_core.cache import PictureCache

MOST_BYTES = 128 * 2**20
"""Of one model's results, on the CPU: the embeddings of about thirty pictures."""

_caches: WeakKeyDictionary[Any, PictureCache] = WeakKeyDictionary()


def cache_of(model: Any) -> PictureCache:
    """The cache of a loaded model, the same for every node that uses it.

    Nodes keep no state, and ComfyUI hands a node other tensors than before when anything ahead of
    it has changed; the cache tells pictures apart by their content.
    """
    return _caches.setdefault(model, PictureCache(MOST_BYTES, torch.device("cpu")))
