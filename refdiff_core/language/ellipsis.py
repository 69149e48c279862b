"""Nouns that a line leaves out because it has them elsewhere, said where they are meant.

"the red or the blue cup" becomes "the red cup or the blue cup", and "not the red cup, the green
one" becomes "not the red cup, the green cup": plain things, for what follows and for the models.
"""

from __future__ import annotations

import re

from .parsing.counts import singular
from .parsing.lexicon import COLOURS
from .parsing.line import Line
from .parsing.tagging import tag_line

_SHARED = re.compile(
    r"(?P<one>d?[xy]*(?P<says>[asoet]+))(?P<and>c|,?g)(?P<d>d?)(?P<two>[xy]*(?P<too>[asoet]+))"
    r"(?P<rest>[av]*#?n[^,cg]*)"
)
_ONE = re.compile(
    r"(?P<break>,c?|c|[,;]?x)[dx]*d[dxy]*(?P<says>[asoet#]*)(?P<one>k)(?P<place>[ip][dx]*s)?"
)
_OPPOSED = ({"left", "right"}, {"top", "bottom"}, {"front", "back"})
_LEAVES_OUT = ("but", "besides", "except")


def spell_out(text: str) -> str:
    """The text with its nouns where they are meant; as it is where none is left out."""
    return _name_one(_share_noun(text))


def _share_noun(text: str) -> str:
    line = tag_line(text)
    for match in line.find(_SHARED):
        if _are_two(line, match):
            rest = line.quote(*match.span("rest"))
            first, end = match.end("one"), match.end("rest")
            determiner = "" if match["d"] or not match["one"].startswith("d") else "the "
            return " ".join(
                part
                for part in (
                    line.quote(0, first),
                    rest,
                    line.quote(first, match.end("and")),
                    determiner + line.quote(match.end("and"), end),
                    text[line.words[end - 1].end :].lstrip() if end else "",
                )
                if part
            ).replace(" ,", ",")
    return text


def _are_two(line: Line, match: re.Match[str]) -> bool:
    """Whether a noun after two descriptions stands for two things: "the red and the blue cup"."""
    word = line.words[match.start("and")].text
    if match["and"].endswith("g") and line.words[match.end("and") - 1].text != "nor":
        return False
    left_out = word == "nor" or (
        word == "or" and _leaves_out(line.tags[: match.start()], line, match.start())
    )
    determined = match["one"].startswith("d") and bool(match["d"])
    return left_out or determined or _are_opposed(line, match)


def _leaves_out(tags: str, line: Line, at: int) -> bool:
    return "g" in tags or any(word.text in _LEAVES_OUT for word in line.words[:at])


def _are_opposed(line: Line, match: re.Match[str]) -> bool:
    """Whether the two are places that nothing can be at both of: left and right, first and last."""
    one, two = ([line.values[i] for i in range(*match.span(group))] for group in ("says", "too"))
    if match["says"] == match["too"] == "o":
        follow = one[0].isdecimal() and two[0].isdecimal() and int(two[0]) == int(one[0]) + 1
        return not follow
    return match["says"] == match["too"] == "s" and {one[0], two[0]} in _OPPOSED


def _name_one(text: str) -> str:
    """The text with "one" in a list or after what is left out said as the noun."""
    line = tag_line(text)
    for match in line.find(_ONE):
        at = match.start("one")
        noun = _noun_before(line, match.start())
        if line.words[at].text in ("one", "ones") and noun and _names_another(line, match):
            said = noun if line.words[at].text == "ones" else singular(noun)
            word = line.words[at]
            return _name_one(text[: word.start] + said + text[word.end :])
    return text


def _noun_before(line: Line, at: int) -> str | None:
    """The head of the first noun phrase after the last negator, or of the line."""
    start = line.tags.rfind("g", 0, at) + 1
    found = re.compile("n+").search(line.tags, start, at)
    return line.words[found.end() - 1].text if found else None


def _names_another(line: Line, match: re.Match[str]) -> bool:
    """Whether "the blue one" is another thing than the one before, rather than says more of it."""
    if not match["says"] and not match["place"]:
        return False
    before, joint = line.tags[: match.start()], line.words[match.start("break")].text
    if "g" in before:
        return True
    if joint in ("and", "or", "&", "plus"):
        return True
    said = _sides_and_colours(line, match.end("break"), len(line.tags))
    had = _sides_and_colours(line, 0, match.start())
    return joint == "," and any(a and b and not a & b for a, b in zip(said, had, strict=True))


def _sides_and_colours(line: Line, start: int, end: int) -> tuple[set[str], set[str]]:
    sides = {*line.sides(start, end)}
    return sides, {word.text for word in line.words[start:end]} & COLOURS
