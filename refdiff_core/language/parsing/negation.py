"""The pass that reads what a line excludes: "not the red one", "without hat", "that is not blue".

Patterns are over the tags of `lexicon.py`. A negation is consumed before anything else is read;
once the line's own thing is known, each becomes a line of its own about what is excluded.
"""

from __future__ import annotations

import re

from .lexicon import WITHOUT
from .line import Line, Negation

_PLACE = (
    r"(?:[ip]?[dxy]*s+h?w[dx]*[a#]*n+"  # the one left of the star
    r"|[ip][dxy]*(?:[as]*n+|s+h?|a+)"  # on the left, in red
    r"|[rv][dx]*[as#]*[na]+|e(?:p[dx]*[nqk])?|x+[as]+)"  # behind it, closest to us, that is red
)
_NEGATED = re.compile(
    r"r?(?P<at>g)(?P<lead>[dxp]*)(?:"
    r"[irv][irvpdxy]*(?:[asoe#]*(?:n+|k)|[a#](?:c?a)*|s+h?|q)"  # not on the couch, not in red
    rf"|[asoety#vd]*(?:n+|k)(?P<place>{_PLACE})?"  # not the red one
    r"|[asoety#v]+)"  # not blue
)


def read_negation(line: Line) -> None:
    """Set aside what a negation inside the line excludes."""
    for match in line.find(_NEGATED):
        at, (start, end) = match.start("at"), (match.end("lead"), match.end())
        words = {word.text for word in line.words[at:start]}
        has = not words.isdisjoint(WITHOUT)
        if has and match["place"]:
            end = match.start("place")  # "man without hat on the left": where the man is
        line.negations.append(Negation(at, start, end, line.tags[start:end], has))
        line.retag(match.start() if has else at, end)
    for match in line.find("g[dx]*"):
        said = line.quote(*match.span())
        line.notes.append(f"'{said}' is followed by nothing to leave out; it is not used.")
        line.retag(*match.span())


def excluded_line(line: Line, said: Negation) -> Line:
    """What is excluded as a line about the same thing: "cup with handle", "red cup"."""
    found = Line(line.text)
    follows = said.has or (said.tags[0] in "irv" and "k" not in said.tags)
    if follows:
        _add_root(line, found)
    if said.has:
        found.add(line.words[said.at], "r", "with")
    if not {*said.tags} & {*"anv"}:
        for word in line.attributes:  # "the red cup, not the left one": the left red one
            found.add(word, "a", word.text)
    for index, tag in enumerate(said.tags, start=said.start):
        if tag == "k" and line.root:
            _add_root(line, found)
        else:
            found.add(line.words[index], tag, line.values[index])
    if not follows and not {*found.tags} & {*"nk"}:
        _add_root(line, found)
    return found


def _add_root(line: Line, found: Line) -> None:
    if line.root:
        found.add(line.root, "n", line.root.text)
