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


LENGTHS = (str(len(CONTENT)), "", "abc", "-1", str(10**30), "7", "1e9", "\u00b2")
ELSEWHERE = ("http://example.org/x", "ftp://x/y", "http://[", "//", "", "\x7f", "file:///")
SIZES = (len(CONTENT), len(CONTENT), 0, 7, 40 * len(CONTENT))


def downloads(rng: random.Random, folder: Path):
    """What a server may send in place of a model: the model, or one error, and nothing else."""
    install, plan = load_install(), {}
    url, digest = serve(plan), hashlib.sha256(CONTENT).hexdigest()
    model = install.Model("sams", "model.pth", 1, url, digest, "MIT")
    install._show = lambda *_: None
    target = folder / "sams" / "model.pth"

    def fetch():
        error = None
        try:
            install.download(model, folder)
        except install.DownloadError as told:
            error = told
        names = {each.name for each in target.parent.iterdir()}
        if names - {"model.pth", "model.pth.part"}:
            return f"left {names}"
        if target.exists() and target.read_bytes() != CONTENT:
            return "another file than was expected"
        if error is not None:
            raise error
        return None if target.exists() else "done, and nothing there"

    for number in range(10**9):
        leave(rng, target, folder)
        plan |= answer(rng, url)
        yield f"download {number} {plan['status']} {plan['headers']}", fetch


def serve(plan) -> str:
    """The address of a server that answers as the plan says."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, plan))
    server.daemon_threads = True
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/m"


def leave(rng: random.Random, target: Path, folder: Path):
    """What an earlier download may have left in the model's place, or somebody else."""
    part = target.with_name(f"{target.name}.part")
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


def answer(rng: random.Random, url: str):
    """Status, headers and body, right or wrong."""
    headers = {"Content-Length": rng.choice(LENGTHS)} if rng.random() < 0.8 else {}
    status = rng.choice((200, 200, 200, 206, 206, 404, 416, 500, 302, 307, 204))
    if status in (302, 307):
        headers["Location"] = rng.choice((url + "2", *ELSEWHERE))
    body = (CONTENT * 40)[: rng.choice(SIZES)]
    return {"status": status, "headers": headers, "body": body}


NAMES = (
    "é.png", "x" * 300 + ".png", "a\x00.png", "\udcff.png", "\ud800.png", "/dev/zero", "~no/x.png",
    "..", "", "pipe.png", "text.png", "empty.png", "half.png", "folder.png",
)  # fmt: skip


GOOD = ("good1.png", "good2.png")
TEXTS = ("\ud800", "a" * 5000, "[", "\U0001f534")


def whole_runs(rng: random.Random, folder: Path):
    """`batch` over lists with bad entries among good ones: the good ones are all done."""
    place = folder / "pictures"
    fill(place)
    for number in range(10**9):
        bad = [
            {"image": rng.choice(NAMES) or "x", "expression": odd_text("the red circle", rng) + "x"}
            for _ in range(6)
        ]
        bad.append({"image": GOOD[0], "expression": rng.choice(TEXTS)})
        first, last = ({"image": name, "expression": "the red circle"} for name in GOOD)
        rows, out = [first, *bad, last], folder / f"out{number}"
        yield f"run {number}", functools.partial(run_list, place / "list.jsonl", rows, out)


def fill(place: Path):
    """Two good pictures among all that is none."""
    place.mkdir(exist_ok=True)
    scene = PIL.Image.fromarray(sample_scene(HELD_OUT_SEED + 3, size_hw=(96, 160)).image)
    for name in GOOD:
        scene.save(place / name)
    whole = (place / GOOD[0]).read_bytes()
    (place / "half.png").write_bytes(whole[: len(whole) // 2])
    (place / "empty.png").touch()
    (place / "text.png").write_text("no picture")
    (place / "folder.png").mkdir(exist_ok=True)
    if hasattr(os, "mkfifo") and not (place / "pipe.png").exists():
        os.mkfifo(place / "pipe.png")


def run_list(file: Path, rows: list[dict[str, str]], out: Path):
    """One run, and what is wrong with what it wrote."""
    file.write_text("\n".join(map(json.dumps, rows)))
    before = {each.name for each in out.parent.iterdir()} | {out.name}
    status = run(["batch", str(file), "--demo", "--variant", "g", "--out", str(out)])
    told = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    done = {each["image"] for each in told if "error" not in each}
    if not {*GOOD} <= done:
        return f"good pictures were not done: status {status}, {done}"
    if {each["image"] for each in told} != {row["image"] for row in rows}:
        return "an entry without a record"
    masks = [out / each["mask"] for each in told if each.get("mask")]
    if not all(each.is_file() and each.stat().st_size for each in masks):
        return "a mask is missing"
    after = {each.name for each in out.parent.iterdir()}
    return f"written elsewhere: {after - before}" if after - before else None
