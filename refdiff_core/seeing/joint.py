"""Reading words where text and picture attend together, as in transformer checkpoints.

A transformer's attention has text and picture in one sequence ("joint"), or the picture asks the
text as in a U-Net ("cross"). A host adapter shows `JointReader` every attention call of the pass;
the reader finds the blocks that are asked for by the lengths of the calls and records them.

Sources of the readings: softmax over all keys, Seg4Diff (arXiv 2509.18096, code) and the U-Net's
own; output space, ConceptAttention (arXiv 2502.04320, code).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import SCORES_AT_ONCE
from .capture import Capture

READINGS = ("all", "text", "output")
"""How places are compared with words: see `JointReader`."""


@dataclass(frozen=True)
class Layout:
    """Where an attention call keeps the words and the places of the picture.

    length: L, keys in all. image: the first place among the queries. text: where the
    conditioning's first token lies among the keys. grid_hw: (h, w), the picture's places.
    cross: queries are places only, keys text only.
    """

    length: int
    image: int
    text: int
    grid_hw: tuple[int, int]
    cross: bool = False

    @property
    def places(self) -> slice:
        """The picture's places among the queries, row by row."""
        return slice(self.image, self.image + self.grid_hw[0] * self.grid_hw[1])

    def holds(self, query: Tensor, key: Tensor) -> bool:
        """Whether a call with queries and keys (B, heads, tokens, d) is one of these."""
        h, w = self.grid_hw
        return (query.shape[2], key.shape[2]) == (h * w if self.cross else self.length, self.length)


@dataclass
class JointReader:
    """Sees every attention call of a pass and records the n-th that fits the layout as block n.

    capture: takes the maps; its layers are named "0", "1", ... . layout: of the calls.
    weights: float32 (B, L, G) from `word_weights`, of all keys. text: bool (B, L), the keys that
    belong to the expression. reading: "all" for the softmax over all keys; "text" for one over the
    expression's own tokens, so that nothing is lost to sinks such as padding; "output" for what
    ConceptAttention does, a softmax over the same tokens of the likeness of attention's outputs.
    """

    capture: Capture
    layout: Layout
    weights: Tensor
    text: Tensor
    reading: str = "all"
    blocks: int = 0

    def see(
        self, query: Tensor, key: Tensor, attend: Callable[[], Tensor], mask: Tensor | None = None
    ) -> Tensor:
        """One attention call: note what is asked for, and give what ``attend`` gives.

        Args:
            query: (B, heads, S, d).
            key: (B, heads or fewer, L, d).
            attend: the call itself; gives (B, S, heads * d), or (B, heads, S, d).
            mask: the call's own, boolean or added to the scores, (..., S or 1, L) or None.

        Raises:
            PassComplete: after the last block asked for.
        """
        if not self.layout.holds(query, key):
            return attend()
        name, self.blocks = str(self.blocks), self.blocks + 1
        if name not in self.capture.pending:
            return attend()
        if self.reading == "output":
            output = attend()
            self._keep(name, query, key, self._likeness(output))
            return output
        self._keep(name, query, key, self._attention(query, key, mask))
        return attend()

    def _attention(self, query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
        q = query[:, :, self.layout.places]
        k = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
        rows = _rows(mask, self.layout.places, query.shape[2])
        if self.reading == "text":
            return attention_among(q, k, self.weights, self.text, rows)
        return attention_over_all(q, k, self.weights, rows)

    def _likeness(self, output: Tensor) -> Tensor:
        out = output.transpose(1, 2).flatten(2) if output.ndim == 4 else output
        places = out[:, self.layout.places]
        return likeness(places, out[:, : self.layout.length], self.weights, self.text)

    def _keep(self, name: str, query: Tensor, key: Tensor, maps: Tensor) -> None:
        places, heads = self.layout.places, query.shape[1]
        if self.capture.propagation and not self.layout.cross:
            k = key.repeat_interleave(heads // key.shape[1], 1)
            own = (each[:, :, places].transpose(1, 2).flatten(2) for each in (query, k))
            self.capture.record_self(name, *own)
        self.capture.keep(name, maps, heads=heads, grid_hw=self.layout.grid_hw)


def attention_over_all(
    query: Tensor, key: Tensor, weights: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Attention of every place to every word among all keys, averaged over heads and pieces.

    The words' columns take the place of the values in the host's own fast attention, so that
    nothing of the size places x keys is ever held.

    Args:
        query: (B, heads, T, d). key: (B, heads, L, d).
        weights: float32 (B, L, G) from `word_weights`.
        mask: (..., T or 1, L), boolean or added to the scores, or None.

    Returns:
        float32 (B, G, T), probabilities.
    """
    size, count = query.shape[-1], weights.shape[-1]
    maps = []
    for columns in weights.to(query).split(size, -1):
        # fast attention wants values as wide as keys
        values = F.pad(columns, (0, size - columns.shape[-1]))[:, None]
        total: Tensor | float = 0.0
        for at in _heads_at_once(query):
            own = values.expand(-1, len(range(*at.indices(query.shape[1]))), -1, -1)
            rows = mask[:, at] if mask is not None and mask.shape[1] > 1 else mask
            out = F.scaled_dot_product_attention(query[:, at], key[:, at], own, attn_mask=rows)
            total = total + out[..., : columns.shape[-1]].float().sum(1)
        maps.append(total)
    return (torch.cat(maps, -1) / query.shape[1]).transpose(1, 2)[:, :count]


def attention_among(
    query: Tensor, key: Tensor, weights: Tensor, tokens: Tensor, mask: Tensor | None = None
) -> Tensor:
    """As `attention_over_all`, among some of the keys only: no others are looked at.

    Args:
        tokens: bool (B, L), which keys count.
    """
    columns, closed = _columns(tokens, query.device)
    k = key[:, :, columns].float()
    picked = weights.to(query.device)[:, columns]
    rows = max(1, SCORES_AT_ONCE // (k.shape[0] * k.shape[1] * k.shape[2]))
    maps = []
    for start in range(0, query.shape[2], rows):
        part = slice(start, start + rows)
        scores = query[:, :, part].float() * query.shape[-1] ** -0.5 @ k.transpose(-1, -2)
        if mask is not None:
            own = mask[..., part, columns] if mask.shape[-2] > 1 else mask[..., columns]
            scores = (
                scores.masked_fill(~own, -torch.inf) if own.dtype == torch.bool else scores + own
            )
        scores = scores.masked_fill(closed[:, None, None], -torch.inf).softmax(-1)
        maps.append(scores.mean(1) @ picked)
    return torch.cat(maps, 1).transpose(1, 2)


def likeness(places: Tensor, output: Tensor, weights: Tensor, tokens: Tensor) -> Tensor:
    """How much a place's attention output is like a word's, against the expression's other tokens.

    Args:
        places: (B, T, heads * d), the places' outputs.
        output: (B, L, heads * d), the outputs where the keys lie.
        weights: float32 (B, L, G) from `word_weights`.
        tokens: bool (B, L), the expression's.

    Returns:
        float32 (B, G, T), probabilities.

    Source: ConceptAttention, arXiv 2502.04320: dot products of outputs, softmax over concepts.
    Concepts are tokens of their own there; here they are the expression's.
    """
    columns, closed = _columns(tokens, output.device)
    scores = places.float() @ output[:, columns].float().transpose(1, 2)
    scores = scores.masked_fill(closed[:, None], -torch.inf).softmax(-1)
    return (scores @ weights.to(output.device)[:, columns]).transpose(1, 2)


def _columns(tokens: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which keys count for any text, int64 (C,), and which of them not for this one (B, C)."""
    columns = tokens.any(0).nonzero().flatten()
    return columns.to(device), ~tokens[:, columns].to(device)


def _rows(mask: Tensor | None, places: slice, length: int) -> Tensor | None:
    """The places' rows of a mask, with dimensions for batch and heads in front."""
    if mask is None:
        return None
    while mask.ndim < 4:
        mask = mask[None] if mask.ndim == 2 else mask[:, None]
    return mask[:, :, places] if mask.shape[2] == length and length > 1 else mask


def _heads_at_once(query: Tensor) -> list[slice]:
    """Parts of the heads whose outputs take about as much memory as scores may."""
    per_head = query.shape[0] * query.shape[2] * query.shape[3]
    count = max(1, SCORES_AT_ONCE // 2 // per_head)
    return [slice(at, at + count) for at in range(0, query.shape[1], count)]
