"""Segment Anything and CLIP: which there are, and loading them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from modules import devices, paths, shared

from refdiff_core.backends.clip_scorer import ClipModel, ClipScorer, load_clip
from refdiff_core.backends.sam_proposer import DEMO, SamProposer, load_sam
from refdiff_core.demo import models as demo
from refdiff_core.errors import ModelError
from refdiff_core.models.library import list_models, models_in, name_clip
from refdiff_core.pipeline import Models
from refdiff_core.settings import SamSettings
from refdiff_webui.attention import WebuiAttention
from refdiff_webui.host import check_stopped

NONE, DEMO_NAME = "None", "Ref-Diff demo"


def sam_files() -> dict[str, Path]:
    """By name: in models/sam and the places of sd-webui-segment-anything, and in our own."""
    models = Path(paths.models_path)
    theirs = models.parent / "extensions" / "sd-webui-segment-anything" / "models" / "sam"
    return _by_name([models / "sam", models / "sams", theirs], "sams")


def clip_files() -> dict[str, Path]:
    """By name: in models/open_clip, and in our own folders."""
    return _by_name([Path(paths.models_path) / "open_clip"], "clip")


def _by_name(places: list[Path], kind: str) -> dict[str, Path]:
    files = [file for place in places for file in models_in(place)] + list_models(kind)
    return {file.name: file for file in reversed(files)}


@contextmanager
def loaded(sam: str, clip: str) -> Iterator[Models]:
    """The checkpoint that is loaded, with the models of these names on its device meanwhile."""
    attention = WebuiAttention(shared.sd_model)
    proposer = None if sam in (NONE, "") else _sam(sam)
    scorer = None if clip in (NONE, "") else _clip(clip)
    modules = [each for each in (proposer and proposer.sam, scorer and scorer.clip.model) if each]
    try:
        for module in modules:
            module.to(devices.device)
        yield Models(attention, proposer, scorer)
    finally:
        for module in modules:
            module.to("cpu")


@lru_cache(maxsize=1)
def _sam(name: str) -> SamProposer:
    if name == DEMO_NAME:
        return SamProposer(demo.load_sam(), DEMO, check_stopped)
    return SamProposer(load_sam(_find(name, sam_files(), "sam")), SamSettings(), check_stopped)


@lru_cache(maxsize=1)
def _clip(name: str) -> ClipScorer:
    if name == DEMO_NAME:
        return ClipScorer(ClipModel(*demo.load_clip()), progress=check_stopped)
    path = _find(name, clip_files(), "open_clip")
    return ClipScorer(load_clip(name_clip(path)), progress=check_stopped)


def _find(name: str, files: dict[str, Any], folder: str) -> Path:
    if name not in files:
        raise ModelError(f"There is no '{name}' in models/{folder}. Put a model file there.")
    return files[name]
