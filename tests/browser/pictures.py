"""Takes the pictures of the help pages and of the example graphs, from the page of a real ComfyUI.

COMFYUI_PATH=~/ComfyUI scripts/pictures [help|examples|film]

What needs no download is run first, so that its nodes show what they found; the others are shown
as they load. Run it again whenever the demo models, the nodes or the example graphs have changed.
"""

import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parents[1] / "host"), str(Path(__file__).parents[2])]

from film import film
from graphs import ATTENTION, MASK, SAM
from hosts import comfy_roots
from page import Page, opened, put_stand_ins
from server import Graph, Node, running
from thumbnails import thumbnails

ROOT = Path(__file__).parents[2]
SCENE = 5  # a yellow circle, two yellow squares and a black star
TEXT = "the yellow circle\nthe large yellow square\nthe black star"
ONE = "the large yellow square"
LEFT, MIDDLE, RIGHT, FAR = 0, 440, 900, -2000
WIDTH = 1000  # pixels of a picture at most
Shown = dict[Node, tuple[int, int, int, int]]
"""What a picture shows: nodes at x, y, width, height; all others lie out of sight."""


class Help:
    """The graph behind one help page's picture."""

    def __init__(self) -> None:
        self.graph = Graph()
        demo = self.graph.add("RefDiffLoadDemo", scene=SCENE)
        larger = {"upscale_method": "lanczos", "scale_by": 2.5}
        self.image = self.graph.add("ImageScaleBy", image=demo[5], **larger)[0]
        self.demo = demo

    def add(self, kind: str, **inputs: Any) -> Node:
        return self.graph.add(kind, **inputs)

    def checkpoint(self) -> dict[str, Any]:
        demo = self.demo
        return {"model": demo[0], "clip": demo[1], "vae": demo[2], "image": self.image}

    def attention(self, text: str = TEXT) -> Node:
        return self.add("RefDiffAttention", **self.checkpoint(), expressions=text, **ATTENTION)

    def proposals(self, attention: Node, sam: Any = None) -> Node:
        inputs = {"sam_model": sam or self.demo[3], "image": self.image, "attention": attention[0]}
        return self.add("RefDiffSAMProposals", **inputs, **SAM)

    def scores(self, proposals: Node, text: str = TEXT, clip: Any = None) -> Node:
        inputs = {"refdiff_clip": clip or self.demo[4], "image": self.image}
        return self.add("RefDiffCLIPScore", **inputs, proposals=proposals[0], expressions=text)

    def fused(self, **inputs: Any) -> Node:
        return self.add("RefDiffFuseMasks", **inputs, **MASK)

    def preview(self, picture: Any) -> Node:
        return self.add("PreviewImage", images=picture)


def segment(page: Help) -> Shown:
    models = {"sam_model": page.demo[3], "refdiff_clip": page.demo[4]}
    text = {"expressions": ONE}
    node = page.add("RefDiffSegment", **page.checkpoint(), **models, **text, **ATTENTION, **MASK)
    return {node: (LEFT, 0, 420, 640), page.preview(node[5]): (460, 0, 420, 400)}


def attention(page: Help) -> Shown:
    node = page.attention()
    return {node: (LEFT, 0, 400, 330), page.preview(node[2]): (MIDDLE, 0, 480, 330)}


def proposals(page: Help) -> Shown:
    node = page.proposals(page.attention(ONE))
    masks = page.add("MaskToImage", mask=node[1])
    return {node: (LEFT, 0, 400, 170), page.preview(masks[0]): (MIDDLE, 0, 480, 380)}


def scores(page: Help) -> Shown:
    found = page.proposals(page.attention(ONE))
    node = page.scores(found, ONE)
    fused = page.fused(proposals=found[0], scores=node[0])
    sheet = page.add("RefDiffPick", candidates=fused[1], picks="1")
    return {
        node: (LEFT, 0, 400, 190),
        fused: (MIDDLE, 0, 420, 640),
        sheet: (RIGHT, 0, 420, 640),
    }


def fuse(page: Help) -> Shown:
    looked = page.attention()
    found = page.proposals(looked)
    scored = page.scores(found)
    node = page.fused(attention=looked[0], proposals=found[0], scores=scored[0])
    return {node: (LEFT, 0, 420, 640), page.preview(node[5]): (460, 0, 480, 430)}


def pick(page: Help) -> Shown:
    looked = page.attention(ONE)
    found = page.proposals(looked)
    fused = page.fused(attention=looked[0], proposals=found[0], scores=page.scores(found, ONE)[0])
    node = page.add("RefDiffPick", candidates=fused[1], picks="1")
    masks = page.add("MaskToImage", mask=node[0])
    return {node: (LEFT, 0, 420, 560), page.preview(masks[0]): (460, 0, 400, 460)}


def cut_out(page: Help) -> Shown:
    models = {"sam_model": page.demo[3], "refdiff_clip": page.demo[4]}
    found = page.add(
        "RefDiffSegment", **page.checkpoint(), **models, expressions=ONE, **ATTENTION, **MASK
    )
    inputs = {"margin": 24, "multiple": 8, "color": "#203040"}
    node = page.add("RefDiffCutOut", image=page.image, mask=found[0], **inputs)
    shown = [page.preview(node[output]) for output in (0, 1, 2)]
    places = {each: (MIDDLE + 300 * at, 0, 270, 300) for at, each in enumerate(shown)}
    return {node: (LEFT, 0, 400, 300), **places}


def demo(page: Help) -> Shown:
    return {page.demo: (LEFT, 0, 340, 190), page.preview(page.image): (MIDDLE, 0, 420, 400)}


def load_sam(page: Help) -> Shown:
    node = page.add("RefDiffLoadSAM", file="sam_vit_b_01ec64.pth")
    user = page.proposals(page.attention(), node[0])
    return {node: (LEFT, 0, 400, 80), user: (MIDDLE, 0, 400, 170)}


def load_clip(page: Help) -> Shown:
    file = {"file": "ViT-B-16.laion2b.safetensors", "architecture": "from the file's name"}
    node = page.add("RefDiffLoadCLIP", **file)
    user = page.scores(page.proposals(page.attention()), clip=node[0])
    return {node: (LEFT, 0, 400, 110), user: (MIDDLE, 0, 400, 190)}


PAGES = {
    "RefDiffSegment": segment,
    "RefDiffAttention": attention,
    "RefDiffSAMProposals": proposals,
    "RefDiffCLIPScore": scores,
    "RefDiffFuseMasks": fuse,
    "RefDiffPick": pick,
    "RefDiffCutOut": cut_out,
    "RefDiffLoadDemo": demo,
    "RefDiffLoadSAM": load_sam,
    "RefDiffLoadCLIP": load_clip,
}
DOWNLOADS = {"CheckpointLoaderSimple", "RefDiffLoadSAM", "RefDiffLoadCLIP"}


def runs(kinds: set[str]) -> bool:
    """Whether a graph of these nodes needs no download."""
    return not kinds & DOWNLOADS


def help_pictures(page: Page) -> Iterator[Path]:
    for name, build in PAGES.items():
        graph = Help()
        shown = build(graph)
        places = {int(node): (FAR, 0, 300, 100) for node in graph.graph.nodes}
        places |= {int(node.name): place for node, place in shown.items()}
        check(name, page.load_prompt(graph.graph.nodes, places))
        if runs({each["class_type"] for each in graph.graph.nodes.values()}):
            page.run()
        path = ROOT / "web" / "docs" / "images" / f"{name}.png"
        page.picture(path, [int(node.name) for node in shown], WIDTH)
        yield path


def check(name: str, problems: list[str]) -> None:
    if problems:
        raise SystemExit(f"{name} does not load: {problems}")


KINDS = {
    "help": help_pictures,
    "examples": lambda page: thumbnails(page.server),
    "film": lambda page: [film(page, ROOT / "docs" / "images" / "panel.gif")],
}


def main() -> None:
    roots = comfy_roots()
    if not roots:
        raise SystemExit("COMFYUI_PATH names no ComfyUI. Name a recent one: the page is its own.")
    asked = sys.argv[1:] or list(KINDS)
    with tempfile.TemporaryDirectory() as base, running(roots[0], Path(base)) as server:
        put_stand_ins(server)
        with opened(server) as page:
            for path in chain(*(KINDS[each](page) for each in asked)):
                sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
