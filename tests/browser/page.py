"""ComfyUI's page in a real browser: load a graph, look for errors, run it, take its picture."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from graphs import EXAMPLES
from PIL import Image
from server import GraphError, Run, Server

from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 180_000  # milliseconds
EDGE = 120  # pixels of the page that its menus may lie over
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SETTINGS = {
    "Comfy.TutorialCompleted": True,  # or the page opens its list of templates
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.Queue.QPOV2": False,
    "Comfy.Minimap.Visible": False,
}
READY = """() => window.app?.graph && window.LiteGraph?.registered_node_types["RefDiffSegment"]"""
LOAD = """async graph => { await window.app.loadGraphData(graph); }"""
# cleaned first, or nodes would show pictures of those that had their numbers before; not in one
# tick, or Nodes 2.0 would show the badges of those, too
LOAD_PROMPT = """async graph => {
  window.app.clean();
  await new Promise(done => setTimeout(done, 300));
  await window.app.loadApiJson(graph, "graph");
}"""
PROBLEMS = """() => {
  const known = window.LiteGraph.registered_node_types;
  const shown = node => node.title || node.type;
  const nodes = window.app.graph.nodes;
  return [
    ...nodes.filter(each => !known[each.type]).map(each => `missing: ${each.type}`),
    ...nodes.filter(each => each.has_errors).map(each => `red: ${shown(each)}`),
    ...Object.keys(window.app.lastNodeErrors ?? {}).map(each => `refused: node ${each}`),
    ...[...document.querySelectorAll('.p-dialog, [role="alertdialog"]')]
      .filter(each => each.offsetParent !== null)
      .map(each => `dialog: ${each.innerText.slice(0, 200)}`),
  ];
}"""

PLACE = """places => {
  for (const [id, x, y, width, height] of places) {
    const node = window.app.graph.getNodeById(id);
    node.pos = [x, y];
    node.setSize([width, height]);
  }
}"""
BOUNDS = """ids => {
  const nodes = window.app.graph.nodes.filter(each => !ids.length || ids.includes(each.id));
  // not getBounding(), which is only right once the node has been drawn
  const title = window.LiteGraph.NODE_TITLE_HEIGHT;
  const boxes = nodes.map(({pos, size}) => [pos[0], pos[1] - title, size[0], size[1] + title]);
  const x = Math.min(...boxes.map(each => each[0])) - 12;
  const y = Math.min(...boxes.map(each => each[1])) - 24;
  const right = Math.max(...boxes.map(each => each[0] + each[2])) + 12;
  const bottom = Math.max(...boxes.map(each => each[1] + each[3])) + 12;
  return [x, y, right - x, bottom - y].map(Math.round);
}"""
SHOW = """([x, y]) => {
  const canvas = window.app.canvas;
  canvas.deselectAll?.();
  window.app.extensionManager.focusMode = true;
  const place = canvas.canvas.getBoundingClientRect();
  canvas.ds.scale = 1;
  canvas.ds.offset[0] = -x - place.left;
  canvas.ds.offset[1] = -y - place.top;
  canvas.setDirty(true, true);
}"""


def find_browser() -> str | None:
    """CHROMIUM, or what is installed."""
    found = (shutil.which(name) for name in BROWSERS)
    return os.environ.get("CHROMIUM") or next((path for path in found if path), None)


def put_stand_ins(server: Server) -> None:
    """Empty files by the names of the models that the example graphs load, and a picture."""
    names = {Path("open_clip") / "ViT-B-16.laion2b.safetensors"}
    for file in EXAMPLES.glob("*.json"):
        for node in json.loads(file.read_text())["nodes"]:
            for each in node["properties"].get("models", ()):
                names.add(Path(each["directory"]) / each["name"])
    for name in names:
        path = server.base / "models" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    server.put_image("example.png", sample_scene(HELD_OUT_SEED + 5).image)


class Page:
    """The page of one server."""

    def __init__(self, page: Any, server: Server) -> None:
        self.page = page
        self.server = server
        self.errors: list[str] = []
        self.console: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("pageerror", lambda error: self.console.append(f"{error} {error.stack}"))
        page.on("console", self._note_message)
        page.on("response", self._note_refusal)

    def _note_message(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.console.append(message.text)

    def _note_refusal(self, response: Any) -> None:
        if response.url.endswith("/prompt") and response.status >= 400:
            self.errors.append(f"refused: the whole graph ({response.status})")

    def open(self, **settings: Any) -> None:
        """Open or reload the page with the user's settings."""
        for key, value in {**SETTINGS, **settings}.items():
            self.server.post(f"/settings/{key}", value)
        self.page.goto(self.server.url)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Until the page has its nodes."""
        self.page.wait_for_function(READY)
        self.page.wait_for_timeout(1000)  # the page restores the last graph after that

    def load(self, graph: dict[str, Any]) -> list[str]:
        """Load a graph of the page's own form; gives what is wrong with it."""
        self.errors.clear()
        self.page.evaluate(LOAD, graph)
        self.page.wait_for_timeout(1000)
        return self.problems()

    def load_prompt(self, prompt: dict[str, Any], places: dict[int, Sequence[int]]) -> list[str]:
        """Load a graph of the API's form, its nodes at places (x, y, width, height)."""
        self.errors.clear()
        self.page.evaluate(LOAD_PROMPT, prompt)
        self.page.evaluate(PLACE, [[key, *place] for key, place in places.items()])
        self.page.wait_for_timeout(1000)
        return self.problems()

    def count(self) -> int:
        """How many nodes the graph has."""
        return int(self.page.evaluate("() => window.app.graph.nodes.length"))

    def problems(self) -> list[str]:
        """Nodes that are missing, red or refused, and dialogs that are open."""
        return [*self.page.evaluate(PROBLEMS), *self.errors]

    def run(self, seconds: float = 900) -> Run:
        """Press Run and wait for the end; what the nodes gave out."""
        before = set(self.server.get("/history"))
        self.page.evaluate("async () => { await window.app.queuePrompt(0, 1); }")
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.problems():
            history = self.server.get("/history")
            done = [history[key] for key in set(history) - before]
            if done and done[0]["status"]["completed"]:
                self.page.wait_for_timeout(2000)  # until the nodes show their pictures
                return Run(outputs=done[0]["outputs"])
            if done:
                raise GraphError(str(done[0]["status"]["messages"][-1]))
            self.page.wait_for_timeout(200)
        raise GraphError(f"The page did not run the graph: {self.problems() or 'no end'}")

    def picture(self, path: Path, nodes: Sequence[int] = (), width: int = 0) -> None:
        """Take a picture of some nodes, or of all, and nothing else of the page.

        Args:
            path: .png or .jpg.
            nodes: ids; none takes all.
            width: of the picture in pixels at most; 0 leaves it as large as the nodes are.
        """
        x, y, wide, high = self.page.evaluate(BOUNDS, list(nodes))
        self.page.set_viewport_size({"width": wide + 2 * EDGE, "height": high + 2 * EDGE})
        for _ in range(2):  # the page itself may move the view a while after loading
            self.page.evaluate(SHOW, [x - EDGE, y - EDGE])
            self.page.wait_for_timeout(1500)
        clip = {"x": EDGE, "y": EDGE, "width": wide, "height": high}
        shot = Image.open(BytesIO(self.page.screenshot(clip=clip))).convert("RGB")
        if width:
            shot.thumbnail((width, shot.height), Image.Resampling.LANCZOS)
        path.parent.mkdir(parents=True, exist_ok=True)
        shot.save(path, quality=88, optimize=True)


@contextmanager
def opened(server: Server, **settings: Any) -> Iterator[Page]:
    """A browser at the server's page; closed afterwards."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        try:
            page = Page(browser.new_page(viewport={"width": 1600, "height": 900}), server)
            page.open(**settings)
            yield page
        finally:
            browser.close()
