"""One ComfyUI per version for the whole session; see `hosts.py`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "core")]

from hosts import comfy_root, pytest_generate_tests, server  # noqa: F401
from process import python_of


@pytest.fixture(scope="session")
def full_size(tmp_path_factory):
    """Writes full-size checkpoints with random weights, each once; they go at the end."""
    import torch
    from checkpoints import write_single_file

    folder = tmp_path_factory.mktemp("full-size")

    def write(family, channels=4, v_prediction=False):
        name = f"{family.name}-{channels}{'-v' * v_prediction}.safetensors".replace(" ", "-")
        path = folder / name
        if not path.exists():
            write_single_file(family, path, torch.float16, channels, v_prediction)
        return path

    yield write
    shutil.rmtree(folder)


@pytest.fixture
def ask(comfy_root):  # noqa: F811
    """Runs a check of `inside.py` in ComfyUI's own process; gives what it found."""

    def run(check, *arguments, flags="", script="inside.py"):
        inside = Path(__file__).with_name(script)
        command = [python_of(comfy_root), str(inside), str(comfy_root), check, *arguments]
        environment = {"OMP_NUM_THREADS": "1", **os.environ}
        if flags:
            environment["COMFYUI_FLAGS"] = flags
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=2400
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run
