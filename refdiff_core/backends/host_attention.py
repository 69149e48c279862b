"""Attention from a U-Net that another program holds: ComfyUI, a WebUI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from ..seeing.attention import word_weights
from ..settings import AttentionSettings
from ..values import AttentionMap, Expression, Image
from .diffusers_attention import root_alone, working_size
from .families import Family
from .reading import Positions, read_in_batches
from .tokens import CHUNK, Text

Own = TypeVar("Own", bound=Text)


class Host(Protocol[Own]):
    """What a program does with the checkpoint that it has loaded, in its own way.

    family: of the checkpoint. It may also have a ``device``, where its models run.
    """

    family: Family

    def tokenize(self, expression: Expression, sinks: str) -> Own:
        """An expression, and the sinks after it, as the program's own tokens."""

    def encode(self, image: Image, size_hw: tuple[int, int]) -> Tensor:
        """Latents (1, 4, h, w) of a picture that is brought to a size."""

    def look(
        self, latents: Tensor, texts: Sequence[Own], weights: Tensor, settings: AttentionSettings
    ) -> Tensor:
        """The words' maps of E texts, float32 (E, G, h, w), from one pass of the denoiser.

        Args:
            latents: from `encode`.
            texts: from `tokenize`, all of as many chunks.
            weights: float32 (E, L, G) of `refdiff_core.seeing.attention.word_weights`.
            settings: noise level, seed, propagation.
        """


class HostAttention(Generic[Own]):
    """An `AttentionSource` over a host's checkpoint, as it stands: patched, half, offloaded.

    Args:
        host: holds the checkpoint.
        settings: noise level, resolution, seed.
        rows: expressions in one pass; more are read in several, so that memory stays bounded.
    """

    def __init__(
        self, host: Host[Own], settings: AttentionSettings = AttentionSettings(), rows: int = 8
    ) -> None:
        self.host = host
        self.settings = settings
        self.rows = rows
        self.device: torch.device | None = getattr(host, "device", None)

    @torch.no_grad()
    def read(self, image: Image, expressions: Sequence[Expression]) -> list[AttentionMap]:
        """See `AttentionSource.read`."""
        settings = self.settings
        if settings.words == "root":
            expressions = [root_alone(each) for each in expressions]
        size_hw = (image.shape[0], image.shape[1])
        latents = self.host.encode(image, working_size(size_hw, self.host.family, settings))
        texts = [self.host.tokenize(each, settings.sinks) for each in expressions]

        def read_rows(rows: list[int], positions: Positions) -> Tensor:
            chosen = [texts[row] for row in rows]
            # not as long as the text: a pack may encode tokens twice, and read each once
            weights = word_weights(positions, chosen[0].chunks * (CHUNK + 2))
            return self.host.look(latents, chosen, weights, settings)

        competing = settings.competing
        return read_in_batches(
            expressions, texts, read_rows, size_hw, most=self.rows, competing=competing
        )
