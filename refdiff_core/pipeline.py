"""The method from end to end: start reading at `segment`.

Source: Ref-Diff, arXiv 2308.16777, as told in METHOD.md 1a. The parts that are there make the
variant: attention alone is /g (proposals from the map itself), with a proposer /gs, proposer and
scorer without attention /ds, all three /gsd.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from .cache import hashed_once
from .choosing.contrast import Compared, Question, gather
from .choosing.contrast import questions as contrasted
from .choosing.fusion import fuse, join, leave_out, locate
from .choosing.scoring import generative_score, lit_score, look_inside
from .copies import propose_masks, read_maps
from .grid import bring, fetch
from .language.expression import parse
from .language.lines import answered, looked_for, things_of
from .pictures.images import show
from .protocols import AttentionSource, ImageTextScorer, MaskProposer
from .seeing.attention import sharpen_maps
from .seeing.phrases import GROUND, Phrase, find_phrases
from .seeing.proposals import AttentionProposer, off_ground
from .settings import KINDS, Settings
from .values import AttentionMap, Expression, Image, Likeness, Proposals, Segmentation


@dataclass(frozen=True)
class Models:
    """What looks at the picture. Without a proposer, proposals come from the attention.

    settings: what `segment` ranks by unless told otherwise; those that go with the models.
    """

    attention: AttentionSource | None = None
    proposer: MaskProposer | None = None
    scorer: ImageTextScorer | None = None
    settings: Settings = Settings()

    def __post_init__(self) -> None:
        if self.attention is None and (self.cuts or self.scorer is None):
            raise ValueError("Without attention, both a proposer and a scorer are needed.")

    @property
    def device(self) -> torch.device:
        """Where the models are, as the first of them that says so has it; else the CPU."""
        parts = (self.attention, self.proposer, self.scorer)
        said = (getattr(each, "device", None) for each in parts)
        return next((each for each in said if each is not None), torch.device("cpu"))

    @property
    def cuts(self) -> bool:
        """Whether candidates are cut out of the attention's maps."""
        return self.proposer is None or isinstance(self.proposer, AttentionProposer)

    @property
    def variant(self) -> str:
        """g, gs, ds or gsd."""
        if self.attention is None:
            return "ds"
        return "g" + ("s" if self.proposer else "") + ("d" if self.scorer else "")


def segment(
    image: Image,
    expressions: str | Expression | Sequence[str | Expression],
    models: Models,
    settings: Settings | None = None,
) -> list[Segmentation]:
    """Find what each expression refers to; the picture is encoded once for all of them.

    Args:
        image: float32 (H, W, 3), RGB, in [0, 1].
        expressions: one or several; text is parsed with `refdiff_core.language.expression.parse`.
        models: attention, proposer and scorer.
        settings: weights, limits and the shape of the mask; None for the models' own.

    Returns:
        One segmentation per expression that is not negative, in their order. Nothing found is an
        empty mask. What negative ones name ("not: the cup") is left out of all others; see
        `refdiff_core.choosing.fusion.leave_out`. Where all are negative, one segmentation: of
        everything but what they name.

    Raises:
        ImageError: the picture is no float32 (H, W, 3).
        ExpressionError: a text is empty, or its brackets do not match.
    """
    given = [expressions] if isinstance(expressions, (str, Expression)) else expressions
    asked = [parse(each) if isinstance(each, str) else each for each in given]
    return segment_apart(image, [asked], models, settings)[0]


def segment_apart(
    image: Image,
    questions: Sequence[Sequence[Expression]],
    models: Models,
    settings: Settings | None = None,
) -> list[list[Segmentation]]:
    """Answer several questions about one picture at once, each as if it were the only one.

    Args:
        image: as for `segment`.
        questions: the lines of each; negative ones count for their own question alone.
        models: as for `segment`.
        settings: as for `segment`.

    Returns:
        For every question what `segment` gives for its lines.
    """
    settings = settings or models.settings
    if models.cuts:
        known = settings.calibration
        settings = replace(settings, calibration=replace(known, steep=known.cuts))
    asked = [thing for lines in questions for thing in looked_for(lines)]
    if not asked:
        return [[] for _ in questions]
    together = [number for number, lines in enumerate(questions) for _ in looked_for(lines)]
    with hashed_once(show(image), models.device) as seen:
        size_hw = (image.shape[0], image.shape[1])
        phrases, looks = _look(seen, size_hw, asked, together, models, settings)
    # 4. the winner: what fits, and lies where the words say
    results = iter(_fuse_all(asked, phrases, looks, settings))
    # 5. without what the words themselves exclude, and what negative lines name
    kept = [leave_out([next(results) for _ in looked_for(lines)], settings) for lines in questions]
    # 6. one answer a line: of a list, all its things
    return [_by_line(lines, own, settings) for lines, own in zip(questions, kept, strict=True)]


def _by_line(
    lines: Sequence[Expression], things: Sequence[Segmentation], settings: Settings
) -> list[Segmentation]:
    left = iter(things)
    answers = []
    for line in answered(lines):
        parts = [next(left) for _ in things_of(line)]
        answers.append(join(line, parts, settings) if line.things else parts[0])
    return answers


class Look(NamedTuple):
    """What was seen of one phrase."""

    attention: AttentionMap | None
    proposals: Proposals
    generative: Tensor | None
    compared: Compared | None


def _look(
    seen: Image,
    size_hw: tuple[int, int],
    asked: Sequence[Expression],
    together: Sequence[int],
    models: Models,
    settings: Settings,
) -> tuple[list[Phrase], list[Look]]:
    """Everything to look for, and what was seen of it.

    Args:
        seen: the picture, or a smaller copy of it, where the models are.
        size_hw: the picture's own size.
        asked: the expressions.
        together: for each the number of its question.
        models: they look.
        settings: as for `segment`.
    """
    # 1. where the words are: the thing's own, and those of what it is related to
    maps = read_maps(seen, size_hw, asked, models.attention) if models.attention else None
    phrases = find_phrases(asked, maps or [None] * len(asked), spatial=settings.spatial_weight > 0)
    cut = models.cuts
    # masks from elsewhere have edges of their own
    radius = settings.sharpen if cut else 0
    attention = sharpen_maps([each.attention for each in phrases], seen, radius)
    # 2. what could be a thing
    proposer = models.proposer or AttentionProposer(
        components=settings.components,
        percentiles=settings.percentiles,
        smallest=settings.smallest,
    )
    guides = [
        off_ground(map_) if cut and map_ and phrase.words.region in GROUND else map_
        for phrase, map_ in zip(phrases, attention, strict=True)
    ]
    proposals = _propose(seen, size_hw, phrases, guides, proposer, len(asked))
    # 3. how well each candidate fits: the map, then CLIP
    generative = _generative(attention, proposals, settings, cut=cut)
    compared = _compare(seen, phrases, together, proposals, models.scorer, settings)
    return phrases, _bring_back(attention, proposals, generative, compared)


def _generative(
    attention: Sequence[AttentionMap | None],
    proposals: Sequence[Proposals],
    settings: Settings,
    *,
    cut: bool,
) -> list[Tensor | None]:
    there = [(seen, each) for seen, each in zip(attention, proposals, strict=True) if seen]
    heats = [bring(seen.heat, each.device) for seen, each in there]
    inside = look_inside(heats, [each for _, each in there])
    if settings.fusion == "sum" or cut:
        # masks from elsewhere are not each other's parts
        exponent = settings.size_exponent if cut else 0
        scores = [generative_score(*each, exponent) for each in zip(heats, inside, strict=True)]
    else:
        scores = [
            lit_score(heat, found, bring(seen.ground, heat.device))
            for (seen, _), heat, found in zip(there, heats, inside, strict=True)
        ]
    found = iter(scores)
    return [next(found) if seen else None for seen in attention]


Asked = list[tuple[Question, Likeness]]
"""What a scorer was asked, and what it said."""


def _bring_back(
    attention: Sequence[AttentionMap | None],
    proposals: Sequence[Proposals],
    generative: Sequence[Tensor | None],
    compared: Asked,
) -> list[Look]:
    """What the processor ranks by: masks as bits, and all figures at once."""
    measured = [each.on_cpu() for each in proposals]
    there = [each for each in generative if each is not None]
    moved = iter(fetch([*there, *(answer.views for _, answer in compared)]))
    figures = [None if each is None else next(moved) for each in generative]
    questions = [question for question, _ in compared]
    answers = [replace(answer, views=next(moved)) for _, answer in compared]
    views = gather(questions, answers) if compared else [None] * len(proposals)
    return [Look(*each) for each in zip(attention, measured, figures, views, strict=True)]


def _compare(
    seen: Image,
    phrases: Sequence[Phrase],
    together: Sequence[int],
    proposals: Sequence[Proposals],
    scorer: ImageTextScorer | None,
    settings: Settings,
) -> Asked:
    """What a scorer says of every phrase, and of what else each could be, asked in one call."""
    if scorer is None:
        return []
    kinds = getattr(scorer, "kinds", KINDS) if settings.fusion == "agreement" else None
    asked = contrasted(phrases, kinds, together)
    words = [each.words for each in asked]
    found = scorer.score(seen, words, [proposals[each.phrase] for each in asked])
    said = [each if isinstance(each, Likeness) else Likeness.of(each) for each in found]
    return list(zip(asked, said, strict=True))


def _fuse_all(
    asked: Sequence[Expression],
    phrases: Sequence[Phrase],
    looks: Sequence[Look],
    settings: Settings,
) -> list[Segmentation]:
    """The answer to every expression, with those to what it excludes."""
    things: dict[tuple[int, int | None], list[tuple[Phrase, Look]]] = {}
    for phrase, look in zip(phrases, looks, strict=True):
        things.setdefault((phrase.owner, phrase.excluded), []).append((phrase, look))
    excluded: list[list[Segmentation]] = [[] for _ in asked]
    results: list[Segmentation] = []
    for (owner, index), ((_, look), *related) in things.items():
        others = [
            locate(each.words, seen.proposals, seen.generative, seen.compared, settings)
            for each, seen in related
        ]
        said = asked[owner] if index is None else asked[owner].excluded[index]
        found = results if index is None else excluded[owner]
        found.append(fuse(said, *look, settings, others=others))
    return [replace(each, excluded=tuple(own)) for each, own in zip(results, excluded, strict=True)]


def _propose(
    seen: Image,
    size_hw: tuple[int, int],
    phrases: Sequence[Phrase],
    attention: Sequence[AttentionMap | None],
    proposer: MaskProposer,
    count: int,
) -> list[Proposals]:
    """Candidates for every phrase: other things are among those of the thing itself.

    Only where candidates are cut out of maps do other things need cuts of their own.
    """
    if not isinstance(proposer, AttentionProposer):
        found = propose_masks(seen, size_hw, attention[:count], proposer)
        return [*found, *(found[phrase.owner] for phrase in phrases[count:])]
    maps = [each for each in attention if each is not None]
    cut = iter(propose_masks(seen, size_hw, maps, proposer))
    own = {index: next(cut) for index, each in enumerate(attention) if each is not None}
    return [own.get(index, own[phrase.owner]) for index, phrase in enumerate(phrases)]
