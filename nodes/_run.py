"""The method on a batch: what the nodes call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from ..refdiff_core.backends.clip_scorer import ClipScorer
from ..refdiff_core.backends.sam_proposer import DEMO, SamProposer
from ..refdiff_core.choosing.contrast import questions as contrasted
from ..refdiff_core.copies import propose_masks, read_maps
from ..refdiff_core.errors import RefDiffError
from ..refdiff_core.language.lines import looked_for
from ..refdiff_core.pictures.images import shrink
from ..refdiff_core.pipeline import Models, segment
from ..refdiff_core.protocols import ImageTextScorer, MaskProposer
from ..refdiff_core.seeing.phrases import find_phrases
from ..refdiff_core.seeing.proposals import AttentionProposer
from ..refdiff_core.settings import (
    AUTOMATIC,
    AttentionSettings,
    ClipSettings,
    Preset,
    SamSettings,
    Settings,
)
from ..refdiff_core.together import Lot, together
from ..refdiff_core.values import AttentionMap, Expression, Image, Likeness, Proposals
from ._attention import attention_source
from ._caches import cache_of
from ._choice import Made
from ._host import check_sizes, images, is_mask, masks, progress, proposals, size_of
from ._memory import RememberedAttention, RememberedProposer, RememberedScorer
from ._models import DEMO_NAME, HostClip, check_sam, sam_on_device
from ._rest import at_rest
from ._values import (
    AttentionBatch,
    GivenAttention,
    GivenProposals,
    GivenScores,
    PhraseScores,
    ProposalBatch,
    ResultBatch,
    ScoreBatch,
    blank,
)

Checkpoint = tuple[Any, Any, Any]
"""MODEL, CLIP and VAE."""

USUAL = SamSettings()


class HostProposer:
    """A `MaskProposer` over SAM_MODEL, which is on the device only while it works."""

    def __init__(self, sam: Any, settings: SamSettings) -> None:
        check_sam(sam)  # before anything is kept by it
        self.sam = sam
        self.settings = settings

    def propose(self, image: Image, attention: Sequence[AttentionMap | None]) -> list[Proposals]:
        """See `MaskProposer.propose`."""
        with sam_on_device(self.sam) as model:
            proposer = SamProposer(model, self.settings, progress())
            proposer.cache = cache_of(model)
            return proposer.propose(image, attention)


class HostAsker:
    """What SAM_MODEL sees at a place that a hand pointed at."""

    def __init__(self, sam: Any) -> None:
        self.sam = sam

    def ask(self, image: Image, made: Made) -> Proposals:
        """See `SamProposer.ask`."""
        with sam_on_device(self.sam) as model:
            proposer = SamProposer(model, own_settings(self.sam))
            proposer.cache = cache_of(model)
            # of the copy that `segment` shows, which is encoded already
            found = proposer.ask(shrink(image), made.points, made.box or None)
        return at_rest(found).of_size(size_of(image))


def asker_of(sam: Any) -> HostAsker | None:
    """Who answers questions about a place, where there is a Segment Anything model."""
    return None if sam is None else HostAsker(sam)


def own_settings(sam: Any, told: SamSettings = USUAL) -> SamSettings:
    """How this very model is best asked: the demo's trusts its masks less than others do."""
    if getattr(sam, "model_name", None) != DEMO_NAME:
        return told
    limits = DEMO.min_predicted_iou, DEMO.min_stability
    return replace(told, min_predicted_iou=limits[0], min_stability=limits[1])


def asked_settings(
    own: SamSettings,
    points_per_side: int,
    min_quality: float,
    duplicate_iou: float,
    *,
    guided: bool,
) -> SamSettings:
    """The model's own settings but for what is asked for; 0 leaves a figure to us."""
    usual = own.points_per_side == USUAL.points_per_side and not guided
    points = AUTOMATIC.points_per_side if usual else own.points_per_side
    alike = own.duplicate_iou if duplicate_iou == USUAL.duplicate_iou else duplicate_iou
    return replace(
        own,
        points_per_side=points_per_side or points,
        min_predicted_iou=min_quality or own.min_predicted_iou,
        duplicate_iou=alike,
    )


class HostScorer:
    """An `ImageTextScorer` over REFDIFF_CLIP, which is on the device only while it works."""

    def __init__(self, clip: HostClip, settings: ClipSettings) -> None:
        self.clip = clip
        self.settings = settings
        self.kinds = clip.clip.kinds

    def score(
        self, image: Image, expressions: Sequence[Expression], proposals: Sequence[Proposals]
    ) -> list[Likeness]:
        """See `ImageTextScorer.score`."""
        scorer = ClipScorer(self.clip.on_device(), self.settings, progress())
        scorer.cache = cache_of(self.clip.clip.model)
        return scorer.score(image, expressions, proposals)


def read_attention(
    checkpoint: Checkpoint,
    image: Tensor,
    expressions: Sequence[Expression],
    settings: AttentionSettings,
    sharpen: float,
) -> AttentionBatch:
    """The words' maps in every picture, one for each thing that the lines name."""
    pictures, source = images(image), attention_source(*checkpoint, settings)
    things = looked_for(expressions)
    with together(Lot(pictures)):
        maps = tuple(
            tuple(at_rest(read_maps(shrink(each), size_of(each), things, source)))
            for each in pictures
        )
    return AttentionBatch(tuple(pictures), tuple(expressions), maps, sharpen)


def propose(
    sam: Any, image: Tensor, attention: AttentionBatch | None, settings: SamSettings
) -> ProposalBatch:
    """SAM's masks in every picture: one set each, or one per thing where maps guide it."""
    pictures, proposer, sets = images(image), HostProposer(sam, settings), []
    with together(Lot(pictures)):
        for index, picture in enumerate(pictures):
            maps = attention.maps_of(index) if attention else [None]
            found = propose_masks(shrink(picture), size_of(picture), maps, proposer)
            sets.append(tuple(at_rest(found)))
    return ProposalBatch(tuple(sets))


def score(
    clip: HostClip,
    image: Tensor,
    expressions: Sequence[Expression],
    given: Any,
    settings: ClipSettings,
) -> ScoreBatch:
    """CLIP's view of every candidate in every picture."""
    pictures, batch, things = images(image), proposals(given), looked_for(expressions)
    check_sizes(pictures, batch)
    scores = []
    for index, picture in enumerate(pictures):
        sets = batch.of(index, len(things))
        scores.append(_score_phrases(HostScorer(clip, settings), picture, things, sets))
    return ScoreBatch(tuple(pictures), tuple(expressions), tuple(scores), clip.clip.kinds)


def _score_phrases(
    scorer: HostScorer,
    picture: Image,
    expressions: Sequence[Expression],
    sets: Sequence[Proposals],
) -> tuple[PhraseScores, ...]:
    """Scores for the words with their places left to geometry, and for the words as they are."""
    unread, seen, found = [None] * len(expressions), shrink(picture), []
    for spatial in (True, False):
        phrases = find_phrases(expressions, unread, spatial=spatial)
        asked = contrasted(phrases, scorer.kinds)
        words = [each.words for each in asked]
        owners = [phrases[each.phrase].owner for each in asked]
        scores = scorer.score(seen, words, [sets[owner] for owner in owners])
        found.append(PhraseScores(tuple(each.text for each in words), tuple(at_rest(scores))))
    return tuple(found)


def segment_batch(
    checkpoint: Checkpoint,
    image: Tensor,
    expressions: Sequence[Expression],
    sam: Any,
    clip: HostClip | None,
    preset: Preset,
) -> ResultBatch:
    """Everything at once."""
    look, grid, likeness = preset.attention, own_settings(sam, preset.sam), preset.clip
    source = RememberedAttention(attention_source(*checkpoint, look), checkpoint, look)
    proposer = None if sam is None else RememberedProposer(HostProposer(sam, grid), sam, grid)
    scorer = None
    if clip is not None:
        scorer = RememberedScorer(HostScorer(clip, likeness), clip.clip.model, likeness)
    models = Models(source, proposer, scorer, preset.fusion)
    pictures, results = images(image), []
    with together(Lot(pictures)):
        for picture in pictures:
            results += at_rest(segment(picture, expressions, models))
    return ResultBatch(tuple(pictures), tuple(results))


def fuse_batch(
    attention: Any, given: Any, scores: ScoreBatch | None, image: Tensor | None, settings: Settings
) -> ResultBatch:
    """Rank candidates by what is connected; without candidates they come from the attention."""
    maps = _attention(attention, scores, image)
    told = maps or scores
    if told is None or (maps is None and given is None):
        raise RefDiffError(
            "Nothing to rank by. Connect the attention, or both proposals and scores."
        )
    pictures, shape = told.images, replace(settings, sharpen=maps.sharpen if maps else 0)
    batch = None if given is None else proposals(given)
    if batch is not None:
        check_sizes(pictures, batch)
    results = []
    for index, picture in enumerate(pictures):
        models = _given(maps, batch, scores, index, len(looked_for(told.expressions)))
        results += segment(picture, told.expressions, models, shape)
    return ResultBatch(pictures, tuple(results))


def _attention(
    value: Any, scores: ScoreBatch | None, image: Tensor | None
) -> AttentionBatch | None:
    if not is_mask(value):
        return value
    soft = masks(value)
    pictures: Sequence[Image] = scores.images if scores else [blank(soft.shape[1:])]
    pictures = pictures if image is None else images(image)
    return AttentionBatch.of_masks(soft, pictures, scores.expressions if scores else None)


def _given(
    maps: AttentionBatch | None,
    batch: ProposalBatch | None,
    scores: ScoreBatch | None,
    index: int,
    count: int,
) -> Models:
    """The pipeline's parts for one picture, of values that are there already."""
    proposer: MaskProposer = AttentionProposer()
    if batch is not None:
        proposer = GivenProposals(batch.of(index, count))
    scorer: ImageTextScorer | None = None
    if scores is not None:
        scorer = GivenScores(scores.of(index), scores.kinds)
    return Models(GivenAttention(maps.maps_of(index)) if maps else None, proposer, scorer)
