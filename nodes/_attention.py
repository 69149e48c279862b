"""Attention from the checkpoint that ComfyUI has loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import comfy.samplers
import torch
from comfy.ldm.modules.attention import SpatialTransformer, optimized_attention
from comfy.ldm.modules.diffusionmodules.openaimodel import Downsample, UNetModel, Upsample
from comfy.model_base import ModelType
from torch import Tensor, nn

from ..refdiff_core.backends.diffusers_attention import noise_timestep, root_alone, working_size
from ..refdiff_core.backends.families import Family, family_of, trained_at
from ..refdiff_core.backends.tokens import batches, words_to_read
from ..refdiff_core.cache import fingerprint
from ..refdiff_core.errors import ModelError, UnavailableError
from ..refdiff_core.pictures.images import resize_picture
from ..refdiff_core.seeing.attention import attention_map, word_weights
from ..refdiff_core.seeing.capture import Capture, PassComplete
from ..refdiff_core.settings import AttentionSettings
from ..refdiff_core.values import AttentionMap, Expression, Image
from ._caches import cache_of
from ._prompt import Chunks, PromptTokens, tokenize_prompt

Layer = tuple[str, int, int]
"""A transformer's place as ComfyUI numbers it: side, block, depth, such as ("input", 7, 0)."""

ROWS = 16
"""Expressions in one pass; more are read in several, so that memory stays bounded."""


class ComfyAttention:
    """An `AttentionSource` over MODEL, CLIP and VAE.

    The host does what is the host's: placing weights, patches, the extra channels of inpainting
    models, SDXL's sizes. One conditional call of the model on a clone that records the words'
    attention and ends the call after the last layer.

    Args:
        model, clip, vae: as ComfyUI's nodes hand them over; none is changed.
        settings: noise level, resolution, seed.
    """

    def __init__(
        self,
        model: Any,
        clip: Any,
        vae: Any,
        settings: AttentionSettings = AttentionSettings(),
    ) -> None:
        self.model = model
        self.clip = clip
        self.vae = vae
        self.settings = settings
        self.family = model_family(model)

    def read(self, image: Image, expressions: Sequence[Expression]) -> list[AttentionMap]:
        """See `AttentionSource.read`."""
        if self.settings.words == "root":
            expressions = [root_alone(each) for each in expressions]
        latents = self._encode_image(image)
        size_hw = (image.shape[0], image.shape[1])
        tokens = [tokenize_prompt(self.clip, each, self.settings.sinks) for each in expressions]
        maps: dict[int, AttentionMap] = {}
        for rows in batches([each.length for each in tokens], ROWS):
            asked = [expressions[row] for row in rows]
            found = self._read_rows(latents, asked, [tokens[row] for row in rows], size_hw)
            maps |= zip(rows, found, strict=True)
        return [maps[row] for row in range(len(expressions))]

    def _read_rows(
        self,
        latents: Tensor,
        expressions: Sequence[Expression],
        tokens: Sequence[PromptTokens],
        size_hw: tuple[int, int],
    ) -> list[AttentionMap]:
        comfy.model_management.throw_exception_if_processing_interrupted()
        words = [words_to_read(*pair) for pair in zip(expressions, tokens, strict=True)]
        text, extra = self._encode_text(tokens)
        weights = word_weights([[each for _, each in found] for found in words], text.shape[1])
        maps = self._denoise(latents, text, extra, weights)
        return [
            attention_map(
                each,
                [word for word, _ in found],
                grid[: len(found)],
                size_hw,
                competing=self.settings.competing,
            )
            for each, found, grid in zip(expressions, words, maps, strict=True)
        ]

    def _encode_image(self, image: Image) -> Tensor:
        """Latents (1, 4, h, w), once per picture, autoencoder and size."""
        size_hw = working_size((image.shape[0], image.shape[1]), self.family, self.settings)

        def encode() -> tuple[Tensor]:
            return (self.vae.encode(resize_picture(image, size_hw).movedim(1, -1)),)

        cache = cache_of(self.vae.first_stage_model)
        (latents,) = cache.once((fingerprint(image), size_hw), encode)
        channels = self.model.get_model_object("latent_format").latent_channels
        if latents.ndim != 4 or latents.shape[1] != channels:
            raise ModelError(
                f"The VAE gives latents {tuple(latents.shape)}, the model reads {channels} "
                "channels. Connect the VAE of the same checkpoint."
            )
        return latents

    def _encode_text(self, tokens: Sequence[PromptTokens]) -> tuple[Tensor, dict[str, Any]]:
        """Text (E, chunks * 77, width) and what belongs to it, such as SDXL's pooled text."""
        empty = self.clip.tokenize("")
        most = {key: max(len(each.chunks[key]) for each in tokens) for key in empty}
        texts, extras = [], []
        for each in tokens:
            padded = {key: _pad(each.chunks[key], empty[key][0], most[key]) for key in empty}
            found = self.clip.encode_from_tokens(padded, return_pooled=True, return_dict=True)
            texts.append(found.pop("cond"))
            extras.append(found)
        if texts[0].shape[-1] != self.family.context:
            raise ModelError(
                f"The CLIP gives text of width {texts[0].shape[-1]}, the model reads "
                f"{self.family.context}. Connect the CLIP of the same checkpoint."
            )
        pooled = [extra["pooled_output"] for extra in extras]
        joined = None if any(each is None for each in pooled) else torch.cat(pooled)
        return torch.cat(texts), {**extras[0], "pooled_output": joined}

    def _denoise(
        self, latents: Tensor, text: Tensor, extra: dict[str, Any], weights: Tensor
    ) -> Tensor:
        """The words' maps, float32 (E, G, h, w), from one call of the model."""
        layers = layers_on(self.model.get_model_object("diffusion_model"), self.family.grid_factor)
        names = [str(layer) for layer in layers]
        capture = Capture(names, weights, propagation=self.settings.propagation)
        grid_hw = tuple(side // self.family.grid_factor for side in latents.shape[-2:])
        model = recording_clone(self.model, layers, capture, grid_hw)
        guider = comfy.samplers.CFGGuider(model)
        # inpainting models also see a mask and the masked picture: here nothing is masked
        seen = {"concat_latent_image": latents, "concat_mask": torch.zeros_like(latents[:, :1])}
        guider.inner_set_conds({"positive": [[text, {**extra, **seen}]]})
        sampling = self.model.get_model_object("model_sampling")
        sigma = sampling.sigmas[noise_timestep(self.family, self.settings)].float().cpu()
        generator = torch.Generator().manual_seed(self.settings.seed)
        noise = torch.randn(latents.shape, generator=generator)
        guider.sample(
            noise.repeat(len(text), 1, 1, 1),
            latents.repeat(len(text), 1, 1, 1),
            comfy.samplers.KSAMPLER(call_once),
            torch.stack([sigma, torch.zeros(())]),
            disable_pbar=True,
            seed=self.settings.seed,
        )
        if capture.pending:
            raise UnavailableError(
                "The model was run without its cross-attention being called. Connect the model "
                "before the node that replaces its layers."
            )
        return capture.word_maps()


def call_once(
    model: Callable[..., Tensor],
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Any = None,
    disable: bool | None = None,
    **_options: Any,
) -> Tensor:
    """A sampler that calls the model at the first sigma and leaves the latents as they are."""
    try:
        model(x, sigmas[0].expand(len(x)), **(extra_args or {}))
    except PassComplete:  # here rather than further out, so that the host tidies up as always
        pass
    return x


def recording_clone(
    model: Any, layers: Sequence[Layer], capture: Capture, grid_hw: tuple[int, ...]
) -> Any:
    """A clone of the model whose cross-attention at these layers is recorded.

    "attn2" patches are given that layer's own queries and keys and nothing else, so they need no
    guess at which call is which; another pack's patch at the same place (IPAdapter's, say) still
    does the work, and one for all of attention ("optimized_attention_override") still sees it.
    """
    clone = model.clone()
    replaced = clone.model_options["transformer_options"].get("patches_replace", {})
    kinds = ("attn2", "attn1") if capture.propagation else ("attn2",)
    there = {kind: dict(replaced.get(kind, {})) for kind in kinds}
    for kind in kinds:
        for layer in layers:
            # ComfyUI looks for a patch of the very layer first, then for one of its whole block
            inner = there[kind].get(layer, there[kind].get(layer[:2], _attend))
            patch = _Recorder(kind, layer, capture, grid_hw, inner)
            clone.set_model_patch_replace(patch, kind, *layer)
    return clone


@dataclass(eq=False)
class _Recorder:
    """A patch that records what a layer attends to and leaves the work to the one that was there.

    kind: "attn2" for attention to the words, "attn1" for that of places to one another.
    layer: where it is. capture: takes the queries and keys. grid_hw: of the layer.
    inner: does the layer's work.
    """

    kind: str
    layer: Layer
    capture: Capture
    grid_hw: tuple[int, ...]
    inner: Callable[..., Tensor]

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, extra: dict[str, Any]) -> Tensor:
        seen_hw, grid_hw = tuple(extra["activations_shape"][-2:]), self.grid_hw
        if seen_hw != grid_hw:
            raise UnavailableError(
                f"The model works on a grid of {seen_hw[1]} x {seen_hw[0]} where {grid_hw[1]} x "
                f"{grid_hw[0]} was expected. Connect the model before the node that changes its "
                "size, such as tiling or down-scaling."
            )
        if self.kind == "attn1":
            self.capture.record_self(str(self.layer), q, k)
        else:
            self.capture.record(str(self.layer), q, k, heads=extra["n_heads"], grid_hw=grid_hw)
        return self.inner(q, k, v, extra)

    def __deepcopy__(self, _memo: Any) -> _Recorder:
        """ComfyUI 0.3.64 copies patches with the model; what is recorded must arrive here."""
        return self

    def to(self, device: Any, *args: Any) -> _Recorder:
        """ComfyUI moves patches that hold tensors with the model."""
        if hasattr(self.inner, "to"):
            self.inner = self.inner.to(device, *args)
        return self

    def models(self) -> list[Any]:
        """ComfyUI loads the models of patches that have some."""
        return self.inner.models() if hasattr(self.inner, "models") else []


def _attend(q: Tensor, k: Tensor, v: Tensor, extra: dict[str, Any]) -> Tensor:
    """What the layer would have done without a patch."""
    precision = extra["attn_precision"]
    heads = extra["n_heads"]
    return optimized_attention(q, k, v, heads, attn_precision=precision, transformer_options=extra)


def layers_on(unet: nn.Module, factor: int) -> list[Layer]:
    """The transformers whose grid is the latent grid divided by ``factor``."""
    layers: list[Layer] = []
    scale = 1
    sides = {
        "input": unet.input_blocks,
        "middle": [unet.middle_block],
        "output": unet.output_blocks,
    }
    for side, blocks in sides.items():
        for number, block in enumerate(blocks):
            for part in block:
                if isinstance(part, SpatialTransformer) and scale == factor:
                    layers += [(side, number, at) for at in range(len(part.transformer_blocks))]
                elif isinstance(part, Downsample):
                    scale *= 2
                elif isinstance(part, Upsample):
                    scale //= 2
    return layers


def model_family(model: Any) -> Family:
    """What kind of checkpoint a MODEL is.

    Raises:
        UnavailableError: it has no cross-attention with the text (Flux, SD 3, ...).
        ModelError: a U-Net of a kind that is not known here.
    """
    kind = type(model.model.model_config).__name__
    if not isinstance(model.get_model_object("diffusion_model"), UNetModel):
        raise UnavailableError(
            f"This model ({kind}) has no cross-attention between picture and words to read. "
            "Use a checkpoint of Stable Diffusion 1.x, 2.x or XL for this node; any other model "
            "may do the painting."
        )
    config = model.model.model_config.unet_config
    family = family_of(config["model_channels"], config["context_dim"], kind)
    return trained_at(family, v_prediction=model.model.model_type != ModelType.EPS)


def _pad(chunks: Chunks, empty: list[Any], count: int) -> Chunks:
    return [*chunks, *[empty] * (count - len(chunks))]
