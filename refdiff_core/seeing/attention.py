"""Pure maths on attention: from queries and keys to one heat map per expression.

Source: Ref-Diff section 3 as told in METHOD.md 1a [KR]:
a = softmax(Q K^T / sqrt(d)), mean over heads, c = resize((a_k - min) / (max - min)).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..grid import box_sum, bring, fit, working_grid
from ..pictures.images import scale_to
from ..values import AttentionMap, Expression, Image, Word

SCORES_AT_ONCE = 2**23
"""Attention scores held at once, 32 MiB of them: a part of the places, all heads and tokens."""

MAPS_AT_ONCE = 8
"""Maps that are brought to a picture's edges together: more would cost memory and save little."""


def word_weights(groups: Sequence[Sequence[Sequence[int]]], length: int) -> Tensor:
    """How much of each token goes into each word: 1/P for a word of P pieces.

    Args:
        groups: for each of B expressions, for each of its words, the positions of its tokens.
        length: L, tokens per text.

    Returns:
        float32 (B, L, G), G the largest number of words; missing words are all zero.
    """
    most = max((len(words) for words in groups), default=0)
    weights = torch.zeros(len(groups), length, most)
    for row, words in zip(weights, groups, strict=True):
        for column, positions in enumerate(words):
            row[list(positions), column] = 1 / len(positions)
    return weights


def word_attention(
    query: Tensor, key: Tensor, heads: int, weights: Tensor, *, logits: bool = False
) -> Tensor:
    """Attention of every place to every word, averaged over heads and word pieces.

    Args:
        query: (B, T, heads * d), T = h * w places.
        key: (B, L, heads * d), L tokens.
        heads: number of attention heads.
        weights: float32 (B, L, G) from `word_weights`.
        logits: leave out the softmax, as the published code does (METHOD.md 1b).

    Returns:
        float32 (B, G, T); probabilities in [0, 1], or logits.
    """
    split = (heads, query.shape[-1] // heads)
    q = query.unflatten(-1, split).transpose(1, 2)  # (B, heads, T, d)
    k = key.float().unflatten(-1, split).transpose(1, 2)  # (B, heads, L, d)
    columns = bring(weights, query.device)[:, None]
    # place by place: a softmax needs all tokens, but no other place
    rows = max(1, SCORES_AT_ONCE // (q.shape[0] * heads * k.shape[2]))
    picked = []
    for part in q.split(rows, 2):
        scores = (part.float() * split[1] ** -0.5) @ k.transpose(-1, -2)  # (B, heads, rows, L)
        if not logits:
            scores = scores.softmax(-1)
        # words are picked before the heads are averaged: the mean runs over G columns, not L
        picked.append((scores @ columns).mean(1))
    return torch.cat(picked, 1).transpose(1, 2)


def spread(maps: Tensor, query: Tensor, key: Tensor, heads: int) -> Tensor:
    """Spread maps along a layer's self-attention: A_self . A_cross, the mean over its heads.

    Head by head and a part of the places at a time, so that places x places are never held.

    Args:
        maps: float32 (B, G, T), T = h * w places.
        query: (B, T, heads * d) of the self-attention.
        key: (B, T, heads * d).
        heads: number of attention heads.

    Returns:
        float32 (B, G, T): at every place the mean of the map over the places it attends to.

    Source: METHOD.md 3c, idea 5.
    """
    size, spread_maps = query.shape[-1] // heads, torch.zeros_like(maps)
    rows = max(1, SCORES_AT_ONCE // query.shape[:2].numel())
    for q, k in zip(query.float().split(size, -1), key.float().split(size, -1), strict=True):
        for part, out in zip(q.split(rows, 1), spread_maps.split(rows, 2), strict=True):
            out += maps @ (part @ k.transpose(1, 2) * size**-0.5).softmax(-1).transpose(1, 2)
    return spread_maps / heads


def resize(maps: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Bilinear resize of maps (..., h, w) to (..., H, W); phi of the paper."""
    if maps.shape[-2:] == size_hw:
        return maps
    flat = maps.reshape(1, -1, *maps.shape[-2:])
    resized = F.interpolate(flat, size=size_hw, mode="bilinear", align_corners=False)
    return resized.reshape(*maps.shape[:-2], *size_hw)


def even(maps: Tensor) -> Tensor:
    """Bring maps (..., h, w) to one scale: the mean of each is 1.

    So every layer counts for what it is given, and every word for how much it lights a place up,
    however much attention it has in all. iSeg divides by the sum, too; DiffSegmenter and the
    published code stretch to [0, 1], which makes of a word that hardly varies as much as of one
    that does: docs/maps.md has what that costs. A cell that alone is hotter than all others counts
    for `HOTTEST` times what they reach.
    """
    cells = maps.flatten(-2)
    low = cells.amin(-1, keepdim=True)
    rank = min(1 + cells.shape[-1] // 200, cells.shape[-1] - 1)
    reached = cells.topk(rank + 1, -1).values[..., -1:]
    capped = cells.minimum(low + HOTTEST * (reached - low)) if rank else cells
    return (capped / capped.mean(-1, keepdim=True).clamp(min=1e-12)).view_as(maps)


HOTTEST = 2.0
"""How far above the rest of a map its hottest two hundredth, one cell at least, may rise."""


def merge_layers(layers: Sequence[Tensor], shares: Sequence[float] | None = None) -> Tensor:
    """Mean of layers (..., h_i, w_i), brought to the grid that counts most, of those the finest.

    Args:
        layers: the words' maps.
        shares: what each layer counts for; None for all alike.

    Returns:
        float32 (..., h, w).
    """
    counts = [1.0] * len(layers) if shares is None else shares
    grids: dict[tuple[int, int], float] = {}
    for layer, share in zip(layers, counts, strict=True):
        grid_hw = (layer.shape[-2], layer.shape[-1])
        grids[grid_hw] = grids.get(grid_hw, 0.0) + share
    # equal but for rounding
    main_hw = max(grids, key=lambda grid: (round(grids[grid], 6), grid[0] * grid[1]))
    parts = [_brought(each, main_hw) for each in layers]
    if len(set(counts)) > 1:
        usual = sum(counts) / len(counts)
        parts = [each * (share / usual) for each, share in zip(parts, counts, strict=True)]
    return torch.stack(parts).mean(0)


def _brought(layer: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """A finer layer by the mean over each of the new cells, a coarser one bilinearly."""
    if layer.shape[-2] <= size_hw[0] or layer.shape[-1] <= size_hw[1]:
        return resize(layer, size_hw)
    flat = layer.reshape(1, -1, *layer.shape[-2:])
    return F.adaptive_avg_pool2d(flat, size_hw).view(*layer.shape[:-2], *size_hw)


def min_max(values: Tensor) -> Tensor:
    """Stretch maps (..., h, w) to [0, 1]; a map without contrast becomes all zero.

    Give only the part of a map that shows the picture: padding would set the scale.
    """
    low, high = values.amin((-2, -1), keepdim=True), values.amax((-2, -1), keepdim=True)
    # Relative to the values, because a softmax over 77 tokens may leave differences of 1e-5.
    flat = high - low <= 1e-6 * high.abs().clamp(min=1e-12)
    # chosen, not decided: a decision would wait for the device
    return ((values - low) / (high - low).where(~flat, torch.ones_like(low))) * ~flat


def thing_map(word_maps: Tensor, rivals: Tensor | None = None) -> Tensor:
    """One map from the words that name a thing: their mean, before it is stretched.

    The paper reads the root word alone; the mean over the content words localises better
    (METHOD.md 3c, idea 3). With rivals, every place is weighed by the thing's share of it: its
    mean against the rivals' (idea 6; weighed, because both are small where neither thing is).

    Args:
        word_maps: float32 (G, h, w).
        rivals: float32 (R, h, w), the maps of words that name other things.

    Returns:
        float32 (h, w); all zero for G = 0.
    """
    if not len(word_maps):
        return torch.zeros(word_maps.shape[-2:], device=word_maps.device)
    mean = word_maps.mean(0)
    if rivals is not None and len(rivals):
        mean = mean * mean / (mean + rivals.mean(0)).clamp(min=1e-12)
    return mean


def ground_of(values: Tensor) -> Tensor:
    """How high a map (h, w) is where it is lowest, in units of its range: what `min_max` forgets.

    A word that lights nothing up has a high one; float32 (), at most `FLAT`.
    """
    low, high = values.amin(), values.amax()
    ground = low / (high - low).clamp(min=1e-12)
    return ground.where(high > low, torch.full_like(ground, FLAT)).clamp(0, FLAT)


FLAT = 1e3
"""Ground of a map without contrast."""


def attention_map(
    expression: Expression,
    words: Sequence[Word],
    word_maps: Tensor,
    size_hw: tuple[int, int],
    *,
    competing: bool = False,
) -> AttentionMap:
    """The map of what an expression names, with the maps of all its words that were read.

    Args:
        expression: what was read.
        words: G words, from `refdiff_core.backends.tokens.words_to_read`.
        word_maps: float32 (G, h, w).
        size_hw: the picture's (H, W).
        competing: words of other things take their share of every place; see `thing_map`.

    Returns:
        Its heat, on the picture's working grid, is that of the words that name the thing; words of
        other things do not add to it.
    """
    nothing = torch.zeros(working_grid(size_hw), device=word_maps.device)
    everything = AttentionMap(nothing, tuple(words), word_maps, competing, size_hw)
    return map_of(everything, [word for word in words if word not in expression.other_words])


def map_of(attention: AttentionMap, words: Collection[Word]) -> AttentionMap:
    """The map of some of the words that were read, such as another noun's.

    Its heat is all zero where none of the words was read.
    """
    chosen = [index for index, word in enumerate(attention.words) if word in words]
    others = [index for index, word in enumerate(attention.words) if word not in words]
    rivals = _rows(attention.word_maps, others) if attention.competing else None
    values = thing_map(_rows(attention.word_maps, chosen), rivals)
    heat = resize(min_max(values), attention.grid_hw)
    return replace(attention, heat=heat, ground=ground_of(values))


def _rows(maps: Tensor, indices: Sequence[int]) -> Tensor:
    # slices, because a list of indices is copied to the device while it waits
    rows = [maps[index] for index in indices]
    return torch.stack(rows) if rows else maps[:0]


def sharpen(heat: Tensor, image: Image, radius: int, *, grid: int = 256) -> Tensor:
    """Let a map's edges follow the picture's own: a guided filter with the picture as guide.

    A map comes from a grid of 16 x 16 cells or so; what it says of borders is interpolation. In
    every window the filter fits the map as a linear function of the colours and keeps the fit.

    Args:
        heat: float32 (..., h, w) in [0, 1]; one map or several.
        image: float32 (H, W, 3) in [0, 1]; it is brought to the map's grid.
        radius: of the windows in cells of the heat, about one and a half of the map's own.
        grid: the fit is made on a copy with so many cells along the longer side at most.

    Returns:
        float32 (..., h, w) in [0, 1].

    Source: He, Sun and Tang, Guided Image Filtering, 2010; fast variant of He and Sun, 2015.
    """
    size_hw = (heat.shape[-2], heat.shape[-1])
    small_hw = fit(size_hw, grid)
    colors = scale_to(bring(image, heat.device), size_hw).permute(2, 0, 1)
    guide = F.adaptive_avg_pool2d(colors, small_hw)
    small_radius = max(1, round(radius * min(1.0, grid / max(size_hw))))
    maps = resize(heat, small_hw).reshape(-1, *small_hw)
    slope, offset = _local_fit(guide, maps, small_radius)
    fitted = [
        (resize(each, size_hw) * colors).sum(0) + resize(beside, size_hw)
        for each, beside in zip(slope, offset, strict=True)
    ]
    return min_max(torch.stack(fitted).clamp(0, 1)).reshape(heat.shape)


def sharpen_maps(
    maps: Sequence[AttentionMap | None], image: Image, cells: float
) -> list[AttentionMap | None]:
    """`sharpen` for all maps of a picture, with a radius in cells of each map's own grid.

    What the filter needs to know of the picture is found once for up to `MAPS_AT_ONCE` maps of one
    radius.
    """
    groups: dict[int, list[int]] = {}
    for index, each in enumerate(maps):
        if each is not None and (radius := _cells_wide(each, cells)):
            groups.setdefault(radius, []).append(index)
    found = list(maps)
    for radius, indices in groups.items():
        for start in range(0, len(indices), MAPS_AT_ONCE):
            part = indices[start : start + MAPS_AT_ONCE]
            there = [each for index in part if (each := maps[index]) is not None]
            sharp = sharpen(torch.stack([each.heat for each in there]), image, radius)
            for index, each, heat in zip(part, there, sharp, strict=True):
                found[index] = replace(each, heat=heat)
    return found


def _cells_wide(attention: AttentionMap, cells: float) -> int:
    """Cells of a map's own grid, counted in those that its heat has."""
    if not len(attention.words):
        return 0
    return round(cells * attention.grid_hw[0] / attention.word_maps.shape[1])


def _local_fit(guide: Tensor, values: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Slope (E, 3, h, w) and offset (E, h, w) of values ~ slope . color + offset at each place.

    Args:
        guide: colours (3, h, w).
        values: E maps (E, h, w).
        radius: of the window around each place.
    """
    # He's epsilon: colours that differ by less than about .03 are one surface
    epsilon = 1e-3 * torch.eye(3, device=guide.device)
    mean_color, mean_value = _box_mean(guide, radius), _box_mean(values, radius)
    with_value = torch.stack(
        [
            _box_mean(guide * each, radius) - mean_color * mean
            for each, mean in zip(values, mean_value, strict=True)
        ],
        -1,
    )  # (3, h, w, E)
    products = (guide[:, None] * guide[None]).flatten(0, 1)  # (9, h, w)
    means = (mean_color[:, None] * mean_color[None]).flatten(0, 1)
    covariance = (_box_mean(products, radius) - means).unflatten(0, (3, 3)).permute(2, 3, 0, 1)
    # "ex": without a look at whether it could be solved, for which it would wait; it can
    solved, _ = torch.linalg.solve_ex(covariance + epsilon, with_value.permute(1, 2, 0, 3))
    slope = solved.permute(3, 2, 0, 1)
    offset = mean_value - (slope * mean_color).sum(1)
    return torch.stack([_box_mean(each, radius) for each in slope]), _box_mean(offset, radius)


def _box_mean(planes: Tensor, radius: int) -> Tensor:
    return (box_sum(planes, radius) / (2 * radius + 1) ** 2).float()
