"""ComfyUI's prompt syntax: which tokens of a prompt belong to which words of an expression."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from comfy.sd1_clip import escape_important, token_weights, unescape_important

from ..refdiff_core.backends.tokens import HostTokens, match, pasted_lines, tokenize, with_sinks
from ..refdiff_core.errors import ExpressionError, UnavailableError
from ..refdiff_core.language.expression import parse
from ..refdiff_core.language.lines import everything_but
from ..refdiff_core.values import Expression, Word

Chunks = list[list[tuple[Any, float]]]

_SIGNS = ",.;:!?[]"

Marks = list[tuple[str, str]]
"""A prompt's words, each as it is said and as it is written: ("red", "(red:1.2)")."""


@dataclass(frozen=True)
class PromptedExpression(Expression):
    """An expression with the prompt that it was written as.

    prompt: as the text encoder gets it, with weights, embeddings and escaped brackets; "" where it
        has none of these, and is the text.
    """

    prompt: str = ""


def read_lines(text: str) -> tuple[PromptedExpression, ...]:
    """One expression a line, in ComfyUI's prompt syntax; blank lines are skipped."""
    lines = pasted_lines(text)
    if not lines:
        raise ExpressionError(
            "There is no expression. Write what to find, such as 'the red cup on the left'."
        )
    found = tuple(read_line(line) for line in lines)
    if all(each.negative for each in found):
        # they are asked about in a text of their own, which has their words' weights, too
        return (
            _prompted(everything_but(found), [mark for line in lines for mark in _marks(line)]),
        )
    return found


def read_line(line: str) -> PromptedExpression:
    """One line: its plain words are parsed, how they are written is kept for the text encoder."""
    return _prompted(parse(plain_text(line)), _marks(line))


def _prompted(expression: Expression, marks: Marks) -> PromptedExpression:
    things = tuple(_prompted(each, marks) for each in expression.things)
    prompt = _as_written(expression.text, marks)
    said = {**vars(expression), "things": things}
    return PromptedExpression(**said, prompt=prompt if prompt != expression.text else "")


def plain_text(prompt: str) -> str:
    """A prompt without weights and escapes; an embedding leaves its name."""
    segments = token_weights(escape_important(prompt), 1.0)
    text = "".join(unescape_important(segment) for segment, _ in segments)
    return text.replace("embedding:", "")


def prompt_of(expression: Expression) -> str:
    """What the text encoder gets: the text as it was written, and what was said after it."""
    prompt = getattr(expression, "prompt", "")
    said = plain_text(prompt)
    return prompt + expression.text[len(said) :] if prompt else expression.text


def _marks(prompt: str) -> Marks:
    words: list[list[str]] = []
    for segment, weight in token_weights(escape_important(prompt), 1.0):
        for at, piece in enumerate(re.split(r"\s+", unescape_important(segment))):
            if at or not words:
                words.append(["", ""])
            plain = re.sub(r"([()])", r"\\\1", piece)
            words[-1][0] += piece.replace("embedding:", "")
            words[-1][1] += f"({plain}:{weight:g})" if piece and weight != 1 else plain
    return [(said, written) for said, written in words if said]


def _as_written(text: str, marks: Marks) -> str:
    """The text with its words as the prompt has them; put right, or said again, they keep that."""
    said, words = [_bare(word) for word, _ in marks], text.split()
    every, found = dict(zip(said, marks, strict=True)), [_bare(word) for word in words]
    chosen = [every.get(word) for word in found]
    for _, i0, i1, j0, j1 in SequenceMatcher(None, said, found, autojunk=False).get_opcodes():
        if i1 - i0 == j1 - j0:
            chosen[j0:j1] = marks[i0:i1]
    pairs = zip(words, chosen, strict=True)
    return " ".join(_write(word, mark) if mark else word for word, mark in pairs)


def _bare(word: str) -> str:
    return word.strip(_SIGNS).lower()


def _write(word: str, mark: tuple[str, str]) -> str:
    said, written = mark
    if said in written:
        return written.replace(said, word)
    return written.replace(said.strip(_SIGNS), word.strip(_SIGNS))


@dataclass(frozen=True)
class PromptTokens:
    """One expression as the host's tokens.

    groups: by text encoder, chunks of 77 (token, weight) pairs.
    matched: where they stand for ours.
    """

    groups: dict[str, Chunks]
    matched: HostTokens

    @property
    def chunks(self) -> int:
        """Chunks that the text fills."""
        return self.matched.chunks

    def positions(self, word: Word) -> tuple[int, ...]:
        """See `HostTokens.positions`."""
        return self.matched.positions(word)


def tokenize_prompt(clip: Any, expression: Expression, sinks: str = "") -> PromptTokens:
    """The host's own tokens of an expression and of the sinks after it, matched with its words.

    Raises:
        UnavailableError: the text encoder is not a CLIP that reads chunks of 77 tokens.
    """
    groups = clip.tokenize(with_sinks(prompt_of(expression), sinks), return_word_ids=True)
    key = next((name for name in ("l", "h", "g") if name in groups), next(iter(groups)))
    if any(len(chunk) != 77 for chunk in groups[key]):
        raise UnavailableError(
            "This text encoder does not read chunks of 77 tokens as CLIP does. "
            "Use the CLIP of a Stable Diffusion 1.x, 2.x or XL checkpoint."
        )
    own = tokenize(with_sinks(expression.text, sinks))
    chunks = {
        name: [[(token[0], token[1]) for token in chunk] for chunk in value]
        for name, value in groups.items()
    }
    flat = enumerate(token for chunk in groups[key] for token in chunk)
    # word id 0: start, end and padding; an embedding's tokens are vectors
    found = {at: each[0] if isinstance(each[0], int) else None for at, each in flat if each[2]}
    length = max(len(each) for each in groups.values())
    return PromptTokens(chunks, match(own, found, length))
