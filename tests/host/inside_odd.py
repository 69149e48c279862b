"""What no node should hand over; run by `inside.py`."""

from hosted import load, ours, picture  # isort: skip - finds ComfyUI

from collections import namedtuple
from functools import partial

import torch
from inside_patches import said

Seg = namedtuple("SEG", "cropped_mask confidence crop_region")
BOX = (30, 20, 60, 40)
NAN, INF = float("nan"), float("inf")
SIZES = (0, 0), (-5, 10), (10**6, 10**6), (96.0, 160.0), (96, 160, 3), (NAN, 1), None, "ab"


def odd(_=None):
    """What comes of each: something of its size, or an error's kind and text."""
    tried = {}
    for name, each in _images(torch.rand(1, 96, 160, 3)).items():
        tried[f"image {name}"] = partial(_image, each)
    square = torch.zeros(96, 160)
    square[20:40, 30:60] = 1
    for name, each in _masks(square).items():
        tried[f"mask {name}"] = partial(_candidates, each)
        if ours("nodes._host").is_mask(each):  # sockets take no other
            tried[f"hint {name}"] = partial(_hint, each)
    parts = {**_parts(torch.ones(20, 30)), **_sure(torch.ones(20, 30))}
    for name, each in parts.items():
        tried[f"seg {name}"] = partial(_segs, each)
    for size in SIZES:
        tried[f"size {size}"] = partial(_segs, size=size)
        tried[f"size {size} with one"] = partial(_segs, parts["deep"], size=size)
    for name, each in {"nothing": None, "text": "segs", "three": ((96, 160), [], 1)}.items():
        tried[f"segs {name}"] = partial(_candidates, each)
    return {name: said(call) for name, call in tried.items()}


def _image(given):
    (found,) = ours("nodes._host").images(given)
    return [list(found.shape), str(found.dtype), bool(found.isfinite().all())]


def _hint(mask):
    settings = ours("refdiff_core.settings").Settings()
    found = ours("nodes._run").fuse_batch(mask, None, None, None, settings).results
    return [int((each.mask >= 0.5).sum()) for each in found]


def _candidates(given):
    (found,) = ours("nodes._host").proposals(given).sets[0]
    return [int(found.draw(at).sum()) for at in range(len(found))]


def _segs(*found, size=(96, 160)):
    (held,) = ours("nodes._host").proposals((size, list(found))).sets[0]
    areas = [int(held.draw(at).sum()) for at in range(len(held))]
    return [areas, [round(float(each), 2) for each in held.quality]]


def _images(picture):
    return {
        "none": None, "list": [picture], "no pictures": picture[:0], "no pixels": picture[:, :0],
        "grey": picture[..., :1], "alone": picture[0], "bytes": (picture * 50).to(torch.uint8),
        "bits": picture > 0.5, "nan": picture * NAN, "inf": picture * INF,
        "half": picture.half(), "double": picture.double(), "complex": picture.cfloat(),
        "negative": picture - 2, "turned": picture.transpose(1, 2), "alpha": torch.rand(1, 5, 7, 4),
        "gradient": picture.clone().requires_grad_(),
    }  # fmt: skip


def _masks(square):
    return {
        "bool": square > 0, "bytes": (square * 255).to(torch.uint8), "half": square.half(),
        "channel last": square[None, ..., None], "channel first": square[None, None],
        "two channels": square.expand(1, 2, -1, -1), "no pixels": torch.zeros(1, 0, 0),
        "nan": square * NAN, "inf": square * INF, "negative": square - 1, "many": [square] * 20,
        "no list": [], "numbers": [1, 2],
    }  # fmt: skip


def _parts(ones):
    return {
        "flat": Seg(ones[:1], 0.9, (30, 20, 60, 21)),
        "thin": Seg(ones[:, :1], 0.9, (30, 20, 31, 40)),
        "point": Seg(ones[:1, :1], 0.9, (30, 20, 31, 21)),
        "deep": Seg(ones[None, None], 0.9, BOX),
        "bytes": Seg((ones.numpy() * 255).astype("uint8"), 0.9, BOX),
        "lists": Seg(ones.tolist(), 0.9, BOX),
        "elsewhere": Seg(ones, 0.9, (3000, 2000, 3030, 2020)),
        "inside out": Seg(None, 0.9, (60, 40, 30, 20)),
        "edges as text": Seg(None, 0.9, ("30", "20", "60", "40")),
        "edges no numbers": Seg(None, 0.9, (NAN, 20, 60, 40)),
        "three edges": Seg(None, 0.9, (30, 20, 60)),
        "no edges": Seg(None, 0.9, None),
        "words for a mask": Seg("mask", 0.9, BOX),
        "a mask of nan": Seg(ones * NAN, 0.9, BOX),
        "a dict": {"bbox": BOX},
    }


def _sure(ones):
    said = {"none": None, "nan": NAN, "inf": INF, "negative": -3.0, "text": "high"}
    said["whole"] = torch.tensor([1])
    return {f"confidence {name}": Seg(ones, each, BOX) for name, each in said.items()}


LINKED = (None, NAN, -1.5, 10**9, "abc", [1], torch.zeros(2))
LOOK = {"timestep": -1, "resolution": 0, "seed": 0, "words": "content", "sharpen": 1.5}


def linked(_=None):
    """What comes of what a link may bring to each input of each node: by both, errors alone."""
    nodes = {each.__name__: each for each in ours("nodes").NODES}
    found = {"tried": 0}
    with torch.inference_mode():
        for name, inputs in _whole_inputs(nodes).items():
            for each in nodes[name].define_schema().inputs:
                for value in LINKED:
                    call = partial(nodes[name].execute, **{**inputs, each.id: value})
                    told = said(lambda call=call: call() and None)
                    found["tried"] += 1
                    if told is not None:
                        found[f"{name} {each.id} {value}"] = told
    return found


def _whole_inputs(nodes):
    """For each node what it runs with."""
    models, demo = ours("nodes._models"), ours("refdiff_core.demo.models")
    scorer = ours("refdiff_core.backends.clip_scorer").ClipModel
    names = ("model", "clip", "vae")
    image, text = picture(), "the red circle"
    sam = models.hold_sam(demo.load_sam(), models.DEMO_NAME)
    clip = models.hold_clip(scorer(*demo.load_clip()))
    seen = {**dict(zip(names, load("demo"), strict=True)), "image": image, "expressions": text}
    segment = {**seen, **LOOK, "sam_model": sam, "refdiff_clip": clip}
    grid = {"points_per_side": 4, "min_quality": 0.0, "duplicate_iou": 0.9}
    mask, batch, *_ = nodes["RefDiffSegment"].execute(**segment).result
    maps, *_ = nodes["RefDiffAttention"].execute(**seen, **LOOK).result
    sets, _ = nodes["RefDiffSAMProposals"].execute(sam_model=sam, image=image, **grid).result
    asked = {"refdiff_clip": clip, "image": image, "proposals": sets, "expressions": text}
    (scores,) = nodes["RefDiffCLIPScore"].execute(**asked).result
    return {
        "RefDiffSegment": segment,
        "RefDiffAttention": {**seen, **LOOK},
        "RefDiffSAMProposals": {"sam_model": sam, "image": image, "attention": maps, **grid},
        "RefDiffCLIPScore": asked,
        "RefDiffFuseMasks": {"attention": maps, "proposals": sets, "scores": scores},
        "RefDiffPick": {"candidates": batch, "picks": "1"},
        "RefDiffCutOut": {
            "image": image, "mask": mask, "margin": 4, "multiple": 8, "color": "#fff",
        },
        "RefDiffLoadDemo": {"scene": 0},
    }  # fmt: skip


def flat(_=None):
    """Masks as other packs hand them over: two dimensions, a channel, none at all."""
    host, values = ours("nodes._host"), ours("nodes._values")
    square = torch.zeros(12, 20)
    square[3:9, 4:10] = 1
    shapes = [square, square[None], square[None, None]]
    counts = [len(host.proposals(each).sets[0][0]) for each in shapes]
    empty = host.proposals(torch.zeros(0, 12, 20))
    hint = values.AttentionBatch.of_masks(host.masks(square), [values.blank((12, 20))], None)
    run, settings = ours("nodes._run"), ours("refdiff_core.settings").Settings()
    nothing = run.fuse_batch(hint, empty, None, None, settings).results[0]
    return [*counts, list(nothing.mask.shape), bool(nothing.mask.any())]
