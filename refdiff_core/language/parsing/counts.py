"""The passes that read how many are asked for: "both", "the two men", a bare plural, everything.

Patterns are over the tags of `lexicon.py`.
"""

from __future__ import annotations

import re

from .line import Line
from .vocabulary import IRREGULAR_PLURALS, SINGULARS

_QUANTIFIER = re.compile(r"[dx]*(?P<all>A)w?[dxA]*(?P<number>#(?=[^#]))?")
_NUMBER = re.compile(
    r"[dx]*(?:o|[ea]*|s*t?)(?P<number>#)(?=(?P<rest>[xdaoesty]*(?P<head>n*|k)))(?P<of>w[dx]*#?)?"
)
_COUPLE = re.compile(r"[dx]*(?P<couple>m)w")
_ORDINALS = re.compile(r"o(?:[,c]+d*o)+")
_ONE_OF = re.compile(r"[dxyas]*[eoskt]+n?w|d+w")
_OF_NUMBER = re.compile(r"(?<=[eoskt])w[dx]*(?P<number>#)")
MANY = 20
"""A larger number in digits names a thing ("bus 24"), and is no count."""


def read_count(line: Line) -> None:
    """Read a quantifier or a number before the noun; what is read becomes a filler."""
    _read_ordinals(line)
    if match := _COUPLE.match(line.tags):
        if line.words[match.start("couple")].text == "couple":
            line.count = 2
            line.retag(match.start("couple"), match.end(), "d")
    if match := _QUANTIFIER.match(line.tags):
        line.count = "all"
        if match["number"]:
            line.count = int(line.values[match.start("number")])
            line.retag(*match.span("number"), "d")
    elif match := _NUMBER.match(line.tags):
        _read_number(line, match)
    for match in line.find(_OF_NUMBER):
        line.retag(*match.span("number"), "d")
    for match in line.find("A"):
        line.retag(*match.span(), "d")
    line.asked = line.tags


def _read_ordinals(line: Line) -> None:
    """Read "second and third", which follow one another, as two from the second on."""
    for match in line.find(_ORDINALS):
        at = [i for i in range(*match.span()) if line.tags[i] == "o"]
        counted = [line.values[i] for i in at]
        if line.count or not all(each.isdecimal() for each in counted):
            continue
        first = int(counted[0])
        if [*map(int, counted)] == list(range(first, first + len(at))):
            line.count = len(at)
            line.retag(match.start() + 1, match.end(), "x")
        else:
            said = line.quote(match.start() + 1, match.end())
            line.notes.append(f"'{said}' is not used; write one line for each.")
            line.retag(match.start() + 1, match.end(), "x")


def _read_number(line: Line, match: re.Match[str]) -> None:
    at = match.start("number")
    said = line.values[at]
    countable = said.isascii() and said.isdigit() and len(said) < 3 and 1 <= int(said) <= MANY
    if line.words[at].text.startswith("#") or not countable:
        return
    digits = line.words[at].text[0].isdigit()
    before, after = line.tags[max(0, at - 1) : at], line.tags[at + 1 : at + 2]
    counted = before == "o" or (before == "e" and after in ("", "w"))
    # "the two on the left", "two of them", "the middle two"
    placed = after in ("i", "s", "e", "t", "w") or (before == "s" and after in ("", "h"))
    head = line.words[match.end("rest") - 1].text if match["head"] else ""
    many = head in ("ones", "others") or (is_plural(head) if digits else bool(head))
    if many or counted or (placed and not digits):
        line.count = int(said)
        line.retag(at, max(at + 1, match.end("of")), "d")


def read_plural(line: Line) -> None:
    """A plural noun without a number asks for all of its kind, unless one "of" them is meant."""
    if line.count is not None:
        return
    if line.root is None:
        many = re.match(r"[dxaesto#]*k", line.asked)
        said = line.values[many.end() - 1] if many else ""
        if said in ("ones", "others", "everything") or (said == "anything" and line.negations):
            line.count = "all"
    elif is_plural(line.root.text) or line.root.text in ("everyone", "everybody"):
        line.count = None if _ONE_OF.match(line.asked) else "all"


def is_plural(word: str) -> bool:
    """Whether a noun stands for several things; not trousers and scissors, which are one."""
    if word in IRREGULAR_PLURALS:
        return True
    ends = word.endswith("s") and not word.endswith(("ss", "us", "is", "'s", "\u2019s"))
    return len(word) > 3 and ends and word not in SINGULARS


def singular(word: str) -> str:
    """One of what a plural stands for; other words as they are."""
    if word in IRREGULAR_PLURALS or not is_plural(word):
        return IRREGULAR_PLURALS.get(word, word)
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("sses", "xes", "ches", "shes", "oes")) else word[:-1]
