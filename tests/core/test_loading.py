"""Which models a set of names asks for; what a file must hold is the backends' tests' business."""

import pytest

from refdiff_core import load_demo, load_models
from refdiff_core.errors import ModelError
from refdiff_core.proposals import FixedProposals
from refdiff_core.values import Proposals


@pytest.mark.parametrize(
    ("named", "missing"),
    [
        ({}, "--checkpoint"),
        ({"sam": "a.pth"}, "--checkpoint"),
        ({"clip": "a"}, "--sam"),
        ({"checkpoint": "a", "clip": "a"}, "--sam"),
        ({"checkpoint": "a", "variant": "gs"}, "--sam"),
        ({"checkpoint": "a", "sam": "a", "variant": "gsd"}, "--clip"),
        ({"sam": "a", "variant": "g"}, "--checkpoint"),
        ({"checkpoint": "a", "variant": "x"}, "one of g, gs, ds, gsd"),
    ],
)
def test_what_is_missing_is_named(named, missing):
    with pytest.raises(ModelError, match=missing):
        load_models(**named)


def test_unknown_demo_variants_are_refused():
    with pytest.raises(ModelError, match="one of g, gs, ds, gsd"):
        load_demo("gd")


@pytest.mark.parametrize("variant", ["g", "gs", "ds", "gsd"])
def test_the_demo_has_every_variant(variant):
    assert load_demo(variant).variant == variant


def test_outside_masks_stand_in_for_the_demo_sam(squares_masks):
    proposer = FixedProposals(Proposals.of(squares_masks))
    assert load_demo("gs", proposer=proposer).proposer is proposer
