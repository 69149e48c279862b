"""The passes that read where a thing is: order, position, extremes, sides that are neither.

Patterns are over the tags of `lexicon.py`; each pass consumes what it has read.
"""

from __future__ import annotations

import re

from ...words import Order
from .lexicon import DIRECTED
from .line import Line

_FRAME = re.compile(r"(?:(?P<before>[iwpv]|(?<=e)f)[dx]*|(?<=ne)d)(?P<frame>q)")
_ORDER = re.compile(
    r"(?P<index>o)(?:[aknvhdirwx#]{0,6}?(?P<tail>f)[dx]*y*"  # second man in red from the left
    r"|(?P<at>s)(?P<tail3>f)[dx]*y*"  # second bottom from the left
    r"|[aknv]{0,3}(?P<tail2>[ip])[dx]*y*"  # second man on the left
    r"|t?|[ank]{1,3}(?=s+(?!w)))(?P<side>s+)[ht]?"  # second left most; second man left
)
_COUNTED = re.compile(r"(?P<index>o|(?<!o)#)k?i?(?P<tail>f)[dx]*y*(?P<side>s+)[ht]?")
_ORDER_AFTER = re.compile(r"(?P<tail>f)[dx]*y*(?P<side>s+)h?,?(?P<index>o)")
_MOST = re.compile(r"[ip]?d*y*(?P<side>s+)t")
_MOST_BEFORE = re.compile(r"[ip]?d*(?P<index>o?)(?P<most>[te])(?P<to>[ip]?)[dx]*(?P<side>s+)h?")
_MOST_WORD = re.compile(r"[ip]?d*(?P<index>o?)(?P<side>t)")
_PART = re.compile(r"[xd_]*y*(?:(?P<sides>s+)(?P<half>h?)|h)w(?=[^,]*[nk])")
_SIDE_OF = re.compile(r"(?:(?P<on>i)|p)?[dx]*y*(?P<sides>s+)(?P<half>h?)w(?=[dx]*[akvs#]*[nk])")
_EXTREME = re.compile(
    r"e(?P<far>f)(?=[dx]*[as]*n)|e(?P<near>p)(?=[dx]*[as]*n)|(?<=n)(?P<bare>e)(?=d[as]*n)|ep?"
)
_DIRECTION = re.compile(r"[va](?P<sides>[pdx]*s+)(?!h)")
_OF_THE_OTHER = re.compile(
    r"(?<=[nN])r[dx]*[av#]*(?:n+|v)(?:(?P<how>p)[dx]*y*(?:s+h?|h)|i(?P<top>s)(?=$|,))"
)
_LENGTHWISE = ("down", "across", "along", "around", "through")
_PLACE = re.compile(r"[ipwf]?[dx]*y*s+h?")
_ITS = ("its", "his", "her", "their")
_SIDE_KINDS = {
    "left": "left of",
    "right": "right of",
    "top": "on",
    "bottom": "below",
    "front": "in front of",
    "back": "behind",
    "middle": "in",
}
_OPPOSITE = {
    a: b
    for pair in (("left", "right"), ("top", "bottom"), ("front", "back"), ("middle", "middle"))
    for a, b in (pair, pair[::-1])
}
_FROM_LAST = {"last": "1", "last but one": "2", "last but two": "3"}
_AFTER_RIGHT = ("near", "behind", "in front of", "middle")


def read_frame(line: Line) -> None:
    """Drop "of the picture", "(closest) to the camera"; elsewhere a picture is a thing."""
    for match in line.find(_FRAME):
        start = match.start("frame") if match["before"] == "v" else match.start()
        line.retag(start, match.end())
    for i, tag in enumerate(line.tags):
        if tag == "q":
            other = line.tags[i - 1 : i] == "s" and "n" in line.tags  # "right pic, guy on left"
            frame = line.words[i].text in ("us", "you", "viewer") or other
            line.retag(i, i + 1, "x" if frame else "n")


def read_order(line: Line) -> None:
    """Read "second from left", "left most", "furthest to the right"."""
    for pattern in (_COUNTED, _ORDER, _ORDER_AFTER):
        for match in line.find(pattern):
            tails = [name for name in pattern.groupindex if name.startswith("tail")]
            tail = max(match.start(name) for name in tails)
            if "at" in pattern.groupindex and match["at"]:
                line.add_position(line.sides(*match.span("at")))
                line.retag(*match.span("at"))
            counted = tail >= 0 and line.tags[tail] == "f"
            _set_order(line, line.values[match.start("index")], *match.span("side"), counted)
            line.retag(*match.span("index"))
            line.retag(tail if tail >= 0 else match.start("side"), match.end())
            _read_within(line, match.end())
    _read_row(line)
    for match in line.find(_MOST):
        _set_order(line, "1", *match.span("side"))
        line.retag(*match.span())
    for match in line.find(_MOST_BEFORE):
        _read_most_before(line, match)
    for match in line.find(_MOST_WORD):
        if line.values[match.start("side")] != "most":
            _set_order(line, _index(line, match), *match.span("side"))
            line.retag(*match.span())
    _read_first(line)


def _read_within(line: Line, at: int) -> None:
    """Of "third from the top of the stack" the stack is what the row is in."""
    if "n" in line.tags[:at] and re.compile(r"wd[a#]*n").match(line.tags, at):
        line.retag(at, at + 1, "r")
        line.values[at] = "in"


def _read_first(line: Line) -> None:
    """Read "the last two chairs", which no side says more of, in the order of reading."""
    for match in line.find(r"o(?P<of>w?)(?![es])"):
        index = line.values[match.start()]
        if line.order or index not in ("1", "last") or not (line.count or match["of"]):
            continue
        line.order = Order(1, "right" if index == "last" else "left")
        said = line.words[match.start()].text
        line.notes.append(f"'{said}' was counted from the left.")
        line.retag(match.start(), match.start() + 1)


def _read_row(line: Line) -> None:
    """Read "first row", which is the one in front, where no side says more."""
    for match in line.find(r"[ip]?[dx]*(?P<index>o)(?P<row>h)(?![fps])"):
        if line.values[match.start("index")] in ("1", "last"):
            line.add_position(["front" if line.values[match.start("index")] == "1" else "back"])
            line.retag(*match.span())


def _read_most_before(line: Line, match: re.Match[str]) -> None:
    """Read "furthest left"; "closest on the left" and "furthest back" are extremes at a place."""
    sides = line.sides(*match.span())
    closest = line.values[match.start("most")] == "closest"
    if {"front", "back"} & {*sides} or (closest and match["to"] != "p"):
        return
    if closest and len(sides) > 1:
        line.add_position(sides)  # "closest to the bottom left" is a corner, not near the viewer
    else:
        _set_order(line, _index(line, match), *match.span("side"))
    line.retag(*match.span())


def _index(line: Line, match: re.Match[str]) -> str:
    """The ordinal that a pattern found, or the first."""
    return line.values[match.start("index")] if match["index"] else "1"


def _set_order(line: Line, index: str, start: int, end: int, counted: bool = False) -> None:
    """Count from the horizontal side where several are named; the others are the position.

    The last "on the left" is the leftmost; the last that is counted "from the left" the rightmost.
    """
    sides = [side for value in line.values[start:end] for side in value.split()]
    side = next((s for s in sides if s in ("left", "right")), sides[0])
    line.add_position(s for s in sides if s != side)
    if "last" in index:
        side = _OPPOSITE[side] if counted or index != "last" else side
        index = _FROM_LAST[index]
    countable = re.fullmatch("0*[1-9][0-9]?", index, re.ASCII)
    if side == "middle" or line.order or not countable:
        line.add_position([side])
    else:
        line.order = Order(int(index), side)


def read_part(line: Line) -> None:
    """Read "top of", "right half of" at the beginning, where the whole is the root."""
    match = _PART.match(line.tags)
    if not match:
        return
    sides = line.sides(*match.span())
    bare = sides and not match["half"] and set(sides) <= {"left", "right"}
    if bare and "#" not in line.tags[match.end() : match.end() + 2]:
        return  # "left of the tree" is beside it, but "left of the two men" is one of them
    line.add_position(sides)
    line.retag(*match.span())


def read_side_of(line: Line) -> None:
    """Read "to the left of X"; "on the left side of X", "at the bottom of X" are positions, too."""
    for match in line.find(_SIDE_OF):
        if (
            line.words[min(match.end(), len(line.words) - 1)].text in _ITS
            and "n" in line.tags[: match.start()]
        ):
            _read_own_side(line, match)
            continue
        sides = line.sides(*match.span())
        side = next((s for s in sides if s in ("left", "right")), sides[0])
        corner = len(sides) > 1 or "corner" in line.quote(*match.span()).lower()
        if side == "middle" or (
            match["on"] and (match["half"] or corner or side in ("top", "bottom"))
        ):
            line.add_position(sides if len(sides) > 1 else [side])
        line.retag(*match.span())
        # what is at the bottom of something is mostly in it
        within = match["on"] and (corner or side == "bottom")
        line.values[match.end() - 1] = "in" if within else _SIDE_KINDS[side]
        line.retag(match.end() - 1, match.end(), "r")


def _read_own_side(line: Line, match: re.Match[str]) -> None:
    """Of "on the left side of its face" the side is the thing's own."""
    line.retag(*match.span())
    line.values[match.end() - 1] = "on"
    line.retag(match.end() - 1, match.end(), "r")


def read_extreme(line: Line) -> None:
    """Read "largest"; of "closest to the door", "nearest the door" the door is a relation, too."""
    for match in line.find(r"e[nk]?[dx]*(?P<than>p[dx]*[as#]*(?:n+|k))"):
        if line.words[match.start("than")].text == "than":
            said = line.quote(*match.span("than"))
            line.notes.append(f"'{said}' is not measured: of all that match, one is taken.")
            line.retag(*match.span("than"))
    for match in line.find(_EXTREME):
        if re.search(r"[ir][dx#a]*$", line.tags[: match.start()]):
            continue  # "between the two smaller ones": of the other thing
        extreme = line.values[match.start()]
        line.extreme = line.extreme or extreme
        rank = line.values[match.start() - 1] if line.tags[: match.start()].endswith("o") else ""
        if rank.isdecimal() and not line.order:
            line.order = Order(int(rank), line.extreme)
            line.retag(match.start() - 1, match.start())
        line.retag(*match.span())
        if match["far"]:
            line.retag(match.end() - 1, match.end(), "r")
            line.values[match.end() - 1] = "far from"
        elif match["near"] or (match["bare"] and extreme == "closest"):
            line.retag(match.end() - 1, match.end(), "r")
            line.values[match.end() - 1] = "near"
    # "near sheep" with nothing before it is the closest sheep.
    near = re.match(r"d*r(?=[as]*n)", line.tags)
    if near and not line.extreme and line.words[near.end() - 1].text == "near":
        line.extreme = "closest"
        line.retag(*near.span())


def read_direction(line: Line) -> None:
    """Drop the sides that are no positions: "facing left", "right behind", "with his back to"."""
    for match in line.find(_DIRECTION):
        if line.words[match.start()].text in DIRECTED:
            said = line.quote(*match.span())
            line.notes.append(f"'{said}' is a direction, which is not used.")
            line.retag(*match.span("sides"))
    for match in line.find(r"[rd]+(?P<side>s)(?=[va_]|$)"):
        if line.values[match.start()] == "with" and line.values[match.start("side")] == "back":
            line.retag(*match.span())
    for match in line.find(r"[ip](?P<whose>d)s+h?(?!w)"):
        if line.words[match.start("whose")].text in _ITS:
            line.retag(*match.span())  # "blue on its front": a side of the thing
    for match in line.find(_OF_THE_OTHER):
        on_top = match["top"] and line.values[match.start("top")] == "top"
        if on_top or (match["how"] and line.words[match.start("how")].text in _LENGTHWISE):
            line.retag(match.start("top") - 1 if on_top else match.start("how"), match.end())
    for match in line.find(r"(?<![ipdys])s(?=r|i[dx]*[san])"):
        following = line.values[match.end() : match.end() + 3]
        if line.values[match.start()] == "right" and {*_AFTER_RIGHT} & {*following}:
            line.retag(*match.span())


def read_position(line: Line) -> None:
    """Read every side that no other pass has consumed."""
    for match in line.find(_PLACE):
        line.add_position(line.sides(*match.span()))
        line.retag(*match.span())
    for match in line.find("y"):
        if line.words[match.start()].text == "far":
            line.add_position(["back"])
            line.retag(*match.span())
