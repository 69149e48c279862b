"""Pure maths on attention."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from refdiff_core.seeing import attention
from refdiff_core.seeing.attention import (
    even,
    ground_of,
    merge_layers,
    min_max,
    resize,
    sharpen,
    spread,
    thing_map,
    word_attention,
    word_weights,
)

HEADS, WIDTH, PLACES, TOKENS = 2, 8, 15, 6


@pytest.fixture
def layer():
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, PLACES, WIDTH, generator=generator)
    key = torch.randn(2, TOKENS, WIDTH, generator=generator)
    return query, key


def by_hand(query, key, batch, token):
    """One token's attention, head by head, in plain Python loops."""
    size = WIDTH // HEADS
    heads = []
    for head in range(HEADS):
        q = query[batch][:, head * size : (head + 1) * size]
        k = key[batch][:, head * size : (head + 1) * size]
        heads.append(torch.softmax(q @ k.T / size**0.5, dim=-1)[:, token])
    return sum(heads) / HEADS


def heat_map(word_maps, size_hw, rivals=None):
    return resize(min_max(thing_map(word_maps, rivals)), size_hw)


def test_word_attention_is_softmax_then_head_mean_then_piece_mean(layer):
    weights = word_weights([[[1], [2, 4]], [[3]]], TOKENS)
    maps = word_attention(*layer, HEADS, weights)
    assert maps.shape == (2, 2, PLACES)
    assert torch.allclose(maps[0, 0], by_hand(*layer, 0, 1), atol=1e-6)
    expected = (by_hand(*layer, 0, 2) + by_hand(*layer, 0, 4)) / 2
    assert torch.allclose(maps[0, 1], expected, atol=1e-6)
    assert torch.allclose(maps[1, 0], by_hand(*layer, 1, 3), atol=1e-6)
    assert not maps[1, 1].any(), "a word that this expression lacks has no attention"


def test_spreading_gives_each_place_the_mean_of_what_it_attends_to(layer):
    query, _ = layer
    key = torch.randn(2, PLACES, WIDTH, generator=torch.Generator().manual_seed(1))
    maps = torch.rand(2, 3, PLACES, generator=torch.Generator().manual_seed(2))
    found = spread(maps, query, key, HEADS)
    attended = torch.stack([by_hand(query, key, 1, place) for place in range(PLACES)], -1)
    assert torch.allclose(found[1], maps[1] @ attended.T, atol=1e-6)
    assert torch.allclose(spread(torch.ones(2, 1, PLACES), query, key, HEADS), torch.ones(()))


def test_logits_leave_the_softmax_out(layer):
    weights = word_weights([[[1]], [[1]]], TOKENS)
    maps = word_attention(*layer, HEADS, weights, logits=True)
    query, key = layer
    expected = (query[0] @ key[0, 1]) / (WIDTH // HEADS) ** 0.5 / HEADS
    assert torch.allclose(maps[0, 0], expected, atol=1e-6)


class Largest(TorchDispatchMode):
    """The most numbers that any operation gave back."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.numbers = max(self.numbers, out.numel())
        return out


def test_no_attention_matrix_larger_than_asked_for_is_built(monkeypatch):
    query, key = torch.randn(2, 400, WIDTH), torch.randn(2, 77, WIDTH)
    weights = word_weights([[[1], [2, 4]], [[3]]], 77)
    with Largest() as whole:
        expected = word_attention(query, key, HEADS, weights)
    monkeypatch.setattr(attention, "SCORES_AT_ONCE", 10 * 2 * HEADS * 77)
    with Largest() as split:
        found = word_attention(query, key, HEADS, weights)
    assert whole.numbers == 2 * HEADS * 400 * 77
    assert split.numbers == query.numel(), "ten places of 400 at a time"
    assert torch.allclose(found, expected, atol=1e-7)


def test_half_precision_is_computed_in_full(layer):
    weights = word_weights([[[1]], [[1]]], TOKENS)
    query, key = (each.half() for each in layer)
    assert word_attention(query, key, HEADS, weights).dtype == torch.float32


def test_min_max_spans_zero_to_one_and_a_flat_map_is_all_zero():
    ramp = torch.arange(15.0).view(3, 5)
    assert min_max(ramp).min() == 0 and min_max(ramp).max() == 1
    assert not min_max(torch.full((3, 5), 0.7)).any()
    assert not min_max(torch.zeros(3, 5)).any()


def test_min_max_keeps_the_small_differences_of_a_softmax_over_many_tokens():
    values = torch.full((3, 5), 1e-4)
    values[1, 2] = 1.1e-4
    assert min_max(values)[1, 2] == 1


def test_layers_are_averaged_on_the_finest_grid():
    coarse, fine = torch.ones(1, 2, 3), torch.zeros(1, 4, 6)
    merged = merge_layers([coarse, fine])
    assert merged.shape == (1, 4, 6)
    assert torch.allclose(merged, torch.tensor(0.5))


def test_layers_count_for_their_shares_on_the_grid_that_counts_most():
    coarse, fine = torch.full((1, 2, 3), 8.0), torch.zeros(1, 4, 6)
    fine[0, :2, :2] = 4
    merged = merge_layers([fine, coarse, coarse], [0.2, 0.4, 0.4])
    assert merged.shape == (1, 2, 3)
    assert torch.allclose(merged[0, 0, 0], torch.tensor(0.2 * 4 + 0.8 * 8))
    assert torch.allclose(merged[0, 1, 2], torch.tensor(0.8 * 8))
    assert merge_layers([fine, coarse], [0.5, 0.5]).shape == (1, 4, 6)


def test_every_layer_and_word_has_one_scale_and_keeps_how_much_it_varies():
    flat = torch.rand(20, 30, generator=torch.Generator().manual_seed(0)) * 0.01 + 1
    lit = flat.clone()
    lit[5:9, 5:9] *= 6
    words = even(torch.stack([lit * 1e-4, flat * 50]))
    assert torch.allclose(words.mean((1, 2)), torch.ones(2), atol=1e-4)
    assert words[0].max() > 4 and words[1].max() < 1.01
    assert not even(torch.zeros(2, 3, 5)).any()


def test_one_hot_cell_does_not_set_the_scale():
    calm = torch.rand(12, 20, generator=torch.Generator().manual_seed(0)) + 1
    calm[3:6, 4:8] = 4
    hot = calm.clone()
    hot[9, 15] = 1000
    assert (even(hot) - even(calm)).abs().max() < 2 * even(calm).max()
    assert heat_map(even(hot)[None], (12, 20))[4, 5] > 0.4


def test_a_map_that_says_little_has_a_high_ground():
    lit, flat = torch.tensor([[0.5, 0.5, 4.0]]), torch.tensor([[0.99, 1.0, 1.01]])
    assert ground_of(lit) == pytest.approx(0.5 / 3.5) and ground_of(flat) > 40
    assert ground_of(torch.zeros(1, 3)) == ground_of(torch.ones(1, 3)) == 1000


def test_resize_keeps_height_and_width_apart():
    column = torch.zeros(3, 5)
    column[:, 4] = 1
    wide = resize(column, (6, 10))
    assert wide.shape == (6, 10)
    assert wide[:, 9].min() == 1 and wide[:, 0].max() == 0


def test_heat_map_is_the_mean_of_the_words():
    words = torch.zeros(2, 3, 5)
    words[0, 0, 0] = words[1, 0, 0] = 1
    words[1, 2, 4] = 1
    heat = heat_map(words, (3, 5))
    assert heat[0, 0] == 1 and heat[2, 4] == 0.5 and heat[1, 2] == 0


def test_rivals_take_the_places_that_are_more_theirs():
    thing = torch.tensor([[[0.4, 0.4, 0.01]]])
    rivals = torch.tensor([[[0.0, 0.8, 0.01]]])
    alone, competing = heat_map(thing, (1, 3)), heat_map(thing, (1, 3), rivals)
    assert alone[0, 0] == alone[0, 1] == 1
    assert competing[0, 0] == 1 and competing[0, 1] < 0.4 and competing[0, 2] == 0
    assert torch.equal(heat_map(thing, (1, 3), rivals[:0]), alone)


def test_no_words_give_a_map_of_zeros():
    assert not heat_map(torch.zeros(0, 3, 5), (6, 10)).any()


def test_sharpening_moves_a_maps_edge_to_the_pictures():
    image = torch.full((60, 100, 3), 0.6)
    image[:, 40:, 0] = 0.9
    image[:, 40:, 1:] = 0.1
    blurred = torch.sigmoid((torch.arange(100.0) - 44) / 6).expand(60, -1).contiguous()
    sharp = sharpen(blurred, image, radius=12)
    jumps = (sharp[30, 1:] - sharp[30, :-1]).abs()
    assert int(jumps.argmax()) == 39, "the steepest place is the picture's edge"
    assert jumps.max() > 3 * (blurred[30, 1:] - blurred[30, :-1]).max()
