"""From a text to a line of tagged words."""

from __future__ import annotations

import re
from itertools import islice

from ...words import Word
from .lexicon import PHRASES, look_up
from .line import Line

_LETTER = r"(?:[^\W_]|[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0e4f])"  # and its marks
_TOKEN = re.compile(rf"w/o\b|w/|#\d+|{_LETTER}+(?:['\u2019-]{_LETTER}+)*|[,;.:!?&]")
_GLUED = re.compile(r"(top|bottom|upper|lower|far|middle|back|front)(left|right|middle)(most)?")

MOST_WORDS = 300
"""Words of a line that are read: ten times a long sentence. Time grows with their square."""


def tag_line(text: str, negative: bool = False, forced: tuple[int, int] | None = None) -> Line:
    """Cut a text into words, and give each its tag and value; phrases become one word.

    Args:
        text: one line.
        negative: whether it says what to leave out.
        forced: the characters whose last word is to be the root.
    """
    line = Line(text, negative)
    found = [*islice(_TOKEN.finditer(line.text), MOST_WORDS + 1)]
    if len(found) > MOST_WORDS:
        line.notes.append(f"Of so long a line only the first {MOST_WORDS} words were read.")
    tokens = [part for match in found[:MOST_WORDS] for part in _cut(match)]
    at = 0
    while at < len(tokens):
        size, (tag, value) = _longest_phrase(tokens[at : at + 4])
        word = _word(line.text, tokens[at].start, tokens[at + size - 1].end)
        line.add(word, tag, value)
        at += size
    if forced:
        _force_root(line, *forced)
    return line


def _word(text: str, start: int, end: int) -> Word:
    return Word(text[start:end].lower(), start, end)


def _cut(match: re.Match[str]) -> list[Word]:
    """One word, but of "bottom-left" and "bottomleft" two."""
    text, start = match.string, match.start()
    whole = _word(text, *match.span())
    glued = _GLUED.fullmatch(whole.text)
    if glued:
        spans = [glued.span(group) for group in (1, 2, 3) if glued[group]]
    else:
        spans = [part.span() for part in re.finditer("[^-]+", whole.text)]
        if look_up(whole.text)[0] not in "na" or len(spans) == 1:
            return [whole]
    parts = [_word(text, start + first, start + last) for first, last in spans]
    if parts[0].text == "non":
        return parts
    return parts if all(look_up(part.text)[0] in "stoyfdpiw#he" for part in parts) else [whole]


def _longest_phrase(tokens: list[Word]) -> tuple[int, tuple[str, str]]:
    for size in range(len(tokens), 1, -1):
        if found := PHRASES.get(" ".join(token.text for token in tokens[:size])):
            return size, found
    text = tokens[0].text
    return 1, ((",", text) if text in ",;.:!?" else look_up(text))


def _force_root(line: Line, start: int, end: int) -> None:
    inside = [
        i
        for i, w in enumerate(line.words)
        if w.start < end and w.end > start and line.tags[i] != ","
    ]
    if inside:
        line.root = line.words[inside[-1]]
        line.attributes += [line.words[i] for i in inside[:-1]]
        for i in inside:
            line.retag(i, i + 1, "N")
