"""What a softmax divides by, from the host's own fast attention, which finds it on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_ATEN = torch.ops.aten
_FUSED = {
    getattr(_ATEN, name).default
    for name in (
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_efficient_attention",
    )
    if hasattr(_ATEN, name)
}
"""Kernels whose second result is the natural log-sum-exp of every query's scores."""


def gives_sums(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> bool:
    """Whether torch would attend by a kernel that gives `attend_and_sum` its sums.

    Args:
        query: (B, heads, S, d).
        key: (B, heads, L, d).
        value: (B, heads, L, d).
        mask: added to the scores, (S or 1, L), (B, S or 1, L) or with heads, or None; hosts do not
            agree on others, such as boolean ones.
    """
    known = query.device.type in ("cpu", "cuda")
    if not known or (mask is not None and mask.dtype != query.dtype):
        return False
    rows = mask[:, None] if mask is not None and mask.ndim == 3 else mask
    return bool(torch._fused_sdp_choice(query, key, value, rows) == _FLASH)


_FLASH = 1
"""torch's number for the flash kernels; the others give sums for training only, or none."""


def attend_and_sum(
    attend: Callable[[], Tensor], query: Tensor, key: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Run an attention call as it is, and give its log-sum-exp where torch computes that anyhow.

    Args:
        attend: the call.
        query: (B, heads, S, d), whose sums are asked for.
        key: (B, heads or fewer, L, d).

    Returns:
        What ``attend`` gives, bit for bit; and float32 (B, heads, S), or None where attention is
        not torch's own, or not of just these queries and keys.
    """
    with _Listening(query, key) as listening:
        output = attend()
    return output, listening.found


class _Listening(TorchDispatchMode):
    def __init__(self, query: Tensor, key: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.wanted = query, key
        self.found: Tensor | None = None

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is _ATEN.scaled_dot_product_attention.default:
            # in inference mode it arrives whole: which kernel it takes is seen one step further in
            with self:
                return func.decompose(*args, **given)
        result = func(*args, **given)
        if func in _FUSED and self._fits(args, given.get("scale")):
            sums, places = result[1], self.wanted[0].shape[2]
            # one kernel fills it up; where it was not asked for, it is empty
            self.found = sums[..., :places] if sums.numel() else None
        return result

    def _fits(self, args: Sequence[Any], scale: float | None) -> bool:
        usual = self.wanted[0].shape[-1] ** -0.5
        same = all(_same(*pair) for pair in zip(args, self.wanted, strict=False))
        return same and (scale is None or abs(scale - usual) < 1e-6 * usual)


def _same(tensor: Tensor, other: Tensor) -> bool:
    places = (tensor.data_ptr(), tensor.shape, tensor.stride())
    return places == (other.data_ptr(), other.shape, other.stride())
