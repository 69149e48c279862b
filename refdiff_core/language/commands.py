"""What artists say around the thing they mean: "remove ...", "can you find ...", "... to blue".

Text in, text out: the words that name the thing stay as they were written.
"""

from __future__ import annotations

import re

from .parsing.lexicon import look_up

_POLITE = re.compile(
    r"(?:(?:please|pls|hey|hi|ok|okay|now|can|could|would|will|you|i|we|want|need|like|i'd|let's|"
    r"lets|to|just|help|me)\b[ ,]*)+(?=\w)",
    re.IGNORECASE,
)
_PLAIN_VERBS = (
    "remove|erase|delete|replace|isolate|extract|segment|select|locate|detect|inpaint|outpaint|"
    "find|keep|choose|recolou?r|repaint|redraw|get rid of|take out|take away|edit|swap|convert|"
    "transform"
)
_NOUNS_TOO = (
    "mask(?: out)?|cut(?: out)?|crop(?: out)?|paint(?: over)?|colou?r|change|turn|make|"
    "show(?: me)?|pick(?: out)?|blur(?: out)?|highlight|fill(?: in)?|outline|mark|track|get|"
    "give me|move|hide|cover|clean(?: up)?|blend|dress|sharpen|brighten|darken|see|take|"
    "look for|add|apply"
)
_DETERMINER = (
    r"the|a|an|all|both|every|each|only|just|my|his|her|their|its|this|that|these|those|any"
)
_MASK_OF = re.compile(
    r"(?:an?|the) (?:mask|selection|cut-?out|segmentation)s? (?:of|for|on|over|around)\s+", re.I
)
_COMMAND = re.compile(
    rf"(?P<verb>(?:{_PLAIN_VERBS})\b|(?:{_NOUNS_TOO})(?= (?:{_DETERMINER}|two|three|everything)\b))"
    r"\s+(?:me\s+)?(?:only\s+|just\s+)?"
    rf"(?:{_MASK_OF.pattern})?"
    r"(?:the (?:colou?r|look|style|appearance) of\s+)?",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"(?:where(?: is|'s| are)|which(?: one)? is|what is|only|just|(?:nothing|none) (?:but|except))"
    r"\s+",
    re.IGNORECASE,
)
_ADDED = re.compile(
    r"(?:put|add|place|draw|insert)\s+(?P<what>(?!.*\bmask\b).+?)\s+(?:on|onto|to|in|into|over)\s+(?P<where>.+)",
    re.IGNORECASE,
)
"""What is to come is not there yet: "add a hat to the man" is about the man."""
_RESULT = {
    r"replace|swap": r"with|by|for",
    r"change|turn|convert|transform|recolou?r|repaint|redraw|colou?r|paint|edit": r"to|into|in",
    r"fill|cover|paint over": r"with",
}
_GIVEN = re.compile(
    r"give\s+(?!me\b)(?P<where>.+?)\s+(?P<what>(?:an?|some|more|another|longer|shorter)\s.+)",
    re.IGNORECASE,
)
_OF_A_PLACE = re.compile(r"(?:the )?(?:far )?(?:left|right|top|bottom|side|front|back|end)\b", re.I)


def strip_command(text: str) -> tuple[str, str | None]:
    """The words that name the thing, without what is to be done with it.

    Returns:
        The text, and what it said of the result ("with a sunset"), None where nothing.
    """
    polite = _POLITE.match(text)
    rest = text[polite.end() :] if polite else text
    added = _ADDED.fullmatch(rest) or _GIVEN.fullmatch(rest)
    if added:
        return added["where"], f"{added['what']}"
    command = _COMMAND.match(rest)
    if not command:
        asked = _ASKED.match(rest) or (_MASK_OF.match(rest) if polite else None)
        if asked:
            return rest[asked.end() :], None
        return (rest if polite and _begins_thing(rest) else text), None
    said = rest[command.end() :]
    if not said.strip():
        return text, None
    return _without_result(command["verb"].lower(), said)


def _begins_thing(text: str) -> bool:
    return bool(re.match(rf"(?:{_DETERMINER})\b", text, re.IGNORECASE))


def _without_result(verb: str, said: str) -> tuple[str, str | None]:
    for verbs, words in _RESULT.items():
        if not re.fullmatch(verbs, verb):
            continue
        for match in reversed([*re.finditer(rf"\s+(?:{words})\s+", said, re.IGNORECASE)]):
            result = said[match.end() :]
            # "the car to the left", "the girl in red", are the thing's own
            own = _OF_A_PLACE.match(result) or (match[0].strip() == "in" and verb != "paint")
            if match.start() and not own:
                return said[: match.start()], said[match.start() :].strip()
    return _without_look(verb, said)


def _without_look(verb: str, said: str) -> tuple[str, str | None]:
    """Of "make the hair blonde" and "paint the door red", what the thing is to become is not it."""
    *before, last = said.split()
    if verb in ("make", "paint", "color", "colour", "turn", "dress") and before:
        kind = look_up(last.lower())[0]
        if kind == "e" or (kind == "a" and look_up(before[-1].lower())[0] == "n"):
            return " ".join(before), last
    return said, None
