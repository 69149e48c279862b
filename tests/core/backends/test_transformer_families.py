"""Transformer families as data."""

import pytest

from refdiff_core.backends.transformer_families import (
    BY_CLASS,
    CHROMA,
    FLUX,
    FLUX2,
    SD3,
    Z_IMAGE,
    transformer_family,
)
from refdiff_core.backends.transformers_attention import lay_out
from refdiff_core.seeing.joint import READINGS


def test_the_nearest_class_names_the_family():
    assert transformer_family(["Flux2", "Flux", "BASE"]) is FLUX2
    assert transformer_family(["FluxSchnell", "Flux", "BASE"]) is FLUX
    assert transformer_family(["ZImage", "Lumina2", "BASE"]) is Z_IMAGE
    assert transformer_family(["SDXL", "BASE"]) is None


def test_classes_that_see_things_in_another_way_are_not_taken_for_their_parents():
    assert transformer_family(["ChromaRadiance", "Chroma", "BASE"]) is None


def test_blocks_are_those_of_the_source_or_lie_at_the_same_share():
    assert FLUX.blocks_of(19) == (14, 15, 16, 17)
    assert SD3.blocks_of(24) == (9,)
    assert SD3.blocks_of(38) == (14,)
    assert CHROMA.blocks_of(2) == (1,)


@pytest.mark.parametrize("family", BY_CLASS.values(), ids=lambda each: each.name)
def test_every_family_can_be_read_as_it_says(family):
    assert family.reading in READINGS and not (
        family.kind == "cross" and family.reading == "output"
    )
    assert family.multiple % family.cell == 0 and family.resolution % family.multiple == 0
    assert all(0 <= block < family.of for block in family.blocks)
    assert len(family.blocks_of(1)) == 1


def test_padding_moves_what_stands_behind_it():
    layout = lay_out(Z_IMAGE, (4, 12), 20)
    assert (layout.text, layout.image) == (0, 32)
    first = lay_out(Z_IMAGE, (4, 12), 20, image_first=True)
    assert (first.image, first.text) == (0, 64)


def test_texts_filled_up_on_the_left_stand_at_the_end():
    layout = lay_out(FLUX2, (4, 12), 20)
    assert (layout.text, layout.image) == (492, 512)
    clean = lay_out(FLUX2, (4, 12), 20, reference=True)
    assert clean.image == 512 + 48
