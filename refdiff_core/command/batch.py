"""What `refdiff batch` does: masks for a list of pictures, with records, and on where it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import cast

import click

from ..errors import ExpressionError, ImageError, MaskError
from ..language.expression import parse_lines
from ..models.choice import ModelChoice
from ..pipeline import Models
from ..runs.ahead import LookAhead
from ..runs.batch import Answer, Output, answer_picture, file_names, hand_out, line_of, open_folder
from ..runs.console import Work
from ..runs.manifest import Entry, load_manifest
from ..runs.records import Record, errors_of, open_records
from ..runs.workers import Lost, hire
from ..version import version


@dataclass(frozen=True, kw_only=True)
class BatchJob(Output):
    """What `refdiff batch` was asked for."""

    manifest: Path
    choice: ModelChoice
    workers: int
    fresh: bool


class Painter:
    """Writes the masks of one picture and says what it found.

    Loads its models when it is first called, so that it can be sent to another process before.

    Args:
        choice: of models.
        output: what is written.

    Attributes:
        ahead: the pictures that come next.
    """

    def __init__(self, choice: ModelChoice, output: Output) -> None:
        self.choice = choice
        self.output = output
        self.ahead = LookAhead(device=choice.device)
        self._models: Models | None = None

    def __call__(self, entry: Entry) -> list[Record]:
        """Do one picture. What cannot be read has its error in its record."""
        self._models = self._models or self.choice.load()
        try:
            answers = _answer(entry.path, entry.lines, self._models, self.ahead)
        except (ImageError, MaskError) as error:
            return failed(entry, str(error))
        names = file_names([_name(each) for each in answers])
        return [
            {"image": entry.image, "id": line, "error": answer}
            if isinstance(answer, str)
            else self._write(entry, line, answer, name, self._models.variant)
            for line, answer, name in zip(answered_lines(entry), answers, names, strict=True)
        ]

    def _write(self, entry: Entry, line: str, answer: Answer, slug: str, variant: str) -> Record:
        name = f"{mask_name(entry.image)}.{slug}"
        told = hand_out(answer, entry.path, name, variant, self.output)
        # relative to the list and to the folder, so that both may move
        for each in (told, *cast(list[dict[str, object]], told["objects"])):
            if "mask" in each:
                each["mask"] = Path(str(each["mask"])).name
        return {**told, "id": line, "image": entry.image}


def _answer(
    path: Path, lines: Sequence[str], models: Models, ahead: LookAhead
) -> list[Answer | str]:
    """One answer a line that has one, or why it has none; a bad line keeps no other from it."""
    try:
        return list(answer_picture(path, parse_lines(lines), models, ahead=ahead))
    except ExpressionError as error:
        negative = [line for line in lines if _is_negative(line)]
        positive = [line for line in lines if line not in negative]
        if len(positive) <= 1:
            return [str(error)]
        alone = [[line, *negative] for line in positive]
        return [answer for each in alone for answer in _answer(path, each, models, ahead)]


def _is_negative(line: str) -> bool:
    try:
        return all(each.negative for each in parse_lines([line]))
    except ExpressionError:  # it is told of in a record of its own
        return False


def _name(answer: Answer | str) -> str:
    return answer if isinstance(answer, str) else line_of(answer.result.expression)


def answered_lines(entry: Entry) -> list[str]:
    """The lines that have a record: not the negative ones, unless there are no others."""
    positive = [line for line in entry.lines if not _is_negative(line)]
    return positive or ["\n".join(entry.lines)]


def mask_name(image: str) -> str:
    """The start of a picture's masks' names.

    It depends on the picture's path alone, so that a list may grow and be sorted anew.
    """
    (name,) = file_names([str(Path(image).with_suffix(""))])
    return f"{name}-{sha256(image.encode(errors='surrogatepass')).hexdigest()[:8]}"


def _masks(record: Record) -> list[str]:
    told = [record, *record.get("objects", [])]
    return [each["mask"] for each in told if each.get("mask")]


def failed(entry: Entry, reason: str) -> list[Record]:
    """The records of a picture that could not be done."""
    wanted = answered_lines(entry)
    return [{"image": entry.image, "id": line, "error": reason} for line in wanted]


def run_batch(job: BatchJob, work: Work) -> bool:
    """Do all pictures that are not done yet.

    Args:
        job: the options.
        work: shows how far it is, and prints troubles and where things are.

    Returns:
        Whether every picture was done.

    Raises:
        click.UsageError: options that do not go together.
        RefDiffError: the list, the models or earlier records cannot be used.
    """
    job.choice.check()
    if job.workers > 1 and ":" in job.choice.device:
        raise click.UsageError("Every worker is given its own GPU. Say --device cuda.")
    entries = load_manifest(job.manifest)
    switches = {"previews": job.previews, "each": job.each}
    about = {"version": version(), **switches, **job.choice.describe()}
    with open_records(open_folder(job.out), about, fresh=job.fresh) as records:
        done = records.resume(
            {entry.image: answered_lines(entry) for entry in entries},
            lambda record: all((job.out / mask).is_file() for mask in _masks(record)),
        )
        todo = [entry for entry in entries if entry.image not in done]
        work.begin(len(todo), "pictures")
        painter = Painter(job.choice, job)
        gpus = job.choice.device != "cpu"
        with hire(painter, job.workers, tasks=len(todo), gpus=gpus) as crew:
            for entry, result in crew.do(todo):
                found = failed(entry, result.reason) if isinstance(result, Lost) else result
                records.append(found)
                work.advance(1, entry.path.name)
                for error in errors_of(found):
                    work.trouble(f"{entry.image}: {error}")
        # of earlier runs too: a picture with one bad line of two is not tried again
        troubled = {each["image"] for each in records.records if "error" in each}
    missing = len(troubled & {entry.image for entry in entries})
    told = f"{len(entries) - missing} of {len(entries)} pictures done"
    work.result(f"{told}; masks and records.jsonl are in {job.out}.")
    return not missing
