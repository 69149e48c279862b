"""Whether a line is written in a language that the parser does not read.

By script, and by the small words of sixteen languages: as good on short lines as a statistical
detector, which needs whole sentences (docs/method.md has both measured).
"""

from __future__ import annotations

import re
import unicodedata

from .languages import IN_NAMES, LOANS, SCRIPTS, WORDS
from .parsing.lexicon import is_listed

_WORDS = {name: frozenset(words.split()) for name, words in WORDS.items()}
_MOST = 100
"""Words of a line that are looked at."""


def foreign_language(text: str) -> str | None:
    """The language that a line seems to be written in, None for English and what cannot be told."""
    if not text.isascii() and (script := _by_script(text)):
        return script
    said = [word for word in re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text)[:_MOST]]
    return _by_words(said)


def _by_script(text: str) -> str | None:
    letters = [character for character in text if character.isalpha()]
    scripts = [unicodedata.name(character, "").split(" ")[0] for character in letters]
    foreign = [script for script in scripts if script in SCRIPTS]
    if len(foreign) * 2 <= len(letters):
        return None
    kana = (SCRIPTS[script] for script in foreign if script in ("HIRAGANA", "KATAKANA"))
    return next(kana, SCRIPTS[foreign[0]])


def _by_words(said: list[str]) -> str | None:
    """The language with the most of its small words, where few of the words are English."""
    words = [word.lower() for word in said]
    hits = {name: [word for word in words if word in known] for name, known in _WORDS.items()}
    best = max(hits, key=lambda name: _worth(hits[name]))
    english = sum(is_listed(word) and word not in _WORDS[best] for word in words)
    odd = [word for word in said if _is_odd(word) and word.lower() not in _WORDS[best]]
    own = {word for word in hits[best] if not is_listed(word)}
    if not own - IN_NAMES and not odd and (len({*hits[best]}) < 3 or not own):
        return None
    if len(words) > 1 and best != "German" and all(word.istitle() for word in said):
        return None  # a name
    if len(words) == 1 and (len(words[0]) < 4 or odd):
        return None  # a name as like as not
    evidence = len({*hits[best]}) + len(odd)
    return (best if hits[best] else "another language") if evidence > 2 * english else None


def _worth(hits: list[str]) -> tuple[int, int]:
    """How much speaks for a language: its words, those first that no name has."""
    return len({*hits} - IN_NAMES), len({*hits})


def _is_odd(word: str) -> bool:
    """Whether a word has letters that English lacks, and is no name and no loan."""
    return word.islower() and not word.isascii() and word not in LOANS
