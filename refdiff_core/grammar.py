"""The passes of the expression parser; each consumes what it has read (see `expression.py`).

A line of words is a line of tags, one letter a word (`lexicon.py`), and "_" for a word that
is consumed. Passes match patterns over the tags, from left to right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from .lexicon import ANYBODY, BODY_PARTS, DIRECTED, GARMENTS, KNOWN_NOUNS, PERSONS, RIDES, look_up
from .values import Expression, Order, Relation, Word

_NEGATED = re.compile(r"g[dx]*[irp]*[dx]*(?:[aksve#]*k(?:[ir][dx]*[a#v]*n*)?|[aksve#]*n+|[asve#]+)?")
_FRAME = re.compile(r"(?P<before>[iwpv])[dx]*(?P<frame>q)")
_ORDER = re.compile(
    r"(?P<index>o)(?:[aknvhdirx]{0,6}?(?P<tail>f)[dx]*y*|[aknv]{0,3}(?P<tail2>[ip])[dx]*y*|t?)"
    r"(?P<side>s+)[ht]?"
)
_COUNTED = re.compile(r"(?P<index>[o#])k?(?P<tail>f)[dx]*y*(?P<side>s+)[ht]?")
_ORDER_AFTER = re.compile(r"(?P<tail>f)[dx]*y*(?P<side>s+)h?,?(?P<index>o)")
_MOST = re.compile(r"[ip]?d*y*(?P<side>s+)t")
_MOST_BEFORE = re.compile(r"[ip]?d*[te][ip]?[dx]*(?P<side>s+)h?")
_MOST_WORD = re.compile(r"[ip]?d*(?P<index>o?)(?P<side>t)")
_PART = re.compile(r"[xd_]*y*(?:(?P<sides>s+)(?P<half>h?)|h)w(?=[^,]*[nk])")
_SIDE_OF = re.compile(r"[ip]?[dx]*y*(?P<sides>s+)h?w(?=[dx]*[akvs#]*[nk])")
_EXTREME = re.compile(r"e(?:(?P<near>p)(?=[dx]*[as]*n)|p)?")
_PHRASE = re.compile(r"[dx]*(?P<mods>[asoe#vdy]*)(?P<head>n+|k)?")
_COLOURS = re.compile(r"[dx]*(?P<colours>[a#]*a(?:[c,]?a+)*)(?P<side>s)?")
_DIRECTION = re.compile(r"v(?P<sides>[pdx]*s+)(?!h)")
_PLACE = re.compile(r"[ipwf]?[dx]*y*s+h?")
_SIDE_KINDS = {
    "left": "left of",
    "right": "right of",
    "top": "on",
    "bottom": "below",
    "front": "in front of",
    "back": "behind",
    "middle": "in",
}
_OWN = ("in", "with", "wearing", "holding")


@dataclass
class Line:
    """One line while it is being read."""

    text: str
    negative: bool = False
    words: list[Word] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    tags: str = ""
    root: Word | None = None
    attributes: list[Word] = field(default_factory=list)
    position: list[str] = field(default_factory=list)
    order: Order | None = None
    extreme: str | None = None
    relations: list[Relation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, word: Word, tag: str, value: str) -> None:
        """Append one word."""
        self.words.append(word)
        self.values.append(value)
        self.tags += tag

    def retag(self, start: int, end: int, tag: str = "_") -> None:
        """Give the words one tag; by default they are consumed."""
        self.tags = self.tags[:start] + tag * (end - start) + self.tags[end:]

    def find(self, pattern: str | re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Matches from left to right, against the tags as they stand after each."""
        at, compiled = 0, re.compile(pattern)
        while match := compiled.search(self.tags, at):
            yield match
            at = max(match.end(), match.start() + 1)

    def sides(self, start: int, end: int) -> list[str]:
        """The sides that the words name."""
        return [self.values[i] for i in range(start, end) if self.tags[i] == "s"]

    def add_position(self, sides: Iterable[str]) -> None:
        """Say where the thing is."""
        self.position += [s for s in dict.fromkeys(sides) if s not in self.position]

    def describe(self, start: int, end: int, tags: str) -> None:
        """Make attributes of the words that have one of these tags."""
        self.attributes += [self.words[i] for i in range(start, end) if self.tags[i] in tags]

    def quote(self, start: int, end: int) -> str:
        """The words as they were written."""
        return self.text[self.words[start].start : self.words[end - 1].end]

    def expression(self) -> Expression:
        """What has been read so far."""
        attributes = {word.start: word for word in self.attributes if word != self.root}
        return Expression(
            text=self.text,
            root=self.root,
            attributes=tuple(attributes[start] for start in sorted(attributes)),
            position=tuple(self.position),
            order=self.order,
            extreme=self.extreme,
            relations=tuple(self.relations),
            negative=self.negative,
            notes=tuple(dict.fromkeys(self.notes)),
        )


def read_line(line: Line) -> Expression:
    """Run every pass over a tagged line."""
    for read in _PASSES:
        read(line)
    return line.expression()


def _read_homographs(line: Line) -> None:
    """Settle words that are one thing or another by their neighbours."""
    for i, word in enumerate(line.words):
        before, after = line.tags[:i], line.tags[i + 1 :]
        if line.tags[i] == "a" and _is_naming(word.text, before, after):
            line.retag(i, i + 1, "n")
        elif word.text == "top" and re.search(r"a$", before) and not re.match(r"[san]", after):
            line.retag(i, i + 1, "n")  # "in a red top": what is worn
        elif line.tags[i] == "m" and not after.startswith("w"):
            line.retag(i, i + 1, "n")
        elif line.tags[i] == "n" and _is_owner(line, i):
            line.retag(i, i + 1, "a")
        elif word.text == "number" and after.startswith("#"):
            _read_number(line, i)


def _is_naming(text: str, before: str, after: str) -> bool:
    """Whether "orange" is the fruit, "light" the lamp."""
    if re.match(r"[ank]|ca", after):
        return False
    return text == "light" or text == "orange" and not re.search(r"[nkN]|[ir][dx]*$", before)


def _is_owner(line: Line, at: int) -> bool:
    """Whether the word owns what follows: "man's hat", and "guys hat" where it can be worn."""
    text = line.words[at].text
    thing = re.compile(r"[as]*(?P<noun>n+)").match(line.tags, at + 1)
    if not thing:
        return False
    if text.endswith(("'s", "\u2019s")):
        return True
    owned = line.words[thing.end() - 1].text in GARMENTS | BODY_PARTS
    return owned and text.endswith("s") and text[:-1] in ANYBODY


def _read_number(line: Line, at: int) -> None:
    """Read "number 12" as a description where something else is named, and of an order."""
    if line.tags[at + 2 : at + 3] == "f":
        line.retag(at, at + 1)
    elif "n" in line.tags[:at] + line.tags[at + 1 :]:
        line.retag(at, at + 1, "a")


def _read_negation(line: Line) -> None:
    for match in line.find(_NEGATED):
        said = line.quote(*match.span())
        line.notes.append(f"'{said}' is not used: give what to leave out its own line, 'not: ...'.")
        line.retag(*match.span())


def _read_frame(line: Line) -> None:
    """Drop "of the picture", "to the camera"; elsewhere a picture is a thing."""
    for match in line.find(_FRAME):
        start = match.start("frame") if match["before"] == "v" else match.start()
        line.retag(start, match.end())
    for i, tag in enumerate(line.tags):
        if tag == "q":
            line.retag(i, i + 1, "x" if line.words[i].text in ("us", "you", "viewer") else "n")


def _read_order(line: Line) -> None:
    for pattern in (_COUNTED, _ORDER, _ORDER_AFTER):
        for match in line.find(pattern):
            tail = match.start("tail")
            if tail < 0 and "tail2" in pattern.groupindex:
                tail = match.start("tail2")
            _set_order(line, line.values[match.start("index")], *match.span("side"))
            line.retag(*match.span("index"))
            line.retag(tail if tail >= 0 else match.start(), match.end())
    for pattern in (_MOST, _MOST_BEFORE):
        for match in line.find(pattern):
            if pattern is _MOST or not {"front", "back"} & set(line.sides(*match.span())):
                _set_order(line, "1", *match.span("side"))
                line.retag(*match.span())
    for match in line.find(_MOST_WORD):
        if line.values[match.start("side")] != "most":
            _set_order(line, line.values[match.start()] if match["index"] else "1", *match.span("side"))
            line.retag(*match.span())


def _set_order(line: Line, index: str, start: int, end: int) -> None:
    """Count from the horizontal side where several are named; the others are the position."""
    sides = line.values[start:end]
    side = next((s for s in sides if s in ("left", "right")), sides[0])
    line.add_position(s for s in sides if s != side)
    if side == "middle" or line.order:
        line.add_position([side])
    else:
        line.order = Order(int(index) if index.isdigit() else 1, side)


def _read_part(line: Line) -> None:
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


def _read_side_of(line: Line) -> None:
    """Read "to the left of X" as a relation."""
    for match in line.find(_SIDE_OF):
        sides = line.sides(*match.span())
        side = next((s for s in sides if s in ("left", "right")), sides[0])
        if side == "middle":
            line.add_position(["middle"])
        line.retag(*match.span())
        line.values[match.end() - 1] = _SIDE_KINDS[side]
        line.retag(match.end() - 1, match.end(), "r")


def _read_extreme(line: Line) -> None:
    for match in line.find(_EXTREME):
        line.extreme = line.extreme or line.values[match.start()]
        line.retag(*match.span())
        if match["near"]:
            line.retag(*match.span("near"), "r")
            line.values[match.start("near")] = "near"
    # "near sheep" with nothing before it is the closest sheep.
    near = re.match(r"d*r(?=[as]*n)", line.tags)
    if near and not line.extreme and line.words[near.end() - 1].text == "near":
        line.extreme = "closest"
        line.retag(*near.span())


def _read_direction(line: Line) -> None:
    for match in line.find(_DIRECTION):
        if line.words[match.start()].text in DIRECTED:
            said = line.quote(*match.span())
            line.notes.append(f"'{said}' is a direction, which is not used.")
            line.retag(*match.span("sides"))
    for match in line.find(r"[rd]+(?P<side>s)(?=[va_]|$)"):
        if line.values[match.start()] == "with" and line.values[match.start("side")] == "back":
            line.retag(*match.span())  # "with back turned": the body's


def _read_relations(line: Line) -> None:
    other = -1
    for match in line.find("[irv]"):
        at = match.start()
        if line.tags[at] == "v" and not _has_object(line, at):
            continue
        near_person = other >= 0 and not line.tags[other:at].strip("xv")
        end = _read_relation(line, at, near_person)
        if end:
            other = end if _names_person(line, end - 1) else -1


def _has_object(line: Line, at: int) -> bool:
    """Whether the verb at this place has an object, which is not what somebody wears."""
    found = re.compile(r"[dx]*[a#]*n+").match(line.tags, at + 1)
    named = re.search(r"[nkN]", line.tags[:at])
    return bool(found and named and line.words[found.end() - 1].text not in GARMENTS)


def _names_person(line: Line, at: int) -> bool:
    return line.words[at].text in PERSONS or look_up(line.words[at].text)[0] == "k"


def _read_relation(line: Line, at: int, near_person: bool) -> int | None:
    """Read the relation that begins at this word; the place after its noun, if it has one."""
    phrase = _PHRASE.match(line.tags, at + 1)
    assert phrase  # every part of the pattern is optional
    if line.tags[at] == "i" and _is_place(line, phrase):
        return None
    kind = line.values[at]
    if line.tags[at] == "v":
        kind = "on" if kind in RIDES else "with"
        line.attributes.append(line.words[at])
    if near_person and kind in _OWN and (phrase["head"] or "a" in phrase["mods"]):
        said = line.quote(at, phrase.end())
        line.notes.append(f"'{said}' describes another thing; it is not used.")
        line.retag(at, phrase.end())
        return None
    if phrase["head"]:
        return _relate(line, at, kind, phrase)
    return _read_colour(line, at, kind)


def _is_place(line: Line, phrase: re.Match[str]) -> bool:
    """Whether "on left ..." is a position; "on left bike" is about the bike."""
    if not re.match(r"d*y*s", phrase["mods"]):
        return False
    if not phrase["head"] or re.search("[av]", phrase["mods"]):
        return True
    noun = line.words[phrase.end() - 1].text
    return noun in GARMENTS or not re.search(r"[nkN]", line.tags[: phrase.start()])


def _relate(line: Line, at: int, kind: str, phrase: re.Match[str]) -> int:
    """Relate the thing to this noun, and to those that "and" adds."""
    _relate_one(line, at, kind, phrase)
    end = phrase.end()
    while re.compile(r"c(?=[dx]*[a#]*n)").match(line.tags, end):
        following = _PHRASE.match(line.tags, end + 1)
        assert following and following["head"]
        _relate_one(line, end, kind, following)
        end = following.end()
    return end


def _relate_one(line: Line, at: int, kind: str, phrase: re.Match[str]) -> None:
    noun = line.words[phrase.end() - 1]
    sides = line.sides(*phrase.span("mods"))
    if kind in ("in", "on") and noun.text not in BODY_PARTS:
        line.add_position(sides)  # what is on the left plate is on the left
    elif sides:
        line.notes.append(f"'{' '.join(sides)}' describes '{noun.text}'; it is not used.")
    if phrase["head"] == "k":
        line.notes.append(f"'{line.quote(at, phrase.end())}' names no other thing; it is not used.")
    else:
        line.relations.append(Relation(kind, noun))
        if kind in _OWN and noun.text in GARMENTS:
            line.describe(phrase.start(), phrase.end(), "an#")
    line.retag(at, phrase.end())


def _read_colour(line: Line, at: int, kind: str) -> None:
    """Read "in red", and words that lead nowhere."""
    colours = _COLOURS.match(line.tags, at + 1)
    if colours and kind in (*_OWN, "on"):
        line.describe(*colours.span("colours"), "a#")
        # "a train with a yellow front": the front describes it, too
        end = colours.end() if kind == "with" else colours.end("colours")
        line.retag(at, end)
    elif colours:
        line.relations.append(Relation(kind, line.words[colours.end("colours") - 1]))
        line.retag(at, colours.end("colours"))
    elif kind == "behind":
        line.add_position(["back"])
        line.retag(at, at + 1)


def _read_position(line: Line) -> None:
    # "right behind", "right in the middle": no side
    for match in line.find(r"(?<![ipdys])s(?=r|i[dx]*s)"):
        following = line.values[match.end() : match.end() + 3]
        if line.values[match.start()] == "right" and {"near", "behind", "middle"} & set(following):
            line.retag(*match.span())
    for match in line.find(_PLACE):
        line.add_position(line.sides(*match.span()))
        line.retag(*match.span())
    for match in line.find("y"):
        if line.words[match.start()].text == "far":
            line.add_position(["back"])
            line.retag(*match.span())


def _read_head(line: Line) -> None:
    for match in line.find(r"mw(?=[dx]*[a#v]*n)"):
        line.retag(*match.span())
    if line.root is None and (head := _head_index(line)) is not None:
        line.root = line.words[head]
        start = len(line.tags[:head].rstrip("n"))
        line.describe(start, head, "n")
        line.retag(start, head)
        line.retag(head, head + 1, "N")
    for match in line.find(r"(?<=[Nn_])w[dx]*[a#v]*n+"):
        line.describe(*match.span(), "anv#")
        line.retag(*match.span())


def _head_index(line: Line) -> int | None:
    """The head of the first noun phrase; a person before what a person wears."""
    heads = [_head_of_run(line, *match.span()) for match in line.find("n+")]
    if heads and line.words[heads[0]].text in GARMENTS:
        return next((head for head in heads if line.words[head].text in PERSONS), heads[0])
    return heads[0] if heads else None


def _head_of_run(line: Line, start: int, end: int) -> int:
    """The last noun, but of "man hat" the man."""
    for i in range(start, end - 1):
        if line.words[i].text in ANYBODY and line.words[i + 1].text not in BODY_PARTS | PERSONS:
            return i
    return end - 1


def _read_leftovers(line: Line) -> None:
    for match in line.find(r"[a#]*n+"):
        noun = line.words[match.end() - 1]
        if noun.text not in GARMENTS:
            said = line.quote(*match.span())
            line.notes.append(f"'{said}' names another thing; one line describes one.")
            line.retag(*match.span())
    line.describe(0, len(line.tags), "anv#")
    for match in line.find("o"):
        said = line.words[match.start()].text
        line.notes.append(f"'{said}': from which side? Write such as '{said} from the left'.")


def _read_unknown(line: Line) -> None:
    named = [line.root] if line.root else []
    named += [*line.attributes, *(relation.noun for relation in line.relations)]
    unknown = [w.text for w in sorted(named, key=lambda w: w.start) if not _is_known(w.text)]
    if unknown:
        said = ", ".join(f"'{text}'" for text in dict.fromkeys(unknown))
        line.notes.append(f"In no word list, read as a noun: {said}.")
    if not line.words or not any(character.isalnum() for character in line.text):
        line.notes.append(f"'{line.text}' holds no word that could be read.")


def _is_known(text: str) -> bool:
    """Whether the word is in a list, or in the plural of one."""
    singular = re.sub(r"('s|\u2019s|es|s)$", "", text)
    return bool({text, text.removesuffix("s"), singular} & KNOWN_NOUNS) or look_up(text)[0] != "n"


_PASSES: tuple[Callable[[Line], None], ...] = (
    _read_homographs,
    _read_negation,
    _read_frame,
    _read_order,
    _read_part,
    _read_side_of,
    _read_extreme,
    _read_direction,
    _read_relations,
    _read_position,
    _read_head,
    _read_leftovers,
    _read_unknown,
)
