"""A node's panel as a hand meets it: by what is on the screen, with the mouse and the keyboard."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from page import Page
from PIL import Image

FIND = """kind => {
  const node = window.app.graph.nodes.find(each => each.comfyClass === kind && each.refdiffPanel);
  return node?.id;
}"""
CENTRE = """id => {
  const node = window.app.graph.getNodeById(id);
  const canvas = window.app.canvas;
  window.app.extensionManager.focusMode = true;
  canvas.deselectAll?.();
  const scale = Math.min(1, (window.innerHeight - 120) / (node.size[1] + 60));
  canvas.ds.scale = scale;
  canvas.ds.offset[0] = -node.pos[0] + 120 / scale;
  canvas.ds.offset[1] = -node.pos[1] + 80 / scale;
  canvas.setDirty(true, true);
}"""
LOOK = """id => {
  const panel = window.app.graph.getNodeById(id).refdiffPanel;
  const place = panel.view.top.getBoundingClientRect();
  const {x, y, scale} = panel.view.frame;
  const shown = place.width / panel.view.top.width;
  const picture = panel.view.grid && [
    place.x + x * shown, place.y + y * shown,
    panel.view.grid.width * scale * shown, panel.view.grid.height * scale * shown,
  ];
  return {
    ready: Boolean(panel.masks), picture,
    chosen: panel.masks ? panel.chosen : [], status: panel.status.textContent,
    hovered: panel.hovered, active: panel.active,
    tip: panel.tip.hidden ? "" : panel.tip.textContent,
    candidates: panel.candidates, page: panel.page, tab: panel.tab,
    tabs: panel.picture?.answers.map(each => each.text) ?? [],
    tiles: panel.strip.tiles.map(each => each.index),
    hint: panel.hint.hidden ? "" : panel.hint.textContent,
  };
}"""
SOFT = """id => {
  const panel = window.app.graph.getNodeById(id).refdiffPanel;
  return [panel.masks.width, panel.masks.height, Array.from(panel.soft)];
}"""


class Panel:
    """The panel of the graph's first node of a kind."""

    def __init__(self, page: Page, kind: str = "RefDiffSegment") -> None:
        self.page = page
        self.kind = kind
        self.name = page.page.evaluate(FIND, kind)
        assert self.name is not None, f"no panel in a {kind}"
        self.centre()

    def centre(self) -> None:
        """Bring the node to where nothing of the page lies over it."""
        self.page.page.evaluate(CENTRE, self.name)
        self.page.page.wait_for_timeout(500)

    def look(self) -> dict[str, Any]:
        return dict(self.page.page.evaluate(LOOK, self.name))

    def wait(self) -> dict[str, Any]:
        """Until the panel shows what a run found."""
        ready = "id => window.app.graph.getNodeById(id)?.refdiffPanel?.masks"
        self.page.page.wait_for_function(ready, arg=self.name)
        self.page.page.wait_for_timeout(200)
        return self.look()

    def again(self) -> Panel:
        """The same panel after an undo, a tab switch or a reload built its node anew."""
        self.name = self.page.page.evaluate(FIND, self.kind)
        self.centre()
        return self

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Where on the screen a place of the picture is; x and y are shares of it."""
        left, above, width, height = self.look()["picture"]
        return left + x * width, above + y * height

    def move(self, x: float, y: float) -> dict[str, Any]:
        self.page.page.mouse.move(*self.point(x, y))
        self.page.page.wait_for_timeout(60)
        return self.look()

    def click(self, x: float, y: float, key: str = "") -> dict[str, Any]:
        """Click, with a key held."""
        if key:
            self.page.page.keyboard.down(key)
        self.page.page.mouse.click(*self.point(x, y))
        if key:
            self.page.page.keyboard.up(key)
        self.page.page.wait_for_timeout(150)
        return self.look()

    def drag(self, x0: float, y0: float, x1: float, y1: float) -> dict[str, Any]:
        mouse = self.page.page.mouse
        start, end = self.point(x0, y0), self.point(x1, y1)
        mouse.move(*start)
        mouse.down()
        mouse.move(*end, steps=6)
        mouse.up()
        self.page.page.wait_for_timeout(150)
        return self.look()

    def until(self, **wanted: Any) -> dict[str, Any]:
        """Until the panel is there: a tab or a page is turned when its pictures have come."""
        for _ in range(100):
            seen = self.look()
            if all(seen[name] == value for name, value in wanted.items()):
                return seen
            self.page.page.wait_for_timeout(100)
        raise AssertionError(f"{wanted} does not come: {seen}")

    def press(self, key: str) -> dict[str, Any]:
        """A key, with the focus on the picture."""
        self.element("canvas[tabindex]").focus()
        self.page.page.keyboard.press(key)
        self.page.page.wait_for_timeout(150)
        return self.look()

    def element(self, selector: str) -> Any:
        mark = "id => window.app.graph.getNodeById(id).refdiffPanel.element.dataset.tested = id"
        self.page.page.evaluate(mark, self.name)
        return self.page.page.locator(f'.refdiff-panel[data-tested="{self.name}"] {selector}').first

    def slide(self, name: str, value: float) -> None:
        """Move a slider, as the arrow keys do, and let it go."""
        slider = self.element(f'input[data-name="{name}"]')
        slider.evaluate(
            "(each, value) => { each.value = value;"
            " each.dispatchEvent(new Event('input', {bubbles: true})); }",
            value,
        )

    def let_go(self, name: str) -> None:
        slider = self.element(f'input[data-name="{name}"]')
        slider.evaluate("each => each.dispatchEvent(new Event('change', {bubbles: true}))")
        self.page.page.wait_for_timeout(150)

    def soft(self) -> np.ndarray:
        """The mask that the panel shows, float (h, w) in [0, 1]."""
        width, height, values = self.page.page.evaluate(SOFT, self.name)
        return np.array(values).reshape(height, width)

    def value(self, name: str) -> Any:
        read = """([id, name]) => window.app.graph.getNodeById(id).widgets
          .find(each => each.name === name)?.value"""
        return self.page.page.evaluate(read, [self.name, name])

    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.value("panel") or "{}"))

    def shoot(self, path: Path) -> None:
        """A picture of the panel's node, to be looked at."""
        body = self.page.page.screenshot()
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.open(BytesIO(body)).save(path)
