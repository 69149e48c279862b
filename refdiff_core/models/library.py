"""Where model files lie, in folders laid out as ComfyUI's `models`.

`REFDIFF_MODELS` names one folder or several (separated as in PATH); without it there is
`~/.cache/refdiff/models`. Inside are `checkpoints`, `sams`, `clip` and `vae_approx`.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ModelError

KINDS = ("checkpoints", "sams", "clip", "vae_approx")
SUFFIXES = (".safetensors", ".ckpt", ".pth", ".pt", ".bin")
_DEFAULT = Path("~/.cache/refdiff/models")


def model_folders() -> list[Path]:
    """The folders that are searched, in this order; they need not exist."""
    named = os.environ.get("REFDIFF_MODELS", "")
    folders = [Path(part) for part in named.split(os.pathsep) if part.strip()] or [_DEFAULT]
    return [folder.expanduser() for folder in folders]


def list_models(kind: str) -> list[Path]:
    """What is there of one kind: weight files, and folders that hold a model.

    Args:
        kind: one of ``KINDS``.
    """
    return [model for folder in model_folders() for model in models_in(folder / kind)]


def models_in(place: Path) -> list[Path]:
    """Weight files, and folders that hold a model, in one place, which need not exist."""
    return sorted(filter(_is_model, place.iterdir())) if place.is_dir() else []


def find_model(kind: str, name: str) -> Path:
    """The file or folder that a name means: a path that exists, or a name in the model folders.

    Args:
        kind: one of ``KINDS``.
        name: a path, or a name below ``kind``, with its suffix or without.

    Raises:
        ModelError: neither is there; the message says where it looked.
    """
    places = [folder / kind for folder in model_folders()]
    paths = [Path(name).expanduser()]
    paths += [place / f"{name}{suffix}" for place in places for suffix in ("", *SUFFIXES)]
    for path in paths if name.strip() else ():
        if path.exists():
            return path
    looked = ", ".join(f"'{place}'" for place in places)
    raise ModelError(
        f"There is no model '{name}': no such path, and nothing of that name in {looked}. "
        "`refdiff models` lists what is there; REFDIFF_MODELS names other folders."
    )


def find_clip(name: str) -> str:
    """A CLIP model's full name: as `find_model`, also for ``ARCHITECTURE:NAME``."""
    architecture, colon, weights = name.partition(":")
    if not colon or Path(name).exists():
        return str(find_model("clip", name))
    return f"{architecture}:{find_model('clip', weights)}"


def name_clip(path: Path) -> str:
    """What `load_clip` takes for a folder, or for a file named after its architecture.

    The architecture ends at the first dot, as in ViT-B-16.laion2b.safetensors.
    """
    return str(path) if path.is_dir() else f"{path.name.partition('.')[0]}:{path}"


def _is_model(entry: Path) -> bool:
    if entry.is_dir():
        marks = ("unet/config.json", "open_clip_config.json")
        return any((entry / mark).is_file() for mark in marks)
    return entry.suffix.lower() in SUFFIXES
