"""Draws the example graphs and the blueprints anew.

COMFYUI_PATH=~/ComfyUI python tests/browser/workflows.py

The host says which inputs its nodes have, so it must be a recent one. Their pictures are made by
`scripts/pictures`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT), str(ROOT / "tests" / "host"), str(ROOT / "tests" / "browser")]

from drawn import Drawn  # noqa: E402
from hosts import comfy_roots  # noqa: E402
from parts import SAM3, SD15, SDXL, keep, loaded, model, texts  # noqa: E402
from server import running  # noqa: E402
from transformers_drawn import flux, qwen_image_edit, z_image  # noqa: E402


def demo(draw: Drawn) -> None:
    draw.note(
        "## Say which one\n\n1. Press **Run**. The words find a yellow square, and it is taken "
        "away.\n2. The other one was meant? **Click it** on the picture.\n3. Press **Run** again."
        "\n\n*Shift* + click adds, *Alt* + click takes away, a drag asks around a box. The sliders "
        "shape the mask at once.\n\nThe tiny models here come with Ref-Diff. They know coloured "
        "shapes and nothing else: for your own pictures take *Inpaint by words*.",
        (20, 20), (340, 330),
    )  # fmt: skip
    load = draw.add("RefDiffLoadDemo", (20, 400), (340, 200), scene=137)
    parts = {"model": (load, "MODEL"), "clip": (load, "CLIP"), "vae": (load, "VAE")}
    picture = (load, "IMAGE")
    found = draw.add(
        "RefDiffSegment", (420, 20), (460, 760), **parts, image=picture,
        sam_model=(load, "SAM_MODEL"), refdiff_clip=(load, "REFDIFF_CLIP"),
        expressions="the yellow square", grow=4, feather=4,
    )  # fmt: skip
    yes = draw.add(
        "CLIPTextEncode", (940, 20), (320, 100), "What to paint there",
        clip=(load, "CLIP"), text="an empty grey wall",
    )  # fmt: skip
    no = draw.add(
        "CLIPTextEncode", (940, 180), (320, 100), "What not to paint",
        clip=(load, "CLIP"), text="a yellow square, a circle, a star, a ring",
    )  # fmt: skip
    latent = draw.add("VAEEncode", (940, 340), (320, 60), pixels=picture, vae=parts["vae"])
    masked = draw.add(
        "SetLatentNoiseMask", (940, 460), (320, 60), samples=(latent, "LATENT"),
        mask=(found, "mask"),
    )  # fmt: skip
    paint(draw, (1320, 20), parts, yes, no, masked, picture, found, seed=2, steps=12, cfg=3.0,
          sampler_name="euler", scheduler="normal", prefix="refdiff_demo")  # fmt: skip
    kept = draw.nodes[-2]["id"]
    larger = draw.add(
        "ImageScaleBy", (1680, 540), (340, 90), image=(kept, "IMAGE"),
        upscale_method="lanczos", scale_by=3.0,
    )  # fmt: skip
    draw.add("PreviewImage", (1680, 20), (460, 420), "The result, larger",
             images=(larger, "IMAGE"))  # fmt: skip


def paint(
    draw: Drawn, at: tuple[int, int], parts: Mapping[str, Any], yes: int, no: int, latent: int,
    picture: Any, found: int, prefix: str, **sampling: Any,
) -> None:  # fmt: skip
    """Sample, decode, keep everything but the mask, save."""
    x, y = at
    sampled = draw.add(
        "KSampler", (x, y), (300, 270), model=parts["model"], positive=(yes, "CONDITIONING"),
        negative=(no, "CONDITIONING"), latent_image=(latent, "LATENT"), denoise=1.0, **sampling,
    )  # fmt: skip
    decoded = draw.add(
        "VAEDecode", (x, y + 330), (300, 60), samples=(sampled, "LATENT"), vae=parts["vae"]
    )
    kept = draw.add(
        "ImageCompositeMasked", (x, y + 450), (300, 160), "Keep everything else", x=0, y=0,
        destination=picture, source=(decoded, "IMAGE"), mask=(found, "mask"), resize_source=False,
    )  # fmt: skip
    draw.add("SaveImage", (x + 360, y), (460, 480), images=(kept, "IMAGE"), filename_prefix=prefix)


def several(draw: Drawn) -> None:
    lines = "the yellow circle\nthe large yellow square\nthe black star"
    draw.note(
        "## Several expressions at once\n\nOne line, one mask; the panel has a tab for each. The "
        "picture is looked at **once** for all of them.\n\n`not: ...` says what the other lines "
        "must leave out.\n\nThese are the single steps of Ref-Diff Segment: each can be looked at, "
        "and a change only runs again what it touches.",
        (20, 20), (340, 300),
    )  # fmt: skip
    load = draw.add("RefDiffLoadDemo", (20, 380), (340, 200), scene=5)
    parts = {"model": (load, "MODEL"), "clip": (load, "CLIP"), "vae": (load, "VAE")}
    picture = (load, "IMAGE")
    seen = draw.add(
        "RefDiffAttention", (420, 20), (380, 220), **parts, image=picture, expressions=lines
    )
    draw.add("PreviewImage", (420, 300), (380, 360), "Where the words are",
             images=(seen, "heat map"))  # fmt: skip
    things = draw.add(
        "RefDiffSAMProposals", (860, 20), (340, 130), sam_model=(load, "SAM_MODEL"),
        image=picture, attention=(seen, "attention"),
    )  # fmt: skip
    scores = draw.add(
        "RefDiffCLIPScore", (860, 210), (340, 180), refdiff_clip=(load, "REFDIFF_CLIP"),
        image=picture, proposals=(things, "proposals"), expressions=lines,
    )  # fmt: skip
    fused = draw.add(
        "RefDiffFuseMasks", (1260, 20), (460, 640), attention=(seen, "attention"),
        proposals=(things, "proposals"), scores=(scores, "scores"),
    )  # fmt: skip
    draw.add("PreviewImage", (1780, 20), (420, 300), "One mask a line",
             images=(fused, "overlay"))  # fmt: skip
    cut = draw.add(
        "RefDiffCutOut", (1780, 380), (340, 280), image=picture, mask=(fused, "mask"), margin=4
    )
    draw.add("PreviewImage", (2180, 380), (420, 300), "Each by itself",
             images=(cut, "on color"))  # fmt: skip


def sd15(draw: Drawn) -> None:
    draw.note(
        "## Describe, click, inpaint\n\n1. Load a picture.\n2. Say **which one**, and what to "
        "paint there.\n3. **Run**. Another one was meant? Click it, and run again.\n\n**SAM** "
        "makes the edges sharp. Without it, leave `sam_model` open: the mask then comes from the "
        "attention alone.",
        (20, 20), (340, 300),
    )  # fmt: skip
    parts, picture, sam = loaded(draw, SD15)
    found = draw.add(
        "RefDiffSegment", (420, 20), (460, 820), **parts, image=picture, sam_model=sam,
        expressions="the cup on the left", grow=8, feather=4,
    )  # fmt: skip
    yes, no = texts(draw, parts, "a glass of orange juice, photo", 940)
    ready = draw.add(
        "InpaintModelConditioning", (940, 380), (320, 140), positive=(yes, "CONDITIONING"),
        negative=(no, "CONDITIONING"), vae=parts["vae"], pixels=picture, mask=(found, "mask"),
        noise_mask=True,
    )  # fmt: skip
    sampled = draw.add(
        "KSampler", (1320, 20), (300, 270), model=parts["model"], positive=(ready, "positive"),
        negative=(ready, "negative"), latent_image=(ready, "latent"), seed=1, steps=24, cfg=7.0,
        sampler_name="dpmpp_2m", scheduler="karras", denoise=1.0,
    )  # fmt: skip
    keep(draw, (1320, 350), parts, sampled, picture, (found, "mask"), "refdiff_sd15")


def sdxl(draw: Drawn) -> None:
    draw.note(
        "## Crop, inpaint, stitch\n\nOf a large picture only the part around the thing is painted, "
        "at SDXL's own size, and put back where it was. *Cut Out and Crop* hands on the numbers: "
        "nothing is typed twice.\n\nOnly the mask is put back: every other pixel stays as it was.",
        (20, 20), (340, 300),
    )  # fmt: skip
    parts, picture, sam = loaded(draw, SDXL)
    found = draw.add(
        "RefDiffSegment", (420, 20), (460, 820), **parts, image=picture, sam_model=sam,
        expressions="the woman in the red coat", grow=16, feather=12,
    )  # fmt: skip
    yes, no = texts(draw, parts, "a woman in a green raincoat, photograph", 940)
    cut = draw.add(
        "RefDiffCutOut", (940, 380), (320, 280), image=picture, mask=(found, "mask"), margin=96
    )
    large = draw.add(
        "ImageScaleToTotalPixels", (940, 720), (320, 110), "To SDXL's size",
        image=(cut, "crop"), upscale_method="lanczos", megapixels=1.0,
    )  # fmt: skip
    latent = draw.add("VAEEncode", (1320, 20), (300, 60), pixels=(large, "IMAGE"), vae=parts["vae"])
    masked = draw.add(
        "SetLatentNoiseMask", (1320, 140), (300, 60), samples=(latent, "LATENT"),
        mask=(cut, "crop mask"),
    )  # fmt: skip
    soft = draw.add("DifferentialDiffusion", (1320, 260), (300, 60), model=parts["model"])
    sampled = draw.add(
        "KSampler", (1320, 380), (300, 270), model=(soft, "MODEL"), positive=(yes, "CONDITIONING"),
        negative=(no, "CONDITIONING"), latent_image=(masked, "LATENT"), seed=1, steps=28, cfg=6.0,
        sampler_name="dpmpp_2m", scheduler="karras", denoise=0.85,
    )  # fmt: skip
    decoded = draw.add(
        "VAEDecode", (1680, 20), (300, 60), samples=(sampled, "LATENT"), vae=parts["vae"]
    )
    back = draw.add(
        "ImageScale", (1680, 140), (300, 140), "Scale back", image=(decoded, "IMAGE"),
        upscale_method="lanczos", width=(cut, "width"), height=(cut, "height"), crop="disabled",
    )  # fmt: skip
    kept = draw.add(
        "ImageCompositeMasked", (1680, 340), (300, 160), "Stitch", destination=picture,
        source=(back, "IMAGE"), mask=(cut, "crop mask"), x=(cut, "x"), y=(cut, "y"),
        resize_source=False,
    )  # fmt: skip
    draw.add(
        "SaveImage", (2040, 20), (460, 480), images=(kept, "IMAGE"), filename_prefix="refdiff_sdxl"
    )


def sam3(draw: Drawn) -> None:
    draw.note(
        "## Which one of SAM 3's masks\n\nSAM 3 finds **all** cups. Ref-Diff knows **which** of "
        "them you mean: connect any batch of masks as *proposals*, and click where it was wrong."
        "\n\n*individual_masks* is on in SAM3 Detect, and its text is `cup:20` (up to 20 of them). "
        "SAM 3.1 needs ComfyUI 0.20 or newer.",
        (20, 20), (340, 300),
    )  # fmt: skip
    picture = (draw.add("LoadImage", (20, 380), (340, 330), image="example.png"), "IMAGE")
    load = draw.add(
        "CheckpointLoaderSimple", (20, 770), (340, 100), "Stable Diffusion, for Ref-Diff",
        ckpt_name=SD15, properties=model(SD15),
    )  # fmt: skip
    sam = draw.add(
        "CheckpointLoaderSimple", (20, 930), (340, 100), "SAM 3.1", ckpt_name=SAM3,
        properties=model(SAM3),
    )  # fmt: skip
    parts = {"model": (load, "MODEL"), "clip": (load, "CLIP"), "vae": (load, "VAE")}
    kind = draw.add(
        "CLIPTextEncode", (420, 20), (380, 100), "What kind of thing (SAM 3)",
        clip=(sam, "CLIP"), text="cup:20",
    )  # fmt: skip
    masks = draw.add(
        "SAM3_Detect", (420, 180), (380, 220), model=(sam, "MODEL"), image=picture,
        conditioning=(kind, "CONDITIONING"), threshold=0.5, refine_iterations=2,
        individual_masks=True,
    )  # fmt: skip
    seen = draw.add(
        "RefDiffAttention", (420, 460), (380, 220), **parts, image=picture,
        expressions="the second cup from the left",
    )  # fmt: skip
    fused = draw.add(
        "RefDiffFuseMasks", (860, 20), (460, 640), attention=(seen, "attention"),
        proposals=(masks, "masks"),
    )  # fmt: skip
    draw.add("PreviewImage", (1380, 20), (420, 400), "What was found",
             images=(fused, "overlay"))  # fmt: skip


def text_to_mask(draw: Drawn) -> Ends:
    """MODEL, CLIP, VAE, IMAGE, SAM_MODEL and words to a mask and what it cuts out."""
    found = draw.add("RefDiffSegment", (0, 0), (460, 700))
    cut = draw.add("RefDiffCutOut", (520, 0), (340, 280), mask=(found, "mask"))
    into = {
        "model": [(found, "model")], "clip": [(found, "clip")], "vae": [(found, "vae")],
        "image": [(found, "image"), (cut, "image")], "sam_model": [(found, "sam_model")],
        "expressions": [(found, "expressions")],
    }  # fmt: skip
    return Ends(into, {"mask": (found, "mask"), "cut-out": (cut, "cut-out")}, [(found, "refdiff")])


def text_to_inpaint(draw: Drawn) -> Ends:
    """Words for which one, and words for what to paint there."""
    found = draw.add("RefDiffSegment", (0, 0), (460, 700), grow=8, feather=4)
    yes = draw.add("CLIPTextEncode", (520, 0), (320, 120), "What to paint there")
    no = draw.add("CLIPTextEncode", (520, 180), (320, 120), "What not to paint",
                  text="blurry, text, watermark")  # fmt: skip
    ready = draw.add(
        "InpaintModelConditioning", (520, 360), (320, 140), positive=(yes, "CONDITIONING"),
        negative=(no, "CONDITIONING"), mask=(found, "mask"), noise_mask=True,
    )  # fmt: skip
    sampled = draw.add(
        "KSampler", (900, 0), (300, 270), positive=(ready, "positive"),
        negative=(ready, "negative"), latent_image=(ready, "latent"), seed=1, steps=24, cfg=7.0,
        sampler_name="dpmpp_2m", scheduler="karras", denoise=1.0,
    )  # fmt: skip
    decoded = draw.add("VAEDecode", (900, 330), (300, 60), samples=(sampled, "LATENT"))
    kept = draw.add(
        "ImageCompositeMasked", (900, 450), (300, 160), source=(decoded, "IMAGE"),
        mask=(found, "mask"), x=0, y=0, resize_source=True,
    )  # fmt: skip
    into = {
        "model": [(found, "model"), (sampled, "model")],
        "clip": [(found, "clip"), (yes, "clip"), (no, "clip")],
        "vae": [(found, "vae"), (ready, "vae"), (decoded, "vae")],
        "image": [(found, "image"), (ready, "pixels"), (kept, "destination")],
        "sam_model": [(found, "sam_model")], "expressions": [(found, "expressions")],
        "what to paint": [(yes, "text")], "seed": [(sampled, "seed")],
    }  # fmt: skip
    out = {"image": (kept, "IMAGE"), "mask": (found, "mask")}
    return Ends(into, out, [(found, "refdiff")])


def which_mask(draw: Drawn) -> Ends:
    """Any batch of masks, and words for which of them is meant."""
    seen = draw.add("RefDiffAttention", (0, 0), (380, 220))
    fused = draw.add("RefDiffFuseMasks", (440, 0), (460, 640), attention=(seen, "attention"))
    into = {
        "model": [(seen, "model")], "clip": [(seen, "clip")], "vae": [(seen, "vae")],
        "image": [(seen, "image")], "masks": [(fused, "proposals")],
        "expressions": [(seen, "expressions")],
    }  # fmt: skip
    out = {"mask": (fused, "mask"), "overlay": (fused, "overlay")}
    return Ends(into, out, [(fused, "refdiff")])


BLUEPRINTS = {
    "Text to Mask (Ref-Diff)": (text_to_mask, "Say which one, get its mask and its cut-out."),
    "Text to Inpaint (Ref-Diff)": (
        text_to_inpaint, "Say which one and what to paint there; all else stays as it is.",
    ),
    "Which Mask (Ref-Diff)": (
        which_mask, "Of any batch of masks, such as SAM 3's, the one that the words mean.",
    ),
}  # fmt: skip
TYPES = {"masks": "MASK"}  # of inputs that take several


@dataclass(frozen=True)
class Ends:
    """A blueprint's outside.

    into: by the input's name, the inner inputs that it feeds. out: by the output's name, an inner
    output. shown: inner widgets that are seen from outside.
    """

    into: Mapping[str, Sequence[tuple[int, str]]]
    out: Mapping[str, tuple[int, str]]
    shown: Sequence[tuple[int, str]]


def blueprint(draw: Drawn, name: str, ends: Ends, about: str) -> dict[str, Any]:
    """A graph of one node, whose inside is the drawing."""
    key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"refdiff/blueprint/{name}"))
    inside = _subgraph(draw, key, name, ends, about)
    inputs = [_outer(draw, end, ends.into[end["name"]]) for end in inside["inputs"]]
    node = {
        "id": 100, "type": key, "pos": [100, 100], "size": [420, 620], "flags": {}, "order": 0,
        "mode": 0, "title": name, "inputs": inputs, "widgets_values": [],
        "outputs": [{**each, "links": []} for each in _ends_of(inside["outputs"])],
        "properties": {"proxyWidgets": [[str(at), widget] for at, widget in ends.shown]},
    }  # fmt: skip
    return {
        "revision": 0, "last_node_id": 100, "last_link_id": 0, "nodes": [node], "links": [],
        "version": 0.4, "extra": {"BlueprintDescription": about},
        "definitions": {"subgraphs": [inside]},
    }  # fmt: skip


def _outer(
    draw: Drawn, end: Mapping[str, Any], targets: Sequence[tuple[int, str]]
) -> dict[str, Any]:
    """An input from outside; a widget where the inner one is."""
    found = {"name": end["name"], "type": end["type"], "link": None}
    inner = next(each for each in draw.nodes if each["id"] == targets[0][0])
    slot = next(each for each in inner["inputs"] if each["name"] == targets[0][1])
    return {**found, "widget": {"name": end["name"]}} if "widget" in slot else found


def _ends_of(ends: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"name": each["name"], "type": each["type"]} for each in ends]


def _subgraph(draw: Drawn, key: str, name: str, ends: Ends, about: str) -> dict[str, Any]:
    nodes = {each["id"]: each for each in draw.nodes}
    links, inputs, outputs = [_link(each) for each in draw.links], [], []
    for at, (label, targets) in enumerate(ends.into.items()):
        ids, kind = [], ""
        for target, slot_name in targets:
            slot, place, kind = _slot(draw, nodes[target], slot_name)
            slot["link"] = len(links) + 1
            ids.append(slot["link"])
            links.append(_link([slot["link"], -10, at, target, place, kind]))
        kind = TYPES.get(label, kind)
        inputs.append(_end(f"{key}/in/{label}", label, kind, ids, (-120, 20 + 20 * at)))
    for at, (label, (source, output)) in enumerate(ends.out.items()):
        place = [each["name"] for each in nodes[source]["outputs"]].index(output)
        kind, number = nodes[source]["outputs"][place]["type"], len(links) + 1
        nodes[source]["outputs"][place]["links"].append(number)
        links.append(_link([number, source, place, -20, at, kind]))
        outputs.append(_end(f"{key}/out/{label}", label, kind, [number], (1300, 20 + 20 * at)))
    return {
        "id": key, "version": 1, "revision": 0, "config": {}, "name": name, "category": "Ref-Diff",
        "description": about, "inputs": inputs, "outputs": outputs, "widgets": [],
        "state": {"lastGroupId": 0, "lastNodeId": len(nodes), "lastLinkId": len(links),
                  "lastRerouteId": 0},
        "inputNode": {"id": -10, "bounding": [-220, 0, 120, 40 + 20 * len(inputs)]},
        "outputNode": {"id": -20, "bounding": [1280, 0, 120, 40 + 20 * len(outputs)]},
        "nodes": draw.nodes, "groups": [], "links": links, "extra": {},
    }  # fmt: skip


def _slot(draw: Drawn, node: dict[str, Any], name: str) -> tuple[dict[str, Any], int, str]:
    """An input of a node, also one that has a widget: slot, place, type."""
    names = [each["name"] for each in node["inputs"]]
    if name not in names:
        spec = draw.info[node["type"]]["input"]
        kind = {**spec.get("required", {}), **spec.get("optional", {})}[name][0]
        node["inputs"].append({"name": name, "type": kind, "link": None, "widget": {"name": name}})
        names.append(name)
    place = names.index(name)
    return node["inputs"][place], place, str(node["inputs"][place]["type"])


def _link(link: Sequence[Any]) -> dict[str, Any]:
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    return dict(zip(keys, link, strict=True))


def _end(key: str, name: str, kind: str, links: list[int], at: tuple[int, int]) -> dict[str, Any]:
    number = str(uuid.uuid5(uuid.NAMESPACE_URL, f"refdiff/{key}"))
    return {"id": number, "name": name, "type": kind, "linkIds": links, "pos": list(at)}


EXAMPLES = {
    "Demo - say which one": demo,
    "Demo - several expressions": several,
    "Inpaint by words - SD 1.5": sd15,
    "Inpaint by words - Flux.1 Fill": flux,
    "Inpaint by words - Z-Image": z_image,
    "Edit by words - Qwen-Image-Edit": qwen_image_edit,
    "Crop, inpaint, stitch - SDXL": sdxl,
    "Which of the masks - SAM 3": sam3,
}


def write(path: Path, graph: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(graph, indent=1, ensure_ascii=False) + "\n")
    sys.stdout.write(f"{path.relative_to(ROOT)}\n")


def main() -> None:
    roots = comfy_roots()
    if not roots:
        raise SystemExit("COMFYUI_PATH names no ComfyUI. Name a recent one.")
    with tempfile.TemporaryDirectory() as base, running(roots[0], Path(base)) as server:
        info = server.get("/object_info")
    for name, draw in EXAMPLES.items():
        graph = Drawn(info, name)
        draw(graph)
        write(ROOT / "example_workflows" / f"{name}.json", graph.graph())
    for name, (build, about) in BLUEPRINTS.items():
        graph = Drawn(info, name)
        write(ROOT / "subgraphs" / f"{name}.json", blueprint(graph, name, build(graph), about))


if __name__ == "__main__":
    main()
