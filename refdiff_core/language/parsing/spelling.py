"""Which known word an unknown one is a slip of the pen for: a letter more, less, other, swapped."""

from __future__ import annotations

from functools import lru_cache

from .lexicon import KNOWN_NOUNS, closed_words

_NOT_MEANT = frozenset("font lift loft behold chop brow".split())
LEAST, MOST = 4, 15


@lru_cache
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

    Words that decide how a line is read come before nouns. In words of four letters no letter is
    exchanged for another: "lift" is no "left".
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
            swapped = sorted(each) == sorted(word) and _is_swap(each, word)
            changed = len(word) > 4 and each[:gap] + each[gap + 1 :] == short
            if len(each) == len(word) and each[0] == word[0] and (swapped or changed):
                found.append(each)

    def rank(each: str) -> tuple[bool, int, str]:
        return each not in known, abs(len(each) - len(word)), each

    return min(found, key=rank, default=None)


def _is_swap(a: str, b: str) -> bool:
    at = [i for i in range(len(a)) if a[i] != b[i]]
    return len(at) == 2 and at[1] == at[0] + 1
