"""What `refdiff segment` does, between its options and `refdiff_core.runs.batch`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..backends.sam_proposer import SamProposer
from ..errors import ModelError, OutputError, RefDiffError, UnavailableError
from ..language.expression import parse_lines
from ..models.choice import ModelChoice
from ..pictures.masks import load_masks
from ..pipeline import Models
from ..runs.batch import Answer, Output, answer_picture, file_names, hand_out, line_of, open_folder
from ..runs.console import Work
from ..seeing.proposals import FixedProposals
from ..values import Proposals


@dataclass(frozen=True, kw_only=True)
class SegmentJob(Output):
    """What `refdiff segment` was asked for."""

    images: tuple[Path, ...]
    expressions: tuple[str, ...]
    choice: ModelChoice
    masks: Path | None
    as_json: bool


def run_segment(job: SegmentJob, work: Work) -> bool:
    """Do what was asked for, picture by picture; a bad one does not keep the others from it.

    Args:
        job: the options.
        work: shows how far it is, and prints results and troubles.

    Returns:
        Whether every picture was done.

    Raises:
        click.UsageError: options that do not go together.
        RefDiffError: bad input that concerns all pictures.
    """
    job.choice.check(masks=job.masks is not None)
    expressions = [each for text in job.expressions for each in parse_lines(text)]
    for expression in expressions:
        work.notes(expression)
    open_folder(job.out)
    masks = None if job.masks is None else load_masks(job.masks)
    models = _load(job, masks, work)
    failed: list[Path] = []
    for path, name in zip(job.images, file_names([path.stem for path in job.images]), strict=True):
        work.step(path.name)
        try:
            answers = answer_picture(path, expressions, models, masks)
        except (ModelError, OutputError, UnavailableError):
            raise
        except Exception as error:
            failed.append(path)
            foreseen = isinstance(error, RefDiffError)
            work.trouble(str(error) if foreseen else f"'{path}': {type(error).__name__}: {error}")
        else:
            _hand_out(answers, path, name, models.variant, job, work)
    if failed and len(job.images) > 1:
        done = len(job.images) - len(failed)
        listed = ", ".join(f"'{path}'" for path in failed)
        work.trouble(f"{done} of {len(job.images)} pictures done; not done: {listed}")
    return not failed


def _load(job: SegmentJob, masks: Tensor | None, work: Work) -> Models:
    models = job.choice.load(None if masks is None else FixedProposals(Proposals.of(masks)))
    if isinstance(models.proposer, SamProposer):
        models.proposer.progress = work.part
    return models


def _hand_out(
    answers: Sequence[Answer], path: Path, name: str, variant: str, job: SegmentJob, work: Work
) -> None:
    """Write one picture's files and print its records, and what only the picture could tell."""
    slugs = file_names([line_of(answer.result.expression) for answer in answers])
    for answer, slug in zip(answers, slugs, strict=True):
        record = hand_out(answer, path, f"{name}.{slug}", variant, job)
        work.result(json.dumps(record) if job.as_json else _tell(record))
    said = {note for text in job.expressions for each in parse_lines(text) for note in each.notes}
    for note in [each for answer in answers for each in answer.result.expression.notes]:
        if note not in said:
            work.trouble(f"note: '{path.name}': {note}")


def _tell(record: dict[str, object]) -> str:
    start = f"{record['image']}: {record['expression']}:"
    if record["missing"]:
        return f"{start} not found: {record['missing']}, empty mask in {record['mask']}"
    if not record["found"]:
        return f"{start} nothing found, empty mask in {record['mask']}"
    objects = record["objects"]
    several = f"{len(objects)} objects, " if isinstance(objects, list) and objects[1:] else ""
    score = "" if record["score"] is None else f"score {record['score']:.3f}, "
    return f"{start} {several}{score}mask in {record['mask']}"
