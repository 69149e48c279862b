"""A picture of coloured squares, for tests of the whole method."""

import pytest
import torch
from squares import PLACES

from refdiff_core.demo.scenes import COLORS
from refdiff_core.seeing.proposals import FixedProposals
from refdiff_core.values import Proposals


@pytest.fixture
def picture():
    image = torch.full((30, 52, 3), 0.5)
    for (top, left), color in PLACES.items():
        image[top : top + 8, left : left + 8] = torch.tensor(COLORS[color]) / 255
    return image


@pytest.fixture
def squares():
    masks = torch.zeros(len(PLACES), 30, 52, dtype=torch.bool)
    for mask, (top, left) in zip(masks, PLACES, strict=True):
        mask[top : top + 8, left : left + 8] = True
    return FixedProposals(Proposals.of(masks))
