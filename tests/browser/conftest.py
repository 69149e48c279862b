"""A real browser at the page of a real ComfyUI; skipped, and loudly, where either is missing."""

import importlib.util
import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parents[1] / "host"), str(Path(__file__).parent)]

from hosts import comfy_root, pytest_generate_tests, server  # noqa: F401
from page import Page, find_browser, put_stand_ins
from page import opened as browsing
from panels import ours

REASON = "no {}: install the extra 'host' and Chromium; nothing in tests/browser was tested"


@pytest.fixture(scope="session")
def page(server):  # noqa: F811
    """The server's page, with the models that the example graphs name standing by."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip(REASON.format("Playwright"))
    if find_browser() is None:
        pytest.skip(REASON.format("Chromium (on the PATH, or named by CHROMIUM)"))
    put_stand_ins(server)
    with browsing(server) as found:
        yield found


@pytest.fixture(params=[False, True], ids=["canvas", "nodes-2.0"], scope="module")
def opened(page: Page, request):
    """The page in one of its renderers; ends with a look at its console."""
    if request.param and tuple(map(int, page.server.version.split(".")[:2])) < (0, 20):
        pytest.skip("this page has one renderer")
    page.open(**{"Comfy.VueNodes.Enabled": request.param})
    page.console.clear()
    yield page
    assert [each for each in page.console if ours(each)] == []
