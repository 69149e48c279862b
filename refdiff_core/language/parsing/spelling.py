"""Words that are a slip of the pen for a known one: a letter more, less, other, or swapped."""

from __future__ import annotations

import gzip
import re
from functools import lru_cache
from pathlib import Path

from .lexicon import COLOURS, KNOWN_NOUNS, PHRASES, closed_words, is_listed, look_up

_NOT_MEANT = frozenset("font brow hearth scone stoat let lets".split())
_DOUBLED = re.compile(r"(.)\1+")
LEAST, MOST = 4, 15
_LIKE = {"v": "k", "a": "et"}
_WORD = re.compile(r"\[[^\]]*\]?|[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
_FORM = re.compile(
    r"\bform(?=\s+(?:the\s+)?(?:far\s+)?(?:left|right|top|bottom|front|back)\b)", re.I
)
_GLUED = re.compile(r"\b(on|in|of|to|at|by|with|from)the\b", re.I)
_VOCABULARY = Path(__file__).parents[2] / "backends" / "bpe_simple_vocab_16e6.txt.gz"
MERGES = 49152 - 256 - 2
"""Of the file's merges those that make CLIP's vocabulary; they follow a line of its own."""
_OFTEN_MISSPELT = "left right bottom middle front background second third fourth".split()


def correct(text: str) -> tuple[str, tuple[str, ...]]:
    """A line as it was meant, for whoever reads it and for the models.

    Words in brackets and names (with a capital, further in) stay as they are.

    Returns:
        The line, and a note for each word that was changed.
    """
    notes: dict[str, None] = {}

    def right(found: re.Match[str]) -> str:
        said = found[0]
        name = said[0].isupper() and found.start() and not text.isupper()
        last = not text[found.end() :].strip(" .,;:!?")
        meant = None if said[0] == "[" or name else _corrected(said.lower(), last)
        if not meant:
            return said
        notes[f"'{said.lower()}' was read as '{meant}'."] = None
        return meant

    apart = _GLUED.sub(r"\1 the", _FORM.sub("from", text))
    return _WORD.sub(right, apart), tuple(notes)


def _corrected(word: str, last: bool) -> str | None:
    """What a word was meant to be; None where it is one as it stands."""
    if word in _often_misspelt():
        return _often_misspelt()[word]
    tag = look_up(word)[0]
    if is_listed(word) or tag not in "nva" or (tag == "n" and is_known(word)):
        return None
    meant = meant_by(word)
    # what ends as verbs and adjectives do is mostly one
    if tag != "n" and (meant not in closed_words() or look_up(meant)[0] not in _LIKE[tag]):
        return None
    # an adjective at the end would leave no noun: "elefant" is not elegant
    if not meant or (last and look_up(meant)[0] == "a"):
        return None
    return meant if meant in COLOURS or not is_english(word) else None


def is_known(text: str) -> bool:
    """Whether a word is in a list, or in the plural of one."""
    singular = re.sub(r"('s|\u2019s|es|s)$", "", text)
    known = {text, text.removesuffix("s"), singular} & (KNOWN_NOUNS | _in_phrases())
    return bool(known) or look_up(text)[0] != "n"


def is_english(word: str) -> bool:
    """Whether a word is a whole one in CLIP's vocabulary, which was learnt from captions."""
    return f"\n{word}</w>\n" in _vocabulary()


@lru_cache(maxsize=1)
def _vocabulary() -> str:
    lines = gzip.decompress(_VOCABULARY.read_bytes()).decode().split("\n", MERGES + 1)
    return "\n".join(lines[: MERGES + 1]).replace(" ", "") + "\n"


@lru_cache(maxsize=1)
def _in_phrases() -> frozenset[str]:
    return frozenset(word for phrase in PHRASES for word in phrase.split())


@lru_cache(maxsize=1)
def _often_misspelt() -> dict[str, str]:
    """The words that decide most, from three letters on, with one left out, doubled or swapped."""
    found: dict[str, str] = {}
    for word in _OFTEN_MISSPELT:
        for wrong in _misspellings(word) - KNOWN_NOUNS - _NOT_MEANT:
            if look_up(wrong)[0] == "n":
                found.setdefault(wrong, word)
    return found


def _misspellings(word: str) -> frozenset[str]:
    cuts = [(word[:i], word[i:]) for i in range(len(word))]
    wrong = {a + b[1:] for a, b in cuts} | {a + b[0] + b for a, b in cuts}
    return frozenset(wrong | {a + b[1::-1] + b[2:] for a, b in cuts}) - {word}


@lru_cache(maxsize=1)
def _shortened() -> dict[str, list[str]]:
    """Known words by what is left of them without one letter."""
    found: dict[str, list[str]] = {}
    for word in sorted({*closed_words(), *KNOWN_NOUNS}):
        if len(word) > 3 and word.isalpha():
            for short in {word[:i] + word[i + 1 :] for i in range(1, len(word))}:
                found.setdefault(short, []).append(word)
    return found


@lru_cache(maxsize=4096)
def meant_by(word: str) -> str | None:
    """The known word that is one slip away and begins with the same letter; None where none is.

    Letters swapped or doubled come before one left out or too much, and that before another one;
    words that decide how a line is read before nouns. In words of four letters no letter is
    exchanged for another: "lift" is no "left". An f may be a ph.
    """
    if not LEAST <= len(word) <= MOST or not word.isalpha() or word in _NOT_MEANT:
        return None
    known = closed_words()
    shorter = {word[:i] + word[i + 1 :]: i for i in range(1, len(word))}
    found = [*_shortened().get(word, [])]
    found += [
        short for short in shorter if len(short) > 3 and (short in known or short in KNOWN_NOUNS)
    ]
    for short, gap in shorter.items():
        for each in _shortened().get(short, []):
            changed = len(word) > 4 and each[:gap] + each[gap + 1 :] == short
            if len(each) == len(word) and each[0] == word[0] and (_is_swap(each, word) or changed):
                found.append(each)

    found += [each for each in (word.replace("f", "ph"),) if each in KNOWN_NOUNS]

    def rank(each: str) -> tuple[int, bool, bool, str]:
        single = _DOUBLED.sub(r"\1", each) == _DOUBLED.sub(r"\1", word)
        slip = 0 if single or _is_swap(each, word) else 1 + (len(each) == len(word))
        return slip, each not in known, len(each) < len(word), each

    return min(found, key=rank, default=None)


def _is_swap(a: str, b: str) -> bool:
    if len(a) != len(b):
        return False
    at = [i for i in range(len(a)) if a[i] != b[i]]
    return len(at) == 2 and at[1] == at[0] + 1 and sorted(a) == sorted(b)
