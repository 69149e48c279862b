"""One ComfyUI per version for the whole session; see `hosts.py`."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "core")]

from hosts import comfy_root, pytest_generate_tests, server  # noqa: F401


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
