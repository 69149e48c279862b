"""Takes the picture of the accordion, from the page of a real WebUI with the demo checkpoint.

WEBUI_PATH=~/stable-diffusion-webui python tests/webui/pictures.py
"""

import sys
import tempfile
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / each) for each in ("webui", "host", "core")]

from browser import opened
from conftest import webui_roots
from scene import RED_CIRCLE_LEFT, picture
from webuis import running

TARGET = Path(__file__).parents[2] / "docs" / "images" / "webui.png"


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as base,
        running(webui_roots()[0], Path(base)) as webui,
        opened(webui) as page,
    ):
        page.put(picture())
        page.find(RED_CIRCLE_LEFT, sam="Ref-Diff demo")
        page.picture(TARGET)


if __name__ == "__main__":
    main()
