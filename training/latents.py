"""The scenes' latents, made once and kept on disk, so that the denoiser never waits for them.

The denoiser's command makes them where they are missing; ``python -m training.latents``
does nothing else.
"""

from __future__ import annotations

import logging
from hashlib import sha256
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from training.autoencoder import AUTOENCODER_FILE, encode, load_autoencoder
from training.dataset import Bucket, held_out, load_buckets
from training.loop import arguments, once

log = logging.getLogger("refdiff.training")

SCENES = 4_000


def load_latents(work: Path, buckets: list[Bucket]) -> tuple[list[Tensor], list[Tensor]]:
    """Latents of the first scenes of every size, and of the held-out ones, made if missing.

    Returns:
        float16 (S, 4, h, w) per size, and float32 (1, 4, h, w) per held-out scene.
    """
    path = work / "latents.pt"
    once(lambda: _encode_missing(path, buckets))
    saved = torch.load(path, weights_only=True)
    return saved["training"], saved["held out"]


def encoder_digest(model: AutoencoderKL) -> str:
    """What stands for all that latents depend on: the decoder may get better meanwhile."""
    digest = sha256(repr(model.config.scaling_factor).encode())
    for part in (model.encoder, model.quant_conv):
        for value in part.state_dict().values():
            digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def _encode_missing(path: Path, buckets: list[Bucket]) -> None:
    if not (path.parent / AUTOENCODER_FILE).exists():
        raise SystemExit(f"{path.parent} has no autoencoder; run training.autoencoder first.")
    model = load_autoencoder(path.parent)
    if path.exists():
        if torch.load(path, weights_only=True).get("encoder") == encoder_digest(model):
            return
        raise SystemExit(
            f"'{path}' is of another autoencoder than the one beside it, and so is a denoiser "
            "trained on it. Remove both, or take another --work."
        )
    share = SCENES / sum(map(len, buckets))
    training = [encode(model, b.images[: int(len(b) * share)]).half() for b in buckets]
    test = [encode(model, scene.image[None]) for scene in held_out()]
    saved = {"training": training, "held out": test, "encoder": encoder_digest(model)}
    torch.save(saved, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)
    log.info("encoded %d training scenes", sum(map(len, training)))


def main() -> None:
    """Make the latents."""
    options = arguments(main.__doc__)
    load_latents(options.work, load_buckets(options.work))


if __name__ == "__main__":
    main()
