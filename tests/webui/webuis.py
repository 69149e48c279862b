"""A real WebUI in a folder of its own, with this extension and the demo checkpoint.

WEBUI_PATH=~/stable-diffusion-webui pytest tests/webui
WEBUI_PATH=~/stable-diffusion-webui:~/stable-diffusion-webui-forge pytest tests/webui
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from demo_files import NAME, write_checkpoint, write_json, write_lora
from PIL import Image
from process import HostProcess, python_of
from small_files import open_clip_configs, write_inpainting

PACK = Path(__file__).parents[2]
RUN_SECONDS = 600
FLAGS = (
    "--skip-prepare-environment --skip-torch-cuda-test --skip-install --api --no-download-sd-model"
)
FORGE, WEBUI = "--always-cpu --all-in-fp32", "--use-cpu all --no-half"
SETTINGS = {
    "sd_model_checkpoint": NAME, "live_previews_enable": False, "samples_save": False,
    "grid_save": False, "save_to_dirs": False, "show_progress_in_title": False,
    "img2img_extra_noise": 0, "hide_ldm_prints": True,
    "return_mask": False,  # what is not said here, hosts do not put back after a call
}  # fmt: skip


class Webui(HostProcess):
    """A running WebUI."""

    says = "Startup time"

    def __init__(self, root: Path, base: Path) -> None:
        super().__init__(root, base, "/sdapi/v1/options", RUN_SECONDS)
        self.forge = (root / "modules_forge").is_dir()
        self.canvas = (root / "modules_forge" / "forge_canvas").is_dir()
        self.reforge = (root / "ldm_patched").is_dir()

    def prepare(self) -> None:
        """Our extension, the one that admits the demo checkpoint, and the checkpoint itself."""
        extensions = self.base / "extensions"
        extensions.mkdir(parents=True, exist_ok=True)
        if not (extensions / "refdiff").exists():
            (extensions / "refdiff").symlink_to(PACK)
        (extensions / "demo-host" / "scripts").mkdir(parents=True, exist_ok=True)
        source = Path(__file__).with_name("demo_host.py")
        shutil.copy(source, extensions / "demo-host" / "scripts" / "demo_host.py")
        checkpoints, configs = self.base / "models" / "Stable-diffusion", self.base / "configs"
        write_checkpoint(checkpoints, configs)
        write_inpainting(checkpoints, configs)
        for name, config in open_clip_configs().items():
            write_json(configs / "open_clip" / f"{name}.json", config)
        write_lora(self.base / "models" / "Lora")
        (self.base / "config.json").write_text(json.dumps(SETTINGS))

    def start(self) -> None:
        flags = [*FLAGS.split(), *(FORGE if self.forge else WEBUI).split()]
        flags += os.environ.get("WEBUI_FLAGS", "").split()
        command = [
            python_of(self.root), "launch.py", *flags,
            "--data-dir", str(self.base), "--port", str(self.port),
            "--ckpt-dir", str(self.base / "models" / "Stable-diffusion"),
            "--ui-settings-file", str(self.base / "config.json"),
            # with a data folder of its own, Forge serves neither its page's files nor a link's
            "--gradio-allowed-path", str(self.root), "--gradio-allowed-path", str(PACK),
        ]  # fmt: skip
        environment = {
            "OMP_NUM_THREADS": "2", **os.environ, "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False",
            "REFDIFF_DEMO_CONFIGS": str(self.base / "configs"), "COMMANDLINE_ARGS": "",
        }  # fmt: skip
        environment.pop("PYTHONPATH", None)
        self.launch(command, environment)

    def tracebacks(self) -> list[str]:
        """What the log holds of ours that should not be there."""
        return [each for each in super().tracebacks() if "refdiff" in each]

    def paint(
        self, picture: Image.Image, *args: Any, heat: str = "", **changes: Any
    ) -> list[Image.Image]:
        """img2img by the API; with ``args`` our script is called, and the mask comes last.

        heat: words whose map comes last.
        """
        body = {
            "prompt": "a green square", "steps": 4, "cfg_scale": 1, "sampler_name": "Euler",
            "width": picture.width, "height": picture.height, "seed": 1, "mask_blur": 0,
            "denoising_strength": 0.9, "inpainting_fill": 1, "init_images": [encoded(picture)],
            "inpaint_full_res": False,
            "override_settings": {"return_mask": True}, **changes,
        }  # fmt: skip
        asked = {"Ref-Diff": list(args), "Ref-Diff map": [heat] if heat else []}
        body["alwayson_scripts"] = {name: {"args": each} for name, each in asked.items() if each}
        answer = self.post("/sdapi/v1/img2img", body)
        self.info = json.loads(answer["info"])
        return [decoded(each) for each in answer["images"]]


def encoded(picture: Image.Image) -> str:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def decoded(text: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(text.rpartition(",")[2])))


@contextmanager
def running(root: Path, base: Path) -> Iterator[Webui]:
    webui = Webui(root, base)
    webui.prepare()
    try:
        webui.start()
        yield webui
    finally:
        webui.stop()
