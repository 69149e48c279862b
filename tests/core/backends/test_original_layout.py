"""Where a U-Net in the original layout has its attention."""

from types import SimpleNamespace

from refdiff_core.backends.original_layout import transformers_on


class Downsample:
    pass


class Upsample:
    pass


class Transformer:
    def __init__(self, *blocks):
        self.transformer_blocks = blocks


def unet(middle):
    down = [[object()], [object(), Transformer("a")], [Downsample()], [Transformer("b", "c")]]
    up = [[Transformer("d"), Upsample()], [object(), Transformer("e")]]
    return SimpleNamespace(input_blocks=down, middle_block=middle, output_blocks=up)


def test_blocks_are_told_by_how_often_the_grid_has_been_halved():
    whole = unet([object(), Transformer("m"), object()])
    assert transformers_on(whole, 1) == {("input", 1, 0): "a", ("output", 1, 0): "e"}
    assert transformers_on(whole, 2) == {
        ("input", 3, 0): "b", ("input", 3, 1): "c", ("middle", 0, 0): "m", ("output", 0, 0): "d",
    }  # fmt: skip
    assert transformers_on(whole, 4) == {}


def test_a_distilled_one_may_lack_the_middle():
    assert set(transformers_on(unet(None), 2).values()) == {"b", "c", "d"}
