"""Words to tokens, with CLIP's own vocabulary.

All Stable Diffusion families share this vocabulary, `bpe_simple_vocab_16e6.txt.gz` as OpenAI
published it with CLIP (MIT licence); it lies beside this file, for hosts without open_clip. Texts
longer than 75 tokens are laid out in chunks of 75 between start and end tokens, as ComfyUI does,
and encoded chunk by chunk.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, stack, tensor

from ..errors import ExpressionError
from ..values import Expression, Word

START, END, CHUNK = 49406, 49407, 75
VOCABULARY = Path(__file__).with_name("bpe_simple_vocab_16e6.txt.gz")


class Text(Protocol):
    """An expression's text as tokens."""

    @property
    def chunks(self) -> int:
        """Chunks of 75 tokens that it fills."""

    def positions(self, word: Word) -> tuple[int, ...]:
        """Where a word's pieces stand among the tokens that the denoiser reads."""


@dataclass(frozen=True)
class Tokens:
    """One text as token ids with the characters that each came from.

    ids: n ids, start and end tokens and padding left out.
    spans: n pairs (start, end) into the text.
    """

    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]

    @property
    def chunks(self) -> int:
        """Chunks of 75 that the text fills, at least one."""
        return max(1, -(-len(self.ids) // CHUNK))

    def layout(self, chunks: int, pad: int) -> Tensor:
        """int64 (chunks, 77): each chunk as start token, ids, end token, padding."""
        rows = []
        for chunk in range(chunks):
            ids = self.ids[chunk * CHUNK : (chunk + 1) * CHUNK]
            rows.append([START, *ids, END, *[pad] * (CHUNK - len(ids))])
        return tensor(rows)

    def positions(self, word: Word) -> tuple[int, ...]:
        """Where a word's pieces stand among the chunks * 77 tokens that the denoiser reads."""
        return tuple(
            index // CHUNK * (CHUNK + 2) + index % CHUNK + 1
            for index, (start, end) in enumerate(self.spans)
            if start < word.end and end > word.start
        )


@dataclass(frozen=True)
class HostTokens:
    """One text as a host has it, which may add, leave out or replace tokens.

    places: for each of our own tokens, the positions that stand for it among the chunks * 77
        tokens that the denoiser reads. spans: the same tokens' characters.
    chunks: that the text fills. said: the text as the host is told it, where that is not the same.
    """

    places: tuple[tuple[int, ...], ...]
    spans: tuple[tuple[int, int], ...]
    chunks: int
    said: str = ""

    def positions(self, word: Word) -> tuple[int, ...]:
        """Where a word's pieces stand; the whole embedding where its name is the word."""
        hit = {
            position
            for (start, end), positions in zip(self.spans, self.places, strict=True)
            if start < word.end and end > word.start
            for position in positions
        }
        return tuple(sorted(hit))


def match(tokens: Tokens, found: Mapping[int, int | None], chunks: int) -> HostTokens:
    """Our tokens of a text at their places among the host's.

    Where the two disagree, as at an embedding, whose name is several ids and whose tokens are
    vectors, all of one side's stand for all of the other's.

    Args:
        tokens: ours.
        found: the host's ids by position; None for a vector. Start, end and padding left out.
        chunks: that they fill.
    """
    at = list(found)
    places: list[tuple[int, ...]] = [()] * len(tokens.ids)
    matcher = SequenceMatcher(None, list(tokens.ids), list(found.values()), autojunk=False)
    for kind, i0, i1, j0, j1 in matcher.get_opcodes():
        for index in range(i0, i1):
            if kind == "equal":
                places[index] = (at[j0 + index - i0],)
            elif kind == "replace":
                places[index] = tuple(at[j0:j1])
    return HostTokens(tuple(places), tokens.spans, chunks)


def tokenize(text: str) -> Tokens:
    """Byte-pair encoding of a text, lower-cased."""
    encoded = _tokenizer().encode(whole_letters(text))
    return Tokens(tuple(encoded.ids), tuple(encoded.offsets))


def whole_letters(text: str) -> str:
    """The text with a sign in place of half letters, which no tokenizer takes; as long as it was.

    They come from file names and from JSON.
    """
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


_NO_WORDS = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*|<\w+:[^<>\n]*>|\bBREAK\b", re.DOTALL)
"""What pasted prompts bring along and no text encoder is shown: comments, networks, breaks."""


def pasted_lines(prompt: str) -> list[str]:
    """The lines of a host's prompt that hold words, those alone that a text encoder is shown."""
    words = _NO_WORDS.sub(" ", whole_letters(prompt))
    return [line for line in words.splitlines() if line.strip()]


def with_sinks(text: str, sinks: str) -> str:
    """What the text encoder is told: the text, then words that nothing is read of.

    The text stays where it is, so that its words keep their places.
    """
    return f"{text} {sinks}" if sinks else text


def words_to_read(expression: Expression, tokens: Text) -> list[tuple[Word, tuple[int, ...]]]:
    """The words that name the thing, then other things', each with the positions of its tokens.

    Where the expression names nothing ("second from left"), all of its text stands in. Which of
    the words the map is made of says `refdiff_core.seeing.attention.attention_map`.

    Raises:
        ExpressionError: no token is left, such as for text of control characters only.
    """
    words = expression.target_words or (Word(expression.text, 0, len(expression.text)),)
    found = [(word, tokens.positions(word)) for word in words]
    if not any(positions for _, positions in found):
        raise ExpressionError(
            f"Nothing in '{expression.text}' can be read as words. Describe the thing in words."
        )
    found += [(word, tokens.positions(word)) for word in expression.other_words]
    return [(word, positions) for word, positions in found if positions]


def stack_layouts(tokens: Sequence[Tokens], pad: int) -> Tensor:
    """int64 (B, chunks, 77) for B texts, all laid out in as many chunks as the longest needs."""
    chunks = max(each.chunks for each in tokens)
    return stack([each.layout(chunks, pad) for each in tokens])


def batches(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Which texts are read together: those of one length, ``most`` at once.

    A text padded to a longer one's length would be read differently for its company.

    Args:
        lengths: of the texts, in chunks.
        most: at least 1.

    Returns:
        Lists of indices into ``lengths``.
    """
    groups: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        groups.setdefault(length, []).append(index)
    return [group[at : at + most] for group in groups.values() for at in range(0, len(group), most)]


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    vocabulary, merges = _vocabulary()
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, end_of_word_suffix="</w>", fuse_unk=False)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    words = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


def _vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    from tokenizers.pre_tokenizers import ByteLevel

    lines = gzip.decompress(VOCABULARY.read_bytes()).decode().split("\n")
    # 49,408 words: 256 bytes, each also as the end of a word, the merges, two special tokens
    pairs = [(a, b) for a, b in (line.split() for line in lines[1 : 49152 - 256 - 2 + 1])]
    characters = sorted(ByteLevel.alphabet())
    ends = [character + "</w>" for character in characters]
    words = [*characters, *ends, *(a + b for a, b in pairs), "<|startoftext|>", "<|endoftext|>"]
    return {word: index for index, word in enumerate(words)}, pairs
