"""The method, on one screen.

Source: Ref-Diff, arXiv 2308.16777, as told in METHOD.md 1a. The parts that are there make the
variant: attention alone is /g (proposals from the map itself), with a proposer /gs, proposer and
scorer without attention /ds, all three /gsd.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from .choosing.contrast import Compared, gather
from .choosing.contrast import questions as contrasted
from .choosing.fusion import fuse, leave_out, locate
from .choosing.scoring import generative_score
from .language.expression import parse
from .pictures.images import check_image
from .protocols import AttentionSource, ImageTextScorer, MaskProposer
from .seeing.attention import sharpen_map
from .seeing.phrases import Phrase, find_phrases
from .seeing.proposals import AttentionProposer
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
        One segmentation per expression, in their order. Nothing found is an empty mask. Negative
        expressions ("not: the cup") are answered as the others are, and what they name is left
        out of all that are not negative; see `refdiff_core.choosing.fusion.leave_out`.

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
    asked = [line for lines in questions for line in lines]
    if not asked:
        return [[] for _ in questions]

    # 1. where the words are: the thing's own, and those of what it is related to
    maps = models.attention.read(image, asked) if models.attention else [None] * len(asked)
    phrases = find_phrases(asked, maps, spatial=settings.spatial_weight > 0)
    cut = models.proposer is None or isinstance(models.proposer, AttentionProposer)
    sharp = settings.sharpen if cut else 0  # masks from elsewhere have edges of their own
    attention = [
        None if each.attention is None else sharpen_map(each.attention, image, sharp)
        for each in phrases
    ]
    # 2. what could be a thing
    proposer = models.proposer or AttentionProposer(
        components=settings.components, percentiles=settings.percentiles
    )
    proposals = _propose(image, phrases, attention, proposer, len(asked))
    # 3. how well each candidate fits: the map, then CLIP
    generative = [
        generative_score(seen.heat, candidates.masks, settings.size_exponent if cut else 0)
        if seen is not None
        else None
        for seen, candidates in zip(attention, proposals, strict=True)
    ]
    compared: Sequence[Compared | None] = [None] * len(phrases)
    if models.scorer is not None:
        together = [number for number, lines in enumerate(questions) for _ in lines]
        compared = compare(image, phrases, proposals, models.scorer, settings, together)
    # 4. the winner: what fits, and lies where the words say
    looks = list(zip(attention, proposals, generative, compared, strict=True))
    results = iter(_fuse_all(asked, phrases, looks, settings))
    # 5. without what the words themselves exclude, and what negative lines name
    return [leave_out([next(results) for _ in lines], settings) for lines in questions]


def compare(
    image: Image,
    phrases: Sequence[Phrase],
    proposals: Sequence[Proposals],
    scorer: ImageTextScorer,
    settings: Settings,
    together: Sequence[int] | None = None,
) -> list[Compared]:
    """What a scorer says of every phrase, and of what else each could be, asked in one call."""
    kinds = getattr(scorer, "kinds", KINDS)
    asked = contrasted(phrases, kinds if settings.fusion == "agreement" else None, together)
    words = [each.words for each in asked]
    found = scorer.score(image, words, [proposals[each.phrase] for each in asked])
    return gather(
        asked, [each if isinstance(each, Likeness) else Likeness.of(each) for each in found]
    )


Look = tuple[AttentionMap | None, Proposals, Tensor | None, Compared | None]
"""What was seen of one phrase: its map, candidates, generative score and CLIP's view."""


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
        others = [locate(each.words, *seen[1:], settings) for each, seen in related]
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
