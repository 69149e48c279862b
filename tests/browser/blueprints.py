"""Blueprints: graphs of one node, whose inside is a drawing."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drawn import Drawn


@dataclass(frozen=True)
class Ends:
    """A blueprint's outside.

    into: by the input's name, the inner inputs that it feeds. out: by the output's name, an inner
    output. shown: inner widgets that are seen from outside.
    """

    into: Mapping[str, Sequence[tuple[int, str]]]
    out: Mapping[str, tuple[int, str]]
    shown: Sequence[tuple[int, str]]


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
