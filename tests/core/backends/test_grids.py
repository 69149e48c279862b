"""Which layers of a U-Net are read, and what each counts for."""

from functools import partial

import pytest
import torch
from diffusers import UNet2DConditionModel

from refdiff_core.backends.families import DEMO, SD1, SDXL
from refdiff_core.backends.unet_layers import layers_on, layers_read


@pytest.fixture(scope="module", params=[SD1, SDXL], ids=lambda family: family.name)
def read(request):
    """A family at its full size, without weights."""
    with torch.device("meta"):
        return request.param, UNet2DConditionModel(**request.param.unet)


def test_every_grid_counts_for_its_share_however_many_layers_it_has(read):
    family, unet = read
    shares = layers_read(unet, family)
    for grid in family.grids:
        own = [name for name in layers_on(unet, grid.factor) if name in shares]
        assert own and sum(shares[name] for name in own) == pytest.approx(grid.share)
    assert sum(shares.values()) == pytest.approx(1)
    assert len(shares) == {SD1.name: 10, SDXL.name: 70}[family.name]


def test_the_pass_of_stable_diffusion_1_ends_where_it_did_with_the_main_grid_alone():
    with torch.device("meta"):
        unet = UNet2DConditionModel(**SD1.unet)
    fine = [*layers_on(unet, 1), *layers_on(unet, 2)]
    read = [name for name in layers_read(unet, SD1) if name in fine]
    assert len(read) == 4 and all(name.startswith("down") for name in read)


def test_the_papers_layers_are_those_of_the_main_grid_all_alike(read):
    family, unet = read
    shares = layers_read(unet, family, even=False)
    assert list(shares) == layers_on(unet, family.grid_factor)
    assert len({*shares.values()}) == 1


def test_a_family_without_grids_reads_its_main_one():
    found = DEMO.shares(partial(lambda names, factor: names[factor], {2: ["a", "up b"]}), bool)
    assert found == {"a": 0.5, "up b": 0.5}
