"""Attention from a transformer checkpoint (SD 3, Flux, Z-Image, ...) through diffusers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from threading import get_ident
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..cache import PictureCache
from ..errors import ModelError, UnavailableError
from ..pictures.images import resize_picture
from ..seeing.attention import word_weights
from ..seeing.capture import Capture, PassComplete
from ..seeing.joint import JointReader, TokenLayout
from ..settings import AttentionSettings
from ..together import AUTOENCODER, encode
from ..values import AttentionMap, Expression, Image
from .diffusers_attention import noise_timestep, root_alone, working_size
from .pieces import Placed
from .reading import Positions, read_in_batches
from .tokens import with_sinks
from .transformer_families import CROSS, Transformer
from .unet_layers import one_at_a_time

Size = tuple[int, int]


class TransformerModel(Protocol):
    """A loaded transformer with its autoencoder and text encoders."""

    family: Transformer

    @property
    def transformer(self) -> nn.Module:
        """The denoiser, on its device and of its type."""
        ...

    def encode(self, pixels: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in [0, 1] as the denoiser's latents (B, C, ..., h, w)."""
        ...

    def place(self, text: str) -> Placed:
        """Where a text's characters are in what the denoiser reads for it."""
        ...

    def call(self, text: str, latents: Tensor, sigma: float, size_hw: Size) -> None:
        """One conditional pass over noisy latents, told of a share of noise in [0, 1]."""
        ...


class TransformersAttention:
    """An `AttentionSource` over a loaded transformer.

    One conditional pass per expression, ended after the last block that is read.

    Args:
        model: from `refdiff_core.backends.pipelines`, or the demo's.
        settings: noise level, resolution, seed, way of reading.

    Attributes:
        cache: latents of the pictures seen last.
    """

    def __init__(
        self, model: TransformerModel, settings: AttentionSettings = AttentionSettings()
    ) -> None:
        self.model = model
        self.settings = settings
        self.reading = settings.reading or model.family.reading
        self.cache = PictureCache(32 * 2**20)
        if settings.reference:
            raise ModelError(
                "Clean references are read in ComfyUI only. Leave the setting 'reference' off."
            )
        check_propagation(model.family, settings)

    @torch.inference_mode()
    def read(self, image: Image, expressions: Sequence[Expression]) -> list[AttentionMap]:
        """See `AttentionSource.read`."""
        if not expressions:
            return []
        if self.settings.words == "root":
            expressions = [root_alone(expression) for expression in expressions]
        size_hw = (image.shape[0], image.shape[1])
        seen_hw = working_size(size_hw, self.model.family, self.settings)
        said = [with_sinks(expression.text, self.settings.sinks) for expression in expressions]
        competing = self.settings.competing
        # one thread at a time: a pipeline keeps what it does, and its models tell all that watch
        with one_at_a_time(self.model.transformer):
            texts = [self.model.place(text) for text in said]
            latents = self._encode_image(image, seen_hw)

            def read_rows(rows: list[int], positions: Positions) -> Tensor:
                return self._read(latents, seen_hw, said[rows[0]], texts[rows[0]], positions)

            return read_in_batches(
                expressions, texts, read_rows, size_hw, most=1, competing=competing
            )

    def _encode_image(self, image: Image, seen_hw: Size) -> Tensor:
        """Latents, the autoencoder's mean: no draw, so no seed needed."""
        weight = next(self.model.transformer.parameters())

        def size_of(picture: Image) -> Size:
            size_hw = (picture.shape[0], picture.shape[1])
            return working_size(size_hw, self.model.family, self.settings)

        def pixels(picture: Image) -> Tensor:
            return resize_picture(picture, seen_hw)

        run = self.model.encode
        latents = encode(self.cache, image, size_of, pixels, run, values=AUTOENCODER)
        moved: Tensor = latents.to(weight.device, weight.dtype)
        return moved

    def _read(
        self, latents: Tensor, seen_hw: Size, text: str, placed: Placed, positions: Positions
    ) -> Tensor:
        """The words' maps of one expression, float32 (1, G, h, w)."""
        family = self.model.family
        weights = word_weights(positions, placed.length)
        stack, look = getattr(self.model.transformer, family.stack), self.settings
        names = [str(block) for block in family.blocks_of(len(stack))]
        capture = Capture(names, weights, propagation=look.propagation, even=look.even)
        grid_hw = (seen_hw[0] // family.cell, seen_hw[1] // family.cell)
        said = torch.zeros(1, placed.length, dtype=torch.bool)
        said[0, list(placed.said)] = True
        layout = lay_out(family, grid_hw, placed.length)
        sigma = noise_timestep(family, self.settings) / 1000
        reader = JointReader(capture, layout, weights, said, self.reading)
        with watching(reader, stack):
            self.model.call(text, self._add_noise(latents, sigma), sigma, seen_hw)
        if capture.pending:
            raise UnavailableError(
                "The model was run without its attention being seen where it was expected. Use "
                "diffusers' own attention back end ('native'), and no torch.compile."
            )
        return capture.word_maps()

    def _add_noise(self, latents: Tensor, sigma: float) -> Tensor:
        """Noise mixed in as flow models know it; drawn on the CPU, the same for every device."""
        draw = torch.Generator().manual_seed(self.settings.seed)
        noise = torch.randn(latents.shape, generator=draw).to(latents)
        return (1 - sigma) * latents + sigma * noise


def check_propagation(family: Transformer, settings: AttentionSettings) -> None:
    """Raises `ModelError` where maps are to be spread and cannot be."""
    if settings.propagation and family.kind == CROSS:
        raise ModelError(
            f"{family.name} reads its words in calls of their own, so that their maps cannot be "
            "spread along the picture's self-attention. Set propagation to 0."
        )


def lay_out(
    family: Transformer,
    grid_hw: Size,
    length: int,
    *,
    image_first: bool = False,
    reference: bool = False,
) -> TokenLayout:
    """Where a family's attention has text and picture.

    Args:
        family: of the model.
        grid_hw: the picture's places.
        length: tokens of the text.
        image_first: the picture stands first in this version, whatever the family says.
        reference: the places are those of a clean picture of the same size.
    """
    if family.kind == CROSS:
        keys = max(length, family.fill_right)
        return TokenLayout(0, 0, length, grid_hw, cross=True, keys=keys, asks=family.asks)
    places = family.filled(grid_hw[0] * grid_hw[1])
    if image_first or family.image_first:
        return TokenLayout(family.before, family.before + places, length, grid_hw)
    text = max(length, family.fill_left)
    image = family.before + family.filled(text)
    if reference and family.reference == "after":
        image += places
    return TokenLayout(image, family.before + text - length, length, grid_hw)


@contextmanager
def watching(reader: JointReader, blocks: Iterable[nn.Module]) -> Iterator[None]:
    """Show a reader the attention calls of a transformer's blocks; the pass may end early.

    All of diffusers' transformers call `scaled_dot_product_attention`, when position and
    normalisation are in queries and keys already; so no block is patched, each only says that it
    begins, and calls of text encoders and refiners are not taken for a block's. Of this thread.
    """
    watch = _Watch(reader)
    handles = [
        block.register_forward_pre_hook(partial(watch.begin, str(number)))
        for number, block in enumerate(blocks)
    ]
    try:
        with watch:
            yield
    except PassComplete as done:
        done.release()
    finally:
        for handle in handles:
            handle.remove()


class _Watch(TorchFunctionMode):
    def __init__(self, reader: JointReader) -> None:
        super().__init__()
        self.reader = reader
        self.thread = get_ident()
        self.block: str | None = None

    def begin(self, block: str, *_: Any) -> None:
        """Note which block is at work, unless it is for another thread."""
        if get_ident() == self.thread:
            self.block = block

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if self.block is None or func is not F.scaled_dot_product_attention:
            return func(*args, **given)
        named = dict(zip(("query", "key", "value", "attn_mask"), args, strict=False)) | given

        def attend() -> Tensor:
            result: Tensor = func(*args, **given)
            return result

        # what the reader itself calls is no part of the pass: torch handles one call at a time
        mask = named.get("attn_mask")
        return self.reader.see(named["query"], named["key"], attend, mask, block=self.block)
