"""The pass that reads clauses which point back: "the bench that a dog is sitting on".

Patterns are over the tags of `lexicon.py`.
"""

from __future__ import annotations

import re

from .lexicon import POINTING_BACK
from .line import Line

_ABOUT = re.compile(
    r"(?<=[nk])(?P<that>[dx]?)(?P<who>d[a#]*n+|k)x*(?P<does>[varx]*[va][irpf]?|r)(?=$|,)"
)
_PARTICLE = re.compile(r"(?<=[rv])(?P<particle>p)(?=[dx]*[a#]*n)")
_PARTICLES = ("up", "down", "out", "off", "along", "together", "apart", "away")
_TOWARDS = re.compile(r"(?<=[va])p?(?P<to>p)(?=[dx]*[a#]*n)")
_PRONOUN = re.compile(r"(?<=[nva#_])[ir](?P<it>k)(?=$|[,irx])")


_HAS = re.compile(r"(?<=[dxncav])(?P<has>x)(?=[dx]*[a#]*n)")


def read_clauses(line: Line) -> None:
    """Make relations of clauses whose object is the thing itself, and drop particles."""
    for match in line.find(_ABOUT):
        who = match.end("who") - 1
        line.retag(*match.span("does"))
        if line.tags[who] == "k":
            line.retag(*match.span("who"))
        elif match["that"] or line.tags[match.start("who")] == "d":
            # a filler stands in for the relation's own word
            at = match.start("that") if match["that"] else match.start("who")
            line.retag(at, at + 1, "r")
            line.values[at] = "with"
    for match in line.find(_HAS):
        at = match.start("has")
        if line.words[at].text in ("has", "have", "had", "whose"):
            line.retag(at, at + 1, "r")
            line.values[at] = "with"
    for match in line.find(_PARTICLE):
        if line.words[match.start()].text in _PARTICLES:
            line.retag(*match.span(), "x")
    for match in line.find(_TOWARDS):
        said = line.words[match.start("to")].text
        bare = line.tags[match.end("to")] != "d"  # "trying to reach"
        if said in ("toward", "towards", "into") or (said in ("to", "up to") and not bare):
            line.retag(*match.span("to"), "r")
            line.values[match.start("to")] = "near"
    for match in line.find(_PRONOUN):
        if line.words[match.start("it")].text in POINTING_BACK:
            line.retag(*match.span())
