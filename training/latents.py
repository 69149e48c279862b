"""Encodes the training and held-out scenes once, so that the denoiser never waits for it."""

from __future__ import annotations

import logging

import torch

from training.autoencoder import encode, load_autoencoder
from training.dataset import held_out, load_buckets
from training.loop import arguments

log = logging.getLogger("refdiff.training")


def main() -> None:
    """Write latents.pt: one float16 tensor per bucket, and the held-out scenes' latents."""
    options = arguments(main.__doc__, scenes=20_000)
    model = load_autoencoder(options.work)
    buckets = load_buckets(options.work)
    share = options.scenes / sum(map(len, buckets))
    training = [encode(model, b.images[: int(len(b) * share)]).half() for b in buckets]
    test = [encode(model, scene.image[None]) for scene in held_out()]
    torch.save({"training": training, "held out": test}, options.work / "latents.pt")
    log.info("encoded %d training scenes", sum(map(len, training)))


if __name__ == "__main__":
    main()
