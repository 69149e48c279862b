"""What the words ask for: one line of text to one `Expression`, by closed word lists alone.

Every word gets a tag of one letter (`parsing/lexicon.py`); each pass (`parsing/`) matches a
pattern over the tags and consumes what it has read. What is left names or describes the thing.

Decisions, where English leaves a choice:

- Root: the head of the first noun phrase ("tennis player" -> player, "pizza slice" -> slice).
  "red", "left" and "the one in red" have none. A corner or a row is a place, never a root.
- "top of train", "right half of sandwich": a part by its place; the root is the whole, and the
  place is the position. "slice of pizza", "bowl of soup", "head of person": the first noun is the
  root and the rest describes it. "group of people": the measure is dropped, the root is people.
- What a person wears belongs to the person: "woman in white shirt" has the attributes white and
  shirt, and since a word says how, also the relation ("in", "shirt"). "guy far right blue shirt"
  has the attributes only; "man in black" has the attribute black. Other objects are relations
  only ("man on bike", "hand holding phone").
- What describes another noun ("left of the blue ring") belongs to the relation.
- Words after another noun: clothing goes to the nearer person ("man in front of man in white
  shirt"), a position to the root, which is what people mean. A position before the other noun
  ("behind the left car") is that noun's, and a note says that it is not used.
- "to the left of the couch" is the relation left of; "on the left side of the couch" is also the
  position left. What is on or in "the left chair" is on the left.
- "leftmost", "left most", "furthest left" are order 1 from the left; "far left" is a position.
  "second left" and "second on the left" count from the left. An ordinal without a side is noted.
- "over" is above, "on top of" is on, "next to", "beside", "by" and "at" are near. An object of
  any other verb ("eating pizza") is "with", of riding "on".
- What is at the top or bottom of something, or in its corner ("on top right of the table"), is
  there in the picture, too.
- A line that begins with "not" is negative as a whole, with or without the colon. A negation
  further in says what the line excludes, an expression of its own: "one" stands for the root ("the
  cup, not the red one" excludes the red cup), and so does what names nothing ("that is not blue").
  Of "the red cup, not the left one" it is the left one of the red cups.
- "man without hat", "with no hat", "not wearing a hat" exclude the man who has one: the thing, not
  its hat. A place that follows is the thing's own ("man without hat on the left").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..errors import ExpressionError
from ..words import Expression, Word
from .commands import strip_command
from .ellipsis import spell_out
from .foreign import foreign_language
from .lists import split_list
from .parsing import read_line
from .parsing.lexicon import look_up
from .parsing.spelling import correct
from .parsing.tagging import tag_line

_NOT = re.compile(
    r"\s*(?:not\s*(?::|\b(?=\s+\S))|(?:do not|don['\u2019]?t|never)\s+(?:select|mask|include|touch|"
    r"change|remove|erase|segment|pick|take|keep|edit|cover)\b)\s*",
    re.IGNORECASE,
)


def parse(text: str) -> Expression:
    """Read one line.

    Args:
        text: a sentence or a fragment; ``[brackets]`` around a word force the root, a leading
            ``not:`` asks for what to leave out.

    Returns:
        What was understood; ``notes`` says what was not.

    Raises:
        ExpressionError: the line is blank, or its brackets do not match or hold no word.
    """
    stripped = _NOT.sub("", text, count=1) if (negative := _is_negative(text)) else text
    if not stripped.strip():
        raise ExpressionError(
            f"The expression {text!r} is empty. "
            "Write what to find, such as 'the red cup on the left'."
        )
    line = " ".join(stripped.split())
    if language := foreign_language(line):
        return Expression(line, negative=negative, notes=(_FOREIGN.format(line, language),))
    line, slips = correct(line)
    plain, forced = _without_brackets(line)
    if forced:
        found, result = _read_one(plain, negative, forced), None
    else:
        said, result = strip_command(plain)
        found = _read_all(spell_out(said), negative)
    if result:
        slips += (f"'{result}' says what is to come there; it is not used.",)
    return replace(found, notes=(*found.notes, *slips))


_FOREIGN = (
    "Is '{}' written in {}? Only English is understood: position and size words were not read, and "
    "the models are asked for the line as it is."
)


def _is_negative(text: str) -> bool:
    """Whether the line says what to leave out; "not the star, the other one" says what to find."""
    said = _NOT.match(text)
    return said is not None and (":" in said[0] or not re.search(r",|\bbut\b", text))


def _read_all(text: str, negative: bool) -> Expression:
    """One thing, or the list of things that the text names."""
    texts, guessed = split_list(text, _read_one)
    if len(texts) < 2:
        found = _read_one(texts[0] if texts else text, negative)
        if guessed:
            note = "Read as one thing; put ' . ' between several."
            found = replace(found, notes=(*found.notes, note))
        return found
    things = tuple(_read_one(each) for each in texts)
    regions = [each for each, thing in zip(texts, things, strict=True) if thing.region]
    if regions:
        return _without_regions(texts, regions, negative)
    listed = ", ".join(f"'{each}'" for each in texts)
    note = f"Read as {len(things)} things, whose masks are joined: {listed}."
    if guessed:
        note += " If it is one, put [brackets] around the word that names it."
    notes = tuple(dict.fromkeys((note, *(each for thing in things for each in thing.notes))))
    first = shift(things[0], text, text.index(texts[0]))
    return replace(first, count=1, things=things, negative=negative, notes=notes)


def _without_regions(texts: Sequence[str], regions: Sequence[str], negative: bool) -> Expression:
    """A list that names the background or the like, which is no thing: without it, or it alone."""
    kept = [each for each in texts if each not in regions] or [*regions[:1]]
    dropped = ", ".join(f"'{each}'" for each in texts if each not in kept)
    note = f"{dropped} cannot be one of several things; ask for it in a line of its own."
    found = _read_all(" . ".join(kept), negative)
    return replace(found, notes=(*found.notes, note))


def _read_one(
    text: str, negative: bool = False, forced: tuple[int, int] | None = None
) -> Expression:
    """The text as one thing, or as several of one kind."""
    line = tag_line(text, negative, forced)
    found = read_line(line)
    # "the background but not the sky"
    upto = line.words[line.negations[0].at].start if found.excluded else len(text)
    region = None if forced else _REGION.fullmatch(text[:upto].rstrip(" .,!?"))
    if (
        region
        and not (found.excluded and found.region)
        and all(look_up(word)[0] in "adx" for word in region[1].lower().split())
    ):
        named = _REGIONS[region[2].lower()]
        return Expression(text, region=named, negative=negative, excluded=found.excluded)
    return found


_REGIONS = {
    **dict.fromkeys(("background", "backdrop", "bg", "bkgd", "surroundings"), "background"),
    "foreground": "foreground",
    **{
        f"{whole} {frame}": "picture"
        for whole in ("whole", "entire", "full")
        for frame in ("picture", "image", "photo", "scene", "canvas")
    },
}
_REGION = re.compile(
    rf"((?:[^\W\d_-]+\s+){{0,4}}?)({'|'.join(_REGIONS)})"
    r"(?:\s+(?:behind|of|around|in)\b.*|\s+only|\s+alone)?",
    re.IGNORECASE,
)


def parse_lines(text: str | Iterable[str]) -> list[Expression]:
    """Read one expression a line; blank lines are skipped.

    Raises:
        ExpressionError: no line has words, or one of them cannot be read.
    """
    lines = text.splitlines() if isinstance(text, str) else list(text)
    expressions = [parse(line) for line in lines if line.strip()]
    if not expressions:
        raise ExpressionError(
            "There is no expression: every line is blank. "
            "Write at least one line that says what to find, such as 'the red cup on the left'."
        )
    return expressions


def to_json(expression: Expression) -> dict[str, object]:
    """The expression as plain data, with the keys that ``refdiff parse --json`` prints."""
    order = expression.order
    return {
        "text": expression.text,
        "negative": expression.negative,
        "root": expression.root.text if expression.root else None,
        "attributes": [word.text for word in expression.attributes],
        "position": list(expression.position),
        "order": {"index": order.index, "from": order.side} if order else None,
        "extreme": expression.extreme,
        "relations": [{"kind": r.kind, "noun": r.noun.text} for r in expression.relations],
        "count": expression.count,
        "region": expression.region,
        "excluded": [to_json(each) for each in expression.excluded],
        "things": [to_json(each) for each in expression.things],
        "notes": list(expression.notes),
    }


def shift(found: Expression, text: str, by: int) -> Expression:
    """The same said in a longer text, in which it begins ``by`` characters later."""

    def move(word: Word) -> Word:
        return replace(word, start=word.start + by, end=word.end + by)

    return replace(
        found,
        text=text,
        root=move(found.root) if found.root else None,
        attributes=tuple(move(word) for word in found.attributes),
        relations=tuple(
            replace(each, noun=move(each.noun), attributes=tuple(map(move, each.attributes)))
            for each in found.relations
        ),
        excluded=tuple(shift(each, text, by) for each in found.excluded),
    )


def _without_brackets(text: str) -> tuple[str, tuple[int, int] | None]:
    """The text without its brackets, and the characters that they held."""
    if "[" not in text and "]" not in text:
        return text, None
    if text.count("[") != 1 or text.count("]") != 1 or text.index("[") > text.index("]"):
        raise ExpressionError(
            f"The brackets in {text!r} do not match. "
            "Put one pair around the word that names the thing, such as 'the [cup] on the left'."
        )
    before, rest = text.split("[")
    inside, after = rest.split("]")
    if not any(character.isalnum() for character in inside):
        raise ExpressionError(
            f"The brackets in {text!r} hold no word. "
            "Put the word that names the thing inside, such as 'the [cup] on the left', "
            "or remove them."
        )
    # spaces inside the brackets belong outside, so that the span begins and ends with a word
    before += inside[: len(inside) - len(inside.lstrip())]
    after = inside[len(inside.rstrip()) :] + after
    start = len(" ".join((before + "x").split())) - 1
    inside = inside.strip()
    return " ".join((before + inside + after).split()), (start, start + len(inside))
