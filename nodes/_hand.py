"""What a hand chose, made so: candidates of its own, the ones chosen, and the mask of both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Protocol

import folder_paths
import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from ..refdiff_core.choosing.scoring import generative_score
from ..refdiff_core.errors import MaskError
from ..refdiff_core.finishing import Finish
from ..refdiff_core.grid import fit, working_grid
from ..refdiff_core.pictures.images import UNREADABLE, scale_to, shrink
from ..refdiff_core.settings import Settings
from ..refdiff_core.values import Drawing, Image, Proposals, Segmentation
from ._choice import NOTHING, Choice, Made, find_mask, mask_ids, picture_id
from ._values import ResultBatch

SIDE = 512
"""Pixels of the longer side of what the panel shows, at most."""


class Asker(Protocol):
    """Answers questions about a place: what Segment Anything sees at points or in a box."""

    def ask(self, image: Image, made: Made) -> Proposals:
        """Candidates at the points and the box that were made on a picture, best first."""
        ...


@dataclass(frozen=True)
class Small:
    """A picture as the panel shows it.

    pixels: uint8 (h, w, 3). id: stands for the picture. choice: what was chosen on it.
    """

    pixels: Tensor
    id: str
    choice: Choice


@dataclass(frozen=True)
class Hand:
    """What the hand did to one result.

    masks: bool (N, h, w), all candidates on the panel's grid, those made by hand at the end.
    ids: of the candidates. made: by index, the id of what the hand made.
    picked: indices chosen, in the order of choice. same: the same by what was asked for.
    default: indices that were told otherwise, and count where none is chosen.
    best: whether without either the best candidates count, as many as `union` says, and under a
        threshold all that is strong in the map.
    cut: bool (h, w), what is kept out of the mask whatever is chosen; None where nothing is.
    without: the masks that make it.
    """

    masks: Tensor
    ids: tuple[str, ...]
    made: Mapping[int, str] = field(default_factory=dict)
    picked: tuple[int, ...] = ()
    same: Mapping[str, int] = field(default_factory=dict)
    default: tuple[int, ...] = ()
    best: bool = False
    cut: Tensor | None = None
    without: tuple[Proposals, ...] = ()


@dataclass(frozen=True)
class Handled:
    """Results as the hand left them, and what the panel shows of them, both image-major."""

    batch: ResultBatch
    smalls: tuple[Small, ...]
    before: tuple[Segmentation, ...]
    hands: tuple[Hand, ...]


def by_hand(
    batch: ResultBatch,
    choices: Mapping[str, Choice],
    settings: Settings,
    threshold: float = 0.0,
    asker: Asker | None = None,
    numbered: Sequence[Sequence[int]] | None = None,
) -> Handled:
    """Give every result the candidates that were made by hand, and the mask that was chosen.

    Args:
        batch: as the method found it.
        choices: by picture; see `_choice.read_choices`.
        settings: the shape of the mask.
        threshold: how strong the map must be within it; 0 asks nothing.
        asker: answers questions about places.
        numbered: for each result, candidates that are taken where the hand chose none.
    """
    smalls, before, after, hands = [], [], [], []
    for picture, row in batch.rows:
        small = _small(picture, choices)
        smalls.append(small)
        extra = [(each.id, _make(picture, each, asker)) for each in small.choice.made]
        for result in row:
            told = _told(result) if numbered is None else numbered[len(hands)]
            best = numbered is None and _takes_the_best(result)
            whole, hand = _choose(result, extra, small)
            hand = replace(hand, default=() if hand.picked else tuple(told), best=best)
            before.append(whole)
            hands.append(hand)
            after.append(_shape(whole, hand, settings, threshold))
    results = ResultBatch(batch.images, tuple(after))
    return Handled(results, tuple(smalls), tuple(before), tuple(hands))


def _small(picture: Image, choices: Mapping[str, Choice]) -> Small:
    size_hw = (picture.shape[0], picture.shape[1])
    pixels = (scale_to(shrink(picture), panel_grid(working_grid(size_hw))) * 255).round().byte()
    name = picture_id(pixels, size_hw)
    return Small(pixels, name, choices.get(name, NOTHING))


def panel_grid(grid_hw: tuple[int, int]) -> tuple[int, int]:
    """The panel's grid for a working grid: that itself where it is no larger."""
    return fit(grid_hw, SIDE)


def _on_panel(masks: Tensor) -> Tensor:
    return scale_to(masks, panel_grid((masks.shape[1], masks.shape[2])))


def _make(picture: Image, made: Made, asker: Asker | None) -> Proposals:
    if made.file:
        return Proposals.of(_painted(made.file, (picture.shape[0], picture.shape[1]))[None])
    if asker is None or not (made.points or made.box):
        return Proposals.of(torch.zeros(0, *picture.shape[:2], dtype=torch.bool))
    return asker.ask(picture, made)


def _painted(file: str, size_hw: tuple[int, int]) -> Tensor:
    """A mask from the mask editor, which keeps it as what is clear in a picture."""
    try:
        with Pillow.open(_own_file(file)) as picture:
            alpha = picture.convert("RGBA").getchannel("A").resize(size_hw[::-1])
    except (*UNREADABLE, Pillow.DecompressionBombError) as error:
        raise MaskError(
            f"The painted mask '{file}' cannot be read ({error or type(error).__name__}). "
            "Remove it on the node's panel, or paint it again."
        ) from error
    return torch.from_numpy(np.array(alpha)) < 128


def _own_file(file: str) -> Path:
    """Where a file lies; graphs come from others, and name none but in ComfyUI's own folders."""
    path = Path(os.path.abspath(folder_paths.get_annotated_filepath(file)))
    kinds = (folder_paths.get_input_directory, folder_paths.get_temp_directory,
             folder_paths.get_output_directory)  # fmt: skip
    folders = [os.path.abspath(folder()) for folder in kinds]
    if not path.is_file() or not any(path.is_relative_to(folder) for folder in folders):
        raise FileNotFoundError("no such file in ComfyUI's own folders")
    return path


def _told(result: Segmentation) -> list[int]:
    """What the words chose, where they ask for several."""
    return result.winners.tolist() if result.several else []


def _takes_the_best(result: Segmentation) -> bool:
    """Whether the words mean one thing, which is there: not several, no rest of the picture."""
    words = result.expression
    return words.count == 1 and not (words.things or words.region or result.missing)


def _choose(
    result: Segmentation,
    extra: Sequence[tuple[str, Proposals]],
    small: Small,
) -> tuple[Segmentation, Hand]:
    """The result with all candidates, and which of them were chosen."""
    made: dict[int, str] = {}
    for name, masks in extra:
        count = len(result.proposals)
        made |= {count + at: name for at in range(len(masks))}
        result = _with(result, masks)
    masks = _on_panel(result.proposals.masks.cpu())
    ids = mask_ids(masks)
    wanted = small.choice.picks.get(result.expression.text, ())
    # the first of what was made by that hand is what SAM trusts most
    first = {name: index for index, name in reversed(made.items())}
    found = {each: first.get(each, find_mask(each, ids)) for each in wanted}
    same = {name: index for name, index in found.items() if index is not None}
    picked = tuple(dict.fromkeys(same.values()))
    cuts = result.drawing.without
    cut = None
    if cuts:
        cut = _on_panel(torch.cat([each.masks for each in cuts]).any(0, keepdim=True).cpu())[0]
    # what the whole picture is without says nothing of a candidate by itself
    without = () if result.drawing.whole else cuts
    return result, Hand(masks, tuple(ids), made, picked, same, cut=cut, without=without)


def _with(result: Segmentation, more: Proposals) -> Segmentation:
    """The result with further candidates, which were not ranked."""
    if not len(more):
        return result
    proposals = result.proposals.join(more)
    seen = result.attention
    fit = more.quality if seen is None else generative_score(seen.heat.cpu(), more.masks.cpu())
    nothing, old = torch.full((len(more),), torch.nan), result.scores
    longer = {
        each.name: torch.cat([term, fit if each.name in ("total", "generative") else nothing])
        for each in fields(old)
        if (term := getattr(old, each.name)) is not None
    }
    return replace(result, proposals=proposals, scores=replace(old, **longer))


def _shape(result: Segmentation, hand: Hand, settings: Settings, threshold: float) -> Segmentation:
    """The mask of what was chosen; that of the words, shaped anew, where nothing was."""
    level = int(threshold * 255 + 0.5)  # in 255 steps, as the panel has them
    cut_by_map = level > 0 and result.attention is not None
    told = hand.picked or hand.default
    if not told and not (cut_by_map and hand.best):
        return replace(result, drawing=replace(result.drawing, finish=Finish(settings)))
    ranked = result.ranking.tolist()
    winners = list(told) or result.winners.tolist()
    shown, without = result.proposals.select(torch.tensor(winners).long()), hand.without
    if cut_by_map:
        strong, weak = _by_strength(result, level)
        shown, without = (shown, (*without, weak)) if told else (strong, without)
    order = list(dict.fromkeys([*winners, *ranked]))
    drawing = Drawing(shown, without, Finish(settings))
    chosen = torch.tensor(winners).long()
    return replace(
        result,
        drawing=drawing,
        ranking=torch.tensor(order).long(),
        winners=chosen,
        missing="",  # whoever chose it sees it
    )


def _by_strength(result: Segmentation, level: int) -> tuple[Proposals, Proposals]:
    """Where the map is at least so strong, from 0 to 255, and where not."""
    assert result.attention is not None
    strong = (result.attention.heat.cpu() * 255).round() >= level
    both = Proposals(torch.stack([strong, ~strong]), torch.ones(2), result.attention.size_hw)
    return both.select(torch.tensor([0])), both.select(torch.tensor([1]))
