"""How far our SAM proposals agree with segment-anything's own SamAutomaticMaskGenerator.

    python -m benchmarks sam-agreement [--scenes 20]

Same weights (the bundled SAM), same grid of 32 x 32 points, same thresholds; on demo scenes and on
photographs that scikit-image ships. The figure is the share of the package's masks that one of
ours matches at an IoU of .9 or more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import click
import numpy as np
import torch
from segment_anything import SamAutomaticMaskGenerator

from refdiff_core.backends.sam_proposer import SamProposer
from refdiff_core.demo.models import load_sam
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.seeing.proposals import mask_iou
from refdiff_core.settings import AUTOMATIC

LIMITS = {"min_predicted_iou": 0.7, "min_stability": 0.8}
"""The package's defaults, .88 and .95, pass few masks of the small bundled model."""


def pictures(scenes: int) -> Iterator[tuple[str, np.ndarray]]:
    """Names and pictures, uint8 (H, W, 3)."""
    for index in range(scenes):
        yield f"scene {index}", sample_scene(HELD_OUT_SEED + index).image
    from skimage import data

    for name in ("astronaut", "coffee", "chelsea"):
        yield name, getattr(data, name)()


@click.command()
@click.option("--scenes", default=20, show_default=True)
def main(scenes: int) -> None:
    """Print the agreement per kind of picture."""
    sam = load_sam()
    theirs = SamAutomaticMaskGenerator(
        sam,
        points_per_side=AUTOMATIC.points_per_side,
        pred_iou_thresh=LIMITS["min_predicted_iou"],
        stability_score_thresh=LIMITS["min_stability"],
    )
    ours = SamProposer(sam, replace(AUTOMATIC, **LIMITS))
    matched: dict[str, list[bool]] = {"scenes": [], "photographs": []}
    for name, picture in pictures(scenes):
        wanted = [each["segmentation"] for each in theirs.generate(picture)]
        if not wanted:
            continue
        (found,) = ours.propose(torch.from_numpy(picture).float() / 255, [None])
        best = mask_iou(torch.from_numpy(np.stack(wanted)), found.masks).amax(1)
        matched["scenes" if name.startswith("scene") else "photographs"] += (best >= 0.9).tolist()
        print(
            f"{name}: {len(wanted)} masks of theirs, {len(found)} of ours, worst {best.min():.2f}"
        )
    for kind, hits in matched.items():
        print(f"{kind}: {np.mean(hits):.3f} of {len(hits)} masks matched")


if __name__ == "__main__":
    main()
