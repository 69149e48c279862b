"""Reading words where text and picture attend together, as in transformer checkpoints.

A transformer's attention has text and picture in one sequence ("joint"), or the picture asks the
text as in a U-Net ("cross"). A host adapter shows `JointReader` every attention call of the pass;
the reader finds the blocks that are asked for by the lengths of the calls and records them.

Sources of the readings: softmax over all keys, Seg4Diff (arXiv 2509.18096, code) and the U-Net's
own; over the text's tokens, RefAM (arXiv 2509.22650, its figure); likeness of outputs, the measure
of ConceptAttention (arXiv 2502.04320, code), but of the prompt's own tokens: see `likeness`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import SCORES_AT_ONCE
from .capture import Capture, in_single
from .log_sum_exp import attend_and_sum

READINGS = ("all", "text", "output")
"""How places are compared with words: see `JointReader`."""


@dataclass(frozen=True)
class TokenLayout:
    """Where an attention call keeps the words and the places of the picture.

    image: the first place among the queries. text: where the conditioning's first token lies among
    the keys. tokens: of the conditioning. grid_hw: (h, w), the picture's places.
    cross: queries are places only, keys text only, ``keys`` of them; the places then ask each
        other first and the text ``asks`` times afterwards, block by block.
    """

    image: int
    text: int
    tokens: int
    grid_hw: tuple[int, int]
    cross: bool = False
    keys: int = 0
    asks: int = 1

    @property
    def places(self) -> slice:
        """The picture's places among the queries, row by row."""
        return slice(self.image, self.image + self.grid_hw[0] * self.grid_hw[1])

    @property
    def calls(self) -> int:
        """Calls of a block that have these lengths; the last of them has the text.

        Where there are as many places as tokens, places among themselves look like the text.
        """
        return self.asks + (self.cross and self.places.stop == self.keys)

    def holds(self, query: Tensor, key: Tensor) -> bool:
        """Whether a call with queries and keys (B, heads, tokens, d) has both text and picture.

        Calls of one of them alone, as in refiners, are too short; what else may stand in the
        sequence, such as padding or another picture, makes it longer.
        """
        places, keys = query.shape[2], key.shape[2]
        if self.cross:
            return bool(places == self.places.stop and keys == self.keys)
        return bool(places == keys >= max(self.places.stop, self.text + self.tokens))


@dataclass
class JointReader:
    """Sees every attention call of a pass and records the n-th that fits the layout as block n.

    capture: takes the maps; its layers are named "0", "1", ... . layout: of the calls.
    weights: float32 (B, tokens, G) from `word_weights`. said: bool (B, tokens), which tokens of
    the text are no padding. reading: "all" for the softmax over all keys; "text" for one over the
    text that was said, so that nothing is lost to padding and other sinks; "output" for a softmax
    over the same tokens of how alike attention's outputs are.
    """

    capture: Capture
    layout: TokenLayout
    weights: Tensor
    said: Tensor
    reading: str = "all"
    calls: int = 0

    def see(
        self,
        query: Tensor,
        key: Tensor,
        attend: Callable[[], Tensor],
        mask: Tensor | None = None,
        *,
        block: str | None = None,
        fused: Callable[[], Tensor] | None = None,
    ) -> Tensor:
        """One attention call: note what is asked for, and give what ``attend`` gives.

        Args:
            query: (B, heads, S, d).
            key: (B, heads or fewer, L, d).
            attend: the call itself; gives (B, S, heads * d), or (B, heads, S, d).
            mask: the call's own, boolean or added to the scores, (..., S or 1, L) or None.
            block: which block's it is, where that is known; else calls are counted.
            fused: the same by torch's own kernels, where that may be done in place of ``attend``
                for the sake of the sums that they give.

        Raises:
            PassComplete: after the last block asked for.
        """
        if not self.layout.holds(query, key):
            return attend()
        name = self._counted() if block is None else block
        if name not in self.capture.pending:
            return attend()
        if self.reading == "text":
            self._keep(name, query, key, lambda: self._among_text(query, key, mask))
            return attend()
        if self.reading == "output":
            output = attend()
            self._keep(name, query, key, lambda: self._likeness(output))
            return output
        output, sums = attend_and_sum(fused or attend, query, key)
        self._keep(name, query, key, lambda: self._among_all(query, key, mask, sums))
        return output

    def _counted(self) -> str | None:
        """The block that a call which fits is of; None for all but the last of its calls."""
        self.calls += 1
        block, more = divmod(self.calls, self.layout.calls)
        return None if more else str(block - 1)

    @property
    def _text(self) -> slice:
        return slice(self.layout.text, self.layout.text + self.layout.tokens)

    def _among_text(self, query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
        q, k, rows = self._of_the_words(query, key, mask)
        return attention_among(q, k, self.weights, self.said, rows)

    def _among_all(
        self, query: Tensor, key: Tensor, mask: Tensor | None, sums: Tensor | None
    ) -> Tensor:
        if sums is not None:
            q, k, rows = self._of_the_words(query, key, mask)
            read = self.weights.any(-1)
            return attention_among(q, k, self.weights, read, rows, sums[:, :, self.layout.places])
        q, rows = query[:, :, self.layout.places], _rows(mask, self.layout.places, query.shape[2])
        weights = F.pad(self.weights, (0, 0, self._text.start, key.shape[2] - self._text.stop))
        return attention_over_all(q, _for_all_heads(key, query), weights, rows)

    def _of_the_words(
        self, query: Tensor, key: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The places' queries, the text's keys, and what the mask says of the two."""
        rows = _rows(mask, self.layout.places, query.shape[2])
        k = _for_all_heads(key[:, :, self._text], query)
        own = rows if rows is None else rows[..., self._text]
        return query[:, :, self.layout.places], k, own

    def _likeness(self, output: Tensor) -> Tensor:
        out = output.transpose(1, 2).flatten(2) if output.ndim == 4 else output
        return likeness(out[:, self.layout.places], out[:, self._text], self.weights, self.said)

    def _keep(self, name: str, query: Tensor, key: Tensor, read: Callable[[], Tensor]) -> None:
        with in_single(query.device.type):
            maps = read()
        if self.capture.propagation and not self.layout.cross:
            pair = (query, _for_all_heads(key, query))
            places = (each[:, :, self.layout.places].transpose(1, 2).flatten(2) for each in pair)
            self.capture.record_self(name, *places)
        self.capture.keep(name, maps, heads=query.shape[1], grid_hw=self.layout.grid_hw)


def _for_all_heads(key: Tensor, query: Tensor) -> Tensor:
    return key.repeat_interleave(query.shape[1] // key.shape[1], 1)


def attention_over_all(
    query: Tensor, key: Tensor, weights: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Attention of every place to every word among all keys, averaged over heads and pieces.

    The words' columns take the place of the values in torch's own fast attention, so that nothing
    of the size places x keys is ever held. Costs as much as the attention itself: for where its
    sums are not to be had.

    Args:
        query: (B, heads, T, d).
        key: (B, heads, L, d).
        weights: float32 (B, L, G) from `word_weights`.
        mask: (..., T or 1, L), boolean or added to the scores, or None.

    Returns:
        float32 (B, G, T), probabilities.
    """
    words = weights.to(query).split(query.shape[-1], -1)  # at most as many as values are wide
    maps = [_attend_to(query, key, columns, mask) for columns in words]
    return (torch.cat(maps, -1) / query.shape[1]).transpose(1, 2)


def _attend_to(query: Tensor, key: Tensor, columns: Tensor, mask: Tensor | None) -> Tensor:
    """Attention with words for values, summed over heads: float32 (B, T, G)."""
    # fast attention wants values as wide as keys
    values = F.pad(columns, (0, query.shape[-1] - columns.shape[-1]))[:, None]
    total = torch.zeros(len(query), query.shape[2], columns.shape[-1], device=query.device)
    for at in _heads_at_once(query):
        q, k = query[:, at], key[:, at]
        rows = mask[:, at] if mask is not None and mask.shape[1] > 1 else mask
        shared = values.expand(-1, q.shape[1], -1, -1)
        out = F.scaled_dot_product_attention(q, k, shared, attn_mask=rows)
        total += out[..., : columns.shape[-1]].float().sum(1)
    return total


def attention_among(
    query: Tensor,
    key: Tensor,
    weights: Tensor,
    said: Tensor,
    mask: Tensor | None = None,
    sums: Tensor | None = None,
) -> Tensor:
    """As `attention_over_all`, but of some of the keys only.

    Args:
        query: (B, heads, T, d).
        key: (B, heads, L, d).
        weights: float32 (B, L, G) from `word_weights`.
        said: bool (B, L), which keys count.
        mask: as there.
        sums: float32 (B, heads, T), the log-sum-exp of each query's scores with all the keys that
            there are, if the softmax is over those and not over the ones that count.

    Returns:
        float32 (B, G, T), probabilities.
    """
    columns, closed = _columns(said, query.device)
    k, picked = key[:, :, columns].float(), weights.to(query.device)[:, columns]
    rows = max(1, SCORES_AT_ONCE // (k.shape[0] * k.shape[1] * max(1, k.shape[2])))
    maps = []
    for start in range(0, query.shape[2], rows):
        part = slice(start, start + rows)
        scores = query[:, :, part].float() * query.shape[-1] ** -0.5 @ k.transpose(-1, -2)
        if mask is not None:
            own = mask[..., part, :] if mask.shape[-2] > 1 else mask
            scores = _masked(scores, own[..., columns])
        scores = scores.masked_fill(closed[:, None, None], -torch.inf)
        shares = scores.softmax(-1) if sums is None else (scores - sums[:, :, part, None]).exp()
        maps.append(shares.mean(1) @ picked)
    return torch.cat(maps, 1).transpose(1, 2)


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask


def likeness(places: Tensor, words: Tensor, weights: Tensor, said: Tensor) -> Tensor:
    """How much a place's attention output is like a word's, against the text's other tokens.

    Args:
        places: (B, T, heads * d), the outputs of the picture's places.
        words: (B, L, heads * d), those of the text's tokens.
        weights: float32 (B, L, G) from `word_weights`.
        said: bool (B, L), which tokens count.

    Returns:
        float32 (B, G, T), probabilities.

    Source: the measure of ConceptAttention, arXiv 2502.04320: dot products of outputs, softmax over
    concepts. What is compared is another thing: its concepts are single words beside the prompt,
    each encoded alone, which ask the picture and one another and which nothing asks. Here they are
    the prompt's own tokens, which text and picture have mixed with all others.
    """
    columns, closed = _columns(said, words.device)
    scores = places.float() @ words[:, columns].float().transpose(1, 2)
    scores = scores.masked_fill(closed[:, None], -torch.inf).softmax(-1)
    return (scores @ weights.to(words.device)[:, columns]).transpose(1, 2)


def _columns(said: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which keys count for any text, int64 (C,), and which of them not for this one (B, C)."""
    columns = said.any(0).nonzero().flatten()
    return columns.to(device), ~said[:, columns].to(device)


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
