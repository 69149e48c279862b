"""ComfyUI's prompt syntax: which tokens of a prompt belong to which words of an expression."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from comfy.sd1_clip import escape_important, token_weights, unescape_important

from ..refdiff_core.backends.tokens import HostTokens, match, tokenize, whole_letters, with_sinks
from ..refdiff_core.errors import ExpressionError, UnavailableError
from ..refdiff_core.language.expression import parse
from ..refdiff_core.values import Expression, Word

Chunks = list[list[tuple[Any, float]]]

_NO_WORDS = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*|<\w+:[^<>\n]*>|\bBREAK\b", re.DOTALL)
"""What pasted prompts bring along and no text encoder is shown: comments, networks, breaks."""

_NOT = re.compile(r"\s*not\b\s*:?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class PromptedExpression(Expression):
    """An expression with the prompt that it was written as.

    prompt: as the text encoder gets it, with weights, embeddings and escaped brackets; "" where it
        has none of these, and is the text.
    """

    prompt: str = ""


def read_lines(text: str) -> tuple[PromptedExpression, ...]:
    """One expression a line, in ComfyUI's prompt syntax; blank lines are skipped."""
    lines = [line for line in _NO_WORDS.sub(" ", whole_letters(text)).splitlines() if line.strip()]
    if not lines:
        raise ExpressionError(
            "There is no expression. Write what to find, such as 'the red cup on the left'."
        )
    return tuple(read_line(line) for line in lines)


def read_line(line: str) -> PromptedExpression:
    """One line: its plain words are parsed, its prompt is kept for the text encoder."""
    plain = plain_text(line)
    expression = parse(plain)
    if plain == line:
        return PromptedExpression(**vars(expression))
    prompt = _NOT.sub("", line, count=1) if expression.negative else line
    prompt = prompt.replace("[", "").replace("]", "")
    return PromptedExpression(**vars(expression), prompt=prompt)


def plain_text(prompt: str) -> str:
    """A prompt without weights and escapes; an embedding leaves its name."""
    segments = token_weights(escape_important(prompt), 1.0)
    text = "".join(unescape_important(segment) for segment, _ in segments)
    return text.replace("embedding:", "")


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
    prompt = getattr(expression, "prompt", "") or expression.text
    groups = clip.tokenize(with_sinks(prompt, sinks), return_word_ids=True)
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
