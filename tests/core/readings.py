"""Readings as the labelled tables write them, and as the parser gives them, to be compared.

count*root(attributes) @position #order ^extreme kind:noun ... -[excluded] + another thing;
" || " between several that are right
"""

from __future__ import annotations

import re
from pathlib import Path

from refdiff_core.language.expression import parse
from refdiff_core.words import Expression

DATA = Path(__file__).parent / "language" / "data"
FOREIGN = "!foreign"
_PART = re.compile(r"-\[[^\]]*\]|[^\s(]+(?:\([^)]*\))?")


def labelled(name: str) -> list[tuple[str, str, str]]:
    """Kind, line and reading of every row of a table."""
    lines = (DATA / f"expressions_{name}.tsv").read_text(encoding="utf-8").splitlines()
    header, *rows = [tuple(line.split("\t")) for line in lines if not line.startswith("# ")]
    return [(kind, text, reading) for kind, text, reading in rows]


def is_right(text: str, reading: str) -> bool:
    """Whether the parser reads a line as it is labelled, in one of the ways that are right."""
    right = reading.split(" || ")
    return reading_of(parse(text)) in [each if each == FOREIGN else normal(each) for each in right]


def normal(reading: str) -> str:
    """The same for all ways to write one reading down: each part's words in a fixed order."""
    negative = reading.startswith("not ")
    things = [_normal_thing(each) for each in reading.removeprefix("not ").split(" + ")]
    return ("not " if negative else "") + " + ".join(things)


def _normal_thing(reading: str) -> str:
    head, *rest = _PART.findall(reading)
    parts = []
    for each in rest:
        if each.startswith("@"):
            each = "@" + ",".join(sorted(each[1:].split(",")))
        elif each.startswith("-["):
            each = f"-[{_normal_thing(each[2:-1])}]"
        parts.append(each)
    if found := re.fullmatch(r"(.*)\((.*)\)", head):
        head = f"{found[1]}({','.join(sorted(found[2].split(',')))})"
    return " ".join([head, *sorted(parts)])


def reading_of(found: Expression) -> str:
    """What the parser understood, as a normal reading."""
    if any("Only English" in note for note in found.notes):
        return FOREIGN
    things = found.things or (found,)
    said = " + ".join(_thing(each) for each in things)
    return normal(f"not {said}" if found.negative else said)


def _thing(found: Expression) -> str:
    count = "" if found.count == 1 else f"{found.count}*"
    root = f"<{found.region}>" if found.region else found.root.text if found.root else "?"
    attributes = ",".join(word.text for word in found.attributes)
    parts = [f"{count}{root}" + (f"({attributes})" if attributes else "")]
    if found.position:
        parts.append("@" + ",".join(found.position))
    if found.order:
        parts.append(f"#{found.order.index}{found.order.side}")
    if found.extreme and not (found.order and found.order.side == found.extreme):
        parts.append(f"^{found.extreme}")
    parts += [f"{each.kind.replace(' ', '_')}:{each.noun.text}" for each in found.relations]
    parts += [f"-[{_thing(each)}]" for each in found.excluded]
    return " ".join(parts)
