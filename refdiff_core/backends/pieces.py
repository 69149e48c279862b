"""Which tokens stand for which characters of a text, by one rule for every text encoder.

A token's piece of the vocabulary says which bytes it stands for. Joined, without blanks and in
lower case, the pieces hold the text's own bytes somewhere after a template's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from ..values import Word

_BLANKS = b" \t\r\n"
_BYTE_LEVEL = ("\u0120the", "the</w>")


@dataclass(frozen=True)
class Placed:
    """Where an expression's characters are among the tokens that a model reads.

    characters: for each character of the expression, the places that stand for it.
    said: the places that are no padding. length: of the text as the model reads it.
    """

    characters: tuple[tuple[int, ...], ...]
    said: tuple[int, ...]
    length: int

    @property
    def chunks(self) -> int:
        """Its length, by which texts are told apart that cannot share a pass."""
        return self.length

    def positions(self, word: Word) -> tuple[int, ...]:
        """Where a word's pieces stand."""
        return tuple(sorted(set().union(*self.characters[word.start : word.end])))


class Vocabulary:
    """The pieces of a tokenizer's vocabulary.

    Args:
        pieces: by id, as text in any of the usual ways of writing, or as bytes.
        special: ids that stand for nothing that was said.
    """

    def __init__(self, pieces: Mapping[int, Any], special: Collection[int] = ()) -> None:
        self.pieces, self.special = pieces, frozenset(special)
        self.byte_level = any(piece in _BYTE_LEVEL for piece in pieces.values())

    def piece(self, token: Any) -> bytes:
        """The bytes that a token stands for; none for special ones and for embeddings."""
        if not isinstance(token, int) or token in self.special:
            return b""
        return _surface(self.pieces.get(token, ""), self.byte_level)

    def spell(self, tokens: Sequence[Any]) -> list[bytes]:
        """The bytes of every token."""
        return [self.piece(token) for token in tokens]


def squeeze(text: str) -> bytes:
    """A text as pieces spell it: composed letters, no blanks, lower case."""
    return _squeeze(unicodedata.normalize("NFC", text).lower().encode())


def _surface(piece: Any, byte_level: bool) -> bytes:
    if isinstance(piece, bytes):
        return _squeeze(piece)
    if byte_level:
        letters = piece.removesuffix("</w>")
        raw = b"".join(bytes([_BYTES[c]]) if c in _BYTES else c.encode() for c in letters)
        return _squeeze(raw)
    if len(piece) == 6 and piece.startswith("<0x"):
        return _squeeze(bytes([int(piece[3:5], 16)]))
    return _squeeze(piece.replace("\u2581", " ").encode())


def _squeeze(raw: bytes) -> bytes:
    return raw.lower().translate(None, _BLANKS)


def _byte_alphabet() -> dict[str, int]:
    """The letters that byte-level tokenizers write bytes as."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(256 + index): byte for index, byte in enumerate(others)}


_BYTES = _byte_alphabet()


def align(pieces: Sequence[bytes], text: str) -> list[set[int]]:
    """For each character of a text the pieces that it is in; the text is looked for at the end."""
    joined = b"".join(pieces)
    owner = [index for index, piece in enumerate(pieces) for _ in piece]
    wanted, source = b"", []
    for index, character in enumerate(text):
        own = squeeze(character)
        wanted += own
        source += [index] * len(own)
    found: list[set[int]] = [set() for _ in text]
    at = joined.rfind(wanted) if wanted else -1
    pairs = [(k, at + k) for k in range(len(wanted))] if at >= 0 else _agreeing(wanted, joined)
    for said, spelt in pairs:
        found[source[said]].add(owner[spelt])
    return found


def _agreeing(wanted: bytes, joined: bytes) -> list[tuple[int, int]]:
    """What agrees, in order: around an unknown letter, an embedding, a weight."""
    matcher = SequenceMatcher(None, wanted, joined, autojunk=False)
    return [
        (block.a + k, block.b + k)
        for block in matcher.get_matching_blocks()
        for k in range(block.size)
    ]
