"""The cross-attention layers of a diffusers U-Net: which are read, and how they are recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Lock, RLock
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from ..seeing.capture import Capture, PassComplete
from .families import Family


def layers_on(unet: nn.Module, factor: int) -> list[str]:
    """Names of the cross-attention layers whose grid is the latent grid divided by ``factor``."""
    levels = len(unet.config["block_out_channels"])  # type: ignore[index]
    names = [name for name, _ in unet.named_modules() if name.endswith(".attn2")]
    return [name for name in names if _factor(name, levels) == factor]


def layers_read(unet: nn.Module, family: Family, *, even: bool = True) -> dict[str, float]:
    """The layers whose attention is read, and what each counts for; see `Family.shares`."""
    on_grid = partial(layers_on, unet)
    return family.shares(on_grid, lambda name: name.startswith("up_blocks"), even=even)


def _factor(layer: str, levels: int) -> int:
    block, _, rest = layer.partition(".")
    index = rest.partition(".")[0]
    halvings = {
        "down_blocks": lambda: int(index),
        "up_blocks": lambda: levels - 1 - int(index),
        "mid_block": lambda: levels - 1,
    }
    return int(2 ** halvings[block]())


@contextmanager
def capturing(unet: nn.Module, capture: Capture) -> Iterator[None]:
    """Record a denoiser's cross-attention while the block runs, then leave it as it was.

    Forward hooks on the projections see the queries and keys that the layer computes anyway, so
    nothing is computed twice and any attention back end may do the rest.
    """
    # one at a time: another thread's pass would be recorded, too
    with one_at_a_time(unet), ExitStack() as hooks:
        for name, block in _transformers(unet):
            _watch(name, block, capture, hooks)
        try:
            yield
        except PassComplete as done:
            done.release()


_locks: WeakKeyDictionary[nn.Module, RLock] = WeakKeyDictionary()
_lock_of_locks = Lock()


def one_at_a_time(denoiser: nn.Module) -> RLock:
    """Held by the thread whose pass a denoiser's hooks are for."""
    with _lock_of_locks:
        return _locks.setdefault(denoiser, RLock())


def _transformers(unet: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in unet.named_modules():
        if hasattr(module, "transformer_blocks"):
            yield name, module


def _watch(name: str, transformer: nn.Module, capture: Capture, hooks: ExitStack) -> None:
    """Note the grid that a transformer is handed, and its layers' queries and keys."""
    seen: dict[str, Any] = {}

    def grid(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        seen["grid"] = (hidden.shape[-2], hidden.shape[-1])

    def query(_module: nn.Module, _args: Any, output: Tensor) -> None:
        seen["query"] = output

    def key(layer: str, heads: int) -> Callable[..., None]:
        def record(_module: nn.Module, _args: Any, output: Tensor) -> None:
            capture.record(layer, seen.pop("query"), output, heads=heads, grid_hw=seen["grid"])

        return record

    def own_key(layer: str) -> Callable[..., None]:
        def record(_module: nn.Module, _args: Any, output: Tensor) -> None:
            capture.record_self(layer, seen.pop("query"), output)

        return record

    handles = [transformer.register_forward_pre_hook(grid, with_kwargs=True)]
    for index, block in enumerate(transformer.transformer_blocks):  # type: ignore[arg-type]
        layer, attention = f"{name}.transformer_blocks.{index}.attn2", block.attn2
        if layer in capture.pending:
            handles.append(attention.to_q.register_forward_hook(query))
            handles.append(attention.to_k.register_forward_hook(key(layer, attention.heads)))
        if layer in capture.pending and capture.reads_self:
            handles.append(block.attn1.to_q.register_forward_hook(query))
            handles.append(block.attn1.to_k.register_forward_hook(own_key(layer)))
    for handle in handles:
        hooks.callback(handle.remove)
