"""The passes that settle what the words are, and find the noun that names the thing.

Patterns are over the tags of `lexicon.py`; each pass consumes what it has read.
"""

from __future__ import annotations

import re
import unicodedata

from .counts import is_plural
from .lexicon import ANYBODY, COMMANDS, KNOWN_NOUNS
from .line import Line
from .relations import read_owner
from .spelling import is_english, is_known
from .vocabulary import ADJECTIVES, BODY_PARTS, GARMENTS, HOLDERS, PERSONS, VERBS

_POSSESSIVE = ("'s", "\u2019s")


def read_homographs(line: Line) -> None:
    """Settle words that are one thing or another by their neighbours."""
    for match in line.find(r"(?P<bare>d?)(?P<both>n+c)n+(?P<held>n)"):
        head, first = line.words[match.start("held")].text, line.words[match.end("both") - 2].text
        if head in HOLDERS and not is_plural(first) and (is_plural(head) or not match["bare"]):
            line.retag(*match.span("both"), "a")  # "salt and pepper shakers"
            line.retag(match.end("both") - 1, match.end("both"), "x")
    for i, word in enumerate(line.words):
        before, after = line.tags[:i], line.tags[i + 1 :]
        if line.tags[i] == "n" and _is_unknown_adjective(line, i):
            line.retag(i, i + 1, "a")
        elif line.tags[i] == "a" and _is_naming(word.text, before, after):
            line.retag(i, i + 1, "n")
        elif word.text == "top" and re.search(r"a$", before) and not re.match(r"[san]", after):
            line.retag(i, i + 1, "n")  # "in a red top": what is worn
        elif line.tags[i] == "n" and word.text in COMMANDS and not before.strip("x"):
            line.retag(i, i + 1, "x")
        elif line.tags[i] == "v" and word.text in VERBS and re.search(r"(?:^|[daA#])$", before):
            line.retag(i, i + 1, "n" if word.text.endswith("s") else "v")  # "the faces"
        elif line.tags[i] == "n" and word.text.endswith("ing") and _is_doing(before, after):
            line.retag(i, i + 1, "v")
        elif line.tags[i] == "v" and re.search(r"r$", before) and re.match(r"$|i", after):
            line.retag(i, i + 1, "n")  # "with writing on the side"
        elif line.tags[i] == "h" and _is_mark(word.text, before):
            line.retag(i, i + 1, "n")  # "with a line across it", "the power line"
        elif word.text == "can" and re.search(r"[an]$", before) and not after.startswith("k"):
            line.retag(i, i + 1, "n")  # "the trash can"
        elif line.tags[i] == "n" and _describes_one(line, i):
            line.retag(i, i + 1, "a")
        elif line.tags[i] == "m" and not after.startswith("w"):
            line.retag(i, i + 1, "n")
        elif line.tags[i] == "n" and _is_owner(line, i):
            line.retag(i, i + 1, "a")
        elif word.text == "back" and i and line.words[i - 1].text.endswith(_POSSESSIVE):
            line.retag(i - 1, i, "a")
            line.retag(i, i + 1, "n")  # "the guy's back"
        elif word.text == "number" and after.startswith("#"):
            _read_number(line, i)
        elif word.text == "no" and after.startswith("#"):
            line.retag(i, i + 1, "x")  # "player no 7"


def _is_unknown_adjective(line: Line, at: int) -> bool:
    """Whether a word of no list, or one that may describe, comes before what describes a noun."""
    text = line.words[at].text
    described = re.match(r"a+n" if text not in ADJECTIVES else r"a*n", line.tags[at + 1 :])
    known = text in KNOWN_NOUNS or text.removesuffix("s") in KNOWN_NOUNS
    person = text.endswith(("er", "or", "ist", "man", "woman", "'s", "\u2019s"))
    return bool(described) and not person and (not known or text in ADJECTIVES)


def _is_mark(text: str, before: str) -> bool:
    """Whether a word for a part of the picture is a thing: after "with", and "power line"."""
    compound = before.endswith("n") and text in ("line", "lines", "area", "section", "spot")
    return compound or bool(re.search(r"r[dx]*a*$", before))


def _is_doing(before: str, after: str) -> bool:
    """Whether "crossing" is what somebody does: "who's crossing", "man crossing the street"."""
    return bool(re.search(r"[dn]x+$|n$", before) and re.match(r"[dx]*d[a#]*n", after))


def _describes_one(line: Line, at: int) -> bool:
    """Whether a pronoun follows: of "chocolate one", chocolate says which."""
    return line.tags[at + 1 : at + 2] == "k" and line.words[at + 1].text in ("one", "ones")


def _is_naming(text: str, before: str, after: str) -> bool:
    """Whether "orange" is the fruit, "light" the lamp."""
    if re.match(r"[ank]|ca", after):
        return False
    return (
        text in ("light", "male", "female")
        or text == "orange"
        and not re.search(r"[nkN]|[ir][dx]*$", before)
    )


def _is_owner(line: Line, at: int) -> bool:
    """Whether the word owns what follows: "man's hat", and "guys hat" where it can be worn."""
    text = line.words[at].text
    thing = re.compile(r"[as]*(?P<noun>n+)").match(line.tags, at + 1)
    if not thing:
        return False
    if text.endswith(_POSSESSIVE):
        return True
    owned = line.words[thing.end() - 1].text in GARMENTS | BODY_PARTS
    return owned and text.endswith("s") and text[:-1] in ANYBODY


def _read_number(line: Line, at: int) -> None:
    """Read "number 12" as a description where something else is named, and of an order."""
    if line.tags[at + 2 : at + 3] == "f":
        line.retag(at, at + 1)
    elif "n" in line.tags[:at] + line.tags[at + 1 :]:
        line.retag(at, at + 1, "a")


def read_head(line: Line) -> None:
    """Find the root among the nouns that are left, and what "of" adds to it."""
    for match in line.find(r"mw(?=[dx]*[a#v]*n)"):
        line.retag(*match.span())
    if line.root is None and (head := _head_index(line)) is not None:
        line.root = line.words[head]
        start = len(line.tags[:head].rstrip("n"))
        line.describe(start, head, "n")
        line.retag(start, head)
        line.retag(head, head + 1, "N")
    read_owner(line)
    for match in line.find(r"(?<=[Nn_v])w[dx]*[a#v]*n+"):
        line.describe(*match.span(), "anv#")
        line.retag(*match.span())


def _head_index(line: Line) -> int | None:
    """The head of the first noun phrase; a person before what a person wears."""
    heads = [_head_of_run(line, *match.span()) for match in line.find("n+")]
    owned = heads and line.tags[heads[0] + 1 : heads[0] + 2] == "w"  # "hat of the man"
    if heads and line.words[heads[0]].text in GARMENTS and not owned:
        return next((head for head in heads if line.words[head].text in PERSONS), heads[0])
    return heads[0] if heads else None


def _head_of_run(line: Line, start: int, end: int) -> int:
    """The last noun, but of "man hat" the man, and of "racket man is holding" the racket."""
    if end - start > 1 and line.words[end - 1].text in ANYBODY and _holds_nothing(line, end):
        return end - 2
    # "boy mouth open" is a boy, "man hand" a hand
    parts = PERSONS if re.match("[av]", line.tags[end:]) else BODY_PARTS | PERSONS
    for i in range(start, end - 1):
        if line.words[i].text in ANYBODY and line.words[i + 1].text not in parts:
            return i
    return end - 1


def _holds_nothing(line: Line, at: int) -> bool:
    """Whether somebody holds or wears what is named before: no object follows."""
    verb = re.compile(r"x*(?P<verb>r)(?![dx]*[a#]*n)").match(line.tags, at)
    return verb is not None and line.values[verb.start("verb")] in ("holding", "wearing")


def read_leftovers(line: Line) -> None:
    """Make attributes of what describes, and notes of the rest."""
    for match in line.find(r"[a#]*n+"):
        noun = line.words[match.end() - 1]
        if noun.text not in GARMENTS:
            said = line.quote(*match.span())
            line.notes.append(f"'{said}' names another thing; one line describes one.")
            line.retag(*match.span())
    line.describe(0, len(line.tags), "anv#")
    for match in line.find("r"):
        said = line.words[match.start()].text
        if said != "over":
            line.notes.append(f"'{said}' is followed by no other thing; it is not used.")
    for match in line.find("o"):
        said = line.words[match.start()].text
        line.notes.append(f"'{said}': from which side? Write such as '{said} from the left'.")


def read_unknown(line: Line) -> None:
    """Note nouns that neither the lists nor CLIP's vocabulary have, and a line without any word.

    A word of no list that describes one is an adjective as like as not, and no note would help.
    """
    nouns = [*([line.root] if line.root else []), *(each.noun for each in line.relations)]
    named = sorted(nouns, key=lambda word: word.start)
    unknown = [word.text for word in named if not is_known(word.text) and not is_english(word.text)]
    if unknown:
        said = ", ".join(f"'{text}'" for text in dict.fromkeys(unknown))
        line.notes.append(f"In no word list, read as a noun: {said}.")
    signs = [
        c for c in line.text if not c.isascii() and unicodedata.category(c) in ("So", "Sk", "Co")
    ]
    if signs:
        line.notes.append(f"'{''.join(dict.fromkeys(signs))}' was not read.")
    if not line.words:
        line.notes.append(f"'{line.text}' holds no word that could be read.")
