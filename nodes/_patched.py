"""Reading attention modules that ComfyUI hands no options to, so that no override sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ..refdiff_core.backends.transformer_families import Transformer
from ..refdiff_core.seeing.joint import JointReader

Pair = tuple[Tensor, Tensor]


def patched_clone(model: Any, reader: JointReader, family: Transformer) -> Any:
    """A clone whose blocks that are read show their queries and keys to a reader.

    By object patches of the modules' ``forward``, which the host undoes; another pack's patch
    there still does the work.
    """
    clone = model.clone()
    for block in sorted(reader.capture.pending):
        path = f"diffusion_model.{family.stack}.{block}.{family.attention}"
        module, inner = (clone.get_model_object(each) for each in (path, f"{path}.forward"))
        clone.add_object_patch(f"{path}.forward", _watch(module, inner, reader, block))
    return clone


def _watch(
    module: nn.Module, inner: Callable[..., Tensor], reader: JointReader, block: str
) -> Callable[..., Tensor]:
    inputs = _INPUTS[type(module).__name__]

    def forward(*args: Any, **kwargs: Any) -> Tensor:
        query, key = inputs(module, *args, **kwargs)
        return reader.see(query, key, lambda: inner(*args, **kwargs), block=block)

    return forward


def _of_pixart(module: Any, places: Tensor, text: Tensor, _mask: Any = None) -> Pair:
    """The text's rows lie one after the other in one."""
    key = module.kv_linear(text).chunk(2, -1)[0].reshape(len(places), -1, module.d_model)
    query = module.q_linear(places)
    return _by_head(query, module.num_heads), _by_head(key, module.num_heads)


def _of_ernie(
    module: Any, sequence: Tensor, attention_mask: Any = None, image_rotary_emb: Any = None
) -> Pair:
    shape = (*sequence.shape[:2], module.heads, module.head_dim)
    query = module.norm_q(module.to_q(sequence).view(shape))
    key = module.norm_k(module.to_k(sequence).view(shape))
    if image_rotary_emb is not None:
        import comfy.quant_ops  # not in ComfyUI 0.3.64, nor is Ernie

        rotate = comfy.quant_ops.ck.apply_rope_split_half
        query, key = rotate(query, key, image_rotary_emb)
    return query.transpose(1, 2), key.transpose(1, 2)


def _by_head(rows: Tensor, heads: int) -> Tensor:
    return rows.unflatten(-1, (heads, -1)).transpose(1, 2)


_INPUTS: dict[str, Callable[..., Pair]] = {
    "MultiHeadCrossAttention": _of_pixart,
    "ErnieImageAttention": _of_ernie,
}
"""From what a module is called with to queries and keys (B, heads, S, d), by its class."""
