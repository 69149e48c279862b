"""What `refdiff batch` does: masks for a list of pictures, with records, and on where it ended."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import cast

import click

from ..errors import ExpressionError, ImageError, MaskError
from ..language.expression import parse_lines
from ..models.choice import ModelChoice
from ..pipeline import Models
from ..runs.batch import (
    Answer,
    answer_picture,
    file_names,
    hand_out,
    line_of,
    open_folder,
    write_previews,
)
from ..runs.console import Work
from ..runs.manifest import Entry, load_manifest
from ..runs.records import Record, open_records
from ..runs.workers import Lost, hire
from ..version import version


@dataclass(frozen=True)
class BatchJob:
    """What `refdiff batch` was asked for."""

    manifest: Path
    choice: ModelChoice
    out: Path
    previews: bool
    each: bool
    workers: int
    fresh: bool


class Painter:
    """Writes the masks of one picture and says what it found.

    Loads its models when it is first called, so that it can be sent to another process before.

    Args:
        choice: of models.
        out: folder for the masks.
        previews: also write overlay, heat map and candidates.
        each: also write a mask for each object.
    """

    def __init__(self, choice: ModelChoice, out: Path, previews: bool, each: bool) -> None:
        self.choice = choice
        self.out = out
        self.previews = previews
        self.each = each
        self._models: Models | None = None

    def __call__(self, entry: Entry) -> list[Record]:
        """Do one picture. What cannot be read has its error in its record."""
        self._models = self._models or self.choice.load()
        try:
            expressions = parse_lines(entry.lines)
            answers = answer_picture(entry.path, expressions, self._models)
        except (ImageError, MaskError, ExpressionError) as error:
            return failed(entry, str(error))
        slugs = file_names([line_of(answer.result.expression) for answer in answers])
        return [
            self._write(entry, line, answer, slug, self._models.variant)
            for line, answer, slug in zip(answered_lines(entry), answers, slugs, strict=True)
        ]

    def _write(self, entry: Entry, line: str, answer: Answer, slug: str, variant: str) -> Record:
        base = self.out / f"{mask_name(entry.image)}.{slug}"
        told = hand_out(answer, entry.path, base, variant, each=self.each)
        if self.previews:
            write_previews(answer.picture, answer.result, base)
        # relative to the list and to the folder, so that both may move
        for each in (told, *cast(list[dict[str, object]], told["objects"])):
            if "mask" in each:
                each["mask"] = Path(str(each["mask"])).name
        return {**told, "id": line, "image": entry.image}


def answered_lines(entry: Entry) -> list[str]:
    """The lines that have a record: not the negative ones, unless there are no others."""
    try:
        said = parse_lines(entry.lines)
    except ExpressionError:
        return list(entry.lines)
    positive = [line for line, each in zip(entry.lines, said, strict=True) if not each.negative]
    return positive or ["\n".join(entry.lines)]


def mask_name(image: str) -> str:
    """The start of a picture's masks' names.

    It depends on the picture's path alone, so that a list may grow and be sorted anew.
    """
    (name,) = file_names([str(Path(image).with_suffix(""))])
    return f"{name}-{sha256(image.encode(errors='surrogatepass')).hexdigest()[:8]}"


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
    missing = 0
    with open_records(open_folder(job.out), about, fresh=job.fresh) as records:
        done = records.resume(
            {entry.image: answered_lines(entry) for entry in entries},
            lambda record: "mask" not in record or (job.out / record["mask"]).is_file(),
        )
        todo = [entry for entry in entries if entry.image not in done]
        work.begin(len(todo), "pictures")
        painter = Painter(job.choice, job.out, job.previews, job.each)
        with hire(
            painter, min(job.workers, max(1, len(todo))), gpus=job.choice.device != "cpu"
        ) as crew:
            for entry, result in crew.do(todo):
                found = failed(entry, result.reason) if isinstance(result, Lost) else result
                records.append(found)
                work.advance(1, entry.path.name)
                if error := found[0].get("error"):
                    missing += 1
                    work.trouble(f"{entry.image}: {error}")
    told = f"{len(entries) - missing} of {len(entries)} pictures done"
    work.result(f"{told}; masks and records.jsonl are in {job.out}.")
    return not missing
