"""A clone of a MODEL whose cross-attention is recorded while the model does its own work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor, nn

from ..refdiff_core.backends.original_layout import Place
from ..refdiff_core.errors import UnavailableError
from ..refdiff_core.seeing.capture import Capture


@dataclass(frozen=True)
class Asked:
    """What the layers are handed before any other pack has changed it.

    rows: expressions in the pass. tokens: of each text. grid_hw: places of the layers; of the
    latents, until it is known which layer is meant.
    """

    rows: int
    tokens: int
    grid_hw: tuple[int, int]

    def on(self, factor: int) -> Asked:
        """The same where the latent grid is divided by ``factor``."""
        return replace(self, grid_hw=(self.grid_hw[0] // factor, self.grid_hw[1] // factor))

    def fits(self, query: Tensor, key: Tensor) -> bool:
        """Whether queries and keys are the text's own: a row per expression, a key per token."""
        places = self.grid_hw[0] * self.grid_hw[1]
        return query.shape[:2] == (self.rows, places) and key.shape[:2] == (self.rows, self.tokens)


def recording_clone(
    model: Any, layers: dict[Place, tuple[nn.Module, int]], capture: Capture, asked: Asked
) -> Any:
    """A clone of the model whose cross-attention at these layers is recorded.

    "attn2" patches are given that layer's own queries and keys and nothing else, so they need no
    guess at which call is which; another pack's patch at the same place (IPAdapter's, say) still
    does the work, and one for all of attention ("optimized_attention_override") still sees it.
    """
    clone = model.clone()
    options = clone.model_options["transformer_options"]
    replaced = options.get("patches_replace", {})
    kinds = ("attn2", "attn1") if capture.reads_self else ("attn2",)
    there = {kind: dict(replaced.get(kind, {})) for kind in kinds}
    before = _Before()
    if options.get("patches", {}).get("attn2_patch"):
        clone.set_model_attn2_patch(before)
        # ahead of the others: it keeps what they are about to change
        patches = clone.model_options["transformer_options"]["patches"]["attn2_patch"]
        patches.insert(0, patches.pop())
    for kind in kinds:
        for layer, (block, factor) in layers.items():
            # ComfyUI looks for a patch of the very layer first, then for one of its whole block
            inner = there[kind].get(layer, there[kind].get(layer[:2], _attend))
            patch = _Recorder(kind, layer, block, capture, asked.on(factor), before, inner)
            clone.set_model_patch_replace(patch, kind, *layer)
    return clone


@dataclass(eq=False)
class _Before:
    """An attn2 patch that changes nothing and keeps places and text for the layer it precedes."""

    seen: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __call__(
        self, places: Tensor, text: Tensor, value: Tensor, _extra: dict[str, Any]
    ) -> tuple[Tensor, Tensor, Tensor]:
        self.seen[:] = [(places, text)]
        return places, text, value

    def __deepcopy__(self, _memo: Any) -> _Before:
        """ComfyUI 0.3.64 copies patches with the model; what is kept must arrive here."""
        return self


@dataclass(eq=False)
class _Recorder:
    """A patch that records what a layer attends to and leaves the work to the one that was there.

    kind: "attn2" for attention to the words, "attn1" for that of places to one another.
    layer: where it is. block: the transformer's block there. capture: takes the queries and keys.
    asked: what they are like. before: what the layer was handed, where other packs change that.
    inner: does the layer's work.
    """

    kind: str
    layer: Place
    block: Any
    capture: Capture
    asked: Asked
    before: _Before
    inner: Callable[..., Tensor]

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, extra: dict[str, Any]) -> Tensor:
        seen_hw, grid_hw = tuple(extra["activations_shape"][-2:]), self.asked.grid_hw
        if seen_hw != grid_hw:
            raise UnavailableError(
                f"The model works on a grid of {seen_hw[1]} x {seen_hw[0]} where {grid_hw[1]} x "
                f"{grid_hw[0]} was expected. Connect the model before the node that changes its "
                "size, such as tiling or down-scaling."
            )
        if self.kind == "attn1":
            self._record_self(q, k)
        else:
            own = self._own(q, k)
            self.capture.record(str(self.layer), *own, heads=extra["n_heads"], grid_hw=grid_hw)
        return self.inner(q, k, v, extra)

    def _own(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        """The text's own queries and keys, also where another pack adds rows or tokens."""
        kept = self.before.seen.pop() if self.before.seen else None
        if self.asked.fits(query, key):
            return query, key
        if kept is not None and self.asked.fits(*kept):
            return self.block.attn2.to_q(kept[0]), self.block.attn2.to_k(kept[1])
        raise UnavailableError(
            f"Another node has changed what the model reads: {len(key)} texts of {key.shape[1]} "
            f"tokens where {self.asked.rows} of {self.asked.tokens} were expected. "
            + _CONNECT_BEFORE
        )

    def _record_self(self, query: Tensor, key: Tensor) -> None:
        places = (self.asked.rows, self.asked.grid_hw[0] * self.asked.grid_hw[1])
        if query.shape[:2] != places or key.shape[:2] != places:
            raise UnavailableError(
                f"Another node has changed the model's self-attention: {tuple(key.shape[:2])} "
                f"rows and places where {places} were expected. " + _CONNECT_BEFORE
            )
        self.capture.record_self(str(self.layer), query, key)

    def __deepcopy__(self, _memo: Any) -> _Recorder:
        """ComfyUI 0.3.64 copies patches with the model; what is recorded must arrive here."""
        return self

    def to(self, device: Any, *args: Any) -> _Recorder:
        """ComfyUI moves patches that hold tensors with the model."""
        if hasattr(self.inner, "to"):
            self.inner = self.inner.to(device, *args)
        return self

    def models(self) -> list[Any]:
        """ComfyUI loads the models of patches that have some."""
        return self.inner.models() if hasattr(self.inner, "models") else []


_CONNECT_BEFORE = (
    "Connect the model before that node, such as regional prompts or a token merger; it may do "
    "the painting all the same."
)


def _attend(q: Tensor, k: Tensor, v: Tensor, extra: dict[str, Any]) -> Tensor:
    """What the layer would have done without a patch."""
    precision = extra["attn_precision"]
    heads = extra["n_heads"]
    return optimized_attention(q, k, v, heads, attn_precision=precision, transformer_options=extra)
