"""The terminal's two streams: results to standard output, everything else to standard error."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .values import Expression


def say(text: str) -> None:
    """Write one line to standard error, whatever line breaks the text has."""
    click.echo(f"refdiff: {' '.join(text.split())}", err=True)


class Work:
    """A piece of work in steps: a bar on standard error, results on standard output.

    Made by `working`.
    """

    def __init__(self, bar: Any, results: IO[str]) -> None:
        self._bar = bar
        self._results = results
        self._started = False

    def step(self, name: str) -> None:
        """Begin the next step."""
        if self._started:
            self._bar.update()
        self._started = True
        self._bar.set_postfix_str("")
        self._bar.set_description(name)

    def part(self, done: int, total: int) -> None:
        """Say how far the step is."""
        self._bar.set_postfix_str(f"{done}/{total}")

    def result(self, line: str) -> None:
        """Write a result, above the bar where both are on one terminal."""
        self._bar.clear()
        click.echo(line, file=self._results)
        self._bar.refresh()

    def notes(self, expression: Expression) -> None:
        """Say what of an expression was not understood."""
        for note in expression.notes:
            self.trouble(f"note: '{expression.text}': {note}")

    def trouble(self, text: str) -> None:
        """Say what went wrong, and go on."""
        self._bar.clear()
        say(text)
        self._bar.refresh()


@contextlib.contextmanager
def working(steps: int) -> Iterator[Work]:
    """Show a bar of so many steps while the block runs, on a terminal only.

    Whatever a library prints meanwhile goes to standard error, so that standard output holds
    results and nothing else.
    """
    from tqdm import tqdm

    results = sys.stdout
    bar = tqdm(total=steps, file=sys.stderr, disable=None, leave=False)
    with bar, contextlib.redirect_stdout(sys.stderr):
        yield Work(bar, results)


@contextlib.contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Show the package's own warnings as one line each while the block runs."""
    logger, handler = logging.getLogger("refdiff"), _Lines(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(f"note: {record.getMessage()}")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as text in columns, the first row being their heads."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
