"""The method, on one screen.

Source: Ref-Diff, arXiv 2308.16777, as told in METHOD.md 1a. The parts that are there make the
variant: attention alone is /g (proposals from the map itself), with a proposer /gs, proposer and
scorer without attention /ds, all three /gsd.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from .choosing.fusion import fuse, join, leave_out, locate
from .choosing.scoring import generative_score
from .language.expression import parse
from .language.lines import answered, looked_for, things_of
from .pictures.images import check_image
from .protocols import AttentionSource, ImageTextScorer, MaskProposer
from .seeing.attention import sharpen_map
from .seeing.phrases import Phrase, find_phrases
from .seeing.proposals import AttentionProposer
from .settings import Settings
from .values import AttentionMap, Expression, Image, Proposals, Segmentation


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
        if self.attention is None and (self.proposer is None or self.scorer is None):
            raise ValueError("Without attention, both a proposer and a scorer are needed.")

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
    image, settings = check_image(image), settings or models.settings
    asked = [thing for lines in questions for thing in looked_for(lines)]
    if not asked:
        return [[] for _ in questions]

    # 1. where the words are: the thing's own, and those of what it is related to
    maps = models.attention.read(image, asked) if models.attention else [None] * len(asked)
    phrases = find_phrases(asked, maps, spatial=settings.spatial_weight > 0)
    attention = [
        None if each.attention is None else sharpen_map(each.attention, image, settings.sharpen)
        for each in phrases
    ]
    # 2. what could be a thing
    proposer = models.proposer or AttentionProposer(
        components=settings.components, percentiles=settings.percentiles
    )
    proposals = _propose(image, phrases, attention, proposer, len(asked))
    # 3. how well each candidate fits: the map, then CLIP
    generative = [
        generative_score(seen.heat, candidates.masks, settings.size_exponent)
        if seen is not None
        else None
        for seen, candidates in zip(attention, proposals, strict=True)
    ]
    discriminative = (
        models.scorer.score(image, [each.words for each in phrases], proposals)
        if models.scorer
        else [None] * len(phrases)
    )
    # 4. the winner: what fits, and lies where the words say
    looks = list(zip(attention, proposals, generative, discriminative, strict=True))
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


Look = tuple[AttentionMap | None, Proposals, Tensor | None, Tensor | None]
"""What was seen of one phrase: its map, candidates, generative and discriminative scores."""


def _fuse_all(
    asked: Sequence[Expression],
    phrases: Sequence[Phrase],
    looks: Sequence[Look],
    settings: Settings,
) -> list[Segmentation]:
    """The answer to every expression, with those to what it excludes."""
    things: dict[tuple[int, int | None], list[Look]] = {}
    for phrase, look in zip(phrases, looks, strict=True):
        things.setdefault((phrase.owner, phrase.excluded), []).append(look)
    excluded: list[list[Segmentation]] = [[] for _ in asked]
    results: list[Segmentation] = []
    for (owner, index), (look, *related) in things.items():
        others = [locate(*each[1:], settings) for each in related]
        said = asked[owner] if index is None else asked[owner].excluded[index]
        found = results if index is None else excluded[owner]
        found.append(fuse(said, *look, settings, others=others))
    return [replace(each, excluded=tuple(own)) for each, own in zip(results, excluded, strict=True)]


def _propose(
    image: Image,
    phrases: Sequence[Phrase],
    attention: Sequence[AttentionMap | None],
    proposer: MaskProposer,
    count: int,
) -> list[Proposals]:
    """Candidates for every phrase: other things are among those of the thing itself.

    Only where candidates are cut out of maps do other things need cuts of their own.
    """
    found = list(proposer.propose(image, attention[:count]))
    for phrase, seen in zip(phrases[count:], attention[count:], strict=True):
        cut = isinstance(proposer, AttentionProposer) and seen is not None
        found.append(proposer.propose(image, [seen])[0] if cut else found[phrase.owner])
    return found
