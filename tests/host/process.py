"""A program in a process of its own that is asked over HTTP: a ComfyUI, a WebUI."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

READY_SECONDS = 900


class HostError(Exception):
    """The host refused a request."""


class HostProcess:
    """A host that is started, asked and ended.

    Args:
        root: its checkout.
        base: the folder that it works in; its log lies there.
        ready: what it answers as soon as it is up.
        patience: seconds that an answer may take.
    """

    refused: type[HostError] = HostError
    says = ""
    """What its log holds from when on it may be asked: a WebUI that is asked too early ends."""

    def __init__(self, root: Path, base: Path, ready: str, patience: int) -> None:
        self.root, self.base, self.ready, self.patience = root, base, ready, patience
        self.port = free_port()
        self.log = base / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def launch(self, command: list[str], environment: dict[str, str]) -> None:
        """Start it, and wait until it answers."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=self.root, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                if self.says in self.log.read_text(errors="replace"):
                    self.get(self.ready)
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            time.sleep(0.5)
        raise RuntimeError(f"{self.root} ended or was not ready:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def tracebacks(self) -> list[str]:
        """All that the log holds."""
        text = re.sub(r"\x1b\[[0-9;]*m", "", self.log.read_text(errors="replace"))
        return re.findall(r"Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*.*\n?", text)

    def get(self, path: str, **query: str) -> Any:
        """What it answers: JSON, or bytes."""
        address = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(address, timeout=60) as answer:
            return _read(answer)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What it answers to JSON.

        Raises:
            HostError: it refuses.
        """
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=self.patience) as answer:
                return _read(answer)
        except urllib.error.HTTPError as error:
            raise self.refused(error.read().decode()[:4000]) from error


def _read(answer: Any) -> Any:
    body = answer.read()
    return json.loads(body) if body and "json" in answer.headers.get("Content-Type", "") else body


def python_of(root: Path) -> str:
    """The host's own Python where it has an environment of its own, else this one."""
    places = ("bin/python", "Scripts/python.exe")
    own = [root / folder / place for folder in (".venv", "venv") for place in places]
    return str(next((path for path in own if path.exists()), sys.executable))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
