"""ComfyUI without its server, and the pack as ComfyUI loads it; for `inside.py`.

Imported by a process whose first argument is ComfyUI's folder.
"""

import importlib.util
import os
import sys
from importlib import import_module
from pathlib import Path

ROOT, CHECK, *REST = sys.argv[1:]
PACK = Path(os.environ.get("REFDIFF_PACK", Path(__file__).parents[2]))
sys.argv = [sys.argv[0], "--cpu", *os.environ.get("COMFYUI_FLAGS", "").split()]
sys.path.insert(0, ROOT)
sys.path.append(str(Path(__file__).parents[1] / "core"))  # checkpoints.py
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import torch  # noqa: E402
import utils.extra_config  # noqa: E402, F401 - as main.py does, before nodes.py hides "utils"

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))

spec = importlib.util.spec_from_file_location(
    "pack_x_refdiff", PACK / "__init__.py", submodule_search_locations=[str(PACK)]
)
pack = importlib.util.module_from_spec(spec)
sys.modules["pack_x_refdiff"] = pack
spec.loader.exec_module(pack)


def ours(name):
    return import_module(f"pack_x_refdiff.{name}")


EXPRESSIONS = "the red circle\nblue star left of the square\n[thing] in the corner"


def picture(size_hw=(96, 160)):
    scenes = ours("refdiff_core.demo.scenes")
    scene = scenes.sample_scene(scenes.HELD_OUT_SEED + 3, size_hw=size_hw)
    return torch.from_numpy(scene.image)[None].float() / 255


def load(path):
    """MODEL, CLIP and VAE; "demo" is the bundled U-Net, "demo transformer" the other."""
    if path.startswith("demo"):
        return ours("nodes._demo").load_demo(path.removeprefix("demo ").replace("demo", "U-Net"))
    import comfy.sd

    return comfy.sd.load_checkpoint_guess_config(path)[:3]


def read(checkpoint, text=EXPRESSIONS, image=None, **settings):
    lines = ours("nodes._prompt").read_lines(text)
    asked = ours("refdiff_core.settings").AttentionSettings(**settings)
    image = picture() if image is None else image
    found = ours("nodes._run").read_attention(checkpoint, image, lines, asked, 0)
    return lines, found.maps[0]


def sample(checkpoint, steps=4):
    """A KSampler run, as its node makes it."""
    import nodes

    model, clip, vae = checkpoint
    encode = nodes.CLIPTextEncode().encode
    latent = {"samples": vae.encode(picture())}
    positive, negative = encode(clip, "a red circle")[0], encode(clip, "")[0]
    args = (model, 7, steps, 4.0, "euler", "normal", positive, negative, latent, 0.8)
    return nodes.KSampler().sample(*args)[0]["samples"]
