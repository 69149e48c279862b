"""CLIP's own byte-pair encoding, and the few of its words that training texts use."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from open_clip import SimpleTokenizer
from torch import Tensor, nn

from refdiff_core.demo.architectures import VOCABULARY

START, END = 49_406, 49_407
SHORT, FULL = 24, 77


class Words:
    """Turns texts into rows of a small table that holds the words in use only.

    The full table has 49,408 rows, of which training touches a few dozen; leaving the
    others out makes a step faster and changes nothing else.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._tokenizer = SimpleTokenizer()
        self._known: dict[str, list[int]] = {}
        used = {START, END}.union(*(self.encode(text) for text in texts))
        self._hold(sorted(used))

    @classmethod
    def all(cls) -> Words:
        """CLIP's whole vocabulary, for models with the full table."""
        words = cls([])
        words._hold(list(range(VOCABULARY)))
        return words

    def _hold(self, ids: list[int]) -> None:
        self.ids = torch.tensor(ids)
        self._row_of = {word: row for row, word in enumerate(ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def encode(self, text: str) -> list[int]:
        """Word ids of CLIP's vocabulary, without start and end."""
        if text not in self._known:
            self._known[text] = self._tokenizer.encode(text)
        return self._known[text]

    def rows(self, texts: Sequence[str], length: int = FULL, padding: int = END) -> Tensor:
        """Rows of the small table, int64 (B, length), padded with the end word."""
        table = torch.full((len(texts), length), self._row_of.get(padding, 0))
        for line, text in zip(table, texts, strict=True):
            words = [START, *self.encode(text)[: length - 2], END]
            line[: len(words)] = torch.tensor([self._row_of[word] for word in words])
        return table


def small_table(count: int, width: int, deviation: float = 0.02) -> nn.Embedding:
    """A table of ``count`` words, initialised as CLIP's is."""
    table = nn.Embedding(count, width)
    nn.init.normal_(table.weight, std=deviation)
    return table
