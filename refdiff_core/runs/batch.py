"""From picture files and expressions to masks on disk, one picture after the other."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..errors import OutputError
from ..pictures.images import save_image, scale_to, shrink
from ..pictures.masks import check_masks
from ..pictures.previews import (
    candidates_sheet,
    caption,
    heat_picture,
    label,
    magnify,
    overlay,
)
from ..pipeline import Models, segment_apart
from ..seeing.attention import resize
from ..seeing.proposals import FixedProposals, mask_boxes
from ..settings import Settings
from ..together import together
from ..values import Expression, Image, Proposals, Segmentation
from .ahead import LookAhead


@dataclass(frozen=True, kw_only=True)
class Output:
    """What is written of every answer.

    out: the folder. previews: also overlay, heat map and candidates. each: also a mask for every
    object, named as the answer's own with a number.
    """

    out: Path
    previews: bool = False
    each: bool = False


@dataclass(frozen=True)
class Answer:
    """What was found in one picture for one expression.

    picture: to draw previews on, at most `refdiff_core.grid.WORKING_SIDE` pixels a side.
    result: what `segment` says.
    seconds: this expression's share of the time that the picture took; what was done for others
        in the same pass counts for the first of them.
    """

    picture: Image
    result: Segmentation
    seconds: float

    @property
    def mask(self) -> Tensor:
        """As bool (H, W), of the size of the picture in its file; drawn anew at every call."""
        return self.result.mask >= 0.5

    def objects(self) -> Iterator[Tensor]:
        """The masks of the things that are meant one by one, as ``mask``; none where none is."""
        if self.result.found:
            yield from (each >= 0.5 for each in self.result.drawing.draw_each())


def answer_picture(
    path: Path,
    expressions: Sequence[Expression],
    models: Models,
    masks: Tensor | None = None,
    settings: Settings | None = None,
    ahead: LookAhead | None = None,
) -> list[Answer]:
    """Segment one picture file for every expression.

    Args:
        path: of the picture. A large one is worked on at `shrink`'s size.
        expressions: what to find.
        models: their proposer gives way to ``masks``.
        masks: bool (N, H, W), proposals from outside, the size of the picture in its file.
        settings: see `segment`.
        ahead: what is open of the pictures that come next.

    Raises:
        ImageError: the picture cannot be read.
        MaskError: ``masks`` are of another size.
    """
    (answers,) = answer_questions(path, [expressions], models, masks, settings, ahead)
    return answers


def answer_questions(
    path: Path,
    questions: Sequence[Sequence[Expression]],
    models: Models,
    masks: Tensor | None = None,
    settings: Settings | None = None,
    ahead: LookAhead | None = None,
) -> list[list[Answer]]:
    """Answer several questions about one picture file, each as if it were the only one.

    Args:
        path: as for `answer_picture`, and so are the others and the errors.
        questions: the lines of each.
        models: see there.
        masks: see there.
        settings: see there.
        ahead: see there.

    Returns:
        The answers to every question's lines.
    """
    start, ahead = time.perf_counter(), ahead or LookAhead()
    image = ahead.open(path)
    if masks is not None:
        check_masks(masks, (image.shape[0], image.shape[1]))
        models = replace(models, proposer=FixedProposals(Proposals.of(masks)))
    with together(ahead.lot):
        results = segment_apart(image, questions, models, settings)
    picture = shrink(image)
    seconds = (time.perf_counter() - start) / max(1, sum(map(len, results)))
    return [[Answer(picture, each, seconds) for each in lines] for lines in results]


def hand_out(
    answer: Answer, image: Path, name: str, variant: str, output: Output
) -> dict[str, object]:
    """Write an answer's files, and tell of it with the keys that ``refdiff segment --json`` prints.

    Args:
        answer: what was found.
        image: the picture's path.
        name: of the files, without ".mask.png".
        variant: g, gs, ds or gsd.
        output: which files.
    """
    result, mask, base = answer.result, answer.mask, output.out / name
    if output.previews:
        write_previews(answer.picture, result, base)
    return {
        "image": str(image),
        "expression": line_of(result.expression),
        "mask": str(write_mask(mask, base)),
        "found": result.found,
        "present": None if result.present is None else round(result.present, 4),
        "missing": result.missing,
        "box_xywh": box_xywh(mask),
        "area": int(torch.count_nonzero(mask)),
        "score": result.score,
        "scores": {} if result.best is None else result.scores.of(result.best),
        "candidates": len(result.ranking),
        "objects": _objects(answer, mask, base if output.each else None),
        "variant": variant,
        "seconds": round(answer.seconds, 3),
    }


def _objects(answer: Answer, mask: Tensor, base: str | Path | None) -> list[dict[str, object]]:
    """The things that are meant one by one; their masks are written where a ``base`` is given."""
    result = answer.result
    scores = result.scores.total[result.winners].tolist() if result.found else []
    # what is drawn already is not drawn again
    masks = [mask] * len(scores) if len(scores) == 1 else answer.objects() if scores else ()
    told = []
    for number, (each, score) in enumerate(zip(masks, scores, strict=True), 1):
        file = {"mask": str(write_mask(each, f"{base}.{number}"))} if base else {}
        area = int(torch.count_nonzero(each))
        told.append({**file, "box_xywh": box_xywh(each), "area": area, "score": score})
    return told


def line_of(expression: Expression) -> str:
    """The line that an expression came from, as far as it matters: with its ``not:``."""
    return f"not: {expression.text}" if expression.negative else expression.text


def box_xywh(mask: Tensor) -> list[int] | None:
    """Left, top, width and height in pixels of a mask bool (H, W); None for an empty one."""
    if not mask.any():
        return None
    x0, y0, x1, y1 = (int(edge) for edge in mask_boxes(mask[None])[0])
    return [x0, y0, x1 - x0, y1 - y0]


def write_previews(picture: Image, result: Segmentation, base: str | Path) -> list[Path]:
    """Write overlay, heat map (where there is one) and candidates sheet beside a mask.

    Args:
        picture: float32 (H, W, 3); a small one is shown several times as large.
        result: of it, or of a larger original.
        base: the files' common path; ".overlay.png" and so on is appended.
    """
    large, size_hw = magnify(picture), (picture.shape[0], picture.shape[1])
    mask = magnify(scale_to(result.mask, size_hw))
    shown = {"overlay": label(overlay(large, mask), mask, caption(result))}
    if result.attention is not None:
        heat = resize(result.attention.heat.cpu(), size_hw)
        shown["heat"] = heat_picture(large, magnify(heat))
    shown["candidates"] = candidates_sheet(picture, result)
    return [save_image(image, f"{base}.{kind}.png") for kind, image in shown.items()]


def write_mask(mask: Tensor, base: str | Path) -> Path:
    """Write a mask bool (H, W) as 8-bit PNG of 0 and 255, named ``base`` and ".mask.png"."""
    return save_image(mask.to(torch.float32), f"{base}.mask.png")


def open_folder(path: Path) -> Path:
    """Make sure that a folder is there to write to, before any work is done.

    Raises:
        OutputError: it is not, and cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"'{path}' cannot be made a folder for results ({error}). Choose another --out."
        ) from error
    return path


def file_names(texts: Sequence[str]) -> list[str]:
    """A name for every text, fit for any file system, no two alike whatever their case.

    "The red cup!" becomes "the-red-cup", another one of that name "the-red-cup-2".
    """
    names: dict[str, None] = {}
    used: dict[str, int] = {}
    for text in texts:
        slug = name = _slug(text)
        count = used.get(slug, 1)
        while name in names:
            count += 1
            name = f"{slug}-{count}"
        names[name] = None
        used[slug] = count
    return list(names)


def _slug(text: str, most_bytes: int = 64) -> str:
    # bytes, because file systems count them: at most 255, and two names make one file's
    words = re.findall(r"\w+", unicodedata.normalize("NFC", text).lower())
    slug = "-".join(words).encode(errors="ignore")[:most_bytes].decode(errors="ignore")
    return slug.strip("-") or "x"
