"""Where model files lie, in folders laid out as ComfyUI's `models`.

`REFDIFF_MODELS` names one folder or several (separated as in PATH); without it there is
`~/.cache/refdiff/models`. Inside are `checkpoints`, `sams`, `clip` or
`open_clip`, and `vae_approx`, each with folders of the user's own in it.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ModelError

KINDS = ("checkpoints", "sams", "clip", "vae_approx")
SUFFIXES = (".safetensors", ".sft", ".ckpt", ".pth", ".pt", ".bin")
_DEEPEST = 8  # folders below a kind's: a link may lead back up
_DEFAULT = Path("~/.cache/refdiff/models")


def model_folders() -> list[Path]:
    """The folders that are searched, in this order; they need not exist."""
    named = os.environ.get("REFDIFF_MODELS", "")
    folders = [Path(part) for part in named.split(os.pathsep) if part.strip()] or [_DEFAULT]
    return [_at_home(folder) for folder in folders]


def list_models(kind: str) -> list[Path]:
    """What is there of one kind: weight files, and folders that hold a model.

    Args:
        kind: one of ``KINDS``.
    """
    return [model for place in _places(kind) for model in models_in(place)]


def models_in(place: Path) -> list[Path]:
    """Weight files, and folders that hold a model, in a place, which need not exist, and below."""
    found: list[Path] = []
    for folder, inner, names in os.walk(place, followlinks=True):
        here = [Path(folder, name) for name in (*inner, *names)]
        found += filter(_is_model, here)
        # what lies inside a model's folder is a part of it
        inner[:] = [name for name in inner if not _is_model(Path(folder, name))]
        if len(Path(folder).relative_to(place).parts) >= _DEEPEST:
            inner.clear()
    return sorted(found)


def find_model(kind: str, name: str) -> Path:
    """The file or folder that a name means: a path that exists, or a name in the model folders.

    Args:
        kind: one of ``KINDS``.
        name: a path, or a name below ``kind``, with its suffix or without.

    Raises:
        ModelError: neither is there; the message says where it looked.
    """
    places = _places(kind)
    paths = [_at_home(Path(name))]
    # as either system writes what lies below, and whatever the case of the suffix
    names = dict.fromkeys((name, name.replace("\\", "/")))
    ends = ("", *SUFFIXES, *map(str.upper, SUFFIXES))
    paths += [place / f"{each}{end}" for place in places for each in names for end in ends]
    for path in paths if name.strip() else ():
        if os.path.exists(path):  # unlike the path's own, it bears names of any length
            return path
    looked = ", ".join(f"'{place}'" for place in places)
    raise ModelError(
        f"There is no model '{name}': no such path, and nothing of that name in {looked}. "
        "`refdiff models` lists what is there; REFDIFF_MODELS names other folders."
    )


def find_clip(name: str) -> str:
    """A CLIP model's full name: as `find_model`, also for ``ARCHITECTURE:NAME``."""
    architecture, colon, weights = name.partition(":")
    if not colon or os.path.exists(name):
        return str(find_model("clip", name))
    return f"{architecture}:{find_model('clip', weights)}"


def name_clip(path: Path) -> str:
    """What `load_clip` takes for a folder, or for a file named after its architecture.

    The architecture ends at the first dot, as in ViT-B-16.laion2b.safetensors.
    """
    return str(path) if path.is_dir() else f"{path.name.partition('.')[0]}:{path}"


def _places(kind: str) -> list[Path]:
    """Where models of a kind lie: ComfyUI keeps CLIP for scoring in a folder of its own."""
    kinds = ("clip", "open_clip") if kind == "clip" else (kind,)
    return [folder / each for folder in model_folders() for each in kinds]


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user
        return path


def _is_model(entry: Path) -> bool:
    if entry.is_dir():
        marks = ("unet/config.json", "transformer/config.json", "open_clip_config.json")
        return any((entry / mark).is_file() for mark in marks)
    return entry.suffix.lower() in SUFFIXES and entry.is_file()
