"""The method, on one screen.

Source: Ref-Diff, arXiv 2308.16777, as told in METHOD.md 1a. The parts that are there make the
variant: attention alone is /g (proposals from the map itself), with a proposer /gs, proposer and
scorer without attention /ds, all three /gsd.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .attention import sharpen_map
from .expression import parse
from .fusion import fuse
from .images import check_image
from .proposals import AttentionProposer
from .protocols import AttentionSource, ImageTextScorer, MaskProposer
from .scoring import generative_score
from .settings import Settings
from .values import AttentionMap, Expression, Image, Segmentation


@dataclass(frozen=True)
class Models:
    """What looks at the picture. Without a proposer, proposals come from the attention."""

    attention: AttentionSource | None = None
    proposer: MaskProposer | None = None
    scorer: ImageTextScorer | None = None

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
    settings: Settings = Settings(),
) -> list[Segmentation]:
    """Find what each expression refers to; the picture is encoded once for all of them.

    Args:
        image: float32 (H, W, 3), RGB, in [0, 1].
        expressions: one or several; text is parsed with `refdiff_core.expression.parse`.
        models: attention, proposer and scorer.
        settings: weights, limits and the shape of the mask.

    Returns:
        One segmentation per expression, in their order. Nothing found is an empty mask.

    Raises:
        ImageError: the picture is no float32 (H, W, 3).
        ExpressionError: a text is empty, or its brackets do not match.
    """
    image = check_image(image)
    given = [expressions] if isinstance(expressions, (str, Expression)) else expressions
    asked = [parse(each) if isinstance(each, str) else each for each in given]
    if not asked:
        return []

    # 1. where the words are
    attention: list[AttentionMap | None] = [None] * len(asked)
    if models.attention:
        maps = models.attention.read(image, asked)
        attention = [sharpen_map(each, image, settings.sharpen) for each in maps]
    # 2. what could be a thing
    proposals = (models.proposer or AttentionProposer()).propose(image, attention)
    # 3. how well each candidate fits: the map, then CLIP
    generative = [
        generative_score(each.heat, candidates.masks, settings.size_exponent) if each else None
        for each, candidates in zip(attention, proposals, strict=True)
    ]
    discriminative = (
        models.scorer.score(image, asked, proposals) if models.scorer else [None] * len(asked)
    )
    # 4. the winner
    return [
        fuse(*parts, settings)
        for parts in zip(asked, attention, proposals, generative, discriminative, strict=True)
    ]
