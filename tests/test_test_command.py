"""The README's test command on an artist's machine, where a ComfyUI may lie about."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ((), ["COMFYUI_PATH names no ComfyUI"]),
        (("ComfyUI", "elsewhere"), ["cannot start", "holds no ComfyUI"]),
    ],
)
def test_a_comfyui_that_cannot_be_started_is_skipped_and_said_so(tmp_path, named, said):
    """As where it lies at its usual place but its requirements are in another Python."""
    (tmp_path / "ComfyUI").mkdir()
    (tmp_path / "ComfyUI/main.py").write_text("import torchsde_that_is_not_here\n")
    environment = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    environment.pop("COMFYUI_PATH", None)
    if named:
        pytest.importorskip("websocket", reason="the extra 'host' is not installed")
        environment["COMFYUI_PATH"] = os.pathsep.join(str(tmp_path / each) for each in named)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--no-header"]
    done = subprocess.run(
        [*command, "tests/host/test_workflows.py", "tests/browser"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert re.search(r"^\d+ skipped", done.stdout, re.MULTILINE), done.stdout[-2000:]
    assert all(each in done.stdout for each in said), done.stdout[-2000:]
