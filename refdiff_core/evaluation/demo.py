"""The demo benchmark: held-out synthetic scenes whose truth is known.

    python -m refdiff_core.evaluation.demo [--scenes 200] [--oracle] [--write docs/which-one.md]

Two questions, asked apart: does the right proposal win when the true masks are the proposals
(choosing), and how good is the mask when nothing is given (segmenting)?
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click
import torch
from torch import Tensor
from tqdm import tqdm

from ..demo.scenes import HELD_OUT_SEED, Scene, SceneObject
from ..language.expression import parse
from ..language.lines import looked_for
from ..language.parsing.counts import singular
from ..models.loading import load_demo
from ..pipeline import Models, segment
from ..protocols import AttentionSource
from ..seeing.phrases import as_read
from ..seeing.proposals import FixedProposals
from ..settings import DEFAULT, PAPER, Preset, Settings
from ..values import AttentionMap, Expression, Image, Likeness, Proposals, Segmentation
from .metrics import Record, chance, mean_iou, overall_iou, overlap, precision_at, selection
from .questions import GROUPS, Question, held_out_scenes, mirror, mirror_words, questions

Method = tuple[str, Preset]
"""A variant, and the settings of all its parts."""

METHODS: dict[str, Method] = {
    "both": ("gsd", DEFAULT),
    "generative": ("gs", DEFAULT),
    "discriminative": ("ds", DEFAULT),
    "the paper's": ("gsd", PAPER),
}
"""What is compared: the parts of the method, and its settings."""

HEAD = """# Which one

Made by `python -m refdiff_core.evaluation.demo --scenes {scenes} --write docs/which-one.md`, with
the bundled demo models on the CPU in float32. From "size" on, something else of the scene has the
same name, so that the noun alone never decides. "Known nouns" is the geometry with a scorer that
knows what every object is: what is lost from there is what CLIP and attention mistake. How
variant g cuts masks out of maps (`sharpen`, `size_exponent`) was set on the first eighty scenes."""

Answers = dict[str, list[Segmentation]]


class ReadOnce:
    """An `AttentionSource` that reads all of one picture's expressions in a single pass.

    Methods that differ in what they make of the maps then cost no further passes.
    """

    def __init__(self, source: AttentionSource, image: Image, asked: Iterable[Question]) -> None:
        lines = [[parse(line) for line in each.lines] for each in asked]
        # negative lines may be left out: the paper knows none
        things = dict.fromkeys(
            as_read(thing) for each in lines for thing in (*looked_for(each[:1]), *looked_for(each))
        )
        self.maps = dict(zip(things, source.read(image, list(things)), strict=True))

    def read(self, image: Image, expressions: Sequence[Expression]) -> list[AttentionMap]:
        """See `AttentionSource.read`."""
        return [self.maps[each] for each in expressions]


class KnownNouns:
    """An `ImageTextScorer` that knows what every object of a scene is, but not where it lies.

    What is then still chosen wrongly, geometry has to answer for.
    """

    def __init__(self, objects: Sequence[SceneObject]) -> None:
        self.objects = objects

    def score(
        self, image: Image, expressions: Sequence[Expression], proposals: Sequence[Proposals]
    ) -> list[Likeness]:
        """See `ImageTextScorer.score`; the proposals are the objects' own masks."""
        return [
            Likeness.of(torch.tensor([self._fits(each, item) for item in self.objects]))
            for each in expressions
        ]

    def _fits(self, expression: Expression, item: SceneObject) -> float:
        known = (item.color, item.shape, item.size, "shape")
        said = [singular(word.text) for word in expression.target_words]
        return float(all(word in known for word in said))


def answer(
    scene: Scene, asked: Sequence[Question], models: Models, settings: Settings
) -> list[Segmentation]:
    """The answers to questions about one scene; negative lines count for their question alone.

    Without geometry they do not count at all: the paper knows none.
    """
    if not settings.spatial_weight:
        asked = [replace(each, without=None) for each in asked]
    image = torch.from_numpy(scene.image).float() / 255
    plain = [each.text for each in asked if each.without is None]
    together = iter(segment(image, plain, models, settings) if plain else [])
    return [
        next(together) if each.without is None else segment(image, each.lines, models, settings)[0]
        for each in asked
    ]


def compare(
    scenes: Sequence[Scene],
    methods: Mapping[str, Method],
    *,
    oracle: bool = False,
    ask: Callable[[Scene, int], list[Question]] = questions,
) -> dict[str, list[Record]]:
    """Ask every method every question of every scene.

    Args:
        scenes: from `held_out_scenes`.
        methods: the variant and the settings of each.
        oracle: the true masks are the proposals, in place of the models' own; "known nouns" then
            says what geometry could do at best.
        ask: the questions of a scene, given its number.

    Returns:
        The records of each method.
    """
    loaded = {asked: load_demo(settings=asked) for asked in map(_asking, methods.values())}
    records: dict[str, list[Record]] = {name: [] for name in methods}
    for seed, scene in enumerate(tqdm(scenes, disable=None, leave=False)):
        asked, truth = ask(scene, seed), torch.from_numpy(scene.masks)
        looks = {asking: _read(models, scene, asked) for asking, models in loaded.items()}
        if oracle:
            looks = {key: _true_masks(models, scene) for key, models in looks.items()}
            given = FixedProposals(Proposals.of(truth))
            nouns = Models(None, given, KnownNouns(scene.objects))
            found = answer(scene, asked, nouns, Settings())
            _add(records.setdefault("known nouns", []), asked, found, truth, oracle)
        for name, method in methods.items():
            models = _variant(looks[_asking(method)], method[0])
            _add(
                records[name], asked, answer(scene, asked, models, method[1].fusion), truth, oracle
            )
    return records


def _asking(method: Method) -> Preset:
    """What decides how models are asked: methods that only rank otherwise share their answers."""
    return replace(method[1], fusion=Settings())


def _read(models: Models, scene: Scene, asked: Sequence[Question]) -> Models:
    assert models.attention
    image = torch.from_numpy(scene.image).float() / 255
    return replace(models, attention=ReadOnce(models.attention, image, asked))


def _variant(models: Models, variant: str) -> Models:
    return replace(
        models,
        attention=models.attention if "g" in variant else None,
        proposer=models.proposer if "s" in variant else None,
        scorer=models.scorer if "d" in variant else None,
    )


def _add(
    records: list[Record],
    asked: Sequence[Question],
    found: Sequence[Segmentation],
    truth: Tensor,
    oracle: bool,
) -> None:
    for each, result in zip(asked, found, strict=True):
        meant = truth[list(each.targets)].any(0)
        areas = overlap(result.mask, ~meant if each.rest else meant)
        record = Record(
            "; ".join(each.lines),
            each.group,
            *areas,
            chance=1 / len(truth),
            none=not each.targets,
            found=result.found,
        )
        if oracle:
            chosen, target = sorted(result.chosen), sorted(each.targets)
            record = replace(record, chosen=chosen, target=target)
        records.append(record)


def mirrored(scenes: Sequence[Scene], settings: Settings = Settings()) -> tuple[int, int]:
    """How often the mirrored picture and words give the same winner among the true masks.

    Returns:
        The number of same winners, and of questions.
    """
    loaded, same, count = load_demo(), 0, 0
    for seed, scene in enumerate(tqdm(scenes, disable=None, leave=False)):
        asked = questions(scene, seed)
        turned = [replace(each, text=mirror_words(each.text)) for each in asked]
        winners = [
            [result.best for result in answer(shown, said, _true_masks(loaded, shown), settings)]
            for shown, said in ((scene, asked), (mirror(scene), turned))
        ]
        same += sum(a == b for a, b in zip(*winners, strict=True))
        count += len(asked)
    return same, count


def _true_masks(models: Models, scene: Scene) -> Models:
    return replace(models, proposer=FixedProposals(Proposals.of(torch.from_numpy(scene.masks))))


def choosing_table(scenes: Sequence[Scene]) -> list[list[str]]:
    """Choosing among the true masks: share of expressions whose object wins."""
    records = compare(scenes, METHODS, oracle=True)
    rows = [["score", *GROUPS, "all"]]
    rows += [[name, *by_group(found, selection)] for name, found in records.items()]
    drawn = records["both"]
    rows.append(["chance", *by_group(drawn, chance)])
    counts = [sum(each.group == group for each in drawn) for group in GROUPS]
    return [*rows, ["expressions", *map(str, (*counts, len(drawn)))]]


def segmenting_table(scenes: Sequence[Scene]) -> list[list[str]]:
    """Segmenting with nothing given: every variant's mIoU by group, oIoU and precision."""
    variants = {name: (name, DEFAULT) for name in ("g", "gs", "ds", "gsd")}
    rows = [["variant", *GROUPS, "mIoU", "oIoU", "Pr@0.5", "Pr@0.9"]]
    for name, found in compare(scenes, variants).items():
        others = (overall_iou(found), precision_at(found, 0.5), precision_at(found, 0.9))
        rows.append([name, *by_group(found, mean_iou), *(f"{each:.3f}" for each in others)])
    return rows


def by_group(
    records: Sequence[Record],
    figure: Callable[[Sequence[Record]], float],
    groups: Sequence[str] = GROUPS,
) -> list[str]:
    """A figure for each group and for all, three decimals; "-" for a group without any."""
    parts = [[each for each in records if each.group == group] for group in groups]
    return [f"{figure(part):.3f}" if part else "-" for part in (*parts, list(records))]


def to_markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report(scenes: int, *, oracle: bool = False) -> str:
    """The benchmark's tables as markdown.

    Args:
        scenes: how many held-out scenes.
        oracle: only choose among the true masks.
    """
    drawn = list(held_out_scenes(scenes))
    same, count = mirrored(drawn)
    parts = [
        HEAD.format(scenes=scenes),
        f"{scenes} held-out scenes of 2 to 6 objects (seeds from {HELD_OUT_SEED} on, most of them "
        f"not square), {count} expressions, each of which means exactly one object.",
        "### Choosing: the true masks are the proposals",
        to_markdown(choosing_table(drawn)),
        f"Mirrored pictures and words give the same winner for {same / max(count, 1):.3f} of the "
        "expressions.",
    ]
    if not oracle:
        parts += ["### Segmenting: nothing is given", to_markdown(segmenting_table(drawn))]
    return "\n\n".join(parts)


def publish(text: str, place: Path | None) -> None:
    """Print a page, and write it where a place is given."""
    click.echo(text)
    if place is not None:
        place.write_text(text + "\n")


@click.command()
@click.option("--scenes", default=200, show_default=True, help="How many held-out scenes.")
@click.option("--oracle", is_flag=True, help="Only choose among the true masks; much faster.")
@click.option("--write", type=click.Path(path_type=Path), help="Also write the tables here.")
def main(scenes: int, oracle: bool, write: Path | None) -> None:
    """Print the demo benchmark's tables."""
    publish(report(scenes, oracle=oracle), write)


if __name__ == "__main__":
    main()
