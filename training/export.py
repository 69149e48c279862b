"""Writes the trained models into the package, as float16 safetensors."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from refdiff_core.demo.architectures import SCHEDULER_CONFIG
from refdiff_core.demo.models import (
    CLIP_FILE,
    DENOISER_FILE,
    SAM_FILE,
    TRANSFORMER_FILE,
    fill_word_table,
)
from training.autoencoder import load_autoencoder
from training.dataset import load_buckets
from training.denoiser import caption_words, load_denoiser
from training.layout import original_transformer, single_file
from training.loop import arguments
from training.transformer import load_transformer

log = logging.getLogger("refdiff.training")

TRAINED_ON = (
    "Synthetic scenes of coloured shapes only (refdiff_core/demo/scenes.py, seeds 0 to 19999); "
    "no photograph, no third party's data"
)
WORD_TABLE = "embeddings.token_embedding.weight"


def _write(path: Path, weights: Mapping[str, Tensor], **about: str) -> None:
    kept = {name: _compact(value) for name, value in weights.items()}
    metadata = {"format": "pt", "trained_on": TRAINED_ON, "license": "MIT", **about}
    path.parent.mkdir(exist_ok=True)
    save_file(kept, path, metadata=metadata)
    log.info("%s: %.2f MB", path.name, path.stat().st_size / 1e6)


def _compact(value: Tensor) -> Tensor:
    is_matrix = value.is_floating_point() and value.ndim > 0
    return (value.half() if is_matrix else value).contiguous().clone()


def export_denoiser(work: Path) -> None:
    """UNet, autoencoder and text encoder in Stable Diffusion 1.x's original layout."""
    words = caption_words(load_buckets(work))
    model, steps = load_denoiser(work, words)
    autoencoder = load_autoencoder(work)
    text_encoder = model.text_encoder.state_dict()
    text_encoder[WORD_TABLE] = fill_word_table(text_encoder[WORD_TABLE], words.ids)
    _write(
        DENOISER_FILE,
        single_file(model.unet.state_dict(), autoencoder.state_dict(), text_encoder),
        title="Ref-Diff demo denoiser, Stable Diffusion 1.x layout",
        prediction_type=SCHEDULER_CONFIG["prediction_type"],
        scaling_factor=str(autoencoder.config.scaling_factor),
        steps=str(steps),
    )


def export_sam(work: Path) -> None:
    """``segment_anything``'s own ``Sam`` at the demo's size."""
    weights = torch.load(work / "sam.pt", weights_only=True)
    _write(SAM_FILE, weights, title="Ref-Diff demo SAM, segment_anything layout")


def export_clip(work: Path) -> None:
    """``open_clip``'s own ``CLIP``, with only those rows of its word table that are in use."""
    saved = torch.load(work / "clip.pt", weights_only=True)
    weights = saved["model"]
    weights["token_embedding.rows"] = weights.pop("token_embedding.weight")
    weights["token_embedding.ids"] = saved["ids"].int()
    _write(CLIP_FILE, weights, title="Ref-Diff demo CLIP, open_clip layout, rows in use only")


def export_transformer(work: Path) -> None:
    """Alone, in SD 3's original layout: autoencoder and text encoder are the denoiser's."""
    model, steps = load_transformer(work)
    weights = original_transformer(model.state_dict())
    _write(
        TRANSFORMER_FILE,
        {f"model.diffusion_model.{name}": value for name, value in weights.items()},
        title="Ref-Diff demo transformer, Stable Diffusion 3 layout",
        steps=str(steps),
    )


def main() -> None:
    """Export the models asked for, separated by commas."""
    options = arguments(main.__doc__, models="denoiser,transformer,sam,clip")
    exports = {
        "denoiser": export_denoiser,
        "transformer": export_transformer,
        "sam": export_sam,
        "clip": export_clip,
    }
    for name in options.models.split(","):
        exports[name](options.work)


if __name__ == "__main__":
    main()
