"""Transformers in ComfyUI's own process: the demo's, and tiny random ones of the real classes.

    python inside_transformers.py COMFYUI CHECK [ARGUMENT]

Prints one line of JSON.
"""

from hosted import CHECK, REST, load, ours, read  # isort: skip - finds ComfyUI

import json
import sys

import torch


def chooses(count="60"):
    """How often the demo transformer's map chooses the right one of the true masks."""
    scenes = ours("refdiff_core.demo.scenes")
    score = ours("refdiff_core.choosing.scoring").generative_score
    checkpoint, right = load("demo transformer"), []
    for number in range(int(count)):
        scene = scenes.sample_scene(scenes.HELD_OUT_SEED + number)
        colors = [item.color for item in scene.objects]
        asked = [
            each
            for each in scenes.expressions(scene)
            if each.kind == "attribute" and colors.count(colors[each.target]) == 1
        ]
        if not asked:
            continue
        image = torch.from_numpy(scene.image)[None].float() / 255
        _, maps = read(checkpoint, "\n".join(each.text for each in asked), image)
        masks = torch.from_numpy(scene.masks)
        for each, found in zip(asked, maps, strict=True):
            right.append(int(score(found.heat, masks).argmax()) == each.target)
    return {"share": sum(right) / len(right), "count": len(right)}


if __name__ == "__main__":
    with torch.inference_mode():
        sys.stdout.write(json.dumps(globals()[CHECK](*REST)) + "\n")
