"""Models that look once, however often and by however many rules they are asked."""

from __future__ import annotations

from collections.abc import Sequence

from ..cache import fingerprint
from ..protocols import AttentionSource, ImageTextScorer, MaskProposer
from ..settings import KINDS
from ..values import AttentionMap, Expression, Image, Likeness, Proposals


class SeenOnce:
    """Reads maps and proposes masks for one picture once, however often it is asked."""

    def __init__(
        self, source: AttentionSource, image: Image, expressions: Sequence[Expression]
    ) -> None:
        every = list(dict.fromkeys(expressions))
        self.maps = dict(zip(every, source.read(image, every), strict=True))

    def read(self, image: Image, expressions: Sequence[Expression]) -> list[AttentionMap]:
        """See `AttentionSource.read`."""
        return [self.maps[each] for each in expressions]


class ProposedOnce:
    """A `MaskProposer` that looks once for each set of maps."""

    def __init__(self, proposer: MaskProposer) -> None:
        self.proposer = proposer
        self.kept: dict[bytes, Proposals] = {}

    def propose(self, image: Image, attention: Sequence[AttentionMap | None]) -> list[Proposals]:
        """See `MaskProposer.propose`."""
        keys = [b"" if each is None else fingerprint(each.heat) for each in attention]
        for key, seen in zip(keys, attention, strict=True):
            if key not in self.kept:
                (self.kept[key],) = self.proposer.propose(image, [seen])
        return [self.kept[key] for key in keys]


class AnsweredOnce:
    """An `ImageTextScorer` of one picture that is asked once about each text and candidates."""

    def __init__(self, scorer: ImageTextScorer) -> None:
        self.scorer = scorer
        self.kinds = getattr(scorer, "kinds", KINDS)
        self.kept: dict[tuple[str, int], tuple[Likeness, Proposals]] = {}

    def score(
        self, image: Image, expressions: Sequence[Expression], proposals: Sequence[Proposals]
    ) -> list[Likeness]:
        """See `ImageTextScorer.score`."""
        keys = [(words.text, id(own)) for words, own in zip(expressions, proposals, strict=True)]
        asked = zip(keys, expressions, proposals, strict=True)
        new = {key: (words, own) for key, words, own in asked if key not in self.kept}
        if new:
            words, candidates = zip(*new.values(), strict=True)
            said = self.scorer.score(image, words, candidates)
            # the candidates are kept, too, so that no others get their place in memory
            self.kept |= zip(new, zip(said, candidates, strict=True), strict=True)
        return [self.kept[key][0] for key in keys]
