"""A WebUI's page in a real browser: the img2img tab and our accordion."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from PIL import Image
from webuis import Webui, decoded

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 240_000  # milliseconds
PICKS = "#refdiff_picks textarea, #refdiff_picks input"
MESSAGE = "#refdiff_message .prose, #refdiff_message.prose"
"""Beside the host's own progress, which lies over it."""
TILES = "#refdiff_gallery .thumbnail-item"
RESULTS = "#img2img_gallery img"


def find_browser() -> str | None:
    """CHROMIUM, or what is installed."""
    found = (shutil.which(name) for name in BROWSERS)
    return os.environ.get("CHROMIUM") or next((path for path in found if path), None)


class Page:
    """The page of one host."""

    def __init__(self, page: Any, webui: Webui) -> None:
        self.page, self.webui = page, webui
        # reForge's Generate fails while Inpaint holds a picture without paint, with us or without
        self.tab, self.source = (0, "img2img_image") if webui.reforge else (2, "img2maskimg")
        self.errors: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self) -> None:
        self.page.goto(self.webui.url, wait_until="domcontentloaded")
        self.page.wait_for_function(
            "() => window.get_tab_index && gradioApp().querySelector('#refdiff')"
        )
        self.page.wait_for_timeout(5000)  # the page settles after that
        self.show()
        self.page.locator("#refdiff >> text=Ref-Diff: mask by words").first.click()

    def show(self) -> None:
        """The tab that has the picture."""
        self.page.evaluate(f"switch_to_img2img_tab({self.tab})")

    def put(self, *pictures: Image.Image, into: str | None = None) -> None:
        """Pictures into a component that takes files, or that of the tab shown."""
        # from the disk: of several handed over by value, Gradio 3 at times got no byte
        folder = Path(mkdtemp(dir=self.webui.base))
        files = [folder / f"scene-{number}.png" for number in range(len(pictures))]
        for file, picture in zip(files, pictures, strict=True):
            picture.save(file)
        self.page.set_input_files(f"#{into or self.source} input[type=file]", files)
        self.page.wait_for_timeout(4000)

    def start_to_find(self, words: str) -> None:
        self.page.fill("#refdiff_words textarea", words)
        self.page.click("#refdiff_find")

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
        self.start_to_find(words)
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('#refdiff_gallery img')]"
            ".some(each => each.src.length > 40)"
            f" || document.querySelector('{MESSAGE}')?.innerText.trim()"
        )
        self.page.wait_for_timeout(3000)
        return self.message()

    def message(self) -> str:
        """What the accordion says."""
        message = self.page.locator(MESSAGE).first
        return message.inner_text().strip() if message.count() else ""

    def click(self, number: int, shift: bool = False) -> str:
        """Click a candidate; gives the numbers that are chosen then."""
        tile = self.page.locator(TILES).nth(number - 1)
        tile.click(modifiers=["Shift"] if shift else [])
        self.page.wait_for_timeout(1500)
        return self.page.input_value(PICKS)

    def set(self, **values: float) -> None:
        """Numbers of the host's img2img tab by name, such as steps."""
        for name, value in values.items():
            field = self.page.locator(f"#img2img_{name} input[type=number]").first
            field.fill(str(value))
            field.press("Tab")

    def generate(self) -> list[Image.Image]:
        """Press Generate; gives the pictures that come."""
        before = self._sources(RESULTS)
        self.page.click("#img2img_generate")
        self.page.wait_for_function(
            f"before => [...document.querySelectorAll('{RESULTS}')]"
            ".some(each => each.src && !before.includes(each.src))",
            arg=before,
        )
        self.page.wait_for_timeout(2000)
        return [self._fetch(each) for each in self._sources(RESULTS)]

    def uploaded(self, name: str) -> Image.Image:
        """The picture that a component of the host holds."""
        return self._fetch(self._sources(f"#{name} img")[0])

    def _sources(self, selector: str) -> list[str]:
        found = self.page.locator(selector).evaluate_all("all => all.map(each => each.src)")
        return list(dict.fromkeys(found))

    def _fetch(self, source: str) -> Image.Image:
        read = (
            "async source => { const b = await (await fetch(source)).blob();"
            " return await new Promise(r => { const f = new FileReader();"
            " f.onload = () => r(f.result); f.readAsDataURL(b); }); }"
        )
        return decoded(self.page.evaluate(read, source))

    def shoot(self, name: str) -> None:
        """A picture of all that is seen, for people, in the folder that REFDIFF_SHOTS names."""
        if folder := os.environ.get("REFDIFF_SHOTS"):
            path = Path(folder) / f"webui-{self.webui.root.name}-{name}.png"
            self.page.screenshot(path=str(path), full_page=True)

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
