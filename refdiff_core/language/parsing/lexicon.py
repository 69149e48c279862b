"""Closed word lists of the expression parser: what a word is, and what it stands for.

Each word has one tag, a single letter, so that the other files here match patterns over a line:

    d determiner   k pronoun      c "and"        x filler       g negator     , punctuation
    s side         h half, corner t "most"       y "far"        o ordinal     # numeral
    e extreme      f "from"       w "of"         m measure      q frame, viewer
    i in, on, at   r relation     p other preposition
    a adjective    v verb form    n noun (every word that is in no list)
    A quantifier ("all")
    N the root, once it is known; _ a word that has been read

A word's value is its canonical form: the side, the kind of relation, the extreme, the index.
"""

from __future__ import annotations

from functools import lru_cache

from .vocabulary import (
    ADJECTIVES,
    BODY_PARTS,
    GARMENTS,
    NO_ADVERBS,
    NOUNS,
    NOUNS_IN_ED,
    NOUNS_IN_ING,
    PERSONS,
    THINGS,
    VERBS,
)


def _list(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SIDES = {
    "left": "left lft l lefthand leftside",
    "right": "right rt rgt r rite righthand rightside",
    "top": "top upper tp",
    "bottom": "bottom btm bttm bottem lower bot",
    "middle": "middle center centre mid ctr central centered middlemost",
    "front": "front foreground forefront fg foregrnd",
    "back": "back background rear bkgd backgrnd bkgrd bg distance",
}
_RELATIONS = {
    "above": "above over",
    "below": "below under underneath beneath",
    "behind": "behind behing bhind",
    "near": "near beside besides nearby alongside touching against around surrounding",
    "between": "between btw betwn",
    "with": "with w/ having w",
    "holding": "holding hold holds carrying gripping",
    "wearing": "wearing wears wear wearin dressed",
}
_LEADERS = {"in": "in inside within through", "on": "on onto atop upon", "near": "at by"}
_EXTREMES = {
    "largest": "largest biggest bigger larger widest wider fattest fatter longest longer broader "
    "broadest thicker thickest huger hugest greater greatest",
    "smallest": "smallest littlest tiniest smaller tinier littler thinner thinnest narrower "
    "narrowest slimmer slimmest",
    "tallest": "tallest taller",
    "shortest": "shortest shorter",
    "closest": "closest nearest closer nearer",
    "farthest": "farthest furthest farther further",
}
_MOSTS = {
    "left": "leftmost leftest",
    "right": "rightmost rightest",
    "top": "topmost uppermost highest higher",
    "bottom": "bottommost lowest lowermost",
    "front": "frontmost foremost",
    "back": "backmost rearmost hindmost",
}
COLOURS = _list(
    "red blue green yellow orange pink purple black white gray grey brown tan beige silver gold "
    "golden maroon navy teal turquoise violet magenta cyan cream khaki lavender burgundy"
)
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth"
_ORDINAL_SLANG = {"2cd": "2", "2n": "2", "2md": "2", "secound": "2", "forth": "4"}
_NUMERALS = "one two three four five six seven eight nine ten eleven twelve"

_PLAIN = {
    "d": "the a an this that these those his her its their my your our other another any either "
    "thier th teh tge hte da",
    "A": "all both every each several some few many multiple various",
    "k": "itself himself herself themselves one ones he she him it they them someone somebody "
    "something anything "
    "everything anyone anybody nobody nothing none others",
    "c": "and & or plus n",
    "x": "is are was were be being am has have had there here just only also but who whom "
    "which whose what that's who's it's he's she's please "
    "me i we can could been else do does did so too really kinda maybe probably like seems "
    "whos thats "
    "want need if because then now still hey ok okay yes thanks sorry lol oops guess think",
    "g": "not no without w/o except excluding neither isnt isn't arent aren't wasn't doesnt "
    "doesn't dont don't aint ain't nor never lacking minus non",
    "h": "side half corner edge end part portion section area row column region spot quadrant "
    "line position positions sides halves corners edges rows ends",
    "t": "most",
    "y": "far very extreme extremely way directly almost slightly immediately completely quite "
    "super more less least nearly exact exactly closely dead downward downwards upward upwards "
    "forward forwards backward backwards",
    "f": "from frm",
    "w": "of",
    "m": "pair couple group bunch lot kind type sort set stack pile pairs bunches groups stacks "
    "piles",
    "q": "pic picture photo image img screen frame shot view scene photograph pics camera "
    "viewer us you",
    "p": "to for than as into toward towards against across around along through off out down "
    "about after before during per via opposite where while when up together apart away ahead "
    "overhead outside",
    "a": " ".join(sorted(COLOURS)) + " blk wht blu grn yel ylw brwn colored coloured multicolored "
    "colorful reddish bluish greenish whitish blackish yellowish brownish pinkish whitest "
    "darkest brightest dark light bright pale big small large little tall short long tiny "
    "huge giant high low wide narrow thin thick fat skinny slim heavy mini medium full "
    "empty half-eaten whole entire old young older younger oldest youngest elderly new "
    "bald blond blonde brunette bearded hairy striped stripped plaid checkered checked "
    "spotted dotted patterned floral solid plain shiny blurry blurred fuzzy faded clear "
    "visible hidden partial partially wooden metal metallic plastic leather furry fluffy "
    "woolen open closed broken cut sliced cooked burnt raw fresh ripe round rectangular "
    "triangular circular curved straight flat hot cold wet dry dirty clean messy male "
    "female asian african indian american chubby pretty cute happy sad angry smiley "
    "shirtless topless barefoot naked nude haired darker lighter asleep alone same "
    "different single double main visable seated bent parked turned crouched kneeled "
    "raised folded crossed covered stacked tilted upright sideways upside blank lit unlit "
    "curly friendly lovely lonely smelly wrinkly cuddly prickly early ugly silly woolly wooly "
    "own actual real fake tallish biggish good bad best nice sat stood lying laid hatless spread",
}

KNOWN_NOUNS = PERSONS | GARMENTS | BODY_PARTS | THINGS | NOUNS

ANYBODY = _list("person man woman guy girl boy kid lady dude child gal gentleman")
"""Persons in no compound: "man bike" is a man with a bike, but "baby bear" is a bear."""

OWN = ("in", "with", "wearing", "holding")
"""Relations to what somebody wears or has."""

DIRECTED = _list(
    "facing looking pointing turning turned leaning heading walking running going moving "
    "reaching swinging faced bending tied pulled swept slicked brushed combed held"
)
"""Verbs after which a bare side is a direction ("facing left"), not a position."""


_FRAMES = ("picture", "image", "photo", "scene", "frame", "screen")
_O_CLOCK = ("o'clock", "o clock", "oclock")
_CLOCK = {
    **dict.fromkeys(("12", "twelve"), "top"),
    **dict.fromkeys(("1", "one", "2", "two"), "top right"),
    **dict.fromkeys(("3", "three"), "right"),
    **dict.fromkeys(("4", "four", "5", "five"), "bottom right"),
    **dict.fromkeys(("6", "six"), "bottom"),
    **dict.fromkeys(("7", "seven", "8", "eight"), "bottom left"),
    **dict.fromkeys(("9", "nine"), "left"),
    **dict.fromkeys(("10", "ten", "11", "eleven"), "top left"),
}

POINTING_BACK = _list(
    "itself himself herself themselves it them him her they anything something anyone someone "
    "nothing none"
)
"""Pronouns that name no other thing."""

WITHOUT = _list("without w/o no lacking have has having")
"""Between a negator and a noun: what has the noun is excluded, not the noun itself."""

PHRASES = {
    "in front of": ("r", "in front of"),
    "infront of": ("r", "in front of"),
    "in frnt of": ("r", "in front of"),
    "on top of": ("r", "on"),
    "ontop of": ("r", "on"),
    "on the top of": ("r", "on"),
    "in back of": ("r", "behind"),
    "in between": ("r", "between"),
    "inside of": ("i", "in"),
    "next to": ("r", "near"),
    "next 2": ("r", "near"),
    "close to": ("r", "near"),
    "adjacent to": ("r", "near"),
    "by the side of": ("r", "near"),
    "dressed in": ("r", "wearing"),
    "has on": ("r", "wearing"),
    "but not": ("g", ""),
    "and not": ("g", ""),
    "rather than": ("g", ""),
    "instead of": ("g", ""),
    "other than": ("g", "except"),
    "except for": ("g", "except"),
    "apart from": ("g", "except"),
    "aside from": ("g", "except"),
    "save for": ("g", "except"),
    "about to": ("x", ""),
    "that of": ("x", ""),
    "away from": ("f", ""),
    "far from": ("r", "far from"),
    "the inside of": ("x", ""),
    "the outside of": ("x", ""),
    "most distant": ("e", "farthest"),
    "more distant": ("e", "farthest"),
    "furthest away": ("e", "farthest"),
    "farthest away": ("e", "farthest"),
    "further away": ("e", "farthest"),
    "farther away": ("e", "farthest"),
    "least tall": ("e", "shortest"),
    "most tall": ("e", "tallest"),
    **dict.fromkeys(
        ("second to last", "second last", "next to last", "last but one", "penultimate one"),
        ("o", "last but one"),
    ),
    **dict.fromkeys(("third to last", "third last", "last but two"), ("o", "last but two")),
    **{f"the {part} of": ("x", "") for part in ("edge", "side", "end", "surface", "foot")},
    "each one": ("k", "everything"),
    "every one": ("k", "everything"),
    "every single": ("A", "every"),
    "any one": ("k", "one"),
    **{f"whole {frame}": ("k", "everything") for frame in _FRAMES},
    **{f"entire {frame}": ("k", "everything") for frame in _FRAMES},
    **{f"rest of the {frame}": ("k", "everything") for frame in _FRAMES},
    **{f"{hour} {said}": ("s", side) for hour, side in _CLOCK.items() for said in _O_CLOCK},
    "full of": ("r", "with"),
    "all the way": ("y", ""),
    "hand side": ("h", ""),
    "hand corner": ("h", ""),
    "left hand side": ("s", "left"),
    "right hand side": ("s", "right"),
    "close up": ("s", "front"),
    "up close": ("s", "front"),
    "up front": ("s", "front"),
    "far away": ("s", "back"),
    "far back": ("s", "back"),
    "way back": ("s", "back"),
    "tank top": ("n", "top"),
    "crop top": ("n", "top"),
    "out of": ("i", "in"),
    "up to": ("p", "to"),
    "out of focus": ("a", ""),
    "in focus": ("a", ""),
    "in the air": ("x", ""),
    "in mid air": ("x", ""),
    "in air": ("x", ""),
    "mac and cheese": ("n", ""),
    "fish and chips": ("n", ""),
    "each other": ("x", ""),
    "at all": ("x", ""),
}
"""Runs of words that are one: their tag and value. The longest is taken first."""

COMMANDS = _list(
    "find segment select show mask mark pick get give choose highlight locate detect track take see"
)
"""Verbs that ask for something at the beginning of a line, and are nouns elsewhere."""

RIDES = _list("riding rides driving straddling")
"""Verbs whose object is what the thing is on."""


def _ordinal_index(word: str) -> str | None:
    """The index that "third", "3rd" or "3" + suffix stands for."""
    names = _ORDINALS.split()
    if word in names:
        return str(names.index(word) + 1)
    digits = word[:-2]
    if word[-2:] in ("st", "nd", "rd", "th") and digits.isascii() and digits.isdigit():
        return digits if 1 <= int(digits[:4]) <= 99 and len(digits) <= 2 else None
    return _ORDINAL_SLANG.get(word)


def _build() -> dict[str, tuple[str, str]]:
    table: dict[str, tuple[str, str]] = {}
    for tag, words in _PLAIN.items():
        table.update({word: (tag, word) for word in words.split()})
    valued = (("s", _SIDES), ("r", _RELATIONS), ("i", _LEADERS), ("e", _EXTREMES), ("t", _MOSTS))
    for tag, groups in valued:
        for value, words in groups.items():
            table.update({word: (tag, value) for word in words.split()})
    for index, word in enumerate(_NUMERALS.split()[1:], start=2):
        table[word] = ("#", str(index))
    table["dozen"] = ("#", "12")
    table["last"] = ("o", "last")
    for word in ADJECTIVES - KNOWN_NOUNS:
        table.setdefault(word, ("a", word))
    return table


_TABLE = _build()


@lru_cache
def closed_words() -> frozenset[str]:
    """The words that decide how a line is read, and colours and the like."""
    pronouns = {"everything", "everyone", "everybody", "anything"}
    return frozenset(word for word, (tag, _) in _TABLE.items() if tag in "srietoAadg") | pronouns


def is_listed(word: str) -> bool:
    """Whether a list has the word as it stands, or as a plural."""
    return word in _TABLE or word in KNOWN_NOUNS or word.removesuffix("s") in KNOWN_NOUNS


def look_up(word: str) -> tuple[str, str]:
    """The tag and the value of one lower-case word; ("n", word) for a word in no list."""
    word = word.replace("\u2019", "'")
    if word in _TABLE:
        return _TABLE[word]
    if (joined := word.replace("-", "")) in _TABLE:
        return _TABLE[joined]
    if index := _ordinal_index(word):
        return "o", index
    if word.lstrip("#").isdecimal():  # "\u00b2" is a digit, and no number
        return "#", word.lstrip("#")
    if is_verb_form(word):
        return "v", word
    if word.endswith("ly") and len(word) > 4 and word not in KNOWN_NOUNS | NO_ADVERBS:
        return "y", word
    return ("a" if is_adjective_form(word) else "n"), word


def _is_compared(stem: str) -> bool:
    """Whether a stem is left of an adjective: "bright", "larg", "happi", "bigg"."""
    whole = (stem, stem + "e", stem[:-1] + "y" if stem.endswith("i") else stem, stem[:-1])
    return len(stem) > 2 and any(_TABLE.get(each, ("n",))[0] == "a" for each in whole)


_ADJECTIVE_ENDINGS = (
    *("ed", "ish", "est", "-looking", "-colored", "less"),
    *("ous", "ful", "able", "ible", "esque", "-like", "-shaped", "-haired"),
)


def is_verb_form(word: str) -> bool:
    """Whether the word is a form of a verb: one in -ing, or a listed one."""
    if word in VERBS:
        return True
    return len(word) > 4 and word.endswith(("ing", "in'")) and word not in NOUNS_IN_ING


def is_adjective_form(word: str) -> bool:
    """Whether the word describes, by its ending ("curly-haired", "reddish", "striped")."""
    if word in KNOWN_NOUNS or word in NOUNS_IN_ED:
        return False
    if word.endswith(("er", "est")) and _is_compared(word.removesuffix("er").removesuffix("est")):
        return True
    return len(word) > 4 and word.endswith(_ADJECTIVE_ENDINGS)
