"""Graphs with a panel, run once in the page, and what their scenes hold."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import numpy as np
from drawn import Drawn
from gestures import Panel

from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene

SCENE = 8  # a large and a small red circle, a green square, a black cross
TEXT = "the large red circle"
SHOTS = Path(os.environ.get("REFDIFF_SHOTS", "")) if "REFDIFF_SHOTS" in os.environ else None
# what the host's page itself says, with or without this pack
HARMLESS = (
    "status of 404",
    "deprecated",
    "huggingface.co",
    "before initialization",
    "[MaskEditor]",
    "pan/zoom",  # the mask editor's own, as are the next two
    "adapters",
    "TypeGPU",
    "willReadFrequently",  # of the tests that measure
)


def ours(message):
    """Whether a message of the console may be about this pack; 0.3.64's page has errors at undo."""
    of_the_page = "/assets/" in message and "/extensions/refdiff" not in message
    return not of_the_page and not any(part in message for part in HARMLESS)


def scene(number=SCENE):
    return sample_scene(HELD_OUT_SEED + number)


def place(number, name, largest=True):
    """The middle of an object, as shares of the picture."""
    found = scene(number)
    order = sorted(
        (at for at, each in enumerate(found.objects) if each.name == name),
        key=lambda at: found.objects[at].radius,
    )
    mask = found.masks[order[-1 if largest else 0]]
    ys, xs = np.nonzero(mask)
    return (xs.mean() + 0.5) / mask.shape[1], (ys.mean() + 0.5) / mask.shape[0], mask


def drawn(page, text=TEXT, number=SCENE, image=None, sam=True, **values):
    """Demo models, Segment, its mask; gives the graph and the preview's id."""
    # of a new name: the page shows what the last run of a graph of the same name found
    found = Drawn(page.server.get("/object_info"), f"panel test {uuid.uuid4()}")
    demo = found.add("RefDiffLoadDemo", (20, 20), (300, 200), scene=number)
    picture = (demo, "IMAGE")
    if image is not None:
        picture = (found.add("LoadImage", (20, 300), (300, 330), image=image), "IMAGE")
    parts = {"model": (demo, "MODEL"), "clip": (demo, "CLIP"), "vae": (demo, "VAE")}
    parts |= {"sam_model": (demo, "SAM_MODEL")} if sam else {}
    segment = found.add(
        "RefDiffSegment", (400, 20), (420, 700), image=picture, expressions=text,
        refdiff_clip=(demo, "REFDIFF_CLIP"), **parts, **values,
    )  # fmt: skip
    masks = found.add("MaskToImage", (900, 20), (200, 40), mask=(segment, "mask"))
    shown = found.add("PreviewImage", (900, 120), (300, 300), images=(masks, "IMAGE"))
    return found, str(shown)


def started(page, *args, **values):
    """The graph in the page, run once; gives the panel and the preview's id."""
    found, shown = drawn(page, *args, **values)
    assert page.load(found.graph()) == []
    page.run()
    panel = Panel(page)
    panel.wait()
    return panel, shown


def rerun(panel, shown, index=0):
    """The mask of a further run."""
    run = panel.page.run()
    panel.wait()
    return panel.page.server.mask(run, shown, index)


def shoot(panel, name):
    if SHOTS:
        mode = panel.page.page.evaluate("() => window.LiteGraph.vueNodesMode ? 'vue' : 'canvas'")
        panel.shoot(SHOTS / f"{panel.page.server.version}-{mode}-{name}.png")
