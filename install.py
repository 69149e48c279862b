"""Says what Ref-Diff has and what it lacks; fetches a model when asked to. Installs nothing.

ComfyUI-Manager runs this after it has installed requirements.txt, Stable Diffusion WebUI at every
start, where it is silent. By hand:

    python install.py                          what is there, what is missing, where to get it
    python install.py --download sam_vit_b     fetch one model, checked, into ComfyUI's models
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import importlib.metadata
import os
import platform
import re
import shutil
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

PACK = Path(__file__).absolute().parent
BLOCK = 1 << 20
NETWORK = (
    urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError,
)  # fmt: skip
META = "https://dl.fbaipublicfiles.com/segment_anything/"


class DownloadError(Exception):
    """A model could not be fetched; says why and what to do."""


@dataclass(frozen=True)
class Model:
    """A file that can be fetched.

    megabytes: its size, to be told before anything is fetched.
    sha256: of the whole file.
    """

    folder: str
    file: str
    megabytes: int
    url: str
    sha256: str
    licence: str


MODELS = {
    "sam_vit_b": Model(
        "sams", "sam_vit_b_01ec64.pth", 375, META + "sam_vit_b_01ec64.pth",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912", "Apache 2.0",
    ),
    "sam_vit_l": Model(
        "sams", "sam_vit_l_0b3195.pth", 1250, META + "sam_vit_l_0b3195.pth",
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622", "Apache 2.0",
    ),
    "sam_vit_h": Model(
        "sams", "sam_vit_h_4b8939.pth", 2565, META + "sam_vit_h_4b8939.pth",
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e", "Apache 2.0",
    ),
}  # fmt: skip
LEAST_PYTHON, LEAST_COMFYUI = "3.10", "0.3.64"
PACKAGES = {
    "torch": "2.1", "diffusers": "0.31", "transformers": "4.40", "open_clip_torch": "2.20",
    "segment-anything": "1.0", "safetensors": "0.4.1", "scipy": "1.10",
}  # fmt: skip
BY_HAND = """\
To be put in place by hand:
  models/checkpoints  a Stable Diffusion 1.x, 2.x or XL checkpoint; for painting into pictures an
                      inpainting one is best. Flux, Z-Image and other transformers are read from
                      where ComfyUI keeps them (docs/transformers.md)
  models/open_clip    optional, for CLIP Score: open_clip weights of a vision transformer, such as
                      open_clip_model.safetensors (MIT, about 600 MB) from
                      https://huggingface.co/laion/CLIP-ViT-B-16-laion2B-s34B-b88K
                      saved as ViT-B-16.laion2b.safetensors
"""


def models_folder() -> Path:
    """ComfyUI's models folder as seen from custom_nodes, or what COMFYUI_MODELS names."""
    named = os.environ.get("COMFYUI_MODELS")
    return Path(named).expanduser() if named else PACK.parents[1] / "models"


def report(models: Path) -> str:
    """What is there and what is missing, for people."""
    lines = ["Ref-Diff", "", _line("Python", platform.python_version(), LEAST_PYTHON)]
    lines.append(_line("ComfyUI", comfyui_version(models.parent), LEAST_COMFYUI))
    lines += [_line(name, _installed(name), least) for name, least in PACKAGES.items()]
    lines += ["", f"Models in {models} (the demo models need none of them):"]
    if not models.is_dir():
        lines.append("  There is no such folder: name ComfyUI's own with COMFYUI_MODELS.")
    for name, model in MODELS.items():
        path = models / model.folder / model.file
        if path.is_file():
            lines.append(f"  found    {name}: {path}")
        else:
            about = f"{model.megabytes} MB, {model.licence}, {model.url}"
            lines.append(f"  missing  {name}: {about}")
            lines.append(f"           goes to {path}")
            lines.append(f"           python install.py --download {name}")
    return "\n".join([*lines, "", BY_HAND])


def _line(name: str, found: str | None, least: str) -> str:
    if found is None:
        return f"  MISSING  {name}: install requirements.txt into ComfyUI's Python"
    if _numbers(found) and _numbers(found) < _numbers(least):
        return f"  OLD      {name} {found}: {least} or newer is needed"
    return f"  found    {name} {found}"


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version.partition("+")[0])]


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def comfyui_version(root: Path) -> str:
    """As the checkout says; "unknown" without one, which counts as new enough."""
    file = root / "comfyui_version.py"
    found = re.search(r'"([\d.]+)"', file.read_text()) if file.is_file() else None
    return found[1] if found else "unknown"


def download(model: Model, models: Path) -> Path:
    """Fetch a model into its folder: resumed where it broke off, checked, put in place at once.

    Raises:
        DownloadError: no connection, no room, or not the file that was expected.
    """
    target = models / model.folder / model.file
    if target.exists():
        return _checked(target, model)
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if part.is_symlink():
            part.unlink()  # or something elsewhere would be written over
        _fetch(model, part)
    except NETWORK as error:  # before OSError, which most of these are as well
        raise DownloadError(
            f"{model.url} could not be fetched ({error}). What has arrived is kept: run the same "
            "command again to go on, or fetch the file with a browser."
        ) from error
    except OSError as error:
        raise DownloadError(
            f"'{part}' could not be written ({error}). Make room or choose another folder with "
            "COMFYUI_MODELS, and run the same command again."
        ) from error
    found = _sha256(part)
    if found != model.sha256:
        part.unlink()
        raise DownloadError(
            f"{model.url} is not the expected file: its sha256 is {found}, expected "
            f"{model.sha256}. It has been removed; try again later."
        )
    part.replace(target)  # at once: nobody ever sees half a model
    return target


def _checked(target: Path, model: Model) -> Path:
    """What lies there already, if it is the model."""
    if target.is_file() and _sha256(target) == model.sha256:
        return target
    raise DownloadError(f"'{target}' is there, and is not {model.url}. Move it away first.")


def _fetch(model: Model, part: Path) -> None:
    """Append to ``part`` what is missing of it."""
    _check_address(model.url)
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(model.url, headers=headers)
    try:
        answer = urllib.request.build_opener(_OnlyHttps).open(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is missing
            return
        raise
    except (ValueError, OverflowError) as error:  # such as a redirect to what is no address
        raise http.client.HTTPException(f"it leads nowhere: {error}") from error
    with answer:
        resumed = answer.status == 206
        length = answer.headers.get("Content-Length", "")
        left = int(length) if length.isascii() and length.isdigit() else 0
        done = have if resumed else 0
        _check_room(part.parent, left or (model.megabytes << 20) - done)
        with part.open("ab" if resumed else "wb") as file:
            # a tenth more than it should be: of what has no end, no more is taken
            _copy(answer, file, done, left and left + done, (model.megabytes << 20) * 11 // 10)


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows a redirect, of any number, to nothing but https."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(url: str) -> None:
    address = urllib.parse.urlparse(url)
    # plain http to this very machine is what the tests use
    if address.scheme != "https" and address.hostname != "127.0.0.1":
        raise DownloadError(f"{url} is not https.")


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"{needed >> 20} MB are needed, {free >> 20} MB are free")


def _copy(source: http.client.HTTPResponse, file: object, done: int, total: int, most: int) -> None:
    while block := source.read(BLOCK):
        done += len(block)
        if done > most:
            raise DownloadError(f"{source.url} is longer than the model. Try again later.")
        file.write(block)  # type: ignore[attr-defined]
        _show(done, total)
    sys.stderr.write("\n")
    if total and done < total:
        raise http.client.IncompleteRead(b"", total - done)


def _show(done: int, total: int) -> None:
    share = f"{100 * done // total:3d} %" if total else ""
    sys.stderr.write(f"\r  {done >> 20} of {total >> 20} MB {share}")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def in_webui() -> bool:
    """Whether a Stable Diffusion WebUI runs this, which it does at every start."""
    # it names its own folder in PYTHONPATH; its extensions may lie elsewhere
    places = [PACK.parents[1], *map(Path, sys.path)]
    return any((place / "modules" / "launch_utils.py").is_file() for place in places)


def main(arguments: list[str] | None = None) -> int:
    """Report, or fetch one model; 1 when that failed."""
    parser = argparse.ArgumentParser(description="What Ref-Diff has, lacks, and can fetch.")
    parser.add_argument("--download", metavar="NAME", choices=sorted(MODELS))
    name = parser.parse_args(arguments).download
    models = models_folder()
    if name is None and in_webui():  # nothing is needed there, and this is no place to report
        return 0
    if name is None:
        print(report(models))
        return 0
    model = MODELS[name]
    print(f"{model.url}\n  {model.megabytes} MB, {model.licence}, into {models / model.folder}")
    try:
        print(f"Ready: {download(model, models)}")
    except DownloadError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
