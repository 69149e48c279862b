"""One WebUI per host for the whole session; `test_adapter.py` needs none.

WEBUI_PATH names a checkout with its repositories/ and, as .venv, its environment, or several
separated as in PATH.
"""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "host")]

REASON = "no WebUI: WEBUI_PATH names none; of tests/webui only the adapter was tested"
NO_BROWSER = "no {}: install the extra 'host' and Chromium; the WebUI's page was not tested"


def webui_roots():
    named = os.environ.get("WEBUI_PATH", "")
    return [Path(part).expanduser() for part in named.split(os.pathsep) if part]


def pytest_generate_tests(metafunc):
    if "webui" in metafunc.fixturenames:
        roots = webui_roots() or [pytest.param(None, marks=pytest.mark.skip(reason=REASON))]
        names = [getattr(root, "name", "none") or "none" for root in roots]
        metafunc.parametrize("webui", roots, ids=names, scope="session", indirect=True)


@pytest.fixture(scope="session")
def webui(request, tmp_path_factory):
    """The real host; ends with a look at its log."""
    from webuis import running

    with running(request.param, tmp_path_factory.mktemp("webui")) as host:
        yield host
    assert not host.tracebacks(), "\n".join(host.tracebacks())


@pytest.fixture(scope="session")
def page(webui):
    """The host's page in a real browser, the scene in a tab of it."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip(NO_BROWSER.format("Playwright"))
    from browser import find_browser, opened

    if find_browser() is None:
        pytest.skip(NO_BROWSER.format("Chromium (on the PATH, or named by CHROMIUM)"))
    from scene import picture

    with opened(webui) as found:
        found.put(picture())
        yield found
