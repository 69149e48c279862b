"""Recording attention in any host."""

import pytest
import torch

from refdiff_core.seeing.attention import spread, word_attention, word_weights
from refdiff_core.seeing.capture import Capture, PassComplete

GRID = (3, 5)


@pytest.fixture
def weights():
    return word_weights([[[1], [2]]], 4)


def tensors(places=15, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, places, 8, generator=generator), torch.randn(1, 4, 8, generator=generator)


def test_the_pass_ends_after_the_last_layer_asked_for(weights):
    capture = Capture(["a", "b"], weights)
    capture.record("a", *tensors(), heads=2, grid_hw=GRID)
    with pytest.raises(PassComplete):
        capture.record("b", *tensors(), heads=2, grid_hw=GRID)


def test_other_layers_are_ignored(weights):
    capture = Capture(["a"], weights, stop=False)
    capture.record("elsewhere", *tensors(), heads=2, grid_hw=GRID)
    assert capture.pending == {"a"} and not capture.layer_maps


def test_maps_lie_on_the_layers_own_grid(weights):
    capture = Capture(["a"], weights, stop=False)
    query, key = tensors()
    capture.record("a", query, key, heads=2, grid_hw=GRID)
    maps = capture.word_maps()
    assert maps.shape == (1, 2, *GRID)
    assert torch.equal(maps.flatten(2), word_attention(query, key, 2, weights))


def test_maps_are_spread_along_the_layers_self_attention_as_often_as_asked(weights):
    (query, key), (own, _), (own_key, _) = tensors(), tensors(seed=1), tensors(seed=2)
    capture = Capture(["a"], weights, stop=False, propagation=2)
    capture.record_self("elsewhere", own, own_key)
    capture.record_self("a", own, own_key)
    capture.record("a", query, key, heads=2, grid_hw=GRID)
    expected = word_attention(query, key, 2, weights)
    for _ in range(2):
        expected = spread(expected, own, own_key, 2)
    assert torch.allclose(capture.word_maps().flatten(2), expected)


def test_the_mean_is_spread_along_the_finest_grids_self_attention_alone(weights):
    capture = Capture(["coarse", "fine", "other"], weights, stop=False, finest=True)
    own = {"coarse": tensors(15, seed=1)[0], "fine": tensors(60, seed=2)[0]}
    own["other"] = tensors(60, seed=3)[0]
    for layer, cells, grid_hw in (
        ("fine", 60, (6, 10)),
        ("coarse", 15, GRID),
        ("other", 60, (6, 10)),
    ):
        capture.record_self(layer, own[layer], -own[layer])
        capture.record(layer, *tensors(cells), heads=2, grid_hw=grid_hw)
    plain = Capture(["coarse", "fine", "other"], weights, stop=False)
    for layer, cells, grid_hw in (
        ("fine", 60, (6, 10)),
        ("coarse", 15, GRID),
        ("other", 60, (6, 10)),
    ):
        plain.record(layer, *tensors(cells), heads=2, grid_hw=grid_hw)
    mean = plain.word_maps().flatten(2)
    expected = sum(spread(mean, own[each], -own[each], 2) for each in ("fine", "other")) / 2
    assert torch.allclose(capture.word_maps().flatten(2), expected, atol=1e-6)


def test_layers_of_different_grids_are_averaged(weights):
    capture = Capture(["a", "b"], weights, stop=False)
    capture.record("a", *tensors(15), heads=2, grid_hw=(3, 5))
    capture.record("b", *tensors(60), heads=2, grid_hw=(6, 10))
    assert capture.word_maps().shape == (1, 2, 6, 10)


def test_a_grid_that_does_not_fit_is_told(weights):
    with pytest.raises(ValueError, match="3 x 4 grid"):
        Capture(["a"], weights).record("a", *tensors(), heads=2, grid_hw=(3, 4))


def test_a_layer_that_never_came_is_told(weights):
    with pytest.raises(RuntimeError, match="never seen"):
        Capture(["a"], weights).word_maps()


def test_maps_keep_their_precision_where_the_host_runs_its_pass_in_autocast(weights):
    query, key = tensors()

    def recorded(**options):
        capture = Capture(["a"], weights, stop=False, **options)
        capture.record_self("a", query, query)
        capture.record("a", query, key, heads=2, grid_hw=GRID)
        return capture.word_maps()

    for options in ({}, {"propagation": 1}):
        plain = recorded(**options)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(recorded(**options), plain)
