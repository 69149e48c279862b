"""What was seen in a picture, kept while its models live: shaping a mask again looks at nothing.

ComfyUI runs a whole node again where any of its inputs has changed. Here the parts that look at
the picture answer once for the same picture and words, so that only what has changed is done.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, ref

from ..refdiff_core.cache import fingerprint
from ..refdiff_core.protocols import AttentionSource, ImageTextScorer, MaskProposer
from ..refdiff_core.values import AttentionMap, Expression, Image, Proposals
from ._rest import at_rest, tensors_in

MOST_BYTES, MOST_ANSWERS = 256 * 2**20, 32
"""Of what one model saw, on the CPU: some ten pictures with fifty candidates each, or a batch of
small ones."""

Answer = TypeVar("Answer")


class Memory:
    """Answers within a bound, on the CPU; those used least recently leave first."""

    def __init__(self, max_bytes: int = MOST_BYTES) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def once(self, key: Hashable, compute: Callable[[], Answer]) -> Answer:
        """What ``compute`` gives; it is called where nothing is kept by this name.

        What is new stays where the models are, for who goes on with it; what is kept is at rest.
        """
        if key in self._kept:
            self._kept.move_to_end(key)
            answer: Answer = self._kept[key][0]
            return answer
        answer = compute()
        kept = at_rest(answer)
        size = bytes_of(kept)
        if size <= self.max_bytes:
            self._kept[key] = kept, size
            self.bytes += size
        while self.bytes > self.max_bytes or len(self._kept) > MOST_ANSWERS:
            self.bytes -= self._kept.popitem(last=False)[1][1]
        return answer


_memories: WeakKeyDictionary[Any, Memory] = WeakKeyDictionary()


def memory_of(model: Any) -> Memory:
    """What was seen by a model; it goes when the model goes."""
    return _memories.setdefault(model, Memory())


def bytes_of(value: Any) -> int:
    """Bytes of all tensors in a value of ours; what several parts share counts once."""
    every = {id(each): each for each in tensors_in(value)}
    return sum(each.nbytes for each in every.values())


@dataclass(frozen=True)
class RememberedAttention:
    """An `AttentionSource` of MODEL, CLIP and VAE that reads the same picture and words once.

    settings: how they are read.
    """

    source: AttentionSource
    checkpoint: tuple[Any, Any, Any]
    settings: Hashable

    def read(self, image: Image, expressions: Sequence[Expression]) -> list[AttentionMap]:
        """See `AttentionSource.read`."""
        model, clip, vae = self.checkpoint
        own = getattr(clip, "patcher", None)
        # a LoRA that is added in place changes the number of the patches
        patches = tuple(getattr(each, "patches_uuid", None) for each in (model, own))
        parts = (ref(clip), ref(vae), patches, self.settings)
        key = (fingerprint(image), tuple(expressions), parts)
        return memory_of(model).once(key, lambda: self.source.read(image, expressions))


@dataclass(frozen=True)
class RememberedProposer:
    """A `MaskProposer` of a model that is asked once where the same maps guide it."""

    proposer: MaskProposer
    model: Any
    settings: Hashable

    def propose(self, image: Image, attention: Sequence[AttentionMap | None]) -> list[Proposals]:
        """See `MaskProposer.propose`."""
        maps = tuple(None if each is None else fingerprint(each.heat) for each in attention)
        key = (fingerprint(image), maps, self.settings)
        return memory_of(self.model).once(key, lambda: self.proposer.propose(image, attention))


@dataclass(frozen=True)
class RememberedScorer:
    """An `ImageTextScorer` of a model that compares the same words and candidates once."""

    scorer: ImageTextScorer
    model: Any
    settings: Hashable

    @property
    def kinds(self) -> tuple[str, ...]:
        """See `ImageTextScorer`."""
        kinds: tuple[str, ...] = self.scorer.kinds  # type: ignore[attr-defined]
        return kinds

    def score(
        self, image: Image, expressions: Sequence[Expression], proposals: Sequence[Proposals]
    ) -> list[Any]:
        """See `ImageTextScorer.score`."""
        texts = tuple(each.text for each in expressions)
        regions = tuple((each.grid_hw, each.digests) for each in proposals)
        key = (fingerprint(image), texts, regions, self.settings)
        return memory_of(self.model).once(
            key, lambda: list(self.scorer.score(image, expressions, proposals))
        )
