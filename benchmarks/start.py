"""From nothing to a mask: what starting costs, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import time

STARTS = {
    "`refdiff --help`": ("-m", "refdiff_core", "--help"),
    '`refdiff parse "the red cup"`': ("-m", "refdiff_core", "parse", "the red cup"),
    "`import refdiff_core`": ("-c", "import refdiff_core"),
    "`from refdiff_core import segment`": ("-c", "from refdiff_core import segment"),
    "`import torch`": ("-c", "import torch"),
}

WHOLE_PATH = """
import json, sys, time
rows, last = {}, time.perf_counter()
def step(name):
    global last
    now = time.perf_counter()
    rows[name], last = now - last, now
import torch
step("importing torch")
import diffusers, transformers, open_clip, segment_anything
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel
step("importing the model libraries")
from refdiff_core import load_demo, segment
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene
device = sys.argv[1]
if device != "cpu":
    torch.zeros(1, device=device)
    step("waking the device")
models = load_demo(device=device)
step("loading the demo models")
picture = torch.from_numpy(sample_scene(HELD_OUT_SEED, size_hw=(96, 160)).image).float() / 255
step("drawing a scene")
segment(picture, "the red circle", models)
step("first call")
segment(picture, "the blue square", models)
step("second call, another expression")
segment(picture.flip(1), "the blue square", models)
step("third call, another picture")
del rows["drawing a scene"]
print(json.dumps(rows))
"""


def starts(rounds: int = 3) -> dict[str, float]:
    """Seconds of each start, interpreter and exit included; the shortest of some, in turn."""
    shortest = dict.fromkeys(STARTS, float("inf"))
    for _ in range(rounds):
        for name, arguments in STARTS.items():
            begun = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            shortest[name] = min(shortest[name], time.perf_counter() - begun)
    return shortest


def whole_path(device: str = "cpu") -> dict[str, float]:
    """Seconds of every step from a fresh interpreter to the third mask."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WHOLE_PATH, device],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])
