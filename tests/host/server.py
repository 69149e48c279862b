"""A real ComfyUI in a folder of its own, with this pack and no other, driven as its page does.

COMFYUI_PATH=~/ComfyUI pytest tests/host
COMFYUI_PATH=~/ComfyUI-0.25:~/ComfyUI-0.3.64 pytest tests/host     # the whole set on each
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from process import HostError, HostProcess, python_of
from safetensors.torch import load as load_latent

PACK = Path(__file__).parents[2]
RUN_SECONDS = 600
# hosts that lack a module that nothing here uses; our errors on bad input, which tests provoke
HARMLESS = re.compile(
    r"comfy_extras|Cannot import .*(torchaudio|OpenGL|nodes_glsl)|refdiff\.\w+Error: "
)


class GraphError(HostError):
    """A node of a graph failed, or the host refused the graph."""


@dataclass
class Run:
    """What one graph did.

    outputs: by node, what it sent to the page. executed: the nodes that ran, in order.
    cached: the nodes whose results were there already. texts: what nodes said on themselves.
    """

    outputs: dict[str, Any] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)
    cached: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    progress: list[tuple[int, int]] = field(default_factory=list)


class Server(HostProcess):
    """A running ComfyUI."""

    refused = GraphError

    def __init__(self, root: Path, base: Path, flags: str = "") -> None:
        super().__init__(root, base, "/system_stats", 60)
        self.flags = [*flags.split(), *os.environ.get("COMFYUI_FLAGS", "").split()]
        self.client = uuid.uuid4().hex
        self.version = (root / "comfyui_version.py").read_text().split('"')[1]

    def start(self) -> None:
        command = [
            python_of(self.root), str(self.root / "main.py"), "--cpu", "--port", str(self.port),
            "--base-directory", str(self.base), "--database-url", f"sqlite:///{self.base}/comfyui.db",
            "--disable-api-nodes", "--disable-all-custom-nodes",
            "--whitelist-custom-nodes", "refdiff", *self.flags,
        ]  # fmt: skip
        self.launch(command, {"OMP_NUM_THREADS": "2", **os.environ})

    @property
    def memory(self) -> int:
        """Resident bytes."""
        import psutil

        assert self.process is not None
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def tracebacks(self) -> list[str]:
        """What the log holds that should not be there."""
        return [each for each in super().tracebacks() if not HARMLESS.search(each)]

    def run(self, graph: dict[str, Any], during: Any = None, seconds: int = RUN_SECONDS) -> Run:
        """Queue a graph and follow it to its end.

        Args:
            graph: in the API's form; see `Graph`.
            during: called in a thread of its own when the graph has begun.
            seconds: the longest silence that is waited through.
        """
        import websocket

        socket_url = f"ws://127.0.0.1:{self.port}/ws?clientId={self.client}"
        events = websocket.create_connection(socket_url, timeout=seconds)
        try:
            prompt = self.post("/prompt", {"prompt": graph, "client_id": self.client})["prompt_id"]
            if during is not None:
                threading.Thread(target=during, daemon=True).start()
            return self._follow(events, prompt)
        finally:
            events.close()

    def _follow(self, events: Any, prompt: str) -> Run:
        run = Run()
        while True:
            message = events.recv()
            if not isinstance(message, str):
                _note_text(message, run)
                continue
            event = json.loads(message)
            kind, data = event["type"], event["data"]
            if data.get("prompt_id") != prompt:  # or of none, such as where the last run ended
                continue
            if kind == "executing" and data["node"] is None:
                return run
            if kind == "executing":
                run.executed.append(data["node"])
            elif kind == "executed":
                run.outputs[data["node"]] = data["output"]
            elif kind == "execution_cached":
                run.cached += data["nodes"]
            elif kind == "progress":
                run.progress.append((data["value"], data["max"]))
            elif kind == "execution_error":
                raise GraphError(f"{data['exception_type']}: {data['exception_message']}")
            elif kind == "execution_interrupted":
                raise GraphError("interrupted")

    def picture(self, run: Run, node: str, index: int = 0) -> np.ndarray:
        """A picture that a node saved or previews, uint8 (H, W, 3)."""
        file = run.outputs[node]["images"][index]
        body = self.get("/view", **{key: file[key] for key in ("filename", "subfolder", "type")})
        return np.array(Image.open(BytesIO(body)).convert("RGB"))

    def mask(self, run: Run, node: str, index: int = 0) -> np.ndarray:
        """A mask that was previewed, bool (H, W)."""
        return self.picture(run, node, index)[..., 0] >= 128

    def latent(self, run: Run, node: str) -> torch.Tensor:
        """What a SaveLatent node wrote."""
        file = run.outputs[node]["latents"][0]
        path = self.base / "output" / file["subfolder"] / file["filename"]
        return load_latent(path.read_bytes())["latent_tensor"]

    def has(self, node: str) -> bool:
        """Whether this ComfyUI has a node."""
        return node in self.get("/object_info")

    def put_image(self, name: str, pixels: np.ndarray) -> str:
        """A picture into the input folder."""
        Image.fromarray(pixels).save(self.base / "input" / name)
        return name


def _note_text(message: bytes, run: Run) -> None:
    # binary event 3: a text for a node, as length of its id, id, text
    if int.from_bytes(message[:4], "big") == 3:
        size = int.from_bytes(message[4:8], "big")
        run.texts[message[8 : 8 + size].decode()] = message[8 + size :].decode()


class Graph:
    """A graph in the API's form: ``node = graph.add("LoadImage", image="a.png")``; node[0]."""

    def __init__(self) -> None:
        self.nodes: dict[str, Any] = {}

    def add(self, kind: str, **inputs: Any) -> Node:
        name = str(len(self.nodes) + 1)
        self.nodes[name] = {"class_type": kind, "inputs": inputs}
        return Node(name, self)


@dataclass(frozen=True)
class Node:
    name: str
    graph: Graph

    def __getitem__(self, output: int) -> list[Any]:
        return [self.name, output]

    def set(self, **inputs: Any) -> None:
        self.graph.nodes[self.name]["inputs"].update(inputs)


@contextmanager
def running(root: Path, base: Path, flags: str = "") -> Iterator[Server]:
    """A server from a ComfyUI folder, in ``base``, ended afterwards."""
    for folder in ("custom_nodes", "input", "output", "models/checkpoints", "models/embeddings"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    link = base / "custom_nodes" / "refdiff"
    if not link.exists():
        try:
            link.symlink_to(PACK, target_is_directory=True)
        except OSError:  # Windows without the right to make links
            shutil.copytree(PACK, link, ignore=shutil.ignore_patterns(".git", "tests", ".venv"))
    server = Server(root, base, flags)
    try:
        server.start()
        yield server
    finally:
        server.stop()
