"""The demo SAM: one or two points, or a box, to three masks and their predicted quality."""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass, replace

import numpy as np
import torch
from segment_anything.modeling import Sam
from torch import Tensor
from torch.nn import functional as F

from refdiff_core.demo.architectures import SAM_IMAGE_SIZE, build_sam
from refdiff_core.evaluation.models import box_around, points_in, sam_iou
from training.dataset import Bucket, held_out, load_buckets
from training.loop import (
    Progress,
    RunningMean,
    arguments,
    descend,
    is_first,
    learning_rate,
    own_share,
    pixels,
    set_learning_rate,
)

log = logging.getLogger("refdiff.training")

BOX_SHARE, TWO_POINT_SHARE = 0.2, 0.2


@dataclass(frozen=True)
class Prompts:
    """A batch of prompts, one object each, in the padded frame of ``SAM_IMAGE_SIZE`` px.

    images: float32 (B, 3, S, S), normalised and padded with zeros.
    masks: float32 (B, S, S) in [0, 1].
    valid: float32 (B, 1, S / 2, S / 2), zero on padding.
    points_xy: float32 (B, P, 2); boxes_xyxy: float32 (B, 4).
    """

    images: Tensor
    masks: Tensor
    valid: Tensor
    points_xy: Tensor
    boxes_xyxy: Tensor


def sample_prompts(
    sam: Sam, bucket: Bucket, rng: np.random.Generator, count: int, points: int
) -> Prompts:
    """Objects of one bucket with their prompts, resized and padded as SAM does it."""
    scenes = [bucket.scene(int(i)) for i in rng.integers(len(bucket), size=count)]
    masks = [scene.masks[rng.integers(len(scene.masks))] for scene in scenes]
    height, width = bucket.size_hw
    scale = SAM_IMAGE_SIZE / max(height, width)
    size = (round(height * scale), round(width * scale))
    images = F.interpolate(pixels([s.image for s in scenes]), size, mode="bilinear", antialias=True)
    truth = torch.from_numpy(np.stack(masks)).float()[:, None]
    truth = F.interpolate(truth, size, mode="bilinear", antialias=True)[:, 0]
    padding = (0, SAM_IMAGE_SIZE - size[1], 0, SAM_IMAGE_SIZE - size[0])
    chosen = np.stack([points_in(mask, rng, points) for mask in masks]) * scale
    boxes = np.stack([box_around(mask) for mask in masks]) * scale
    boxes += rng.normal(0, 2, boxes.shape)
    return Prompts(
        images=sam.preprocess(images),
        masks=F.pad(truth, padding),
        valid=F.avg_pool2d(F.pad(torch.ones(1, 1, *size), padding), 2),
        points_xy=torch.from_numpy(chosen).float(),
        boxes_xyxy=torch.from_numpy(boxes).float(),
    )


def _own_part(prompts: Prompts) -> Prompts:
    return replace(
        prompts,
        images=own_share(prompts.images),
        masks=own_share(prompts.masks),
        points_xy=own_share(prompts.points_xy),
        boxes_xyxy=own_share(prompts.boxes_xyxy),
    )


def predict(sam: Sam, prompts: Prompts, *, use_box: bool) -> tuple[Tensor, Tensor]:
    """Logits (B, 4, S / 2, S / 2) and predicted IoU (B, 4), a different image per prompt.

    ``MaskDecoder`` itself repeats one image for all prompts, so its steps stand here.
    """
    decoder, encoder = sam.mask_decoder, sam.prompt_encoder
    labels = torch.ones(prompts.points_xy.shape[:2])
    sparse, dense = encoder(
        points=None if use_box else (prompts.points_xy, labels),
        boxes=prompts.boxes_xyxy if use_box else None,
        masks=None,
    )
    count = len(prompts.images)
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([own.expand(count, -1, -1), sparse], 1)
    source = sam.image_encoder(prompts.images) + dense
    position = encoder.get_dense_pe().expand(count, -1, -1, -1)
    hidden, source_out = decoder.transformer(source, position, tokens)
    upscaled = decoder.output_upscaling(source_out.transpose(1, 2).view_as(source))
    networks = enumerate(decoder.output_hypernetworks_mlps)
    weights = torch.stack([network(hidden[:, 1 + i]) for i, network in networks], 1)
    logits = torch.einsum("bmc,bchw->bmhw", weights, upscaled)
    return logits, decoder.iou_prediction_head(hidden[:, 0])


def _loss(logits: Tensor, quality: Tensor, prompts: Prompts) -> tuple[Tensor, Tensor]:
    """Cross-entropy and dice on the best of three masks and the single one, plus quality."""
    truth = F.avg_pool2d(prompts.masks[:, None], 2)
    wanted = truth.expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    entropy = (entropy * prompts.valid).mean((2, 3))
    soft = logits.sigmoid() * prompts.valid
    dice = 1 - (2 * (soft * wanted).sum((2, 3)) + 1) / ((soft + wanted).sum((2, 3)) + 1)
    loss = 5 * entropy + dice
    inside = logits > 0
    iou = (inside & (truth > 0.5)).sum((2, 3)) / (inside | (truth > 0.5)).sum((2, 3)).clamp(min=1)
    masks = loss[:, 0].mean() + loss[:, 1:].amin(1).mean() + 0.1 * loss[:, 1:].mean()
    return masks + (quality - iou).square().mean(), iou[:, 1:].amax(1).mean()


def _train(sam: Sam, buckets: list[Bucket], options: argparse.Namespace) -> None:
    parameters = list(sam.parameters())
    optimizer = torch.optim.AdamW(parameters, betas=(0.9, 0.98), weight_decay=0.02, fused=True)
    mean = RunningMean(parameters, 0.998)
    progress = Progress(100)
    for step in range(options.steps):
        rng = np.random.default_rng((options.seed, step))
        set_learning_rate(optimizer, learning_rate(step, options.steps, options.rate, warm_up=100))
        bucket = buckets[rng.integers(len(buckets))]
        points = 2 if rng.random() < TWO_POINT_SHARE else 1
        prompts = _own_part(sample_prompts(sam, bucket, rng, options.batch, points))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, quality = predict(sam, prompts, use_box=rng.random() < BOX_SHARE)
        loss, iou = _loss(logits.float(), quality.float(), prompts)
        descend(loss, optimizer, parameters)
        mean.update()
        progress.add(step, loss=float(loss.detach()), iou=float(iou))
    mean.swap()


def main() -> None:
    """Train the demo SAM."""
    options = arguments(main.__doc__, steps=2_500, batch=24, rate=1e-3, seed=0)
    torch.manual_seed(options.seed)
    sam = build_sam()
    _train(sam.train(), load_buckets(options.work), options)
    if not is_first():
        return
    torch.save(sam.state_dict(), options.work / "sam.pt")
    for name, value in sam_iou(sam.eval(), held_out()):
        log.info("%s: %.3f", name, value)


if __name__ == "__main__":
    main()
