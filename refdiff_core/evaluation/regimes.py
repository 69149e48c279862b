"""What docs/fusion.md says: choosing and segmenting by a CLIP that is wrong as real ones are.

    python -m refdiff_core.evaluation.regimes [--scenes 100] [--masks 30] [--write docs/fusion.md]

Constants were fitted on tuning scenes; these are the benchmark's held-out ones. ``--clip FILE``
takes another CLIP in place of the demo's own, such as one whose training was stopped early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import click
import torch
from torch import Tensor
from tqdm import tqdm

from ..backends.clip_scorer import ClipScorer
from ..backends.official import OfficialAttention
from ..demo.models import CLIP_FILE, load_clip
from ..demo.scenes import HELD_OUT_SEED, Scene
from ..language.expression import parse
from ..language.lines import looked_for
from ..language.parsing.counts import singular
from ..models.loading import load_demo
from ..pipeline import Models, segment_apart
from ..protocols import ImageTextScorer, MaskProposer
from ..seeing.phrases import without_place
from ..seeing.proposals import FixedProposals
from ..settings import DEFAULT, OFFICIAL, PAPER, AttentionSettings, Settings
from ..values import Expression, Image, Proposals, Segmentation
from .absent import ABSENCES, absent
from .demo import publish, to_markdown
from .metrics import mean_and_error, overlap
from .once import AnsweredOnce, ProposedOnce, SeenOnce
from .questions import (
    ATTRIBUTES,
    INLINE,
    LONE,
    NEGATION,
    ORDER,
    POSITION,
    RELATION,
    SIZE,
    Question,
    held_out_scenes,
    of_lone_things,
    questions,
)
from .simulated import SimulatedClip
from .sweep import tuning_scenes

LEVELS = (0.01, 0.02, 0.03)
OWN = "demo's own"
REGIMES: tuple[float | str, ...] = (*LEVELS, OWN)
COLUMNS: dict[str, tuple[str, Settings]] = {
    "D alone": ("ds", DEFAULT.fusion),
    "G alone": ("gs", DEFAULT.fusion),
    "default": ("gsd", DEFAULT.fusion),
    "paper": ("gsd", PAPER.fusion),
    "official": ("gsd", OFFICIAL.fusion),
}
KINDS_OF_QUESTIONS = {
    "attribute": ATTRIBUTES,
    "position": (SIZE, POSITION),
    "order": (ORDER,),
    "relation": (RELATION,),
    "negation": (NEGATION, INLINE),
    LONE: (LONE,),
}
PRESENT = "there"
TRUE, SAM = "true", "SAM"
"""Whose masks there were to choose from."""
THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)

HEAD = """# When CLIP errs as real ones do

Made by `python -m refdiff_core.evaluation.regimes --scenes {scenes} --masks {masks} --official
{official} --write docs/fusion.md`, on the demo's held-out scenes (seeds from {seed} on), whose
attention is the demo's own. CLIP is simulated (`refdiff_core/evaluation/simulated.py`): scale 100,
the right object .03 ahead of the others on average, an error for every region and text of .01, .02
or .03, half of its variance common to both views. It is asked through the same calls as a real
one, contrast included. Last comes the demo's own CLIP, which is hardly ever wrong. Every question
is asked alone. `paper` is the paper's fusion of the default's maps and CLIP's views; `official`, on
the first {official} scenes only, the published code's, of maps read as that reads them.

Constants were fitted on tuning scenes (seeds from 1,100,000 on; `Calibration` in
`refdiff_core/settings.py`), none of which is here. Behind every figure its standard error over
scenes; "default - D" is the difference question by question, with its own. **These are synthetic
scenes**: they say how a rule does when CLIP is that good, not how good CLIP is on photographs.

Words for a place are taken to tell a thing from others of its kind (`of_several` in
`refdiff_core/choosing/spatial.py`). What that costs where there is one alone, "the star on the
left" of one star, is the kind "lone thing"; it counts in no other table of choosing.
"""

Figures = dict[int, list[float]]
"""By scene, a figure for every question."""


@dataclass
class Found:
    """What was measured of one regime.

    hits, overlaps: by column and kind. matches: by right or wrong, chances to match. kept: by the
    masks that there were to choose from, and `PRESENT` or the kind of absence, whether a mask was
    given.
    """

    hits: dict[tuple[str, str], Figures] = field(default_factory=dict)
    overlaps: dict[str, Figures] = field(default_factory=dict)
    matches: dict[bool, list[Tensor]] = field(default_factory=lambda: {True: [], False: []})
    kept: dict[tuple[str, str], Figures] = field(default_factory=dict)

    def note_kept(
        self, number: int, oracle: bool, kinds: Iterable[str], answers: Sequence[Segmentation]
    ) -> None:
        """Count which of a scene's questions got a mask; ``oracle``: from the true ones."""
        for kind, result in zip(kinds, answers, strict=True):
            key = (TRUE if oracle else SAM, kind)
            _add(self.kept.setdefault(key, {}), number, float(not result.missing))


def measure(
    scenes: Sequence[Scene], masks: int, official: int, clip: Path
) -> dict[float | str, Found]:
    """Ask every scene everything, under every regime and by every column.

    Args:
        scenes: the benchmark's.
        masks: on the first so many, also segment with nothing given.
        official: on the first so many, also read attention as the published code does.
        clip: weights of a demo CLIP.
    """
    demo, found = load_demo(), {regime: Found() for regime in REGIMES}
    assert demo.attention and demo.proposer and isinstance(demo.scorer, ClipScorer)
    loaded = load_clip(clip)
    scorer = ClipScorer(replace(demo.scorer.clip, model=loaded.model), demo.scorer.settings)
    published = OfficialAttention(demo.attention.model, AttentionSettings())  # type: ignore[attr-defined]
    for number, scene in enumerate(tqdm(scenes, disable=None, leave=False)):
        asked = questions(scene, number) + of_lone_things(scene, number)
        image = torch.from_numpy(scene.image).float() / 255
        lines = [[parse(line) for line in each.lines] for each in asked]
        missing = [(parse(text), kind) for text, kind in absent(scene, number)]
        every = [*lines, *(each[:1] for each in lines), *([line] for line, _ in missing)]
        seen = {}
        if number < official:
            seen["official"] = SeenOnce(published, image, [each[0] for each in lines])
        things = [thing for each in every for thing in looked_for(each)]
        seen["default"] = SeenOnce(demo.attention, image, things)
        truth = FixedProposals(Proposals.of(torch.from_numpy(scene.masks)))
        proposers: list[MaskProposer] = [truth]
        if number < masks:
            proposers.append(ProposedOnce(demo.proposer))
        simulated = SimulatedClip(scene, 0.0)
        for regime, own in found.items():
            noisy = replace(simulated, noise=regime) if isinstance(regime, float) else None
            said = AnsweredOnce(noisy or scorer)
            for proposer in proposers:
                for column in COLUMNS:
                    if column == "official" and column not in seen:
                        continue
                    answers = _answer(image, lines, _models(column, seen, proposer, said))
                    _note(own, number, column, asked, answers, scene, proposer is truth)
                models = _models("default", seen, proposer, said)
                answers = _answer(image, [[line] for line, _ in missing], models)
                own.note_kept(number, proposer is truth, [kind for _, kind in missing], answers)
    return found


def _models(
    column: str, seen: Mapping[str, SeenOnce], proposer: MaskProposer, said: ImageTextScorer
) -> Models:
    variant, settings = COLUMNS[column]
    maps = seen.get(column, seen["default"]) if "g" in variant else None
    return Models(maps, proposer, said if "d" in variant else None, settings)


def _answer(
    image: Image, lines: Sequence[Sequence[Expression]], models: Models
) -> list[Segmentation]:
    """The answers to questions that are asked alone; without geometry "not:" lines are left out."""
    spatial = models.settings.spatial_weight
    asked = [each if spatial else each[:1] for each in lines]
    return [results[0] for results in segment_apart(image, asked, models)]


def _note(
    found: Found,
    number: int,
    column: str,
    asked: Sequence[Question],
    answers: Sequence[Segmentation],
    scene: Scene,
    oracle: bool,
) -> None:
    truth = torch.from_numpy(scene.masks)
    if column == "default":
        found.note_kept(number, oracle, [PRESENT] * len(asked), answers)
    for question, result in zip(asked, answers, strict=True):
        lone = question.group == LONE
        if not oracle and not lone:
            both = overlap(result.mask, truth[question.target])
            _add(found.overlaps.setdefault(column, {}), number, both[0] / max(1, both[1]))
        if not oracle:
            continue
        right = float(result.best == question.target)
        kind = next(name for name, groups in KINDS_OF_QUESTIONS.items() if question.group in groups)
        for name in (kind,) if lone else (kind, "all"):
            _add(found.hits.setdefault((column, name), {}), number, right)
        if column == "default" and not lone:
            fits = _fits(result.expression, scene)
            if result.scores.match is not None and fits.any() and result.expression.root:
                for is_right in (True, False):
                    found.matches[is_right].append(result.scores.match[fits == is_right])


def _add(figures: Figures, number: int, value: float) -> None:
    figures.setdefault(number, []).append(value)


def _fits(expression: Expression, scene: Scene) -> Tensor:
    """Bool (N,): which objects are what the noun phrase names."""
    words = [singular(word.text) for word in without_place(expression).target_words]
    return torch.tensor(
        [all(word in (each.color, each.shape, "shape") for word in words) for each in scene.objects]
    )


def _cell(figures: Figures) -> str:
    return "{:.3f} ({:.3f})".format(*mean_and_error(figures))


def _gain(default: Figures, alone: Figures) -> str:
    """By how much the default is ahead, question by question, with its standard error."""
    apart = {
        number: [ours - theirs for ours, theirs in zip(values, alone[number], strict=True)]
        for number, values in default.items()
    }
    return "{:+.3f} ({:.3f})".format(*mean_and_error(apart))


def _row(of: Callable[[str], Figures]) -> list[str]:
    return [*(_cell(of(column)) for column in COLUMNS), _gain(of("default"), of("D alone"))]


GAIN = "default - D"


def _rows(
    found: Mapping[float | str, Found], of: Callable[[Found, str], Figures]
) -> Iterator[list[str]]:
    yield ["noise", *COLUMNS, GAIN]
    for regime, own in found.items():
        yield [str(regime), *_row(partial(of, own))]


def _by_kind(found: Mapping[float | str, Found]) -> Iterator[list[str]]:
    yield ["noise", "kind", *COLUMNS, GAIN]
    for regime, own in found.items():
        for kind in KINDS_OF_QUESTIONS:
            found_of = {column: own.hits[column, kind] for column in COLUMNS}
            yield [str(regime), kind, *_row(found_of.__getitem__)]


def _matches(found: Mapping[float | str, Found]) -> Iterator[list[str]]:
    yield ["noise", "of", *(f"> {level}" for level in THRESHOLDS), "where true ones keep .8"]
    for regime, own in found.items():
        right, wrong = (torch.cat(own.matches[each]) for each in (True, False))
        level = float(right.quantile(0.2))
        for name, values in (("true", right), ("wrong", wrong)):
            shares = [float((values > each).float().mean()) for each in (*THRESHOLDS, level)]
            yield [str(regime), name, *(f"{share:.3f}" for share in shares)]


def _presence(found: Mapping[float | str, Found]) -> Iterator[list[str]]:
    yield ["noise", "masks", "there: kept", *(f"{kind}: empty" for kind in ABSENCES), "all: empty"]
    for regime, own in found.items():
        for masks in dict.fromkeys(masks for masks, _ in own.kept):
            empty = [_emptied(own.kept[masks, kind]) for kind in ABSENCES]
            every = [_cell(each) for each in (*empty, _together(empty))]
            yield [str(regime), masks, _cell(own.kept[masks, PRESENT]), *every]


def _emptied(kept: Figures) -> Figures:
    return {number: [1 - value for value in each] for number, each in kept.items()}


def _together(figures: Sequence[Figures]) -> Figures:
    together: Figures = {}
    for each in figures:
        for number, values in each.items():
            together.setdefault(number, []).extend(values)
    return together


def report(scenes: Sequence[Scene], masks: int, official: int, clip: Path = CLIP_FILE) -> str:
    """The page as markdown."""
    found = measure(scenes, masks, official, clip)
    head = HEAD.format(
        scenes=len(scenes), masks=masks, official=official, seed=f"{HELD_OUT_SEED:,}"
    )
    parts = [head, "## Choosing: the true masks are the proposals\n"]
    parts.append(to_markdown(list(_rows(found, lambda own, column: own.hits[column, "all"]))))
    if masks:
        parts.append(f"\n## Segmenting: nothing is given (mIoU, the first {masks} scenes)\n")
        parts.append(to_markdown(list(_rows(found, lambda own, column: own.overlaps[column]))))
    parts += ["\n## By kind, choosing\n", to_markdown(list(_by_kind(found)))]
    parts.append("\n## The match: share of objects above a threshold\n")
    parts.append(to_markdown(list(_matches(found))))
    parts.append(f"\n## Presence: `min_present` {Settings().min_present}\n")
    parts.append(to_markdown(list(_presence(found))))
    return "\n".join(parts)


@click.command()
@click.option("--scenes", default=100, show_default=True, help="Scenes to choose on.")
@click.option("--masks", default=30, show_default=True, help="Scenes to segment; slower.")
@click.option(
    "--official", default=20, type=click.IntRange(min=1), help="Scenes for `official`; slow."
)
@click.option("--tuning", is_flag=True, help="On the scenes that constants were fitted on.")
@click.option("--clip", type=click.Path(path_type=Path), default=CLIP_FILE, help="A demo CLIP.")
@click.option("--write", type=click.Path(path_type=Path), help="Also write the page here.")
def main(
    scenes: int, masks: int, official: int, tuning: bool, clip: Path, write: Path | None
) -> None:
    """Print what every rule is worth at every level of CLIP's error."""
    chosen = tuning_scenes(scenes) if tuning else list(held_out_scenes(scenes))
    publish(report(chosen, masks, official, clip), write)


if __name__ == "__main__":
    main()
