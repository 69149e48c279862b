"""Attention from a transformer checkpoint (SD 3, Flux, Z-Image, ...) through diffusers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..seeing.joint import JointReader


class watching(TorchFunctionMode):  # noqa: N801 - used as `with watching(reader):`
    """Shows a reader every attention call of the pass that runs inside the block.

    All of diffusers' transformers call `scaled_dot_product_attention`, after position and
    normalisation are in queries and keys; so no model is patched and nothing needs undoing. Of
    this thread only. Its native attention back end, which is the default, is what calls it.
    """

    def __init__(self, reader: JointReader) -> None:
        super().__init__()
        self.reader = reader

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is not F.scaled_dot_product_attention:
            return func(*args, **given)
        named = dict(zip(("query", "key", "value", "attn_mask"), args, strict=False)) | given

        def attend() -> Tensor:
            result: Tensor = func(*args, **given)
            return result

        # our own calls inside are no part of the pass: torch leaves the mode while it handles one
        return self.reader.see(named["query"], named["key"], attend, named.get("attn_mask"))
