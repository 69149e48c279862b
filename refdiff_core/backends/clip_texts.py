"""CLIP's text encoder over several texts at once, none of them padded."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from ..grid import bring
from .clip_models import attend

TOKENS = 512
"""Of one pass. More at once would not be faster: what they ask each other in vain grows as their
square."""

Text = list[int]
"""Its tokens' numbers, to the one that ends it."""


def encode_texts(model: Any, ids: Tensor, device: torch.device) -> Tensor:
    """What ``model.encode_text`` gives, but for rounding, of a seventh of the tokens.

    A text of CLIP's is read from its first token to the one that ends it, and no token asks those
    after it. So texts go without the padding up to 77 tokens, one behind the other as one text,
    of which each token asks those before it in its own.

    Args:
        model: an `open_clip.CLIP`, or one with a text encoder of another kind, which is asked as it
            is.
        ids: int64 (T, 77) from its tokenizer, on the CPU; T >= 1.
        device: where the model is.

    Returns:
        (T, d), of the model's type.
    """
    encoder = getattr(model, "text", model)
    if not _reads_forward(encoder):
        # one by one: for several, a processor's attention in bfloat16 copies its weights once per
        # token, which takes ten times as long
        at_once = 1 if device.type == "cpu" else len(ids)
        return torch.cat([model.encode_text(each) for each in bring(ids, device).split(at_once)])
    # the token that ends a text has the highest number
    texts = [text[: text.index(max(text)) + 1] for text in ids.tolist()]
    return torch.cat([_encode(encoder, each, device) for each in _passes(texts)])


def _reads_forward(encoder: Any) -> bool:
    """Whether a text's vector is of its last token, which has asked those before it alone."""
    pool = getattr(encoder, "pool_type", getattr(encoder, "text_pool_type", "argmax"))
    whole = getattr(encoder, "cls_emb", None) is not None
    return pool == "argmax" and encoder.attn_mask is not None and not whole


def _passes(texts: Sequence[Text]) -> list[list[Text]]:
    """Texts in their order, of about `TOKENS` tokens together."""
    passes: list[list[Text]] = [[]]
    for text in texts:
        if passes[-1] and sum(map(len, passes[-1])) + len(text) > TOKENS:
            passes.append([])
        passes[-1].append(text)
    return passes


def _encode(encoder: Any, texts: Sequence[Text], device: torch.device) -> Tensor:
    numbers = [token for text in texts for token in text]
    steps = [step for text in texts for step in range(len(text))]
    owners = [owner for owner, text in enumerate(texts) for _ in text]
    ids, place, owner = (bring(torch.tensor(each), device) for each in (numbers, steps, owners))
    asks = (owner[:, None] == owner) & (place[:, None] >= place)
    table, dtype = encoder.positional_embedding, encoder.transformer.get_cast_dtype()
    tokens = encoder.token_embedding(ids).to(dtype) + table[place].to(dtype)
    closed = torch.zeros_like(asks, dtype=dtype).masked_fill(~asks, -torch.inf)
    read = encoder.ln_final(attend(encoder.transformer, tokens[None], closed)[0])
    last = [end - 1 for end in accumulate(map(len, texts))]
    said: Tensor = read[bring(torch.tensor(last), device)]
    project = encoder.text_projection
    if isinstance(project, torch.nn.Linear):
        said = project(said)
    elif project is not None:
        said = said @ project
    return said
