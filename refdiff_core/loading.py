"""From names and paths to `Models`: the only place that knows which backend does what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from .errors import ModelError
from .pipeline import Models
from .protocols import AttentionSource, ImageTextScorer, MaskProposer
from .settings import AttentionSettings

VARIANTS = ("g", "gs", "ds", "gsd")


def load_demo(
    variant: str = "gsd",
    attention: AttentionSettings = AttentionSettings(),
    device: str = "cpu",
    proposer: MaskProposer | None = None,
) -> Models:
    """The bundled demo models: they know coloured shapes (`refdiff_core.demo.scenes`), no more.

    Args:
        variant: g, gs, ds or gsd; see `refdiff_core.pipeline`.
        attention: noise level, resolution and seed.
        device: where they run.
        proposer: stands in for the demo SAM, such as `FixedProposals`.
    """
    from .backends.clip_scorer import ClipModel, ClipScorer
    from .backends.diffusers_attention import DiffusersAttention
    from .backends.sam_proposer import DEMO as DEMO_SAM
    from .backends.sam_proposer import SamProposer
    from .demo.models import DENOISER_FILE, load_clip, load_sam

    parts = _parts(variant)
    scorer = None
    if "s" in parts and proposer is None:
        proposer = SamProposer(load_sam().to(device), DEMO_SAM)
    if "d" in parts:
        clip = load_clip()
        scorer = ClipScorer(ClipModel(clip.model.to(device), *clip[1:]))
    return Models(
        attention=DiffusersAttention.load(DENOISER_FILE, attention, device)
        if "g" in parts
        else None,
        proposer=proposer,
        scorer=scorer,
    )


def load_models(
    *,
    variant: str | None = None,
    checkpoint: str | Path | None = None,
    sam: str | Path | None = None,
    clip: str | None = None,
    proposer: MaskProposer | None = None,
    attention: AttentionSettings = AttentionSettings(),
    device: str = "cpu",
    dtype: torch.dtype | None = None,
) -> Models:
    """Real models from files; what is not named is left out, which decides the variant.

    Args:
        variant: g, gs, ds or gsd; None takes the fullest that the named models allow.
        checkpoint: Stable Diffusion, one file or a diffusers folder.
        sam: a Segment Anything checkpoint.
        clip: an open_clip model, ``NAME:PATH`` or the path of a folder or file.
        proposer: masks from outside; then no SAM is needed.
        attention: noise level, resolution and seed.
        device: "cpu", "cuda", "mps".
        dtype: float32 on the CPU, float16 elsewhere by default.

    Raises:
        ModelError: a model that the variant needs is not named, or cannot be loaded.
    """
    have = {"g": checkpoint, "s": sam or proposer, "d": clip}
    parts = variant = _parts(_fullest(have) if variant is None else variant)
    for part in parts:
        if have[part] is None:
            raise ModelError(f"Variant '{variant}' needs {_NEEDS[part]}.")
    return Models(
        attention=_attention(checkpoint, attention, device, dtype) if "g" in parts else None,
        proposer=proposer or (_proposer(sam, device) if "s" in parts else None),
        scorer=_scorer(clip, device) if "d" in parts else None,
    )


_NEEDS = {
    "g": "a Stable Diffusion checkpoint: name one with --checkpoint, or use --demo",
    "s": "proposals: name a Segment Anything file with --sam, or masks with --masks",
    "d": "a CLIP model: name one with --clip",
}


def _fullest(have: Mapping[str, object]) -> str:
    variant = "".join(part for part, model in have.items() if model is not None)
    for missing, parts in (("g", ("", "s")), ("s", ("d", "gd"))):
        if variant in parts:
            raise ModelError(f"The models named are not enough: there must be {_NEEDS[missing]}.")
    return variant


def _parts(variant: str) -> str:
    if variant not in VARIANTS:
        raise ModelError(f"There is no variant '{variant}'; it is one of {', '.join(VARIANTS)}.")
    return variant


def _attention(
    path: str | Path | None, settings: AttentionSettings, device: str, dtype: torch.dtype | None
) -> AttentionSource:
    from .backends.diffusers_attention import DiffusersAttention

    assert path is not None
    default = torch.float32 if torch.device(device).type == "cpu" else torch.float16
    return DiffusersAttention.load(path, settings, device, dtype or default)


def _proposer(path: str | Path | None, device: str) -> MaskProposer:
    from .backends.sam_proposer import SamProposer

    assert path is not None
    return SamProposer.load(path, device=device)


def _scorer(name: str | None, device: str) -> ImageTextScorer:
    from .backends.clip_scorer import ClipScorer, load_clip

    assert name is not None
    return ClipScorer(load_clip(name, device))
