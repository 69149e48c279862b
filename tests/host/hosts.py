"""One ComfyUI per version for the whole session.

COMFYUI_PATH names a checkout, or several separated as in PATH. No other place is looked at: a
ComfyUI that is merely there need not have its requirements in the Python that runs these tests.
"""

import importlib.util
import os
import subprocess
from functools import cache
from pathlib import Path

import pytest
from process import python_of
from server import running

STARTS = """
import sys
sys.path.insert(0, sys.argv.pop())
sys.argv.append("--cpu")
import comfy.options
comfy.options.enable_args_parsing()
import utils.extra_config, server, nodes, segment_anything, open_clip, diffusers
"""
"""What the host's Python must be able to do; `utils` first, as main.py does."""


def comfy_roots():
    named = os.environ.get("COMFYUI_PATH", "")
    return [Path(part).expanduser() for part in named.split(os.pathsep) if part]


@cache
def reason_against(root):
    """Why nothing can be tested in a ComfyUI, or an empty text."""
    if not (root / "main.py").is_file():
        return f"COMFYUI_PATH names {root}, which holds no ComfyUI"
    missing = [each for each in ("websocket", "psutil") if not importlib.util.find_spec(each)]
    if missing:
        return f"no {', '.join(missing)} here: install the extra 'host'"
    python = python_of(root)
    command = [python, "-c", STARTS, str(root)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=600)
    last = (done.stderr.strip().splitlines() or ["no word why"])[-1]
    return f"{python} cannot start {root}: {last}" if done.returncode else ""


def pytest_generate_tests(metafunc):
    if "comfy_root" not in metafunc.fixturenames:
        return
    found = [_choice(root) for root in comfy_roots()]
    if not found:
        found = [_skipped("none", "COMFYUI_PATH names no ComfyUI")]
    metafunc.parametrize("comfy_root", found, scope="session", indirect=True)


def _choice(root):
    against = reason_against(root)
    return _skipped(root.name, against) if against else pytest.param(root, id=root.name)


def _skipped(name, reason):
    mark = pytest.mark.skip(reason=f"{reason}; nothing was tested there")
    return pytest.param(None, id=name, marks=mark)


@pytest.fixture(scope="session")
def comfy_root(request):
    return request.param


@pytest.fixture(scope="session")
def server(comfy_root, tmp_path_factory):
    """The real server; ends with a look at its log."""
    with running(comfy_root, tmp_path_factory.mktemp("comfyui")) as host:
        yield host
    assert not host.tracebacks(), "\n".join(host.tracebacks())
