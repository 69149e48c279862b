"""From names and paths to `Models`: the only place that knows which backend does what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..errors import ModelError, UnavailableError
from ..pipeline import Models
from ..protocols import AttentionSource, ImageTextScorer, MaskProposer
from ..settings import AttentionSettings, ClipSettings, Preset, SamSettings, find_preset

if TYPE_CHECKING:
    from ..backends.checkpoints import StableDiffusion
    from ..backends.clip_scorer import ClipModel
    from ..backends.transformers_attention import TransformerModel

    Denoiser = StableDiffusion | TransformerModel

VARIANTS = ("g", "gs", "ds", "gsd")
DEMO_DENOISERS = ("unet", "transformer")


def load_demo(
    variant: str = "gsd",
    attention: AttentionSettings | None = None,
    device: str = "cpu",
    proposer: MaskProposer | None = None,
    *,
    settings: str | Preset = "default",
    dtype: torch.dtype = torch.float32,
    denoiser: str = "unet",
) -> Models:
    """The bundled demo models: they know coloured shapes (`refdiff_core.demo.scenes`), no more.

    Args:
        variant: g, gs, ds or gsd; see `refdiff_core.pipeline`.
        device: where they run.
        attention: noise level, resolution and seed, in place of the settings' own.
        proposer: stands in for the demo SAM, such as `FixedProposals`.
        settings: as for `load_models`. The official ones see small scenes at their own size.
        dtype: see `load_models`.
        denoiser: "unet", or "transformer" for the one in Stable Diffusion 3's layout.

    Raises:
        ModelError: no such variant, settings or denoiser, or they do not go together.
    """
    from ..backends.clip_scorer import ClipModel
    from ..backends.official import OfficialProposer
    from ..backends.precision import usable_dtype
    from ..demo.models import load_clip, load_sam

    dtype = usable_dtype(dtype, device)

    def demo_clip() -> ClipModel:
        loaded = load_clip()
        return ClipModel(loaded.model.to(device, dtype), *loaded[1:])

    loaders: Loaders = {
        "g": lambda: _demo_denoiser(denoiser, device, dtype),
        "s": lambda: load_sam().to(device),
        "d": demo_clip,
    }
    preset = _for_demo(_with_attention(settings, attention))
    models = _assemble(variant, preset, dtype, loaders, proposer)
    if isinstance(models.proposer, OfficialProposer):
        models.proposer.smallest = 0  # as the published code has it for RefCOCOg
    return models


def load_models(
    *,
    variant: str | None = None,
    checkpoint: str | Path | None = None,
    sam: str | Path | None = None,
    clip: str | None = None,
    proposer: MaskProposer | None = None,
    settings: str | Preset = "default",
    attention: AttentionSettings | None = None,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    tiny_autoencoder: str | Path | None = None,
) -> Models:
    """Real models from files; what is not named is left out, which decides the variant.

    Args:
        variant: g, gs, ds or gsd; None takes the fullest that the named models allow.
        checkpoint: Stable Diffusion, one file or a diffusers folder; or a transformer's diffusers
            folder (`refdiff_core.backends.pipelines`).
        sam: a Segment Anything checkpoint.
        clip: an open_clip model, ``NAME:PATH`` or the path of a folder or file.
        proposer: masks from outside; then no SAM is needed.
        settings: "default", "paper", "official", or a preset of your own: how every part is asked
            and its answers are ranked. `refdiff_core.segment` then needs no others.
        attention: noise level, resolution and seed, in place of the settings' own.
        device: "cpu", "cuda", "mps".
        dtype: of the checkpoint (see `load_stable_diffusion`), CLIP, and, but for "official", what
            Segment Anything's encoder computes in; None takes `fastest_dtype`. In float32, answers
            hardly differ from one processor to the next.
        tiny_autoencoder: encodes pictures; see `load_tiny_autoencoder`.

    Raises:
        ModelError: a model that the variant needs is not named or cannot be loaded, or no settings.
        UnavailableError: the official settings cannot read such a checkpoint.
    """
    from ..backends.precision import fastest_dtype, usable_dtype

    dtype = usable_dtype(dtype or fastest_dtype(device), device)
    loaders = _loaders(checkpoint, sam, clip, device, dtype, tiny_autoencoder)
    preset = _with_attention(settings, attention)
    return _assemble(variant, preset, dtype, loaders, proposer)


def _loaders(
    checkpoint: str | Path | None,
    sam: str | Path | None,
    clip: str | None,
    device: str,
    dtype: torch.dtype,
    tiny_autoencoder: str | Path | None,
) -> Loaders:
    """Of what is named."""
    from ..backends.clip_scorer import load_clip
    from ..backends.sam_proposer import load_sam

    loaders: Loaders = {}
    if checkpoint is not None:
        loaders["g"] = lambda: _denoiser(checkpoint, device, dtype, tiny_autoencoder)
    if sam is not None:
        loaders["s"] = lambda: load_sam(sam).to(device)
    if clip is not None:
        loaders["d"] = lambda: load_clip(clip, device, dtype)
    return loaders


Loaders = dict[str, Callable[[], Any]]
"""What loads the denoiser "g", Segment Anything "s" and CLIP "d", of those that are named."""

_NEEDS = {
    "g": "a checkpoint, of Stable Diffusion or a transformer: name one with --checkpoint, or use "
    "--demo",
    "s": "proposals: name a Segment Anything file with --sam, or masks with --masks",
    "d": "a CLIP model: name one with --clip",
}


def name_variant(parts: Iterable[str]) -> str:
    """The variant of these parts: of "s" and "d" it is "ds"."""
    there = set(parts)
    return next((each for each in VARIANTS if set(each) == there), "".join(sorted(there)))


def _fullest(have: Iterable[str]) -> str:
    variant = name_variant(have)
    for missing, parts in (("g", ("", "s")), ("s", ("d", "dg"))):
        if variant in parts:
            raise ModelError(f"The models named are not enough: there must be {_NEEDS[missing]}.")
    return variant


def _parts(variant: str, preset: Preset) -> str:
    if variant not in VARIANTS:
        raise ModelError(f"There is no variant '{variant}'; it is one of {', '.join(VARIANTS)}.")
    if preset.official and variant == "g":
        raise ModelError(
            f"The official settings have no variant 'g': there must be {_NEEDS['s']}; or use the "
            "paper's settings."
        )
    return variant


def _with_attention(settings: str | Preset, attention: AttentionSettings | None) -> Preset:
    preset = find_preset(settings)
    return preset if attention is None else replace(preset, attention=attention)


def _for_demo(preset: Preset) -> Preset:
    """With what is the bundled models' own: a SAM less sure of itself, a smaller picture."""
    from ..backends.sam_proposer import DEMO

    limits = DEMO.min_predicted_iou, DEMO.min_stability
    sam = replace(preset.sam, min_predicted_iou=limits[0], min_stability=limits[1])
    seen = replace(preset.attention, resolution=None) if preset.official else preset.attention
    return replace(preset, sam=sam, attention=seen)


def _demo_denoiser(name: str, device: str, dtype: torch.dtype) -> Denoiser:
    from ..backends.checkpoints import load_stable_diffusion
    from ..backends.pipelines import load_demo_transformer
    from ..demo.models import DENOISER_FILE

    if name not in DEMO_DENOISERS:
        names = ", ".join(DEMO_DENOISERS)
        raise ModelError(f"There is no demo denoiser '{name}'; it is one of {names}.")
    if name == "transformer":
        return load_demo_transformer(device, dtype)
    return load_stable_diffusion(DENOISER_FILE, device, dtype)


def _denoiser(
    path: str | Path, device: str, dtype: torch.dtype, tiny_autoencoder: str | Path | None
) -> Denoiser:
    from ..backends.checkpoints import load_stable_diffusion
    from ..backends.pipelines import load_pipeline
    from ..backends.tiny_autoencoder import load_tiny_autoencoder

    if (Path(path) / "transformer").is_dir():
        if tiny_autoencoder is not None:
            raise ModelError("A tiny autoencoder stands in for a U-Net's only. Leave it out.")
        return load_pipeline(path, device, dtype)
    model = load_stable_diffusion(path, device, dtype)
    if tiny_autoencoder is None:
        return model
    return replace(model, vae=load_tiny_autoencoder(tiny_autoencoder, model))


def _assemble(
    variant: str | None,
    preset: Preset,
    dtype: torch.dtype,
    loaders: Loaders,
    proposer: MaskProposer | None,
) -> Models:
    """The parts of a variant, the fullest for None; nothing else is loaded.

    A proposer from outside stands in for Segment Anything.
    """
    from ..backends.clip_scorer import ClipScorer
    from ..backends.official import OfficialProposer, OfficialScorer
    from ..backends.sam_proposer import SamProposer

    have = {*loaders} if proposer is None else {*loaders, "s"}
    parts = _parts(_fullest(have) if variant is None else variant, preset)
    for part in parts:
        if part not in have:
            raise ModelError(f"Variant '{parts}' needs {_NEEDS[part]}.")
    propose: Callable[[Any, SamSettings], MaskProposer] = partial(SamProposer, dtype=dtype)
    score: Callable[[ClipModel, ClipSettings], ImageTextScorer] = ClipScorer
    if preset.official:
        propose, score = OfficialProposer, OfficialScorer
    if "s" in parts and proposer is None:
        proposer = propose(loaders["s"](), preset.sam)
    return Models(
        attention=_reader(loaders["g"](), preset) if "g" in parts else None,
        proposer=proposer if "s" in parts else None,
        scorer=score(loaders["d"](), preset.clip) if "d" in parts else None,
        settings=preset.fusion,
    )


def _reader(denoiser: Denoiser, preset: Preset) -> AttentionSource:
    from ..backends.checkpoints import StableDiffusion
    from ..backends.diffusers_attention import DiffusersAttention
    from ..backends.official import OfficialAttention
    from ..backends.transformers_attention import TransformersAttention

    if isinstance(denoiser, StableDiffusion):
        read = OfficialAttention if preset.official else DiffusersAttention
        return read(denoiser, preset.attention)
    if preset.official:
        raise UnavailableError(
            "The official settings read U-Nets only. Use the default settings for a transformer."
        )
    return TransformersAttention(denoiser, preset.attention)
