"""What `refdiff evaluate` does: a data set's sentences answered, recorded and reported."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import click

from ..models.choice import ModelChoice, hash_files
from ..pictures.images import write_whole
from ..runs.batch import open_folder
from ..runs.console import Work
from ..runs.records import Record, RecordFile, errors_of, open_records
from ..runs.workers import Crew, Lost, hire
from ..version import code_digest, version
from .judge import Judge, Judged, Task
from .page import to_html
from .refer import ReferImage, ReferSplit, load_refer
from .report import summarise, to_text
from .write_refer import Recipe, write_refer

DEFAULT_OUT = Path("refdiff-out")


@dataclass(frozen=True)
class Evaluation:
    """What `refdiff evaluate` was asked for.

    root, split, by, images, out: None for the data set's own place. limit: sentences, None for
    all; pictures are done whole.
    """

    dataset: str
    choice: ModelChoice
    root: Path | None = None
    split: str | None = None
    by: str | None = None
    text: str = "sent"
    images: Path | None = None
    oracle: bool = False
    limit: int | None = None
    workers: int = 1
    out: Path | None = None
    fresh: bool = False

    def check(self) -> None:
        """Make sure that the options go together.

        Raises:
            click.UsageError: they do not.
        """
        self.choice.check()
        if self.oracle and self.choice.variant == "g":
            raise click.UsageError("--oracle gives the proposals. Leave out --variant g.")
        if self.root is None and self.dataset != "demo":
            raise click.UsageError(
                f"Say where the data set lies: --root, the folder of {self.dataset}."
            )
        if self.workers > 1 and ":" in self.choice.device:
            raise click.UsageError("Every worker is given its own GPU. Say --device cuda.")

    @property
    def place(self) -> Path:
        """Where results go: for each data set, split and method a folder of its own."""
        if self.out is not None:
            return self.out
        choice = self.choice
        oracle = "oracle" if self.oracle else None
        parts = (
            self.dataset,
            self.split or "val",
            choice.variant,
            Path(choice.settings).stem,
            oracle,
        )
        return DEFAULT_OUT / "-".join(filter(None, parts))


def evaluate(asked: Evaluation, work: Work) -> dict[str, Any]:
    """Answer all sentences that have no record yet, then write and show the report.

    Args:
        asked: the options.
        work: shows how far it is, and prints the tables.

    Returns:
        The report, as report.json has it.

    Raises:
        click.UsageError: options that do not go together.
        RefDiffError: the data set, the models or earlier records cannot be used.
    """
    asked = with_models(asked)
    images, about = open_data(asked, work)
    # as the published code has it
    smallest = 0 if asked.dataset == "refcocog" else None
    judge = Judge(asked.choice, _stamp(about), oracle=asked.oracle, smallest=smallest)
    out = open_folder(asked.place)
    with answering(asked, about, images, judge, work) as (records, crew):
        wanted = {(each.id, said.id) for each in images for said in each.sentences}
        kept = [each for each in records if (each["image"], each["id"]) in wanted]
        summary = summarise(kept, about)
        work.step("drawing cases")
        cases = _draw_cases(summary, images, kept, crew)
    write_whole(out / "report.json", json.dumps(summary, indent=1).encode())
    write_whole(out / "report.html", to_html(summary, cases).encode())
    work.result(to_text(summary))
    answered = [each["seconds"] for each in kept if "error" not in each]
    seconds = sum(answered) / max(1, len(answered))
    work.result(
        f"\n{seconds:.2f} seconds a sentence. Records, report.json and report.html are in {out}."
    )
    return summary


def with_models(asked: Evaluation) -> Evaluation:
    """The demo's data with the demo's models, unless others are named."""
    choice = asked.choice
    if asked.dataset != "demo" or choice.checkpoint or choice.sam or choice.clip:
        return asked
    return replace(asked, choice=replace(choice, demo="unet"))


def open_data(asked: Evaluation, work: Work) -> tuple[list[ReferImage], dict[str, Any]]:
    """The pictures that are asked about, and all that their records depend on.

    Raises:
        click.UsageError: options that do not go together.
        RefDiffError: the data set or the models' files cannot be read.
    """
    asked.check()
    work.step("reading the data set")
    data = load_data(asked)
    return list(limited(data.images, asked.limit)), about_run(asked, data)


class Answerer(Protocol):
    """Makes a picture's records."""

    def __call__(self, task: Task) -> Judged:
        """Do one task."""
        ...

    def failed(self, task: Task, reason: str) -> list[Record]:
        """The records of a picture that could not be done."""
        ...


@contextlib.contextmanager
def answering(
    asked: Evaluation,
    about: Mapping[str, Any],
    images: Sequence[ReferImage],
    answerer: Answerer,
    work: Work,
) -> Iterator[tuple[list[Record], Crew[Task, Judged]]]:
    """Do all pictures that have no whole record yet; the crew stays while the block runs.

    Args:
        asked: the options.
        about: all that the records depend on.
        images: of them those that are done already are left out.
        answerer: does them.
        work: shows how far it is.

    Yields:
        All records, of earlier runs too, and the crew that made them.
    """
    with open_records(open_folder(asked.place), about, fresh=asked.fresh) as records:
        todo = remaining(images, records)
        work.begin(sum(len(each.sentences) for each in todo), "sentences")
        gpus = asked.choice.device != "cpu"
        with hire(answerer, asked.workers, tasks=len(todo), gpus=gpus) as crew:
            for task, judged in crew.do(Task(each) for each in todo):
                if isinstance(judged, Lost):
                    found = answerer.failed(task, judged.reason)
                else:
                    found = judged.records
                records.append(found)
                for why in errors_of(found):
                    work.trouble(why)
                work.advance(len(found), task.image.path.name)
            yield records.records, crew


def load_data(asked: Evaluation) -> ReferSplit:
    """The data set that was asked for; the demo's is made where it is not there yet."""
    root = asked.root or DEFAULT_OUT / "data"
    if asked.dataset == "demo":
        write_refer(root, Recipe())
    return load_refer(
        root,
        asked.dataset,
        asked.split or "val",
        by=asked.by,
        text=asked.text,
        images=asked.images,
    )


def limited(images: Sequence[ReferImage], limit: int | None) -> Iterator[ReferImage]:
    """The first pictures, until they have so many sentences."""
    count = 0
    for image in images:
        if limit is not None and count >= limit:
            return
        count += len(image.sentences)
        yield image


def about_run(asked: Evaluation, data: ReferSplit) -> dict[str, Any]:
    """All that the records depend on: who goes on must ask for the same."""
    return {
        "version": version(),
        "code": code_digest(),
        "data": {
            "name": data.name,
            "split": data.split,
            "by": data.by,
            "text": data.text,
            "files": {file.name: hash_files(file) for file in data.files},
        },
        "oracle": asked.oracle,
        **asked.choice.describe(masks=asked.oracle),
    }


def _stamp(about: Mapping[str, Any]) -> dict[str, Any]:
    """What each record says of the run: enough to tell it from others when files are joined."""
    return {
        "run": sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16],
        "version": about["version"],
        "variant": about["variant"],
        "settings": about["settings"],
        "oracle": about["oracle"],
        "models": {kind: digest[:16] for kind, digest in about["models"].items()},
    }


def remaining(images: Sequence[ReferImage], records: RecordFile) -> list[ReferImage]:
    """The pictures that have no whole record yet."""
    done = records.resume({each.id: [said.id for said in each.sentences] for each in images})
    return [each for each in images if each.id not in done]


def _draw_cases(
    summary: Mapping[str, Any],
    images: Sequence[ReferImage],
    records: Sequence[Mapping[str, Any]],
    crew: Crew[Task, Judged],
) -> dict[int, dict[str, Any]]:
    """The report's cases, asked once more for their pictures, which no record could hold."""
    wanted = set(chain(*summary["cases"].values()))
    tasks = [
        Task(replace(image, sentences=(said,)), draw=True)
        for image in images
        for said in image.sentences
        if said.id in wanted
    ]
    drawn: dict[int, dict[str, bytes]] = {}
    for _, judged in crew.do(tasks):
        if not isinstance(judged, Lost):
            drawn |= judged.cases
    return {
        each["id"]: {**each, "pictures": drawn[each["id"]]}
        for each in records
        if each["id"] in drawn
    }
