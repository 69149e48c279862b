"""Transformer checkpoints as diffusers folders, run by their own pipelines; and the demo's."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..seeing.capture import PassComplete
from ..values import Word
from . import transformer_families as families
from .checkpoints import StableDiffusion, load_stable_diffusion, read_state_dict
from .diffusers_attention import encode_pixels, encode_text
from .pieces import Placed, Vocabulary, align
from .precision import place
from .tokens import tokenize
from .transformer_families import Transformer

logger = logging.getLogger("refdiff")


@dataclass(frozen=True)
class Pipeline:
    """What is told of a family of diffusers' transformers, beside what it shares with ComfyUI's.

    encoders: the pipeline's text encoders whose tokens make up the text, in this order.
    most: tokens that the pipeline fills texts up to or cuts them at, as near to ComfyUI's as it
        can be told.
    unpadded: the denoiser leaves out what it is handed of padding.
    """

    family: Transformer
    encoders: tuple[str, ...] = ("text_encoder",)
    most: int = 512
    unpadded: bool = False


_STACK = "transformer_blocks"
PIPELINES = {
    "SD3Transformer2DModel": Pipeline(
        replace(families.SD3, image_first=True, stack=_STACK),
        ("text_encoder", "text_encoder_3"),
        77,
    ),
    "FluxTransformer2DModel": Pipeline(
        replace(families.FLUX, stack=_STACK), ("text_encoder_2",), 256
    ),
    "ChromaTransformer2DModel": Pipeline(replace(families.CHROMA, stack=_STACK)),
    "QwenImageTransformer2DModel": Pipeline(families.QWEN_IMAGE),
    "ZImageTransformer2DModel": Pipeline(replace(families.Z_IMAGE, image_first=True)),
    "Lumina2Transformer2DModel": Pipeline(families.LUMINA2, most=256, unpadded=True),
}
"""By the class that a folder names. Of some the picture stands first here and not in ComfyUI."""


class PipelineModel:
    """A `TransformerModel` over one of diffusers' pipelines.

    Args:
        pipeline: the pipeline; its schedule is replaced by one that takes noise as it is told.
        kind: what is known of it.
    """

    def __init__(self, pipeline: Any, kind: Pipeline) -> None:
        from diffusers import FlowMatchEulerDiscreteScheduler

        self.pipeline = pipeline
        self.kind = kind
        self.family = kind.family
        pipeline.scheduler = FlowMatchEulerDiscreteScheduler(shift=1.0)
        pipeline.set_progress_bar_config(disable=True)

    @property
    def transformer(self) -> nn.Module:
        """The denoiser."""
        model: nn.Module = self.pipeline.transformer
        return model

    def encode(self, pixels: Tensor) -> Tensor:
        """The autoencoder's mean, brought to the scale that the denoiser knows."""
        vae = self.pipeline.vae
        seen = (pixels * 2 - 1).to(vae.device, vae.dtype)
        if vae.config.get("latents_mean"):  # made for video: one frame
            mode = vae.encode(seen[:, :, None]).latent_dist.mode()
            mean, spread = (
                torch.tensor(vae.config[name]).to(mode)[:, None, None, None]
                for name in ("latents_mean", "latents_std")
            )
            scaled: Tensor = (mode - mean) / spread
            return scaled
        mode = vae.encode(seen).latent_dist.mode()
        latents: Tensor = (mode - (vae.config.shift_factor or 0)) * vae.config.scaling_factor
        return latents

    def place(self, text: str) -> Placed:
        """Found by letting the pipeline encode the text and looking at what its encoders read."""
        with _reading(self.pipeline, self.kind.encoders) as seen, _stopped(self.transformer) as at:
            self.call(text, self._nothing(), 0.5, self._smallest())
        return _placed(self.pipeline, self.kind, seen, text, at[0])

    def call(self, text: str, latents: Tensor, sigma: float, size_hw: tuple[int, int]) -> None:
        """See `TransformerModel`."""
        packed = getattr(self.pipeline, "_pack_latents", None)
        if packed is not None:
            latents = packed(latents, 1, latents.shape[1], *latents.shape[-2:])
        wanted = {
            **self.said(text),
            "latents": latents,
            "sigmas": [sigma],
            "num_inference_steps": 1,
            "height": size_hw[0],
            "width": size_hw[1],
            # no second pass without the text; Flux's guidance is an input of the model
            "guidance_scale": 3.5 if self.family.name == families.FLUX.name else 0.0,
            "true_cfg_scale": 1.0,
            "max_sequence_length": self.kind.most,
            "output_type": "latent",
        }
        known = inspect.signature(self.pipeline.__call__).parameters
        self.pipeline(**{name: value for name, value in wanted.items() if name in known})

    def said(self, text: str) -> dict[str, Any]:
        """How the pipeline is told a text."""
        return {"prompt": text}

    def _smallest(self) -> tuple[int, int]:
        return self.family.multiple, self.family.multiple

    def _nothing(self) -> Tensor:
        height, width = self._smallest()
        weight = next(self.transformer.parameters())
        return self.encode(torch.zeros(1, 3, height, width)).to(weight.device, weight.dtype)


@contextmanager
def _reading(pipeline: Any, names: tuple[str, ...]) -> Iterator[dict[str, tuple[Any, Any]]]:
    """The token ids, and the masks of padding, that text encoders are handed inside the block."""
    seen: dict[str, tuple[Any, Any]] = {}
    handles = []

    def watch(name: str) -> Any:
        def note(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            ids = args[0] if args else kwargs["input_ids"]
            seen[name] = ids[0].tolist(), kwargs.get("attention_mask")

        return note

    for name in names:
        encoder = getattr(pipeline, name, None)
        if encoder is not None:
            handles.append(encoder.register_forward_pre_hook(watch(name), with_kwargs=True))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _stopped(transformer: nn.Module) -> Iterator[list[int]]:
    """End the pass where the denoiser begins; gives the length of the text that it is handed."""
    lengths: list[int] = []

    def stop(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        text = kwargs["encoder_hidden_states"] if "encoder_hidden_states" in kwargs else args[2]
        lengths.append(len(text[0]))
        raise PassComplete

    handle = transformer.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        yield lengths
    except PassComplete as done:
        done.release()
    finally:
        handle.remove()


def _placed(
    pipeline: Any,
    kind: Pipeline,
    seen: dict[str, tuple[Any, Any]],
    text: str,
    length: int,
) -> Placed:
    characters: list[set[int]] = [set() for _ in text]
    said: list[int] = []
    start = 0
    for name in (each for each in kind.encoders if each in seen):
        ids, mask = seen[name]
        tokenizer = getattr(pipeline, name.replace("text_encoder", "tokenizer"))
        kept = _kept(ids, mask, tokenizer)
        if kind.unpadded:
            length = len(kept)
        # some pipelines leave out the padding, and a template's first part
        alone = len(seen) == 1 and length <= len(kept)
        tokens = kept if alone else list(range(len(ids)))
        dropped = len(tokens) - length if alone else 0
        pieces = Vocabulary(
            {index: piece for piece, index in tokenizer.get_vocab().items()},
            tokenizer.all_special_ids,
        ).spell([ids[at] for at in tokens])
        for character, found in enumerate(align(pieces, text)):
            characters[character].update(at - dropped + start for at in found if at >= dropped)
        said += [
            index - dropped + start
            for index, token in enumerate(tokens)
            if token in kept and index >= dropped
        ]
        start += len(tokens) - dropped
    return Placed(tuple(tuple(sorted(each)) for each in characters), tuple(said), length)


def _kept(ids: list[int], mask: Any, tokenizer: Any) -> list[int]:
    """Which tokens are no padding."""
    if mask is not None:
        return [int(at) for at in mask[0].nonzero().flatten()]
    last = len(ids)
    while last > 0 and ids[last - 1] == tokenizer.pad_token_id:
        last -= 1
    ends = tokenizer.pad_token_id == tokenizer.eos_token_id
    return list(range(min(len(ids), last + ends)))


def load_pipeline(
    path: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> PipelineModel:
    """Load a diffusers folder of a transformer, without the network.

    Args:
        path: of the folder, which has model_index.json and a folder "transformer".
        device: where it goes.
        dtype: of all parts.

    Raises:
        ModelError: missing, damaged, of an unknown family, or not whole.
    """
    path = Path(path)
    kind = _kind(path)
    from diffusers import DiffusionPipeline

    try:
        pipeline = DiffusionPipeline.from_pretrained(
            path, torch_dtype=dtype, local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"'{path}' cannot be loaded ({reason}). Use a whole diffusers folder with safetensors."
        ) from error
    logger.info("Loaded '%s' (%s).", path, kind.family.name)
    # again: some of diffusers' classes are left in what their files hold
    return PipelineModel(pipeline.to(device, dtype), kind)


def _kind(path: Path) -> Pipeline:
    config = path / "transformer" / "config.json"
    try:
        name = str(json.loads(config.read_text(encoding="utf-8"))["_class_name"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"'{path}' has no transformer/config.json that says what it is. Use a diffusers folder."
        ) from error
    if name not in PIPELINES:
        known = ", ".join(kind.family.name for kind in PIPELINES.values())
        raise ModelError(f"'{path}' is of an unknown family ({name}). Known here: {known}.")
    return PIPELINES[name]


class DemoTransformer:
    """A `TransformerModel` over the bundled transformer, and the demo denoiser's other parts.

    Args:
        transformer: diffusers' SD3Transformer2DModel.
        parts: of which autoencoder and text encoder are used.
    """

    family = replace(families.DEMO_TRANSFORMER, image_first=True, stack=_STACK)

    def __init__(self, transformer: nn.Module, parts: StableDiffusion) -> None:
        self.transformer = transformer
        self.parts = parts

    def encode(self, pixels: Tensor) -> Tensor:
        """See `TransformerModel`."""
        vae = self.parts.vae
        return encode_pixels(vae, pixels.to(vae.device, vae.dtype))

    def place(self, text: str) -> Placed:
        """By CLIP's own tokens: chunks of 77."""
        tokens = tokenize(text)
        spots = [tokens.positions(Word(text, at, at + 1)) for at in range(len(text))]
        said = range(len(tokens.ids) + 2 * tokens.chunks)
        return Placed(tuple(spots), tuple(said), 77 * tokens.chunks)

    def call(self, text: str, latents: Tensor, sigma: float, size_hw: tuple[int, int]) -> None:
        """See `TransformerModel`."""
        encoded = encode_text(self.parts, [tokenize(text)])[0]
        time = torch.full((1,), sigma * 1000, device=latents.device)
        self.transformer(latents, encoded, encoded[:, 0], time, return_dict=False)


def load_demo_transformer(
    device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> DemoTransformer:
    """The bundled transformer in diffusers' class."""
    from diffusers import SD3Transformer2DModel
    from diffusers.loaders.single_file_utils import convert_sd3_transformer_checkpoint_to_diffusers

    from ..demo.architectures import TRANSFORMER_CONFIG
    from ..demo.models import DENOISER_FILE, TRANSFORMER_FILE

    state = read_state_dict(TRANSFORMER_FILE)
    model = SD3Transformer2DModel(**TRANSFORMER_CONFIG)
    renamed = convert_sd3_transformer_checkpoint_to_diffusers(state)
    model.load_state_dict({name: value.float() for name, value in renamed.items()})
    place(model, device, dtype)
    return DemoTransformer(model, load_stable_diffusion(DENOISER_FILE, device, dtype))
