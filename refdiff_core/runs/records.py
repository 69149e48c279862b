"""The records of a long run: a line of JSON each, safe whatever ends the run.

    <folder>/run.json       what was run: settings, models, data; a run of others is refused
    <folder>/records.jsonl  one record a line, appended picture by picture

A picture's records are written in one go and flushed to the disk before the next picture's. On
the way back in, a torn line and a picture that is not whole are dropped, and done again. Pictures
are done again as a whole, so that what a model sees in one batch never depends on interruptions.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from ..errors import DataError, OutputError
from ..pictures.images import write_whole

Record = dict[str, Any]
"""One record: its picture's key under "image", its own under "id", an "error" where it failed."""


class RecordFile:
    """The records of one run. Made by `open_records`, which also closes it.

    Attributes:
        records: all that are in the file.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.records: list[Record] = []
        self._file = file

    def resume(
        self,
        wanted: Mapping[Any, Sequence[Any]],
        there: Callable[[Record], bool] = lambda _: True,
    ) -> set[Any]:
        """Keep what is whole, and forget the rest.

        A picture all of whose records are failures is not whole, and is tried again.

        Args:
            wanted: for each picture's key its records' ids. Records of pictures that are not
                wanted stay as they are.
            there: whether what a record tells of, such as a mask, is still there.

        Returns:
            Keys of the pictures that are done.
        """
        self._file.seek(0)
        content = self._file.read()
        by_image: dict[Any, list[Record]] = {}
        for record in _whole_lines(content):
            by_image.setdefault(record["image"], []).append(record)
        keep = {
            image: found
            for image, found in by_image.items()
            if image not in wanted or (_is_done(found, wanted[image]) and all(map(there, found)))
        }
        self.records = [record for found in keep.values() for record in found]
        lines = _to_lines(self.records)
        if lines != content:
            self._rewrite(lines)
        return {image for image in keep if image in wanted}

    def append(self, records: Sequence[Record]) -> None:
        """Add one picture's records; they are on the disk when this returns.

        Raises:
            OutputError: the disk is full, or gone.
        """
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write(_to_lines(records))
            _flush(self._file)
        except OSError as error:
            raise OutputError(f"'{self.path}' cannot be written to ({error}).") from error
        self.records += records

    def _rewrite(self, lines: bytes) -> None:
        part = self.path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(lines)
            _flush(file)
        self._file.close()
        os.replace(part, self.path)
        self._file = self.path.open("r+b")

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):  # of a full disk `append` has told
            self._file.close()


def errors_of(records: Iterable[Record]) -> list[str]:
    """Why records hold no answer, each reason once."""
    return [*dict.fromkeys(each["error"] for each in records if "error" in each)]


def _is_done(found: Sequence[Record], wanted: Sequence[Any]) -> bool:
    # one sentence that cannot be read never can; a picture that was missing may be there now
    failed = all(record.get("error") for record in found)
    return not failed and [record["id"] for record in found] == list(wanted)


def _whole_lines(content: bytes) -> Iterator[Record]:
    """The records among the lines; a line that a sudden end tore is none."""
    for line in content.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError, RecursionError):
            record = json.loads(line)
            told = isinstance(record, dict) and "id" in record
            if told and isinstance(record.get("image"), (str, int)):
                yield record


def _to_lines(records: Iterable[Record]) -> bytes:
    return "".join(json.dumps(each) + "\n" for each in records).encode()


def _flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def open_records(
    folder: Path, run: Mapping[str, Any], *, fresh: bool = False
) -> Iterator[RecordFile]:
    """Open the records of a run, new or begun earlier, and keep other runs out meanwhile.

    Args:
        folder: there already.
        run: what was asked for, as plain data; whoever goes on must ask for the same.
        fresh: throw away what is there.

    Raises:
        DataError: the folder holds records of something else, or another run is at work in it.
        OutputError: the folder cannot be written to.
    """
    path, about = folder / "records.jsonl", folder / "run.json"
    with _alone(folder):
        try:
            if fresh:
                for old in (path, about):
                    old.unlink(missing_ok=True)
            _agree(about, path, json.loads(json.dumps(run)))
            path.touch()
            file = path.open("r+b")
        except OSError as error:
            raise OutputError(
                f"'{folder}' cannot be written to ({error}). Choose another --out."
            ) from error
        records = RecordFile(path, file)
        try:
            yield records
        finally:
            records.close()


def _agree(about: Path, records: Path, run: Mapping[str, Any]) -> None:
    if not about.exists():
        if records.exists():
            raise DataError(
                f"'{records}' is there, but no run.json says what it is. "
                "Choose another --out, or --fresh to write over it."
            )
        write_whole(about, json.dumps(run, indent=1).encode())
        return
    try:
        earlier = json.loads(about.read_text())
    except (ValueError, RecursionError):
        earlier = None
    if earlier != run:
        told = _differences(earlier, run) if isinstance(earlier, dict) else "it cannot be read"
        raise DataError(
            f"'{about}' is of another run: {told}. Choose another --out, or --fresh to start anew."
        )


def _differences(earlier: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> str:
    told = []
    for key in dict.fromkeys((*earlier, *now)):
        before, after = earlier.get(key), now.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            told.append(_differences(before, after, f"{path}{key}."))
        elif before != after:
            told.append(f"{path}{key} was {before!r}, is now {after!r}")
    return "; ".join(filter(None, told))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends; without locks, trust the user."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    try:
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise OutputError(
            f"'{folder}' cannot be written to ({error}). Choose another --out."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(
                f"Another run is at work in '{folder}'. Wait for it, or choose another --out."
            ) from error
        yield
