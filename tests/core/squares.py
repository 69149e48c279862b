"""A picture of coloured squares, and models that know their colours."""

import torch

from refdiff_core.demo.scenes import COLORS
from refdiff_core.language.expression import parse
from refdiff_core.pipeline import Models
from refdiff_core.seeing.attention import attention_map
from refdiff_core.testing import FakeScorer, color_similarity

# A row: red, blue, red, green; a second red one below.
PLACES = {(4, 4): "red", (4, 16): "blue", (4, 28): "red", (4, 40): "green", (20, 28): "red"}


RED_LEFT, BLUE, RED_MIDDLE, GREEN, RED_LOW = range(5)


class WordAttention:
    """Gives each colour word a map of its own, as a denoiser does; counts its passes."""

    def __init__(self):
        self.calls = 0

    def read(self, image, expressions):
        self.calls += 1
        return [self._map(image, each) for each in expressions]

    def _map(self, image, expression):
        named = (*expression.target_words, *expression.other_words)
        words = [word for word in named if word.text in COLORS]
        maps = [color_similarity(image, parse(word.text)) for word in words]
        stacked = torch.stack(maps) if maps else torch.zeros(0, 30, 52)
        return attention_map(expression, words, stacked, (30, 52))


def models(proposer, attention=True, scorer=True):
    source = WordAttention() if attention else None
    return Models(source, proposer, FakeScorer() if scorer else None)
