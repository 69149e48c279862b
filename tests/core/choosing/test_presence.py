"""Whether there is such a thing, and as many as the words count."""

import pytest
import torch

from refdiff_core.choosing.presence import enough_chance, judge_presence
from refdiff_core.choosing.relations import OtherThing
from refdiff_core.choosing.scoring import Evidence
from refdiff_core.language.expression import parse
from refdiff_core.settings import Settings
from refdiff_core.values import Proposals


@pytest.fixture
def row():
    """Three squares in a row, the last one twice."""
    masks = torch.zeros(4, 20, 50, dtype=torch.bool)
    for mask, left in zip(masks, (2, 17, 32, 32), strict=True):
        mask[5:15, left : left + 10] = True
    return Proposals.of(masks)


def judge(text, row, match, present=0.9, others=(), **settings):
    evidence = Evidence(torch.zeros(4), torch.tensor(match), present)
    return judge_presence(parse(text), evidence, row, others, Settings(**settings))


def test_what_is_there_needs_no_reason(row):
    assert judge("the cup", row, [0.9] * 4) == (0.9, "")


def test_what_nothing_looks_like_is_named_as_it_was_asked_for(row):
    chance, reason = judge("the elephant", row, [0.1] * 4, present=0.08)
    assert chance == 0.08 and reason == "nothing looks like 'the elephant' (.08)"


def test_the_least_likely_of_all_things_decides(row):
    elephant = OtherThing(row, torch.zeros(4), "elephant", 0.03)
    chance, reason = judge("the cup by the elephant", row, [0.9] * 4, others=[None, elephant])
    assert chance == 0.03 and "'elephant'" in reason


def test_an_object_counts_once_however_many_masks_show_it(row):
    assert enough_chance(3, torch.full((4,), 0.99), row) > 0.9
    assert enough_chance(4, torch.full((4,), 0.99), row) == pytest.approx(0, abs=1e-6)


def test_there_is_no_fourth_of_three(row):
    match = [0.99] * 4
    assert judge("the third cup from the left", row, match)[1] == ""
    assert judge("the fourth cup from the left", row, match)[1].startswith("fewer than 4 look like")


def test_a_threshold_of_zero_takes_what_there_is(row):
    assert judge("the elephant", row, [0.1] * 4, present=0.0, min_present=0)[1] == ""
