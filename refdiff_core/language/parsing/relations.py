"""The passes that read relations to other things, and what is worn.

Patterns are over the tags of `lexicon.py`; each pass consumes what it has read.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ...words import Relation
from .lexicon import OWN, RIDES, look_up
from .line import Line
from .vocabulary import BODY_PARTS, CONTAINERS, GARMENTS, PERSONS

_PHRASE = re.compile(r"[dx]*(?:mw[dx]*)?(?P<mods>(?:[asoe#vdy]|(?<=a)c(?=a))*)(?P<head>n+|k)?")
_COLOURS = re.compile(r"[dx]*(?P<colours>[a#]*a(?:[c,]?a+)*)(?P<side>s)?")
_OF_A_SIDE = re.compile(r"(?<=n)w(?=d[xy]*s+[a#v]*n)")
_OF = re.compile(r"w[dx]*[a#v]*n+")


def read_relations(line: Line) -> None:
    """Read prepositions and verbs with the noun or the colour that follows."""
    for match in line.find(_OF_A_SIDE):
        line.retag(match.start(), match.start() + 1, "r")
        line.values[match.start()] = "of"
    other = -1
    for match in line.find("[irv]"):
        at = match.start()
        if line.tags[at] == "v" and not _has_object(line, at):
            continue
        near_person = other >= 0 and not line.tags[other:at].strip("xv") or _follows_owner(line, at)
        end = _read_relation(line, at, near_person)
        if end:
            other = end if _names_person(line, end - 1) else -1


def read_owner(line: Line) -> None:
    """Read "hat of the man": the part names the thing, and its owner is related to it."""
    for match in line.find(r"(?<=N)w(?P<whose>d+)[a#v]*(?P<owner>n+)"):
        if line.root is None or line.root.text in CONTAINERS:
            continue
        described = range(match.end("whose"), match.end() - 1)
        attributes = tuple(line.words[i] for i in described if line.tags[i] in "an#")
        line.relations.append(Relation("of", line.words[match.end() - 1], attributes))
        line.retag(*match.span())


def settle_pronouns(line: Line) -> None:
    """Of "the dog behind the white one" the other thing is a dog, too."""
    for i, each in reversed([*enumerate(line.relations)]):
        if each.noun.text not in ("one", "ones"):
            continue
        if line.root:
            line.relations[i] = replace(each, noun=line.root)
        else:
            line.notes.append(f"'{each.noun.text}' names no other thing; it is not used.")
            del line.relations[i]


def _follows_owner(line: Line, at: int) -> bool:
    """Whether "with" comes after "the mouth of the man", and says what he has."""
    owner = re.search(r"(?<!m)nw[dx]+[a#]*n$", line.tags[:at])
    return owner is not None and _names_person(line, at - 1)


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
    if near_person and kind in OWN and (phrase["head"] or "a" in phrase["mods"]):
        said = line.quote(at, phrase.end())
        line.notes.append(f"'{said}' describes another thing; it is not used.")
        line.retag(at, phrase.end())
        return None
    if phrase["head"]:
        return _relate(line, at, kind, phrase)
    if _shares_noun(line, at, kind):
        return None
    _read_colour(line, at, kind)
    return None


def _shares_noun(line: Line, at: int, kind: str) -> bool:
    """Read "above and to the left of the house", whose noun comes after the second relation."""
    match = re.compile(r"r(?P<and>c)[dx_p]*r[dx]*[a#]*n+").match(line.tags, at)
    if match:
        line.relations.append(Relation(kind, line.words[match.end() - 1]))
        line.retag(at, match.end("and"))
    return match is not None


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
        if kind in OWN and _names_person(line, following.end() - 1):
            break
        _relate_one(line, end, kind, following)
        end = following.end()
    return end


def _relate_one(line: Line, at: int, kind: str, phrase: re.Match[str]) -> None:
    noun = line.words[phrase.end() - 1]
    mods = range(*phrase.span("mods"))
    sides = line.sides(mods.start, mods.stop)
    ranks = [line.words[i].text for i in mods if line.tags[i] in "oe"]
    through = line.words[at].text in ("through", "out of")
    if kind in ("in", "on", "of") and noun.text not in BODY_PARTS and not through:
        line.add_position(sides)  # what is on the left plate is on the left
    elif sides:
        ranks += sides
    if ranks:
        line.notes.append(f"'{' '.join(ranks)}' describes '{noun.text}'; it is not used.")
    described = range(phrase.start("mods"), phrase.end() - 1)
    attributes = tuple(line.words[i] for i in described if line.tags[i] in "avn#")
    own = re.compile(r"[irx]+[dx]*[asv#]*n*").match(line.tags, phrase.end())
    one = noun.text in ("one", "ones")
    if phrase["head"] == "k" and one and own and not attributes:
        attributes = tuple(line.words[i] for i in range(*own.span()) if line.tags[i] in "avn#")
        line.retag(*own.span())  # "next to the one with flowers"
    if phrase["head"] == "k" and not (attributes and one):
        line.notes.append(f"'{line.quote(at, phrase.end())}' names no other thing; it is not used.")
    else:
        line.relations.append(Relation(kind, noun, attributes))
        if kind in OWN and noun.text in GARMENTS:
            line.describe(phrase.start(), phrase.end(), "an#")
    of = _OF.match(line.tags, phrase.end())
    line.retag(at, of.end() if of else phrase.end())


def _read_colour(line: Line, at: int, kind: str) -> None:
    """Read "in red", and words that lead nowhere."""
    colours = _COLOURS.match(line.tags, at + 1)
    if colours and kind in (*OWN, "on"):
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
