"""From one picture's sentences to their records: asked all at once, each judged by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import torch
from torch import Tensor

from ..backends.official import OfficialProposer
from ..errors import DataError, ExpressionError, ImageError, MaskError
from ..language.expression import parse_lines
from ..models.choice import ModelChoice
from ..pipeline import Models
from ..runs.ahead import LookAhead
from ..runs.batch import Answer, answer_questions
from ..runs.records import Record
from ..seeing.proposals import FixedProposals
from ..values import Expression, Proposals
from .cases import draw_case
from .metrics import overlap
from .outlines import decode_mask, encode_mask
from .refer import Annotation, ReferImage, Sentence

Question = list[Expression]


@dataclass(frozen=True)
class Task:
    """One picture's sentences; with ``draw``, pictures of the answers are wanted as well."""

    image: ReferImage
    draw: bool = False


@dataclass(frozen=True)
class Judged:
    """What became of a task.

    records: one for each sentence, in their order.
    cases: for each sentence of a task to draw, JPEG files by name (`draw_case`).
    """

    records: list[Record]
    cases: dict[int, dict[str, bytes]] = field(default_factory=dict)


class Judge:
    """Answers a picture's sentences and compares them with the truth, at the picture's own size.

    Loads its models when it is first called, so that it can be sent to another process before.

    Args:
        choice: of models.
        stamp: what every record shall say of the run.
        oracle: the objects' true masks are the proposals: choosing apart from segmenting.
        smallest: pixels below which the official settings drop a mask; None for their own.
        models: in place of those that the choice would load.

    Attributes:
        ahead: the pictures that come next.
    """

    def __init__(
        self,
        choice: ModelChoice,
        stamp: Mapping[str, object],
        *,
        oracle: bool = False,
        smallest: int | None = None,
        models: Models | None = None,
    ) -> None:
        self.choice = choice
        self.stamp = dict(stamp)
        self.oracle = oracle
        self.smallest = smallest
        self.ahead = LookAhead(attrgetter("image.path"), choice.device)
        self._models = models

    @property
    def models(self) -> Models:
        """Loaded when they are first asked for."""
        if self._models is None:
            none = FixedProposals(Proposals.of(torch.zeros(0, 1, 1, dtype=torch.bool)))
            self._models = self.choice.load(none if self.oracle else None)
            proposer = self._models.proposer
            if self.smallest is not None and isinstance(proposer, OfficialProposer):
                proposer.smallest = self.smallest
        return self._models

    def __call__(self, task: Task) -> Judged:
        """Do one task. A picture that cannot be read has its error in its records."""
        image = task.image
        try:
            objects = _decode_objects(image, everything=self.oracle)
            questions, errors = self._questions(image)
            masks = torch.stack([*objects.values()]) if self.oracle else None
            answers = self._answer(image, questions, masks, errors)
        except (ImageError, MaskError, DataError) as error:
            return Judged(self.failed(task, str(error)))
        records, order = [], list(objects)
        for each in image.sentences:
            truth = _truth(image, each, objects)
            record = self._begin(image, each, truth)
            if self.oracle:
                meant = _without_crowds(image, each.annotations)
                record["target"] = _in_short([order.index(at) for at in meant])
            if each.id in answers:
                record |= _outcome(answers[each.id], truth, none=record["none"])
            else:
                record["error"] = errors[each.id]
            records.append(record)
        drawn = {
            each.id: draw_case(answers[each.id], _truth(image, each, objects))
            for each in image.sentences
            if task.draw and each.id in answers
        }
        return Judged(records, drawn)

    def failed(self, task: Task, reason: str) -> list[Record]:
        """The records of a picture that could not be done: nothing found, and why."""
        image = task.image
        try:
            objects = _decode_objects(image, everything=False)
        except DataError:
            objects = {}
        return [
            self._begin(image, each, _truth(image, each, objects)) | {"error": reason}
            for each in image.sentences
        ]

    def _questions(self, image: ReferImage) -> tuple[dict[int, Question], dict[int, str]]:
        questions: dict[int, Question] = {}
        errors: dict[int, str] = {}
        for each in image.sentences:
            try:
                lines = parse_lines(each.text)
            except ExpressionError as error:
                errors[each.id] = str(error)
                continue
            wanted = [line for line in lines if not line.negative]
            # without geometry nothing is left out: the paper knows no negative lines
            alone = wanted and not self.models.settings.spatial_weight
            questions[each.id] = wanted if alone else lines
        return questions, errors

    def _answer(
        self,
        image: ReferImage,
        questions: Mapping[int, Question],
        masks: Tensor | None,
        errors: dict[int, str],
    ) -> dict[int, Answer]:
        """An answer for each question; what no model can read is noted among the errors."""
        if not questions:
            return {}
        try:
            asked = list(questions.values())
            found = answer_questions(image.path, asked, self.models, masks, ahead=self.ahead)
        except ExpressionError as error:
            if len(questions) == 1:
                errors |= {number: str(error) for number in questions}
                return {}
            alone = [{number: lines} for number, lines in questions.items()]
            each = [self._answer(image, one, masks, errors) for one in alone]
            return {number: answer for one in each for number, answer in one.items()}
        answers = {number: lines[0] for number, lines in zip(questions, found, strict=True)}
        for answer in answers.values():
            _check_size(answer.result.proposals.size_hw, image)
        return answers

    def _begin(self, image: ReferImage, sentence: Sentence, truth: Tensor) -> Record:
        one = sentence.annotations[0] if len(sentence.annotations) == 1 else None
        category = "" if one is None else image.annotation(one).category
        same = [each for each in image.annotations if each.category == category and not each.crowd]
        # of several things, of none and of the rest of the picture there is no one class
        rivals = 0 if one is None or sentence.rest else max(1, len(same))
        area = int(truth.sum())
        return {
            "image": image.id,
            "id": sentence.id,
            "ref": sentence.ref,
            "annotation": one if one is not None else list(sentence.annotations),
            "text": sentence.text,
            "group": sentence.group,
            "category": category,
            "same_category": rivals,
            "objects": len(_objects(image)),
            "area": area,
            "share": area / max(1, truth.numel()),
            "none": not sentence.annotations,
            # as for an empty mask, until there is an answer
            "intersection": 0,
            "union": area,
            "iou": 0.0,
            "found": False,
            "present": None,
            "chosen": None,
            "target": None,
            "candidates": 0,
            "score": None,
            "scores": {},
            "seconds": 0.0,
            **self.stamp,
        }


def _truth(image: ReferImage, sentence: Sentence, objects: Mapping[int, Tensor]) -> Tensor:
    """What a sentence means, bool (H, W): the union of its objects, crowds left out, or the rest.

    Crowds count where the sentence means nothing else, as in RefCOCO.
    """
    meant = [number for number in sentence.annotations if number in objects]
    masks = [objects[number] for number in _without_crowds(image, meant)]
    nothing = torch.zeros(image.size_hw, dtype=torch.bool)
    union = torch.stack([nothing, *masks]).any(0)
    return ~union if sentence.rest else union


def _without_crowds(image: ReferImage, meant: Sequence[int]) -> Sequence[int]:
    return [number for number in meant if not image.annotation(number).crowd] or meant


def _in_short(indices: Sequence[int]) -> int | list[int]:
    """The index, where there is one; else all of them."""
    return indices[0] if len(indices) == 1 else sorted(indices)


def _outcome(answer: Answer, truth: Tensor, *, none: bool) -> Record:
    result, mask = answer.result, answer.mask
    intersection, union = overlap(mask.float(), truth)
    found = bool(mask.any())
    # nothing where nothing is meant is right, as gRefCOCO's authors count it
    right = float(not found and none)
    objects = answer.objects() if len(result.winners) > 1 else ()
    several = {"masks": [encode_mask(each) for each in objects]} if objects else {}
    return {
        "intersection": intersection,
        "union": union,
        "iou": intersection / union if union else right,
        "found": found,
        "present": result.present,
        "chosen": _in_short(result.chosen),
        **several,
        "candidates": len(result.ranking),
        "score": result.score,
        "scores": {} if result.best is None else result.scores.of(result.best),
        "seconds": answer.seconds,
    }


def _decode_objects(image: ReferImage, *, everything: bool) -> dict[int, Tensor]:
    """True masks by annotation: of what is meant, and of everything else that is no crowd."""
    meant = _meant(image)
    return {
        each.id: decode_mask(each, image.size_hw)
        for each in _objects(image)
        if each.id in meant or everything
    }


def _objects(image: ReferImage) -> list[Annotation]:
    """What there is to choose from: all but crowds that no sentence means."""
    meant = _meant(image)
    return [each for each in image.annotations if each.id in meant or not each.crowd]


def _meant(image: ReferImage) -> set[int]:
    return {number for each in image.sentences for number in each.annotations}


def _check_size(size_hw: tuple[int, int], image: ReferImage) -> None:
    if size_hw != image.size_hw:
        raise ImageError(
            f"'{image.path}' is {size_hw[1]} x {size_hw[0]} pixels, its annotations are for "
            f"{image.size_hw[1]} x {image.size_hw[0]}. Use the pictures of the data set."
        )
