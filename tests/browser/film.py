"""The film in the README: three gestures from the wrong one to the right one."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

from gestures import Panel
from graphs import DEMO, EXAMPLES
from page import PLACE, SHOW, Page
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[2]
WIDE, HIGH, MARGIN, STRIP = 900, 740, 24, 44
AWAY = 4000  # where nodes lie that the film does not need
ARROW = ((0, 0), (0, 22), (5, 17), (9, 26), (13, 24), (9, 16), (16, 16))


class Film:
    """Frames with a caption and a pointer, as the page looked."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.times: list[int] = []

    def shoot(self, caption: str, milliseconds: int, pointer: tuple[float, float]) -> None:
        clip = {"x": 120 - MARGIN, "y": 120 - 42, "width": WIDE, "height": HIGH}
        shot = Image.open(BytesIO(self.page.page.screenshot(clip=clip))).convert("RGB")
        frame = Image.new("RGB", (WIDE, HIGH + STRIP), (24, 24, 27))
        frame.paste(shot, (0, STRIP))
        draw = ImageDraw.Draw(frame)
        draw.text((16, 9), caption, (255, 217, 26), ImageFont.load_default(22))
        x, y = pointer[0] - clip["x"], pointer[1] - clip["y"] + STRIP
        shape = [(x + dx, y + dy) for dx, dy in ARROW]
        draw.polygon(shape, fill=(255, 255, 255), outline=(0, 0, 0))
        self.frames.append(frame)
        self.times.append(milliseconds)

    def save(self, path: Path) -> None:
        """One palette for all, so that nothing flickers."""
        small = [each.resize((720, round(each.height * 0.8))) for each in self.frames]
        palette = small[-1].quantize(128, dither=Image.Dither.NONE)
        shown = [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in small]
        shown[0].save(
            path, save_all=True, append_images=shown[1:], duration=self.times, loop=0,
            optimize=True,
        )  # fmt: skip


def stage(page: Page) -> Panel:
    """The demo graph with the node and its result side by side."""
    graph = json.loads((EXAMPLES / f"{DEMO}.json").read_text())
    assert page.load(graph) == []
    kinds = {each["id"]: each["type"] for each in graph["nodes"]}
    places = [[key, AWAY, 0, 300, 100] for key in kinds]
    segment = next(key for key, kind in kinds.items() if kind == "RefDiffSegment")
    result = next(key for key, kind in kinds.items() if kind == "PreviewImage")
    places += [[segment, 0, 0, 420, 670], [result, 450, 0, 400, 400]]
    page.page.evaluate(PLACE, places)
    panel = Panel(page)
    page.page.evaluate(SHOW, [-120, -120])
    page.page.wait_for_timeout(800)
    return panel


def film(page: Page, path: Path) -> Path:
    """Run, click, run."""
    page.page.set_viewport_size({"width": WIDE + 240, "height": HIGH + 240})
    panel = stage(page)
    reel, rest = Film(page), (760.0, 660.0)
    reel.shoot('1   Run: which one is "the yellow square"?', 1500, rest)
    page.run()
    panel.wait()
    reel.shoot("    One of the two is gone. The other one was meant.", 2200, rest)
    target = panel.point(0.45, 0.57)
    for step in range(1, 7):
        at = tuple(a + (b - a) * step / 6 for a, b in zip(rest, target, strict=True))
        page.page.mouse.move(*at)
        page.page.wait_for_timeout(80)
        reel.shoot("2   Click it.", 120, (at[0], at[1]))
    reel.shoot("2   Click it.", 900, target)
    page.page.mouse.click(*target)
    page.page.wait_for_timeout(300)
    reel.shoot("2   Click it.", 1300, target)
    page.page.mouse.move(*rest)
    reel.shoot("3   Run.", 700, rest)
    page.run()
    panel.wait()
    page.page.wait_for_timeout(500)
    reel.shoot("3   Run. That one is gone, and nothing was typed.", 3500, rest)
    reel.save(path)
    return path
