"""What only a GPU can tell: how often an answer waits for it, and that its answers are right, also
where several pictures go through the encoders at once.

    python -m benchmarks.gpu_check

PyTorch itself says when it waits (`torch.cuda.set_sync_debug_mode`).
"""

from __future__ import annotations

import collections
import sys
import traceback
import warnings

import torch

from refdiff_core import load_demo, segment
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
from refdiff_core.pipeline import Models
from refdiff_core.seeing.proposals import mask_iou
from refdiff_core.together import Lot, together

LINES = ("the red circle", "the blue square", "the star on the left", "the largest ring")


def picture(seed: int) -> torch.Tensor:
    """A held-out scene."""
    scene = sample_scene(HELD_OUT_SEED + seed, size_hw=(96, 160))
    return torch.from_numpy(scene.image).float() / 255


def waits(models: Models, image: torch.Tensor, lines: tuple[str, ...]) -> collections.Counter[str]:
    """Where an answer waits for the GPU, and how often."""
    found: collections.Counter[str] = collections.Counter()

    def note(message: object, *_: object, **__: object) -> None:
        if "synchronizing" in str(message):
            frames = traceback.extract_stack()[:-1]
            ours = [each for each in frames if "refdiff_core" in each.filename]
            found[f"{ours[-1].filename.split('refdiff_core/')[-1]}:{ours[-1].lineno}"] += 1

    torch.cuda.set_sync_debug_mode("warn")
    shown, warnings.showwarning = warnings.showwarning, note
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = note
            segment(image, lines, models)
    finally:
        warnings.showwarning = shown
        torch.cuda.set_sync_debug_mode("default")
    return found


def in_lots(models: Models, pictures: list[torch.Tensor]) -> list[float]:
    """How far masks agree with those of pictures that were encoded one by one."""
    found = []
    for at_once in (3, 1):
        models.attention.cache.clear()
        if models.proposer is not None:
            models.proposer.cache.clear()
        with together(Lot(pictures, at_once)):
            found.append(
                [each.mask for image in pictures for each in segment(image, LINES, models)]
            )
    pairs = zip(*found, strict=True)
    return [
        float(mask_iou(a[None] > 0.5, b[None] > 0.5)[0, 0]) if a.any() or b.any() else 1.0
        for a, b in pairs
    ]


def main() -> None:
    """Print the waits, and how far answers on GPU and processor agree."""
    print(torch.cuda.get_device_name(), torch.__version__, sys.version.split()[0])
    for variant in ("g", "gsd"):
        there, here = load_demo(variant, device="cuda"), load_demo(variant)
        segment(picture(9), LINES, there)
        print(variant, "one line waits", dict(waits(there, picture(0), LINES[:1])))
        print(variant, "four lines wait", dict(waits(there, picture(1), LINES)))
        same = []
        for seed in range(6):
            image = picture(seed)
            pairs = zip(segment(image, LINES, there), segment(image, LINES, here), strict=True)
            for a, b in pairs:
                both = mask_iou(a.mask[None] > 0.5, b.mask[None] > 0.5)
                same.append(float(both[0, 0]) if a.found or b.found else 1.0)
        good = sum(each > 0.95 for each in same)
        lots = in_lots(there, [picture(seed) for seed in range(6)])
        print(f"{variant}: encoded three at once, IoU with one by one at least {min(lots):.3f}")
        print(f"{variant}: {good} of {len(same)} masks as on the processor, IoU > .95; {same}")


if __name__ == "__main__":
    main()
