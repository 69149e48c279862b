"""Recording the words' attention inside any host's forward pass.

A host adapter calls `Capture.record` with the queries and keys of a layer and lets the rest of
the layer run as it would have. When the last layer asked for has been seen, `record` raises
`PassComplete`, which the adapter catches around the whole pass: what comes after is never
computed. Patching the host, and undoing it, is the adapter's work.
"""

from __future__ import annotations

import traceback
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from ..settings import AttentionSettings
from .attention import even, merge_layers, resize, spread, word_attention


class PassComplete(Exception):  # noqa: N818 - a signal, not an error
    """Every layer asked for has been recorded; the forward pass may end here."""

    def release(self) -> None:
        """Let go of the pass's activations.

        The frames of its traceback hold them for as long as anything holds the exception, on
        Python 3.12 for longer than its handler runs.
        """
        traceback.clear_frames(self.__traceback__)
        self.__traceback__ = None


class Capture:
    """The words' attention at chosen layers of one forward pass, for B expressions at once.

    Args:
        layers: names of the layers to record, as the host adapter calls them; with what each
            counts for, or else all alike.
        weights: float32 (B, L, G) from `refdiff_core.seeing.attention.word_weights`.
        logits: record logits instead of probabilities.
        stop: end the pass with `PassComplete` after the last layer.
        propagation: how many times a layer's maps are spread along its self-attention, which the
            adapter then hands to `record_self` as well.
        finest: spread the mean along the self-attention of the finest grid's layers; likewise.
        even: bring every layer and every word to the same scale before the mean.
    """

    def __init__(
        self,
        layers: Mapping[str, float] | Collection[str],
        weights: Tensor,
        *,
        logits: bool = False,
        stop: bool = True,
        propagation: int = 0,
        finest: bool = False,
        even: bool = False,
    ) -> None:
        self.pending = set(layers)
        self._shares = dict(layers) if isinstance(layers, Mapping) else dict.fromkeys(layers, 1.0)
        self._even = even
        self.propagation = propagation
        self.finest = finest
        self._self: dict[str, tuple[Tensor, Tensor]] = {}
        self._along: list[tuple[tuple[int, int], Tensor, Tensor, int]] = []
        self._weights = weights
        self._logits = logits
        self._stop = stop
        self._maps: dict[str, Tensor] = {}

    @classmethod
    def of_unet(
        cls, layers: Mapping[str, float], weights: Tensor, look: AttentionSettings
    ) -> Capture:
        """What the settings ask of a U-Net.

        Args:
            layers: to record, with what each counts for.
            weights: as above.
            look: how attention is read.
        """
        times, finest = look.propagation, look.finest
        return cls(layers, weights, propagation=times, finest=finest, even=look.even)

    @property
    def reads_self(self) -> bool:
        """Whether self-attention is wanted, too."""
        return self.propagation > 0 or self.finest

    def record_self(self, layer: str, query: Tensor, key: Tensor) -> None:
        """Take the self-attention that precedes a layer's cross-attention.

        Args:
            layer: the name that `record` will be given.
            query: (B, h * w, heads * d).
            key: (B, h * w, heads * d).
        """
        if layer in self.pending and self.reads_self:
            self._self[layer] = (query, key)

    def record(
        self, layer: str, query: Tensor, key: Tensor, *, heads: int, grid_hw: tuple[int, int]
    ) -> None:
        """Take one layer's attention; layers that were not asked for are ignored.

        Args:
            layer: the layer's name.
            query: (B, h * w, heads * d).
            key: (B, L, heads * d).
            heads: number of attention heads.
            grid_hw: (h, w), from the host: never guessed from the number of places.

        Raises:
            PassComplete: after the last layer asked for.
        """
        if layer not in self.pending:
            return
        h, w = grid_hw
        if query.shape[1] != h * w:
            raise ValueError(f"layer {layer}: {query.shape[1]} places do not form a {h} x {w} grid")
        with in_single(query.device.type):
            maps = word_attention(query, key, heads, self._weights, logits=self._logits)
            self.keep(layer, maps, heads=heads, grid_hw=grid_hw)

    def keep(self, layer: str, maps: Tensor, *, heads: int, grid_hw: tuple[int, int]) -> None:
        """Take one layer's maps, computed elsewhere, such as by `refdiff_core.seeing.joint`.

        Args:
            layer: the layer's name.
            maps: float32 (B, G, h * w).
            heads: of the self-attention that maps are spread along.
            grid_hw: (h, w).

        Raises:
            PassComplete: after the last layer asked for.
        """
        if self.reads_self:
            seen = self._self.pop(layer)
            for _ in range(self.propagation):
                maps = spread(maps, *seen, heads)
            if self.finest:
                self._keep_finest((grid_hw, *seen, heads))
        self._maps[layer] = maps.unflatten(-1, grid_hw)
        self.pending.discard(layer)
        if self._stop and not self.pending:
            raise PassComplete

    def _keep_finest(self, new: tuple[tuple[int, int], Tensor, Tensor, int]) -> None:
        finest = max(cells[0] * cells[1] for cells, *_ in (*self._along, new))
        self._along = [each for each in (*self._along, new) if each[0][0] * each[0][1] == finest]

    def word_maps(self) -> Tensor:
        """The mean over the recorded layers, on the grid of those that count most.

        Spread along the finest grid's self-attention, it lies on that grid.

        Returns:
            float32 (B, G, h, w), where the model is.
        """
        if self.pending:
            raise RuntimeError(f"layers never seen in the forward pass: {sorted(self.pending)}")
        maps = [even(each) if self._even else each for each in self._maps.values()]
        merged = merge_layers(maps, [self._shares[layer] for layer in self._maps])
        if not self._along:
            return merged
        return torch.stack([_spread_on(merged, *each) for each in self._along]).mean(0)

    @property
    def layer_maps(self) -> dict[str, Tensor]:
        """What each layer gave: float32 (B, G, h_i, w_i) by layer name."""
        return dict(self._maps)


def _spread_on(
    maps: Tensor, grid_hw: tuple[int, int], query: Tensor, key: Tensor, heads: int
) -> Tensor:
    brought = resize(maps, grid_hw).flatten(-2)
    return spread(brought, query, key, heads).view(*maps.shape[:-2], *grid_hw)


def in_single(device: str) -> AbstractContextManager[object]:
    """A host may run its pass in autocast, which would halve the precision of maps as well."""
    return torch.autocast(device, enabled=False) if device in ("cpu", "cuda") else nullcontext()
