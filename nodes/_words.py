"""Which tokens of a conditioning stand for which words, by one rule for every text encoder.

A token's piece of the vocabulary says which bytes it stands for. Joined, without blanks and in
lower case, the pieces hold the expression's own bytes somewhere after a template's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any
from weakref import WeakKeyDictionary

from ..refdiff_core.errors import UnavailableError
from ..refdiff_core.values import Word

Token = tuple[Any, ...]
"""(id or vector, weight, ...), as ComfyUI's tokenizers give them."""

_CLIP = ("l", "g", "h", "byt5")
_BLANKS = b" \t\r\n"
_BYTE_LEVEL = ("\u0120the", "the</w>")
_vocabularies: WeakKeyDictionary[Any, _Vocabulary] = WeakKeyDictionary()


@dataclass(frozen=True)
class Placed:
    """Where an expression's characters are among the tokens of its conditioning.

    characters: for each character of the expression, the places that stand for it.
    said: the places that are no padding. length: of the text as the model reads it.
    """

    characters: tuple[tuple[int, ...], ...]
    said: tuple[int, ...]
    length: int

    def positions(self, word: Word) -> tuple[int, ...]:
        """Where a word's pieces stand."""
        return tuple(sorted(set().union(*self.characters[word.start : word.end])))


def place_words(
    clip: Any,
    groups: dict[str, list[list[Token]]],
    empty: dict[str, list[list[Token]]],
    text: str,
    length: int,
    keys: Sequence[str] = (),
) -> Placed:
    """Find a text's characters among the tokens that a conditioning was made of.

    Args:
        clip: ComfyUI's CLIP, for its vocabulary.
        groups: what ``clip.tokenize`` gave for the prompt.
        empty: what it gives for no text: the template, if there is one.
        text: what was said, as plain text.
        length: tokens of the conditioning.
        keys: which of the groups make up the conditioning; () for the first that is not CLIP's.

    Raises:
        UnavailableError: the tokens cannot be those of the conditioning.
    """
    characters: list[set[int]] = [set() for _ in text]
    said: list[int] = []
    end = 0
    for key, start, dropped in _segments(groups, length, keys):
        tokens = _flat(groups[key])
        end = start + len(tokens) - dropped
        vocabulary = _vocabulary(clip.tokenizer, key)
        pieces = [vocabulary.piece(token) for token in tokens]
        first, last = _own(tokens, _flat(empty[key]))
        for character, found in enumerate(_align(pieces[first:last], text)):
            places = (first + at - dropped + start for at in found)
            characters[character].update(at for at in places if at >= start)
        kept = vocabulary.without_padding(tokens)
        said += [at - dropped + start for at in kept if at >= dropped]
    return Placed(tuple(tuple(sorted(each)) for each in characters), tuple(said), end)


def reads_literally(
    clip: Any, groups: dict[str, list[list[Token]]], prompt: str, keys: Sequence[str] = ()
) -> bool:
    """Whether the text encoder is told the prompt's own signs, such as the weights' brackets."""
    key = _main(groups, keys)
    vocabulary = _vocabulary(clip.tokenizer, key)
    said = b"".join(vocabulary.piece(token) for token in _flat(groups[key]))
    return _squeeze(unicodedata.normalize("NFC", prompt).lower().encode()) in said


def _main(groups: dict[str, list[list[Token]]], keys: Sequence[str]) -> str:
    """The group that carries the text, where there is but one."""
    named = [key for key in keys if key in groups]
    return next(iter(named[::-1] or [key for key in groups if key not in _CLIP] or groups))


def _segments(
    groups: dict[str, list[list[Token]]], length: int, keys: Sequence[str]
) -> Iterator[tuple[str, int, int]]:
    """Group, where its tokens begin in the conditioning, and how many of its first are dropped."""
    counts = {key: len(_flat(groups[key])) for key in groups}
    named = [key for key in keys if key in counts]
    for chosen in (named, named[-1:], named[:1]):
        # a text encoder that is not loaded leaves its part out
        if len(named) > 1 and sum(counts[key] for key in chosen) == length:
            start = 0
            for key in chosen:
                yield key, start, 0
                start += counts[key]
            return
    key = _main(groups, keys)
    if len(named) > 1 or (counts[key] < length and not named):
        raise UnavailableError(
            f"The text encoder gives {length} tokens where {counts} were expected. Use the text "
            "encoders that belong to the model, in the loader's setting for it."
        )
    yield key, 0, 0 if named else counts[key] - length


def _flat(chunks: list[list[Token]]) -> list[Token]:
    return [token for chunk in chunks for token in chunk]


def _own(tokens: Sequence[Token], template: Sequence[Token]) -> tuple[int, int]:
    """The part of the tokens that the template alone does not have, measured from both ends."""
    most = min(len(tokens), len(template))
    first = 0
    while first < most and _same(tokens[first], template[first]):
        first += 1
    after = 0
    while after < most - first and _same(tokens[-1 - after], template[-1 - after]):
        after += 1
    return first, len(tokens) - after


def _same(token: Token, other: Token) -> bool:
    return isinstance(token[0], int) and token[0] == other[0]


def _vocabulary(tokenizer: Any, key: str) -> _Vocabulary:
    """The vocabulary of one of a tokenizer's groups, looked through once."""
    known = {name: each for name, each in vars(tokenizer).items() if hasattr(each, "inv_vocab")}
    # a tokenizer for one text encoder alone need not have an attribute of the group's name
    own = [known[name] for name in (f"clip_{key}", key) if name in known]
    chosen = (own or list(known.values()) or [tokenizer])[0]
    if chosen not in _vocabularies:
        _vocabularies[chosen] = _Vocabulary(chosen)
    return _vocabularies[chosen]


class _Vocabulary:
    """The pieces of one of a tokenizer's vocabularies."""

    def __init__(self, tokenizer: Any) -> None:
        self.pieces: dict[int, Any] = tokenizer.inv_vocab
        inner = getattr(tokenizer, "tokenizer", None)
        self.special = set(getattr(inner, "all_special_ids", None) or ())
        self.byte_level = any(piece in _BYTE_LEVEL for piece in self.pieces.values())
        self.pad = getattr(tokenizer, "pad_token", None)
        self.pads_with_end = self.pad == getattr(tokenizer, "end_token", None)
        self.pads_left = bool(getattr(tokenizer, "pad_left", False))

    def piece(self, token: Token) -> bytes:
        """The bytes that a token stands for; none for special ones and for embeddings."""
        if not isinstance(token[0], int) or token[0] in self.special:
            return b""
        return _surface(self.pieces.get(token[0], ""), self.byte_level)

    def without_padding(self, tokens: Sequence[Token]) -> list[int]:
        """Which tokens are no padding at the end, or at the start."""
        ids = [token[0] if isinstance(token[0], int) else None for token in tokens]
        first, last = 0, len(ids)
        while last > 0 and ids[last - 1] == self.pad:
            last -= 1
        if self.pads_with_end and last < len(ids):
            last += 1  # the first of them ends the text
        while self.pads_left and first < last and ids[first] == self.pad:
            first += 1
        return list(range(first, last))


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


def _align(pieces: Sequence[bytes], text: str) -> list[set[int]]:
    """For each character of a text the pieces that it is in; the text is looked for at the end."""
    joined = b"".join(pieces)
    owner = [index for index, piece in enumerate(pieces) for _ in piece]
    wanted, source = b"", []
    for index, character in enumerate(text):
        own = _squeeze(unicodedata.normalize("NFC", character).lower().encode())
        wanted += own
        source += [index] * len(own)
    found: list[set[int]] = [set() for _ in text]
    at = joined.rfind(wanted) if wanted else -1
    pairs = [(k, at + k) for k in range(len(wanted))] if at >= 0 else _agreeing(wanted, joined)
    for character, byte in pairs:
        found[source[character]].add(owner[byte])
    return found


def _agreeing(wanted: bytes, joined: bytes) -> list[tuple[int, int]]:
    """What agrees, in order: around an unknown letter, an embedding, a weight."""
    matcher = SequenceMatcher(None, wanted, joined, autojunk=False)
    return [
        (block.a + k, block.b + k)
        for block in matcher.get_matching_blocks()
        for k in range(block.size)
    ]
