"""Which tokens of a conditioning stand for which words; the rule is `backends.pieces`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from ..refdiff_core.backends.pieces import Placed, Vocabulary, align, squeeze
from ..refdiff_core.errors import UnavailableError

Token = tuple[Any, ...]
"""(id or vector, weight, ...), as ComfyUI's tokenizers give them."""

_CLIP = ("l", "g", "h", "byt5")
_vocabularies: WeakKeyDictionary[Any, _Vocabulary] = WeakKeyDictionary()


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
    for key, start, left_out in _segments(groups, length, keys):
        tokens = _flat(groups[key])
        end = start + len(tokens) - left_out
        vocabulary = _vocabulary(clip.tokenizer, key)
        pieces = vocabulary.spell([token[0] for token in tokens])
        first, last = _own(tokens, _flat(empty[key]))
        # what a template begins with is left out first, then what it ends with
        moved = start - min(left_out, first)
        for character, found in enumerate(align(pieces[first:last], text)):
            places = (first + at + moved for at in found)
            characters[character].update(at for at in places if start <= at < end)
        places = (at + moved for at in vocabulary.without_padding(tokens))
        said += [at for at in places if start <= at < end]
    return Placed(tuple(tuple(sorted(each)) for each in characters), tuple(said), end)


def reads_literally(
    clip: Any, groups: dict[str, list[list[Token]]], prompt: str, keys: Sequence[str] = ()
) -> bool:
    """Whether the text encoder is told the prompt's own signs, such as the weights' brackets."""
    key = _main(groups, keys)
    vocabulary = _vocabulary(clip.tokenizer, key)
    said = b"".join(vocabulary.spell([token[0] for token in _flat(groups[key])]))
    return squeeze(prompt) in said


def _main(groups: dict[str, list[list[Token]]], keys: Sequence[str]) -> str:
    """The group that carries the text, where there is but one."""
    named = [key for key in keys if key in groups]
    return next(iter(named[::-1] or [key for key in groups if key not in _CLIP] or groups))


def _segments(
    groups: dict[str, list[list[Token]]], length: int, keys: Sequence[str]
) -> Iterator[tuple[str, int, int]]:
    """Group, where its tokens begin in the conditioning, and how many of them are left out."""
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


class _Vocabulary(Vocabulary):
    """The pieces of one of ComfyUI's tokenizers, and how it fills up texts."""

    def __init__(self, tokenizer: Any) -> None:
        inner = getattr(tokenizer, "tokenizer", None)
        super().__init__(tokenizer.inv_vocab, getattr(inner, "all_special_ids", None) or ())
        self.pad = getattr(tokenizer, "pad_token", None)
        self.pads_with_end = self.pad == getattr(tokenizer, "end_token", None)

    def without_padding(self, tokens: Sequence[Token]) -> list[int]:
        """Which tokens are no padding."""
        ids = [token[0] if isinstance(token[0], int) else None for token in tokens]
        if not self.pads_with_end:
            return [at for at, each in enumerate(ids) if each != self.pad]
        last = len(ids)
        while last > 0 and ids[last - 1] == self.pad:
            last -= 1
        return list(range(min(len(ids), last + 1)))  # the first of them ends the text
