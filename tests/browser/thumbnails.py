"""The example graphs' pictures: before and after, made by the demo models or drawn from a scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from graphs import DEMO, EXAMPLES, SAM3, SEVERAL, node, to_prompt
from PIL import Image, ImageDraw
from server import Server

from refdiff_core.demo.scenes import HELD_OUT_SEED, Scene, sample_scene
from refdiff_core.pictures.previews import overlay

SIZE, GAP, PAPER = (800, 420), 16, (32, 32, 36)
Pair = tuple[np.ndarray, np.ndarray]


def demo(server: Server) -> Pair:
    """As the graph itself does it."""
    prompt = to_prompt(server, DEMO)
    found = node(prompt, "RefDiffSegment")
    prompt["shown"] = {"class_type": "PreviewImage", "inputs": {"images": [found, 5]}}
    run = server.run(prompt)
    return server.picture(run, "shown"), server.picture(run, node(prompt, "SaveImage"))


def several(server: Server) -> Pair:
    prompt = to_prompt(server, SEVERAL)
    scene = sample_scene(HELD_OUT_SEED + prompt[node(prompt, "RefDiffLoadDemo")]["inputs"]["scene"])
    run = server.run(prompt)
    shown = node(prompt, "PreviewImage", 1)
    strips = [server.picture(run, shown, index) for index in range(3)]
    return scene.image, np.concatenate(strips)


def inpaint(server: Server) -> Pair:
    """Another colour in the place of one of two."""
    scene, at = drawn(24), 0
    return outlined(scene, at), recoloured(scene, at)


def by_the_transformer(number: int) -> Callable[[Server], Pair]:
    """What the demo transformer finds by words, and another colour in its place."""

    def make(server: Server) -> Pair:
        scene, prompt = drawn(number), to_prompt(server, DEMO)
        found = node(prompt, "RefDiffSegment")
        prompt[node(prompt, "RefDiffLoadDemo")]["inputs"] |= {
            "scene": number, "denoiser": "transformer",
        }  # fmt: skip
        prompt[found]["inputs"] |= {"expressions": f"the {scene.objects[0].name}"}
        shown = {"class_type": "PreviewImage", "inputs": {"images": [found, 5]}}
        return server.picture(server.run({**prompt, "shown": shown}), "shown"), recoloured(scene, 0)

    return make


def stitch(server: Server) -> Pair:
    """The same with the crop around it."""
    scene, at = drawn(8), 0
    ys, xs = np.nonzero(scene.masks[at])
    shown = []
    for picture in (outlined(scene, at), recoloured(scene, at)):
        framed = Image.fromarray(picture)
        box = (xs.min() - 9, ys.min() - 9, xs.max() + 9, ys.max() + 9)
        ImageDraw.Draw(framed).rectangle([int(each) for each in box], outline=(255, 255, 255))
        shown.append(np.array(framed))
    return shown[0], shown[1]


def which(server: Server) -> Pair:
    """All candidates, and the one that is meant."""
    scene = drawn(137)
    everything = torch.from_numpy(scene.masks.any(0))
    picture = torch.from_numpy(scene.image) / 255
    return bytes_of(overlay(picture, everything)), outlined(scene, 1)


def drawn(number: int) -> Scene:
    return sample_scene(HELD_OUT_SEED + number)


def outlined(scene: Scene, at: int) -> np.ndarray:
    picture = torch.from_numpy(scene.image) / 255
    return bytes_of(overlay(picture, torch.from_numpy(scene.masks[at])))


def recoloured(scene: Scene, at: int) -> np.ndarray:
    changed = scene.image.copy()
    changed[scene.masks[at]] = changed[scene.masks[at]][:, [2, 0, 1]]
    return changed


def bytes_of(picture: torch.Tensor) -> np.ndarray:
    return np.asarray((picture * 255).round().byte())


PAIRS: dict[str, Callable[[Server], Pair]] = {
    DEMO: demo,
    SEVERAL: several,
    "Inpaint by words - SD 1.5": inpaint,
    "Inpaint by words - Flux.1 Fill": by_the_transformer(329),
    "Inpaint by words - Z-Image": by_the_transformer(352),
    "Edit by words - Qwen-Image-Edit": by_the_transformer(339),
    "Crop, inpaint, stitch - SDXL": stitch,
    SAM3: which,
}


def side_by_side(before: np.ndarray, after: np.ndarray) -> Image.Image:
    """Both at one height, with an arrow between them."""
    canvas = Image.new("RGB", SIZE, PAPER)
    widths = [each.shape[1] / each.shape[0] for each in (before, after)]
    height = min(SIZE[1] - 2 * GAP, int((SIZE[0] - 6 * GAP) / sum(widths)))
    x = (SIZE[0] - int(height * sum(widths)) - 3 * GAP) // 2
    y = (SIZE[1] - height) // 2
    for picture, ratio in zip((before, after), widths, strict=True):
        size = (int(height * ratio), height)
        canvas.paste(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC), (x, y))
        x += size[0] + 3 * GAP
    middle = SIZE[1] // 2
    left = x - size[0] - 6 * GAP + GAP // 2
    points = [(left, middle - 12), (left + 2 * GAP, middle), (left, middle + 12)]
    ImageDraw.Draw(canvas).polygon(points, fill=(255, 217, 26))
    return canvas


def thumbnails(server: Server) -> Any:
    """Make them all; gives their paths."""
    for name, make in PAIRS.items():
        path: Path = EXAMPLES / f"{name}.jpg"
        side_by_side(*make(server)).save(path, quality=88, optimize=True)
        yield path
