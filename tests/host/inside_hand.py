"""What a hand hands over, and what keeps its results where; run by `inside.py`."""

from hosted import load, ours, picture  # isort: skip - finds ComfyUI

import json
import zlib
from functools import partial
from io import BytesIO
from pathlib import Path

import folder_paths
import torch
from inside_patches import said
from PIL import Image, PngImagePlugin

LOOK = {"timestep": -1, "resolution": 0, "seed": 0, "words": "content"}


def demo_sam():
    models = ours("nodes._models")
    return models.hold_sam(ours("refdiff_core.demo.models").load_sam(), models.DEMO_NAME)


def segment(text, image=None, **settings):
    """Ref-Diff Segment's outputs."""
    models = load("demo")
    settings = {"sam_model": demo_sam(), **settings}
    image = picture() if image is None else image
    return ours("nodes.segment").RefDiffSegment.execute(*models, image, text, **LOOK, **settings)


def asked(_=None):
    """Sizes of what Segment Anything sees at a place of a small picture and of a large one."""
    asker = ours("nodes._run").HostAsker(demo_sam())
    made = ours("nodes._choice").Made("a", points=((0.5, 0.5, 1),))
    return [list(asker.ask(picture(size)[0], made).size_hw) for size in ((96, 160), (1300, 2100))]


def shrunk(_=None):
    """Boxes and SEGS of one thing, of a thing that shrank to nothing, and of several."""
    found = {}
    for name, text, grow in (
        ("one", "the red circle", 0), ("gone", "the red circle", -60), ("several", "all shapes", 0),
    ):  # fmt: skip
        outputs = segment(text, grow=grow).result
        (boxes,), (_, segs) = outputs[3:5]
        edges = [(box["x"], box["y"], box["width"], box["height"]) for box in boxes]
        regions = [(x0, y0, x1 - x0, y1 - y0) for x0, y0, x1, y1 in (each.bbox for each in segs)]
        found[name] = [len(boxes), edges == regions, bool(outputs[0].any())]
    return found


def refused(_=None):
    """What is said of input that does not fit."""
    host, values = ours("nodes._host"), ours("nodes._values")
    masks = ours("refdiff_core.values").Proposals.of(torch.ones(1, 96, 160, dtype=torch.bool))
    batch = values.ProposalBatch(((masks,),) * 2)
    pictures = list(picture().expand(3, -1, -1, -1))
    return {
        "sets": said(lambda: host.check_sizes(pictures, batch)),
        "sam": said(lambda: segment("the red circle", sam_model={"model": demo_sam()})),
    }


def damaged(folder):
    """What is said of painted masks that Pillow cannot read, each in its own way."""
    told = PngImagePlugin.PngInfo()
    told.add_text("words", "x" * 2**21, zip=True)
    whole, much = BytesIO(), BytesIO()
    Image.new("RGBA", (40, 30)).save(whole, "PNG")
    Image.new("RGBA", (40, 30)).save(much, "PNG", pnginfo=told)
    body = whole.getvalue()
    header = b"IHDR" + (2**15).to_bytes(4, "big") * 2 + body[24:29]
    huge = body[:12] + header + zlib.crc32(header).to_bytes(4, "big") + body[33:]
    files = {"cut": body[:60], "much": much.getvalue(), "huge": huge, "text": b"no picture"}
    inside, outside = Path(folder, "input"), Path(folder, "outside.png")
    inside.mkdir()
    outside.write_bytes(body)
    folder_paths.set_input_directory(str(inside))
    paint = ours("nodes._hand")._painted
    assert paint_sum(paint, inside, body) == 30 * 40
    others = {"beside": "../outside.png [input]", "rooted": f"{outside} [input]", "none": ""}
    found = {each: said(partial(paint, file, (30, 40))) for each, file in others.items()}
    for name, each in files.items():
        Path(inside, f"{name}.png").write_bytes(each)
        found[name] = said(lambda name=name: paint(f"{name}.png [input]", (30, 40)).sum().item())
    return found


def paint_sum(paint, folder, body):
    """How much is painted in a picture that is clear throughout."""
    Path(folder, "whole.png").write_bytes(body)
    return paint("whole.png [input]", (30, 40)).sum().item()


def rejected(_=None):
    """What comes out of a choice that the inputs no longer admit, and what the panel is sent."""
    text = "the red circle"
    (sent,) = segment(text).ui["refdiff_panel"]
    (shown,) = sent["pictures"]
    (answer,) = shown["answers"]
    chosen = answer["candidates"][0]["id"]
    panel = json.dumps({shown["id"]: {"picks": {text: [chosen]}}})
    mask, _, scores, boxes, segs, _ = segment(text, panel=panel, largest=0.0001).result
    rest = segment("everything but the red circle").result
    sure = [each.confidence for outputs in (segs, rest[4]) for each in outputs[1]]
    return [bool(mask.any()), scores, boxes + rest[3], sure]


def kept(_=None):
    """Where a model's results are kept."""
    return str(ours("nodes._caches").cache_of(demo_sam()).device)


def spread(_=None):
    """What is said of maps that are to be spread where the picture asks the text alone."""
    families = ours("refdiff_core.backends.transformer_families")
    spreading = ours("refdiff_core.settings").AttentionSettings(propagation=1)

    def build(family):
        ours("nodes._transformers").TransformerAttention(None, None, None, family, spreading)

    every = dict.fromkeys(families.BY_CLASS.values())
    kinds = (families.CROSS, families.JOINT)
    return [[said(partial(build, each)) for each in every if each.kind == kind]
            for kind in kinds]  # fmt: skip
