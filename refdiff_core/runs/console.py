"""The terminal's two streams: results to standard output, everything else to standard error."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..values import Expression


EVERY_SECONDS = 60.0


def say(text: str) -> None:
    """Write one line to standard error, whatever line breaks the text has."""
    click.echo(f"refdiff: {' '.join(text.split())}", err=True)


def brief(text: str, most: int = 200) -> str:
    """A text as messages quote it: of a very long one, the beginning."""
    return text if len(text) <= most else text[: most - 3] + "..."


class Work:
    """A piece of work in steps: a bar on standard error, results on standard output.

    Made by `working`.
    """

    def __init__(self, bar: Any, results: IO[str]) -> None:
        self._bar = bar
        self._results = results
        self._started = False
        self._count = Count(0, "")

    def step(self, name: str) -> None:
        """Begin the next step."""
        if self._started:
            self._bar.update()
        self._started = True
        self._bar.set_postfix_str("")
        self._bar.set_description(name)

    def begin(self, total: int, unit: str) -> None:
        """Count from here on: so many things, which `advance` ticks off."""
        self._bar.unit = f" {unit}"
        self._bar.reset(total)
        self._started = False
        self._count = Count(total, unit)

    def advance(self, done: int, name: str) -> None:
        """Tick off so many things; off a terminal, say now and then how far it is."""
        self._bar.set_description(name)
        self._bar.update(done)
        if (line := self._count.tick(done)) and self._bar.disable:
            say(line)

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
            self.trouble(f"note: '{brief(expression.text)}': {note}")

    def trouble(self, text: str) -> None:
        """Say what went wrong, and go on."""
        self._bar.clear()
        say(text)
        self._bar.refresh()


class Count:
    """How much of something is done, how fast it goes, and how long the rest will take.

    Args:
        total: how much there is.
        unit: what it is, such as "sentences".
        clock: seconds.
    """

    def __init__(self, total: int, unit: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.unit = unit
        self._clock = clock
        self._start = self._said = clock()
        self._done = 0

    def tick(self, done: int) -> str | None:
        """Add to what is done; a line to say where the last one was a minute ago."""
        self._done += done
        now = self._clock()
        if now - self._said < EVERY_SECONDS:
            return None
        self._said = now
        rate = self._done / (now - self._start)
        left = timedelta(seconds=round((self.total - self._done) / rate))
        return f"{self._done:,} of {self.total:,} {self.unit}, {rate:.2f} a second, {left} left"


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
