"""What else it could be: a cup is what looks like one rather than like anything else.

CLIP always has a best region, whatever is asked for. So each region is asked, in the same call,
what else it could be: the same words with other kinds of things in the noun's place, the noun
without its attributes, the other things that the lines name, "background"; and, where the words
name a colour, the same words with other colours.

Source: negative phrases as in TAS and HybridGL; pairwise contrast for the presence of a thing as in
VIRO (arXiv 2601.12781), whose mean of sigmoids gives way to the likelihood that it stands for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..seeing.phrases import SIZES, Phrase, noun_phrase
from ..values import Expression, Likeness, Word

COLORS = (
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray",
)  # fmt: skip
"""The eleven basic colour terms of Berlin and Kay."""
SPELLINGS = {"grey": "gray", "violet": "purple", "blond": "yellow", "blonde": "yellow"}
GENERIC = frozenset(
    "thing things object objects item items shape shapes one ones something anything stuff part "
    "parts piece pieces side area".split()
)
"""Nouns that anything is: other kinds of things say nothing against them."""

KIND, COLOR = "kind", "color"
"""What a rival differs in."""


FARTHEST = 12.0
"""Contrasts beyond this, in log-odds, tell no more."""


@dataclass(frozen=True)
class Question:
    """A text that every proposal of a phrase is compared with.

    words: the text. phrase: index of the phrase. rival: what it differs in, None for the phrase
    itself.
    """

    words: Expression
    phrase: int
    rival: str | None = None


@dataclass(frozen=True)
class Compared:
    """What a model of pictures and words says of N regions.

    own: of the phrase. rivals: of what else it could be, one group for each thing that they differ
        in; each group must be beaten.
    """

    own: Likeness
    rivals: tuple[tuple[Likeness, ...], ...] = ()

    def contrast(self, trust: float) -> Tensor | None:
        """Log-odds (N,) of the phrase against the rivals, of which one would be true; or None.

        Args:
            trust: log-odds that a log-likelihood of 1 is worth.
        """
        if not self.rivals:
            return None
        groups = []
        for group in self.rivals:
            ahead = torch.stack([each.logits for each in group]) - self.own.logits
            groups.append(math.log(len(group)) - torch.logsumexp(trust * ahead, 0))
        return torch.stack(groups).amin(0).clamp(-FARTHEST, FARTHEST)


def questions(
    phrases: Sequence[Phrase],
    kinds: Sequence[str] | None,
    together: Sequence[int] | None = None,
) -> list[Question]:
    """What to ask of the regions: the phrases in their order, then what each is told from.

    Args:
        phrases: from `refdiff_core.seeing.phrases.find_phrases`.
        kinds: names of things that the model knows; None for the phrases alone.
        together: for each expression the number of its question, where lines of several are asked
            at once; None for one question.
    """
    asked = [Question(each.words, index) for index, each in enumerate(phrases)]
    if kinds is None:
        return asked
    lines = [0 if together is None else together[each.owner] for each in phrases]
    for index, phrase in enumerate(phrases):
        others = [
            each.words
            for other, each in enumerate(phrases)
            if lines[other] == lines[index] and other != index
        ]
        asked += [Question(words, index, KIND) for words in _other_kinds(phrase, kinds, others)]
        asked += [Question(words, index, COLOR) for words in _other_colors(phrase.words)]
    return asked


def gather(asked: Sequence[Question], answers: Sequence[Likeness]) -> list[Compared]:
    """What was said of each phrase, with what was said of its rivals.

    Args:
        asked: from `questions`, the phrases first.
        answers: as many.
    """
    groups: dict[int, dict[str, list[Likeness]]] = {}
    own: dict[int, Likeness] = {}
    for question, answer in zip(asked, answers, strict=True):
        if question.rival is None:
            own[question.phrase] = answer
        elif not torch.equal(answer.views, own[question.phrase].views):
            # what a model does not tell from the phrase, wherever it looks, says nothing
            of_phrase = groups.setdefault(question.phrase, {})
            of_phrase.setdefault(question.rival, []).append(answer)
    return [
        Compared(answer, tuple(map(tuple, groups.get(phrase, {}).values())))
        for phrase, answer in own.items()
    ]


def _other_kinds(
    phrase: Phrase, kinds: Sequence[str], others: Sequence[Expression]
) -> Iterator[Expression]:
    words, root = phrase.words, phrase.words.root
    if root is None or root.text in GENERIC:
        return
    # the others' nouns alone: with an attribute that it shares, another thing looks more like it
    named = [each.root.text for each in others if each.root and each.root.text not in GENERIC]
    for kind in dict.fromkeys((*kinds, *named)):
        if kind != root.text:
            yield swap(words, root, kind)
    yield Expression("background")
    if [word for word in words.attributes if word.text not in SIZES]:
        yield noun_phrase([root], root)


def _other_colors(words: Expression) -> Iterator[Expression]:
    found = (word for word in words.attributes if SPELLINGS.get(word.text, word.text) in COLORS)
    word = next(found, None)
    if word is not None:
        said = SPELLINGS.get(word.text, word.text)
        yield from (swap(words, word, color) for color in COLORS if color != said)


def swap(words: Expression, old: Word, new: str) -> Expression:
    """The expression with another word in place of one of its own."""
    longer = len(new) - (old.end - old.start)

    def moved(word: Word) -> Word:
        if word == old:
            return Word(new, old.start, old.start + len(new))
        if word.start < old.start:
            return word
        return replace(word, start=word.start + longer, end=word.end + longer)

    return Expression(
        words.text[: old.start] + new + words.text[old.end :],
        root=moved(words.root) if words.root else None,
        attributes=tuple(moved(word) for word in words.attributes),
    )
