"""Every variant through the nodes on a picture of any size; run in ComfyUI's own process.

    python inside_large.py COMFYUI nodes|same HEIGHT WIDTH

Prints one line of JSON.
"""

from hosted import CHECK, REST, ours  # isort: skip - finds ComfyUI

import ctypes
import gc
import json
import sys
from pathlib import Path

import torch

LOOK = {"timestep": -1, "resolution": 0, "seed": 0, "words": "content"}
SAM = {"points_per_side": 0, "min_quality": 0.0, "duplicate_iou": 0.9}
LINES = 10


def nodes(height, width):
    """For each variant, ten lines: MiB that it took beyond models, picture and what it gives out;
    how large that is; how well the masks fit.
    """
    image, asked, truths = _asked(int(height), int(width))
    lines = [asked[at % len(asked)] for at in range(LINES)]
    truths = [truths[at % len(asked)] for at in range(LINES)]
    text, demo = "\n".join(lines), ours("nodes.load").RefDiffLoadDemo.execute(0).result
    found = {}
    for variant, run in VARIANTS.items():
        run(
            demo, torch.rand(1, 64, 96, 3), text
        )  # what is imported and set up once stays out of it
        before = _start()
        out = run(demo, image, text)
        peak = _memory("VmHWM") - before
        gc.collect()
        given = sum(each.nbytes >> 20 for each in out if isinstance(each, torch.Tensor))
        fits = [_iou(*pair) for pair in zip(out[0], truths, strict=True)]
        shape = list(out[0].shape)
        found[variant] = {"taken": peak - given, "given": given, "fits": fits, "shape": shape}
        del out
    return found


def same(height, width):
    """How much of the masks the nodes and Python share, for each variant and line."""
    image, asked, _ = _asked(int(height), int(width))
    core = ours("refdiff_core")
    demo, found = ours("nodes.load").RefDiffLoadDemo.execute(0).result, {}
    for variant, run in VARIANTS.items():
        nodes = run(demo, image, "\n".join(asked))[0]
        python = core.segment(image[0], asked, core.load_demo(variant))
        pairs = zip(nodes, python, strict=True)
        found[variant] = [_share(mask > 0.5, result.mask > 0.5) for mask, result in pairs]
    return found


def _asked(height, width):
    """A picture of known things, what to ask of it, and their masks on a small grid."""
    scenes = ours("refdiff_core.demo.scenes")
    scene = _scene(scenes, height / width)
    image = _scaled(torch.from_numpy(scene.image).float() / 255, height, width)[None]
    asked = [each for each in scenes.expressions(scene) if each.kind == "attribute"]
    truths = [torch.from_numpy(scene.masks[each.target]) for each in asked]
    return image, [each.text for each in asked], truths


def _segment(demo, image, text, **parts):
    segment = ours("nodes.segment").RefDiffSegment
    return segment.execute(*demo[:3], image, text, **LOOK, **parts).result


def _apart(demo, image, text):
    """Variant ds, by the four nodes."""
    candidates = ours("nodes.proposals").RefDiffSAMProposals.execute(demo[3], image, **SAM)
    proposals = candidates.result[0]
    scores = ours("nodes.score").RefDiffCLIPScore.execute(demo[4], image, proposals, text)
    fuse = ours("nodes.fuse").RefDiffFuseMasks
    return fuse.execute(None, proposals, scores.result[0]).result


VARIANTS = {
    "g": _segment,
    "gs": lambda *given: _segment(*given, sam_model=given[0][3]),
    "gsd": lambda *given: _segment(*given, sam_model=given[0][3], refdiff_clip=given[0][4]),
    "ds": _apart,
}


def _scene(scenes, aspect):
    size_hw = (128, round(128 / aspect)) if aspect < 1 else (round(128 * aspect), 128)
    return scenes.sample_scene(scenes.HELD_OUT_SEED + 3, size_hw=size_hw)


def _scaled(picture, height, width):
    rows = torch.arange(height) * len(picture) // height
    columns = torch.arange(width) * picture.shape[1] // width
    return picture[rows][:, columns].contiguous()


def _iou(mask, truth):
    return _share(_scaled(mask, *truth.shape) > 0.5, truth)


def _share(one, other):
    """Intersection over union; of two that are empty, 1."""
    return (
        round(float((one & other).sum() / (one | other).sum().clamp(min=1)), 3)
        if (one.any() or other.any())
        else 1.0
    )


def _start():
    """MiB that the process holds; its peak counts from here."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was let go of before would hide what is taken now
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    with torch.inference_mode():
        sys.stdout.write("\n" + json.dumps({"nodes": nodes, "same": same}[CHECK](*REST)) + "\n")
