"""Pictures of any size through the nodes: what they take, and that the answer is Python's."""

import pytest

MOST = 600
"""MiB beyond the models, the picture, and the masks and pictures that are given out."""


@pytest.mark.parametrize("size", [("97", "143"), ("1501", "2311"), ("2600", "1300")], ids="x".join)
def test_the_nodes_give_the_mask_that_python_gives(ask, size):
    for variant, shares in ask("same", *size, script="inside_large.py").items():
        assert shares and min(shares) >= 0.98, (variant, shares)


@pytest.mark.slow
@pytest.mark.parametrize("size", [("8000", "8000"), ("700", "8000")], ids="x".join)
def test_ten_lines_of_a_large_picture_take_bounded_memory(ask, size):
    found = ask("nodes", *size, script="inside_large.py")
    assert sorted(found) == ["ds", "g", "gs", "gsd"]
    for variant, told in found.items():
        assert told["shape"] == [10, *map(int, size)]
        assert told["taken"] < MOST, (variant, told)
        assert max(told["fits"]) > 0.7, (variant, told)
