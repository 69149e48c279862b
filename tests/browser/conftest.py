"""A real browser at the page of a real ComfyUI; skipped, and loudly, where either is missing."""

import importlib.util
import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parents[1] / "host"), str(Path(__file__).parent)]

from hosts import comfy_root, pytest_generate_tests, server  # noqa: F401
from page import find_browser, opened, put_stand_ins

REASON = "no {}: install the extra 'host' and Chromium; nothing in tests/browser was tested"


@pytest.fixture(scope="session")
def page(server):  # noqa: F811
    """The server's page, with the models that the example graphs name standing by."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip(REASON.format("Playwright"))
    if find_browser() is None:
        pytest.skip(REASON.format("Chromium (on the PATH, or named by CHROMIUM)"))
    put_stand_ins(server)
    with opened(server) as found:
        yield found
