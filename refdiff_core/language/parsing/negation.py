"""The pass that reads what a line excludes: "not the red one", "without hat", "that is not blue".

Patterns are over the tags of `lexicon.py`. A negation is consumed before anything else is read;
once the line's own thing is known, each becomes a line of its own about what is excluded.
"""

from __future__ import annotations

import re

from .lexicon import POINTING_BACK, WITHOUT
from .line import Line, Negation

_PLACE = (
    r"(?:[ip]?[dxy]*s+h?w[dx]*[a#]*n+"  # the one left of the star
    r"|[ip][dxy]*(?:[as]*n+|s+h?|a+)"  # on the left, in red
    r"|[rv][dx]*[as#]*[na]+|e(?:p[dx]*[nqk])?|x+[as]+)"  # behind it, closest to us, that is red
)
_MORE = re.compile(rf",?(?P<and>c?)[dx]*(?P<thing>[asoety#vd]*(?:n+|k)(?:{_PLACE})?)")
_NEGATED = re.compile(
    r"r?(?P<at>g)(?P<lead>[dxpw]*)(?:"
    r"[irv][irvpdxy]*(?:[asoe#]*(?:n+|k)|[a#](?:c?a)*|s+h?|q)"  # not on the couch, not in red
    rf"|[asoety#vd]*(?:w[dx]*[as#]*)?(?:n+|k|q)(?P<place>{_PLACE})?"  # not the red one
    rf"|[asoety#vd]*[#d]{_PLACE}"  # except the two on the left, except those in the vase
    r"|[asoety#v]+)"  # not blue
)


def read_exceptions(line: Line) -> None:
    """Make negators of "but" and "besides" where all are asked for: "all the cups but the red"."""
    for match in line.find("[xr]"):
        at = match.start()
        if line.words[at].text not in ("but", "besides"):
            continue
        everything = re.match(r"[dx]*k", line.tags[:at])
        said = line.values[everything.end() - 1] if everything else ""
        if line.count is not None or said in ("everything", "anything") or _is_anyone(line):
            line.retag(at, at + 1, "g")
            line.values[at] = "except"


def _is_anyone(line: Line) -> bool:
    return any(word.text in ("everyone", "everybody", "any") for word in line.words[:2])


def read_negation(line: Line) -> None:
    """Set aside what a negation inside the line excludes."""
    for match in line.find(r"g(?P<said>a)"):
        if line.words[match.start()].text == "non":  # "the non-red car"
            _exclude(line, match.start(), *match.span("said"))
    for match in line.find(_NEGATED):
        at, (start, end) = match.start("at"), (match.end("lead"), match.end())
        words = {word.text for word in line.words[at:start]}
        has = not words.isdisjoint(WITHOUT)
        if has and match["place"]:
            end = match.start("place")  # "man without hat on the left": where the man is
        if line.tags[end - 1] == "k" and line.words[end - 1].text in POINTING_BACK:
            said = line.quote(at, end)
            line.notes.append(f"'{said}' does not say which to leave out; it is not used.")
            line.retag(at, end)
            continue
        _exclude(line, at, start, end, has)
        line.retag(match.start(), at)
        while more := _MORE.match(line.tags, end):
            if not more["and"] and line.values[at] != "except":
                break
            end = more.end()
            _exclude(line, at, *more.span("thing"), has)
            line.retag(*more.span())
    for match in line.find("g[dx]*"):
        said = line.quote(*match.span())
        line.notes.append(f"'{said}' is followed by nothing to leave out; it is not used.")
        line.retag(*match.span())


def _exclude(line: Line, at: int, start: int, end: int, has: bool = False) -> None:
    line.negations.append(Negation(at, start, end, line.tags[start:end], has))
    line.retag(at, end)


def excluded_line(line: Line, said: Negation) -> Line:
    """What is excluded as a line about the same thing: "cup with handle", "red cup"."""
    found = Line(line.text)
    anything = any(word.text in ("one", "ones") for word in line.words[: said.at])
    has = said.has and (line.root is not None or anything)
    follows = has or (said.tags[0] in "irv" and "k" not in said.tags)
    if follows:
        _add_root(line, found)
    if has:
        found.add(line.words[said.at], "r", "with")
    if not {*said.tags} & {*"anv"}:
        for word in line.attributes:  # "the red cup, not the left one": the left red one
            found.add(word, "a", word.text)
    bare = re.match(r"[asoety#vdx]*[#d](?=[ips])", said.tags)  # the root goes before the place
    for index, tag in enumerate(said.tags, start=said.start):
        if bare and index == said.start + bare.end():
            _add_root(line, found)
        if tag == "k" and line.root:
            _add_root(line, found)
            if line.words[index].text == "one":
                found.count = 1
        else:
            found.add(line.words[index], tag, line.values[index])
    if not follows and not {*found.tags} & {*"nk"}:
        _add_root(line, found)
        if {*found.tags} & {*"eot"}:
            found.count = 1  # "all the kids except the tallest"
    return found


def _add_root(line: Line, found: Line) -> None:
    if line.root:
        found.add(line.root, "n", line.root.text)
