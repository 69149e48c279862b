"""What every reader of attention does, whichever host or library runs the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from ..seeing.attention import attention_map
from ..values import AttentionMap, Expression
from .tokens import Text, batches, words_to_read

Positions = list[list[tuple[int, ...]]]
"""For each expression, for each of its words, where its tokens stand."""


def read_in_batches(
    expressions: Sequence[Expression],
    texts: Sequence[Text],
    read_rows: Callable[[list[int], Positions], Tensor],
    size_hw: tuple[int, int],
    *,
    most: int,
    competing: bool,
) -> list[AttentionMap]:
    """One map per expression, read in as few passes as their lengths allow.

    Args:
        expressions: E of them.
        texts: their tokens.
        read_rows: one pass: from some rows' numbers and their words' positions to the words' maps,
            float32 (rows, G, h, w), G the largest number of words among them.
        size_hw: the picture's (H, W).
        most: rows in one pass.
        competing: see `attention_map`.
    """
    words = [words_to_read(*pair) for pair in zip(expressions, texts, strict=True)]
    maps: dict[int, Tensor] = {}
    for rows in batches([each.chunks for each in texts], most):
        positions = [[places for _, places in words[row]] for row in rows]
        maps |= zip(rows, read_rows(rows, positions), strict=True)
    return [
        attention_map(
            expression,
            [word for word, _ in found],
            maps[row][: len(found)],  # a batch is as wide as its longest expression
            size_hw,
            competing=competing,
        )
        for row, (expression, found) in enumerate(zip(expressions, words, strict=True))
    ]
