"""Pure maths on masks: boxes, overlaps, duplicates, limits, and proposals without any weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..grid import as_numbers, fetch, fit
from ..values import AttentionMap, Image, Proposals

THRESHOLDS = tuple(step / 20 for step in range(1, 20))
"""mu in {5 %, ..., 95 %}, METHOD.md 1a [KR]."""


def mask_boxes(masks: Tensor) -> Tensor:
    """Tight boxes of masks.

    Args:
        masks: bool (N, H, W).

    Returns:
        float32 (N, 4), XYXY in pixels, right and bottom exclusive; [0, 0, 0, 0] for an empty mask.
        Where the masks are.
    """
    # as bytes: torch's any() of booleans is many times as slow
    lines = masks.view(torch.uint8)
    (left, right), (top, bottom) = _ends(lines.amax(1)), _ends(lines.amax(2))
    return torch.stack([left, top, right, bottom], 1).float()


def _ends(lines: Tensor) -> tuple[Tensor, Tensor]:
    """First and one past the last that is true in every row of (N, L); 0 and 0 for none."""
    places = torch.arange(1, lines.shape[1] + 1, device=lines.device)
    last = (lines * places).amax(1)
    first = (lines * places.flip(0)).amax(1)
    return (lines.shape[1] - first) * (last > 0), last


def mask_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every mask in ``a`` with every mask in ``b``.

    Args:
        a: bool (N, H, W).
        b: bool (M, H, W).

    Returns:
        float32 (N, M) in [0, 1]; two empty masks have 0.
    """
    x = as_numbers(a.flatten(1))
    y = x if b is a else as_numbers(b.flatten(1))
    intersection = x @ y.T
    union = x.sum(1)[:, None] + y.sum(1)[None] - intersection
    return intersection / union.clamp(min=1)


def best_apart(near: Tensor, quality: Tensor) -> Tensor:
    """Which stay when of any two that are near one another the better one stays.

    Args:
        near: bool (N, N), on the CPU.
        quality: float32 (N,); among equals the first stays.

    Returns:
        bool (N,).
    """
    keep = torch.zeros(len(quality), dtype=torch.bool)
    # stable, so that the result never depends on how the sort breaks ties
    for index in quality.argsort(descending=True, stable=True).tolist():
        keep[index] = not bool((near[index] & keep).any())
    return keep


def within_limits(proposals: Proposals, smallest: float, largest: float) -> Tensor:
    """Which proposals could be things: neither specks nor the whole picture.

    Args:
        proposals: N of them.
        smallest: share of the picture, in [0, 1]. Never a pixel count, which would put small
            things out of reach (METHOD.md 1c.4).
        largest: share of the picture, in [0, 1].

    Returns:
        bool (N,).
    """
    areas = proposals.areas
    return (areas > 0) & (areas >= smallest) & (areas <= largest)


PARTS = 16
"""Connected parts of a cut that become candidates, the largest first. A map that falls into more
shows no thing in particular; of the demo's cuts none has more that are no specks."""


def propose_from_attention(
    attention: AttentionMap,
    thresholds: Sequence[float] = THRESHOLDS,
    *,
    components: bool = True,
    percentiles: bool = False,
    smallest: float = 0.0,
) -> Proposals:
    """Proposals without any weights: the map cut at thresholds, and the cuts' connected parts.

    The paper has the whole cuts only; connected parts tell two things of the same kind apart.

    Args:
        attention: heat (h, w) in [0, 1].
        thresholds: in (0, 1].
        components: also each connected part of a cut that falls into several, `PARTS` at most.
        percentiles: the thresholds are percentiles of the map, so that a cut at .95 holds a
            twentieth of the picture; else shares of the map's range.
        smallest: share of the picture below which nothing becomes a mask, in [0, 1].

    Returns:
        Distinct masks; none for a map without contrast. A mask's quality is 1.

    Source: METHOD.md 1a [KR]; connected parts are ours.
    """
    heat = attention.heat.cpu().numpy()
    levels = np.quantile(heat, thresholds) if percentiles else np.asarray(thresholds)
    least = max(1.0, smallest * heat.size)
    found: dict[bytes, np.ndarray] = {}
    for level in levels if heat.any() else ():
        for mask in _cut(heat >= level, least, components):
            found.setdefault(np.packbits(mask).tobytes(), mask)
    grid = np.stack(list(found.values())) if found else np.zeros((0, *heat.shape), bool)
    found_masks = Proposals(torch.from_numpy(grid), torch.ones(len(grid)), attention.size_hw)
    return found_masks.on(attention.heat.device)


def off_ground(attention: AttentionMap) -> AttentionMap:
    """Of the map of the ground, which is strong where no thing is, that of the things on it.

    Its heat is 1 for a thing and 0 for the ground, told apart at Otsu's threshold: the variance
    between the two is then the largest. A map without contrast has no things.
    """
    counts = torch.histc(attention.heat.float(), bins=256, min=0, max=1).double().cpu()
    share = (counts / counts.sum()).cumsum(0)
    mass = (counts / counts.sum() * torch.arange(256)).cumsum(0)
    between = (mass[-1] * share - mass).square() / (share * (1 - share)).clamp(min=1e-9)
    cut = (int(between.argmax()) + 1) / 256
    contrast = attention.heat.amax() > attention.heat.amin()
    return replace(attention, heat=(attention.heat < cut) * contrast.float())


def _cut(cut: np.ndarray, least: float, components: bool) -> list[np.ndarray]:
    """A cut and its largest parts, without what has fewer cells than ``least``."""
    from scipy.ndimage import label  # here, because importing it takes a while

    if cut.sum() < least:
        return []
    parts, count = label(cut) if components else (cut, 1)
    if count < 2:
        return [cut]
    sizes = np.bincount(parts.ravel())[1:]
    largest = np.argsort(-sizes, kind="stable")[:PARTS]
    return [cut, *(parts == part + 1 for part in sorted(largest) if sizes[part] >= least)]


LOWEST_PEAK = 0.3
"""Places of a map below this are no peaks: they would be prompts on the background."""


def peaks_of(heat: Tensor, count: int, *, grid: int = 32) -> tuple[Tensor, Tensor]:
    """The highest places of a map, as points that a promptable segmenter can be asked at.

    Places are taken from the highest down, each at least three cells from those before, so that
    they spread over a broad or flat region (a painted hint) as well as over several peaks. Always
    so many, so that nothing waits for how many there are.

    Args:
        heat: float32 (H, W) in [0, 1].
        count: how many.
        grid: cells along the longer side, about as coarse as the grid that the map comes from:
            its finer detail is interpolation.

    Returns:
        XY as shares of the picture, highest first, and how high:
        float32 (count, 2) and (count,), where the map is; a height is the mean around the place, 0
        where there is no peak any more.
    """
    height, width = size = fit((heat.shape[0], heat.shape[1]), grid)
    coarse = F.adaptive_avg_pool2d(heat[None], size)
    # smoothed, so that of a flat region its middle comes before its border
    left = F.avg_pool2d(coarse, 3, stride=1, padding=1, count_include_pad=False)[0].flatten()
    left = left.masked_fill(coarse.flatten() < LOWEST_PEAK, 0)
    places = torch.arange(height * width, device=heat.device)
    rows, columns = places // width, places % width
    points, heights = [], []
    for _ in range(count):
        highest, at = left.max(0)
        row, column = at // width, at % width
        points.append(torch.stack([(column + 0.5) / width, (row + 0.5) / height]))
        heights.append(highest)
        left = left * ~(((rows - row).abs() <= 2) & ((columns - column).abs() <= 2))
    if not count:
        return heat.new_zeros(0, 2), heat.new_zeros(0)
    return torch.stack(points), torch.stack(heights)


class AttentionProposer:
    """The weight-free `MaskProposer`: proposals from each expression's own map.

    Args:
        components, percentiles, smallest: see `propose_from_attention`.
    """

    def __init__(
        self, *, components: bool = True, percentiles: bool = False, smallest: float = 0.0
    ) -> None:
        self.components = components
        self.percentiles = percentiles
        self.smallest = smallest

    def propose(self, image: Image, attention: Sequence[AttentionMap | None]) -> list[Proposals]:
        """See `MaskProposer.propose`; every expression needs its map."""
        maps = [each for each in attention if each is not None]
        # cut by the processor, to which they come together
        heats = fetch([each.heat for each in maps]) if maps else []
        return [
            propose_from_attention(
                replace(map_, heat=heat),
                components=self.components,
                percentiles=self.percentiles,
                smallest=self.smallest,
            ).on(map_.heat.device)
            for map_, heat in zip(maps, heats, strict=True)
        ]


class FixedProposals:
    """A `MaskProposer` of masks that came from outside, the same for every expression."""

    def __init__(self, proposals: Proposals) -> None:
        self.proposals = proposals

    def propose(self, image: Image, attention: Sequence[AttentionMap | None]) -> list[Proposals]:
        """See `MaskProposer.propose`."""
        return [self.proposals] * len(attention)
