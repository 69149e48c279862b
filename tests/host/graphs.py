"""Graphs that several tests drive, and scenes whose answers are known."""

from dataclasses import dataclass

import numpy as np
from server import Graph, Node, Server

from refdiff_core.demo.scenes import HELD_OUT_SEED, Scene, expressions, sample_scene
from refdiff_core.settings import Settings

ATTENTION = {
    "timestep": -1, "resolution": 0, "seed": 0, "sharpen": 1.5, "words": "content",
}  # fmt: skip
SHAPE = (
    "alpha", "grow", "feather", "fill", "invert", "union", "spatial_weight", "smallest", "largest",
    "size_exponent", "quality_exponent",
)  # fmt: skip
MASK = {name: getattr(Settings(), name) for name in SHAPE}
SAM = {"points_per_side": 0, "min_quality": 0.0, "duplicate_iou": 0.9}


@dataclass(frozen=True)
class Known:
    """A scene, an expression, and which object it means."""

    name: str
    scene: Scene
    text: str
    target: int

    @property
    def mask(self) -> np.ndarray:
        return self.scene.masks[self.target]


def known(server: Server, count: int, kind: str = "attribute", first: int = 0) -> list[Known]:
    """Scenes never trained on, in the input folder, each with one expression of a kind."""
    found = []
    seed = HELD_OUT_SEED + first
    while len(found) < count:
        scene = sample_scene(seed)
        fitting = [each for each in expressions(scene) if each.kind == kind]
        if fitting:
            name = server.put_image(f"scene-{seed}.png", scene.image)
            found.append(Known(name, scene, fitting[0].text, fitting[0].target))
        seed += 1
    return found


def iou(found: np.ndarray, wanted: np.ndarray) -> float:
    return float((found & wanted).sum() / max(1, (found | wanted).sum()))


def segment_graph(image: str, text: str, *, sam: bool = True, clip: bool = True, **settings):
    """LoadDemo -> Segment -> its mask as pictures; gives graph, demo, image, segment, preview."""
    graph = Graph()
    demo = graph.add("RefDiffLoadDemo", scene=0)
    loaded = graph.add("LoadImage", image=image)
    parts = {"sam_model": demo[3]} if sam else {}
    parts |= {"refdiff_clip": demo[4]} if clip else {}
    segment = graph.add(
        "RefDiffSegment", model=demo[0], clip=demo[1], vae=demo[2], image=loaded[0],
        expressions=text, **parts, **{**ATTENTION, **MASK, **settings},
    )  # fmt: skip
    return graph, demo, loaded, segment, show_mask(graph, segment, 0)


def show_mask(graph: Graph, node: Node, output: int) -> Node:
    pictures = graph.add("MaskToImage", mask=node[output])
    return graph.add("PreviewImage", images=pictures[0])
