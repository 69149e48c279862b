"""Graphs that several tests drive, and scenes whose answers are known."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from server import Graph, Node, Server

from refdiff_core.demo.scenes import HELD_OUT_SEED, Scene, expressions, sample_scene
from refdiff_core.settings import Settings

EXAMPLES = Path(__file__).parents[2] / "example_workflows"
SAVED = Path(__file__).parent / "saved"  # graphs as version 0.1.0 saved them
DEMO, SEVERAL = "Demo - say which one", "Demo - several expressions"
SAM3 = "Which of the masks - SAM 3"
WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
PAGE_ONLY = {"MarkdownNote"}
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


def to_prompt(server, name, folder=EXAMPLES):
    """A graph of the page in the API's form, as the page itself would make it."""
    info = server.get("/object_info")
    graph = json.loads((folder / f"{name}.json").read_text())
    links = {each[0]: [str(each[1]), each[2]] for each in graph["links"]}
    prompt = {}
    for node in graph["nodes"]:
        if node["type"] in PAGE_ONLY:
            continue
        values, inputs = list(node["widgets_values"]), {}
        spec = info[node["type"]]["input"]
        linked = {each["name"]: links[each["link"]] for each in node["inputs"] if each["link"]}
        for key, (kind, *options) in {**spec["required"], **spec.get("optional", {})}.items():
            linked_only = bool(options) and options[0].get("forceInput")
            if (isinstance(kind, list) or kind in WIDGETS) and not linked_only:
                # graphs that were saved before an input was there have no value for it
                inputs[key] = values.pop(0) if values else options[0]["default"]
                # widgets that the page adds: what becomes of the seed, and the upload button
                added = ("control_after_generate", "image_upload")
                if options and any(options[0].get(each) for each in added):
                    values.pop(0)
            if key in linked:
                inputs[key] = linked[key]
        assert not values or not node["type"].startswith("RefDiff"), (node["type"], values)
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    return prompt


def node(prompt, kind, place=0):
    """The id of a node of a kind in a prompt."""
    return [key for key, each in prompt.items() if each["class_type"] == kind][place]
