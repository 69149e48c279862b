"""A WebUI's page in a real browser: the img2img tab and our accordion."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from webuis import Webui, decoded

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 240_000  # milliseconds
PICKS = "#refdiff_picks textarea, #refdiff_picks input"
MESSAGE = "#refdiff_message .prose, #refdiff_message.prose"
"""Beside the host's own progress, which lies over it."""
TILES = "#refdiff_gallery .thumbnail-item"


def find_browser() -> str | None:
    """CHROMIUM, or what is installed."""
    found = (shutil.which(name) for name in BROWSERS)
    return os.environ.get("CHROMIUM") or next((path for path in found if path), None)


class Page:
    """The page of one host."""

    def __init__(self, page: Any, webui: Webui) -> None:
        self.page, self.webui = page, webui
        self.errors: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self) -> None:
        self.page.goto(self.webui.url, wait_until="domcontentloaded")
        self.page.wait_for_function(
            "() => window.get_tab_index && gradioApp().querySelector('#refdiff')"
        )
        self.page.wait_for_timeout(5000)  # the page settles after that
        self.page.evaluate("switch_to_inpaint()")
        self.page.locator("#refdiff >> text=Ref-Diff: mask by words").first.click()

    def put(self, picture: Image.Image) -> None:
        """A picture into the tab Inpaint."""
        buffer = BytesIO()
        picture.save(buffer, "PNG")
        file = {"name": "scene.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
        self.page.set_input_files("#img2maskimg input[type=file]", file)
        self.page.wait_for_timeout(4000)

    def find(self, words: str, sam: str | None = None) -> str:
        """Ask for candidates; gives the message, and waits for the gallery where there is none."""
        self.page.evaluate(
            "document.querySelectorAll('#refdiff_gallery img').forEach(e => e.src = '')"
        )
        if sam is not None:
            self.page.click("#refdiff_sam input")
            self.page.locator(
                f"#refdiff_sam li:has-text('{sam}'), ul.options li:has-text('{sam}')"
            ).first.click()
        self.page.fill("#refdiff_words textarea", words)
        self.page.click("#refdiff_find")
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('#refdiff_gallery img')]"
            ".some(each => each.src.length > 40)"
            f" || document.querySelector('{MESSAGE}')?.innerText.trim()"
        )
        self.page.wait_for_timeout(3000)
        message = self.page.locator(MESSAGE).first
        return message.inner_text().strip() if message.count() else ""

    def click(self, number: int, shift: bool = False) -> str:
        """Click a candidate; gives the numbers that are chosen then."""
        tile = self.page.locator(TILES).nth(number - 1)
        tile.click(modifiers=["Shift"] if shift else [])
        self.page.wait_for_timeout(1500)
        return self.page.input_value(PICKS)

    def uploaded(self, name: str) -> Image.Image:
        """The picture that a component of the host holds."""
        source = self.page.locator(f"#{name} img").first.evaluate(
            "async e => { const b = await (await fetch(e.src)).blob();"
            " return await new Promise(r => { const f = new FileReader();"
            " f.onload = () => r(f.result); f.readAsDataURL(b); }); }"
        )
        return decoded(source)

    def picture(self, path: Path, selector: str = "#refdiff") -> None:
        self.page.locator(selector).screenshot(path=str(path))


@contextmanager
def opened(webui: Webui) -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=["--no-sandbox", "--disable-gpu"]
        )
        page = Page(browser.new_page(viewport={"width": 1400, "height": 1700}), webui)
        page.open()
        yield page
        browser.close()
