"""Whether a line is written in a language that the parser does not read.

By script, and by the small words of sixteen languages (`languages.txt`): as good on short lines as
a statistical detector, which needs whole sentences (docs/method.md has both measured).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from pathlib import Path

from .parsing.lexicon import is_listed

_SCRIPTS = {
    "CYRILLIC": "Russian or another language in Cyrillic",
    "CJK": "Chinese or Japanese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "ARABIC": "Arabic",
    "HEBREW": "Hebrew",
    "GREEK": "Greek",
    "THAI": "Thai",
    "DEVANAGARI": "Hindi",
}

_IN_NAMES = frozenset(
    "el la los las le les de di da del du des van von der das den con au il san a e o y en i "
    "donna".split()
)
"""Small words that foreign names have in English lines, too: "El Capitan", "Van Gogh"."""

_MOST = 100
"""Words of a line that are looked at."""


@lru_cache(maxsize=1)
def _languages() -> tuple[dict[str, frozenset[str]], frozenset[str]]:
    """The small words of each language, and English words with foreign letters."""
    text = Path(__file__).with_name("languages.txt").read_text(encoding="utf-8")
    parts = [part.split(":\n") for part in text.split("\n\n")[1:]]
    words = {name.strip(): frozenset(said.split()) for name, said in parts}
    return words, words.pop("Loans")


def foreign_language(text: str) -> str | None:
    """The language that a line seems to be written in, None for English and what cannot be told."""
    if not text.isascii() and (script := _by_script(text)):
        return script
    said = [word for word in re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text)[:_MOST]]
    return _by_words(said)


def _by_script(text: str) -> str | None:
    letters = [character for character in text if character.isalpha()]
    scripts = [unicodedata.name(character, "").split(" ")[0] for character in letters]
    foreign = [script for script in scripts if script in _SCRIPTS]
    if len(foreign) * 2 <= len(letters):
        return None
    kana = (_SCRIPTS[script] for script in foreign if script in ("HIRAGANA", "KATAKANA"))
    return next(kana, _SCRIPTS[foreign[0]])


def _by_words(said: list[str]) -> str | None:
    """The language with the most of its small words, where few of the words are English."""
    words = [word.lower() for word in said]
    languages, loans = _languages()
    hits = {name: [word for word in words if word in known] for name, known in languages.items()}
    best = max(hits, key=lambda name: _worth(hits[name]))
    english = sum(is_listed(word) and word not in languages[best] for word in words)
    odd = [word for word in said if _is_odd(word, loans) and word.lower() not in languages[best]]
    own = {word for word in hits[best] if not is_listed(word)}
    if not own - _IN_NAMES and not odd and (len({*hits[best]}) < 3 or not own):
        return None
    if len(words) > 1 and best != "German" and all(word.istitle() for word in said):
        return None  # a name
    if len(words) == 1 and (len(words[0]) < 4 or odd):
        return None  # a name as like as not
    evidence = len({*hits[best]}) + len(odd)
    return (best if hits[best] else "another language") if evidence > 2 * english else None


def _worth(hits: list[str]) -> tuple[int, int]:
    """How much speaks for a language: its words, those first that no name has."""
    return len({*hits} - _IN_NAMES), len({*hits})


def _is_odd(word: str, loans: frozenset[str]) -> bool:
    """Whether a word has letters that English lacks, and is no name and no loan."""
    return word.islower() and not word.isascii() and word not in loans
