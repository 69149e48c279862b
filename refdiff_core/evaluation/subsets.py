"""Parts of a benchmark that say more than its mean: by words, by size, by rivals, by group."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from ..runs.records import Record

POSITION_WORDS = frozenset(
    "left right top bottom upper lower middle center centre corner front back behind above below "
    "under beneath over between beside next near nearest closest close closer far farthest "
    "furthest leftmost rightmost topmost lowest highest first second third fourth fifth last end "
    "side edge row".split()
)
"""Closed lists, not our own parser's reading, so that figures of other versions compare."""
COLOR_WORDS = frozenset(
    "red green blue yellow purple orange white black brown gray grey pink tan beige gold golden "
    "silver blonde blond teal turquoise violet maroon navy".split()
)
SMALL, LARGE = 0.05, 0.2
"""Shares of the picture, never pixels: pictures differ in size."""

Predicate = Callable[[Record], bool]


def _says(words: frozenset[str]) -> Predicate:
    return lambda record: not words.isdisjoint(re.findall(r"[a-z]+", record["text"].lower()))


def _neither(record: Record) -> bool:
    return not (_says(POSITION_WORDS)(record) or _says(COLOR_WORDS)(record))


def _rivals(low: int, high: float) -> Predicate:
    return lambda record: low <= record["same_category"] <= high


def _covers(low: float, high: float) -> Predicate:
    return lambda record: not record["none"] and low <= record["share"] < high


SUBSETS: Mapping[str, Mapping[str, Predicate]] = {
    "words": {
        "position words": _says(POSITION_WORDS),
        "colour words": _says(COLOR_WORDS),
        "neither": _neither,
    },
    "share of the picture that is meant": {
        f"below {SMALL:.0%}": _covers(0, SMALL),
        f"{SMALL:.0%} to {LARGE:.0%}": _covers(SMALL, LARGE),
        f"{LARGE:.0%} and more": _covers(LARGE, 2),
    },
    "things of its class, where one is meant": {
        "it alone": _rivals(1, 1),
        "2": _rivals(2, 2),
        "3": _rivals(3, 3),
        "4 and more": _rivals(4, float("inf")),
    },
}
"""By name of a table, by name of its row, which records belong; a record may be in several rows."""


def split_up(records: Sequence[Record]) -> dict[str, dict[str, list[Record]]]:
    """The records of every row of every table; rows without any are left out.

    Where the data set says what a sentence tests, that is a table too.
    """
    tables = {
        title: {name: list(filter(holds, records)) for name, holds in rows.items()}
        for title, rows in SUBSETS.items()
    }
    groups = dict.fromkeys(record["group"] for record in records if record["group"])
    if any(record["none"] for record in records):
        tables["how many are meant"] = {
            "none": [record for record in records if record["none"]],
            "one": [record for record in records if not isinstance(record["annotation"], list)],
            "several": [r for r in records if isinstance(r["annotation"], list) and not r["none"]],
        }
    tables["what it tests"] = {
        group: [record for record in records if record["group"] == group] for group in groups
    }
    filled = {
        title: {name: found for name, found in rows.items() if found}
        for title, rows in tables.items()
    }
    return {title: rows for title, rows in filled.items() if rows}
