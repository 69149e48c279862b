"""Which ones: as many distinct things as the words ask for, and what is a thing at all."""

import pytest
import torch

from refdiff_core.choosing.counting import pick_things, pick_winners
from refdiff_core.choosing.layout import Layout, same_object
from refdiff_core.choosing.relations import PAIRS
from refdiff_core.choosing.spatial import half_chance, rank_chance, spatial_score
from refdiff_core.language.expression import parse
from refdiff_core.values import Proposals

HEIGHT, WIDTH = 30, 50


def boxes(*places):
    masks = torch.zeros(len(places), HEIGHT, WIDTH, dtype=torch.bool)
    for mask, (top, left, bottom, right) in zip(masks, places, strict=True):
        mask[top:bottom, left:right] = True
    return Proposals.of(masks)


ROW = boxes((2, 2, 8, 8), (12, 12, 18, 18), (2, 22, 8, 28), (12, 32, 18, 38), (2, 42, 8, 48))
"""Five squares from left to right; every other one is high."""


def winners(text, proposals, chance, union=1):
    chance = torch.tensor(chance)
    ranking = chance.argsort(descending=True, stable=True)
    return pick_winners(parse(text), proposals, ranking, chance, union).tolist()


def test_one_is_the_best_and_a_union_the_best_so_many():
    chance = [0.1, 0.9, 0.2, 0.8, 0.3]
    assert winners("the square", ROW, chance) == [1]
    assert winners("the square", ROW, chance, union=2) == [1, 3]


def test_a_number_takes_so_many_and_doubtful_ones_rather_than_none():
    chance = [0.05, 0.9, 0.2, 0.8, 0.3]
    assert winners("the two squares", ROW, chance) == [1, 3]
    assert winners("four squares", ROW, chance) == [1, 3, 4, 2]
    assert winners("five squares", ROW, chance) == [1, 3, 4, 2]


def test_all_are_those_that_are_likely():
    assert winners("all squares", ROW, [0.9, 0.4, 0.6, 0.1, 0.7]) == [0, 4, 2]
    assert winners("the squares", ROW, [0.1, 0.2, 0.1, 0.1, 0.1]) == []


def test_of_masks_of_one_thing_the_best_is_taken():
    twice = boxes((2, 2, 12, 12), (3, 3, 11, 11), (2, 30, 12, 40))
    assert winners("both squares", twice, [0.7, 0.9, 0.8]) == [1, 2]
    assert winners("two squares", twice, [0.9, 0.8, 0.7]) == [0, 2]


@pytest.mark.parametrize("text", ["the square", "two squares", "all squares"])
def test_no_candidates_are_no_winners(text):
    nothing = Proposals.of(torch.zeros(0, HEIGHT, WIDTH, dtype=torch.bool))
    assert winners(text, nothing, []) == []


def test_the_order_of_candidates_does_not_matter():
    chance, order = [0.1, 0.9, 0.2, 0.8, 0.7], [3, 0, 4, 2, 1]
    shuffled = ROW.select(torch.tensor(order))
    found = winners("three squares", shuffled, [chance[at] for at in order])
    assert [order[at] for at in found] == winners("three squares", ROW, chance)


def test_ground_covers_half_of_the_picture_or_reaches_three_borders():
    masks = boxes((5, 5, 15, 15), (0, 0, 30, 30), (0, 0, 30, 8), (20, 20, 30, 30))
    admissible = torch.ones(4, dtype=torch.bool)
    assert pick_things(masks, None, admissible).tolist() == [0, 3]
    assert pick_things(masks, None, ~admissible).tolist() == []


def test_attention_to_the_background_decides_what_may_be_either():
    masks = boxes((5, 5, 10, 10), (5, 10, 25, 35), (15, 0, 30, 20))
    admissible = torch.ones(3, dtype=torch.bool)
    assert pick_things(masks, torch.tensor([0.5, 0.5, 0.5]), admissible).tolist() == [0]
    assert pick_things(masks, torch.tensor([0.5, -0.1, -0.1]), admissible).tolist() == [0, 1, 2]


def test_what_is_clearly_off_the_ground_is_a_thing_of_any_size():
    masks = boxes((0, 0, 30, 30), (5, 0, 25, 36))
    ground = torch.tensor([-0.2, -0.3])
    assert pick_things(masks, ground, torch.ones(2, dtype=torch.bool)).tolist() == [1]


def test_the_first_two_of_a_row_are_first_or_second():
    layout = Layout.of(ROW)
    same, match = same_object(layout, layout), torch.full((5,), 0.99)
    key = layout.centers[:, 0]
    assert (rank_chance(key, match, same, count=2) > 0.5).tolist() == [True, True] + [False] * 3
    middle = rank_chance(key, match, same, index=2, count=2) > 0.5
    assert middle.tolist() == [False, True, True, False, False]
    one = rank_chance(key, match, same, index=3)
    assert torch.allclose(rank_chance(key, match, same, index=3, count=1), one)


PLACES = {
    "the two leftmost squares": [0, 1],
    "second and third square from the right": [2, 3],
    "the two squares on the right": [3, 4],
    "all the squares on the left": [0, 1],
    "all the squares at the top": [0, 2, 4],
}


@pytest.mark.parametrize("text", PLACES)
def test_places_count_for_several(text):
    score = spatial_score(parse(text), ROW, torch.full((5,), 0.99))
    assert (score > 0.5).nonzero().flatten().tolist() == PLACES[text]


def test_halves_are_the_pictures_own():
    layout = Layout.of(ROW)
    left, right = half_chance(["left"], layout), half_chance(["right"], layout)
    assert torch.allclose(left + right, torch.ones(5), atol=1e-5)
    corner = half_chance(["left", "top"], layout)
    assert (corner > 0.5).tolist() == [True, False, False, False, False]


def test_what_is_near_is_not_far():
    layout = Layout.of(ROW)
    far = PAIRS["far from"](layout, layout)
    assert far[0, 4] > far[0, 2] > far[0, 1] and (far >= 0).all() and (far <= 1).all()
