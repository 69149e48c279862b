"""A list of pictures and what to find in each: JSON lines or CSV, as `refdiff batch` reads it.

    {"image": "a.jpg", "expressions": ["the red cup", "not: the handle"]}
    {"image": "b.jpg", "expression": "the dog on the left"}

    image,expression,expression_2
    a.jpg,the red cup,the blue cup

Pictures lie relative to the list. What a picture has on several lines is put together.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError


@dataclass(frozen=True)
class Entry:
    """One picture of a list.

    image: as the list names it. path: where it lies. lines: what to find, each once, in order.
    """

    image: str
    path: Path
    lines: tuple[str, ...]


def load_manifest(path: Path) -> list[Entry]:
    """Read a list, ``.csv`` as CSV with a head, anything else as JSON lines.

    Raises:
        DataError: it is missing, empty, or a line of it cannot be used; the message says which.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"'{path}' cannot be read as a list of pictures ({error}).") from error
    read = _read_csv if path.suffix.lower() == ".csv" else _read_json
    found: dict[str, dict[str, None]] = {}
    for number, image, texts in read(path, content):
        lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
        if not image or not lines:
            missing = "picture" if not image else "expression"
            raise DataError(f"Line {number} of '{path}' names no {missing}.")
        found.setdefault(image, {}).update(dict.fromkeys(lines))
    if not found:
        raise DataError(f"'{path}' lists no pictures. Write one picture and what to find a line.")
    return [Entry(image, path.parent / image, tuple(lines)) for image, lines in found.items()]


Line = tuple[int, str, list[str]]


def _read_json(path: Path, content: str) -> Iterator[Line]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            given = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"Line {number} of '{path}' is no JSON: {error}.") from error
        wanted = given.get("expressions", given.get("expression")) if _is_plain(given) else None
        texts = [wanted] if isinstance(wanted, str) else wanted
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise DataError(
                f"Line {number} of '{path}' must be an object with the texts "
                f'"image" and "expressions" (a list, or one a line); it is: {line[:80]}'
            )
        yield number, given["image"], texts


def _is_plain(given: Any) -> bool:
    return isinstance(given, dict) and isinstance(given.get("image"), str)


def _read_csv(path: Path, content: str) -> Iterator[Line]:
    first = content.partition("\n")[0]
    table = csv.reader(io.StringIO(content, newline=""), delimiter=_delimiter(first))
    try:
        head = [name.strip().lower() for name in next(table, [])]
        texts = [at for at, name in enumerate(head) if _EXPRESSION.fullmatch(name)]
        if head.count("image") != 1 or not texts:
            raise DataError(
                f"The first line of '{path}' must name the columns image and expression "
                "(and expression_2, ... where there are more)."
            )
        for row in table:
            if len(row) > len(head):
                raise DataError(
                    f"Line {table.line_num} of '{path}' has {len(row)} cells for {len(head)} "
                    'columns. Put texts that hold commas into quotes: "the cup, not the red one".'
                )
            if any(row):
                row += [""] * (len(head) - len(row))
                yield table.line_num, row[head.index("image")], [row[at] for at in texts]
    except csv.Error as error:
        raise DataError(f"Line {table.line_num} of '{path}' is no CSV: {error}.") from error


_EXPRESSION = re.compile(r"expression[ _]?\d*")


def _delimiter(head: str) -> str:
    """What parts the columns: spreadsheets of some countries write semicolons."""
    return max(",;\t", key=head.count)
