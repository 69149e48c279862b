"""One ComfyUI per version for the whole session.

COMFYUI_PATH names a checkout, or several separated as in PATH; without it, ~/ComfyUI.
"""

import os
from pathlib import Path

import pytest
from server import running

REASON = (
    "no ComfyUI: COMFYUI_PATH names none, and there is none at ~/ComfyUI; "
    "nothing in tests/host was tested"
)


def comfy_roots():
    named = os.environ.get("COMFYUI_PATH", "~/ComfyUI")
    roots = [Path(part).expanduser() for part in named.split(os.pathsep) if part]
    return [root for root in roots if (root / "main.py").is_file()]


def pytest_generate_tests(metafunc):
    if "comfy_root" in metafunc.fixturenames:
        roots = comfy_roots() or [pytest.param(None, marks=pytest.mark.skip(reason=REASON))]
        names = [getattr(root, "name", "none") or "none" for root in roots]
        metafunc.parametrize("comfy_root", roots, ids=names, scope="session", indirect=True)


@pytest.fixture(scope="session")
def comfy_root(request):
    return request.param


@pytest.fixture(scope="session")
def server(comfy_root, tmp_path_factory):
    """The real server; ends with a look at its log."""
    with running(comfy_root, tmp_path_factory.mktemp("comfyui")) as host:
        yield host
    assert not host.tracebacks(), "\n".join(host.tracebacks())
