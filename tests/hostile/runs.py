"""Downloads from servers that misbehave, and whole runs of the command line over bad entries."""

import functools
import hashlib
import importlib.util
import json
import os
import random
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import PIL.Image
from damage import odd_text

from refdiff_core.command.cli import run
from refdiff_core.demo.scenes import HELD_OUT_SEED, sample_scene

CONTENT = bytes(range(256)) * 256  # 64 KiB


def load_install():
    place = Path(__file__).parents[2] / "install.py"
    spec = importlib.util.spec_from_file_location("refdiff_install_hostile", place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Handler(BaseHTTPRequestHandler):
    """Answers as the plan says."""

    def __init__(self, plan, *args):
        self.plan = plan
        super().__init__(*args)

    def do_GET(self):
        plan = self.plan
        try:
            self.send_response(plan["status"])
            for name, value in plan["headers"].items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(plan["body"])
        except OSError:  # the other end has seen enough
            self.close_connection = True

    def log_message(self, *_):
        pass


def downloads(rng: random.Random, folder: Path):
    """What a server may send in place of a model: the model, or one error, and nothing else."""
    install, plan = load_install(), {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, plan))
    server.daemon_threads = True
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/m"
    digest = hashlib.sha256(CONTENT).hexdigest()
    model = install.Model("sams", "model.pth", 1, url, digest, "MIT")
    install._show = lambda *_: None
    target = folder / "sams" / "model.pth"
    part = target.with_name("model.pth.part")
    lengths = (str(len(CONTENT)), "", "abc", "-1", str(10**30), "7", "1e9", "\u00b2")
    places = (
        url + "2",
        "http://example.org/x",
        "ftp://x/y",
        "http://[",
        "//",
        "",
        "\x7f",
        "file:///",
    )

    def tidy(error=None):
        names = {each.name for each in target.parent.iterdir()}
        if names - {"model.pth", "model.pth.part"}:
            return f"left {names}"
        whole = not target.exists() or target.read_bytes() == CONTENT
        return None if whole else "another file than was expected"

    def fetch():
        try:
            install.download(model, folder)
        except install.DownloadError as error:
            return tidy() or raised(error)
        return tidy() or (None if target.exists() else "done, and nothing there")

    def raised(error):
        raise error

    for number in range(10**9):
        for each in (target, part):
            if each.is_dir():
                each.rmdir()
            each.unlink(missing_ok=True)
        target.parent.mkdir(exist_ok=True)
        before = rng.randrange(6)
        if before == 1:
            part.write_bytes(CONTENT[: rng.randrange(len(CONTENT))])
        elif before == 2:
            part.symlink_to(folder / "precious")
        elif before == 3 and rng.random() < 0.3:
            part.mkdir()
        headers = {"Content-Length": rng.choice(lengths)} if rng.random() < 0.8 else {}
        status = rng.choice((200, 200, 200, 206, 206, 404, 416, 500, 302, 307, 204))
        if status in (302, 307):
            headers["Location"] = rng.choice(places)
        sizes = (len(CONTENT), len(CONTENT), 0, 7, 40 * len(CONTENT))
        plan |= {"status": status, "headers": headers}
        plan["body"] = (CONTENT * 40)[: rng.choice(sizes)]
        yield f"download {number} {status} {headers}", fetch


NAMES = (
    "é.png", "x" * 300 + ".png", "a\x00.png", "\udcff.png", "\ud800.png", "/dev/zero", "~no/x.png",
    "..", "", "pipe.png", "text.png", "empty.png", "half.png", "folder.png",
)  # fmt: skip


def whole_runs(rng: random.Random, folder: Path):
    """`batch` over lists with bad entries among good ones: the good ones are all done."""
    place = folder / "pictures"
    place.mkdir(exist_ok=True)
    scene = PIL.Image.fromarray(sample_scene(HELD_OUT_SEED + 3, size_hw=(96, 160)).image)
    for name in ("good1.png", "good2.png"):
        scene.save(place / name)
    whole = (place / "good1.png").read_bytes()
    (place / "half.png").write_bytes(whole[: len(whole) // 2])
    (place / "empty.png").touch()
    (place / "text.png").write_text("no picture")
    (place / "folder.png").mkdir(exist_ok=True)
    if hasattr(os, "mkfifo") and not (place / "pipe.png").exists():
        os.mkfifo(place / "pipe.png")

    def work(number, rows):
        out = folder / f"out{number}"
        (place / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
        before = {each.name for each in folder.iterdir()} | {out.name}
        status = run(
            ["batch", str(place / "list.jsonl"), "--demo", "--variant", "g", "--out", str(out)]
        )
        told = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
        done = {each["image"] for each in told if "error" not in each}
        if not {"good1.png", "good2.png"} <= done:
            return f"good pictures were not done: status {status}, {done}"
        if {each["image"] for each in told} != {row["image"] for row in rows}:
            return "an entry without a record"
        masks = [out / each["mask"] for each in told if each.get("mask")]
        if not all(each.is_file() and each.stat().st_size for each in masks):
            return "a mask is missing"
        after = {each.name for each in folder.iterdir()}
        return f"written elsewhere: {after - before}" if after - before else None

    for number in range(10**9):
        bad = [
            {"image": rng.choice(NAMES) or "x", "expression": odd_text("the red circle", rng) + "x"}
            for _ in range(6)
        ]
        bad.append(
            {
                "image": "good1.png",
                "expression": rng.choice(("\ud800", "a" * 5000, "[", "\U0001f534")),
            }
        )
        rows = [
            {"image": name, "expression": "the red circle"} for name in ("good1.png", "good2.png")
        ]
        rows = [rows[0], *bad, rows[1]]
        yield f"run {number}", lambda number=number, rows=rows: work(number, rows)
