"""Work on an unchanged picture is done once: results live as long as the picture does."""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

Result = TypeVar("Result")

_kept: WeakIdKeyDictionary = WeakIdKeyDictionary()


class PictureMemo:
    """What has been computed of one picture of an IMAGE batch.

    ComfyUI hands the very same IMAGE tensor to a node again as long as nothing before the node
    has changed. Results are held by that tensor and go when it goes.

    Args:
        batch: the tensor that ComfyUI holds, not a slice or a copy of it.
        index: the picture's place in it.
    """

    def __init__(self, batch: Tensor, index: int) -> None:
        self._batch = batch
        self._index = index

    def once(
        self, kind: str, model: Any, key: tuple[Any, ...], compute: Callable[[], Result]
    ) -> Result:
        """What ``compute`` gives for this picture, model and key; one result per kind is kept.

        Args:
            kind: what it is.
            model: what computes; held weakly.
            key: whatever else the result depends on.
            compute: called when there is no such result yet.
        """
        kept = _kept.setdefault(self._batch, {})
        # for nodes that change their input in place, which they should not; PyTorch's own version
        # counter is not there for tensors made in inference mode
        pixels = self._batch[self._index].detach().cpu().contiguous().numpy()
        stamp = (zlib.crc32(pixels), *key)
        found = kept.get((kind, self._index))
        if found is not None and found[0]() is model and found[1] == stamp:
            return found[2]
        result = compute()
        kept[kind, self._index] = (weakref.ref(model), stamp, result)
        return result
