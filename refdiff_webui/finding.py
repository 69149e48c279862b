"""From a picture and words to candidates, by the checkpoint and by models that are chosen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import PIL.Image
from modules import devices, paths, shared

from refdiff_core.backends.clip_scorer import ClipModel, ClipScorer, load_clip
from refdiff_core.backends.host_attention import HostAttention
from refdiff_core.backends.sam_proposer import DEMO, SamProposer, load_sam
from refdiff_core.demo import models as demo
from refdiff_core.errors import ExpressionError, ModelError, RefDiffError
from refdiff_core.gallery import Gallery
from refdiff_core.language.expression import parse
from refdiff_core.models.library import list_models, models_in, name_clip
from refdiff_core.pictures.images import from_pil
from refdiff_core.pipeline import Models, segment
from refdiff_webui.attention import Webui
from refdiff_webui.host import check_stopped

NONE, DEMO_NAME = "None", "Ref-Diff demo"
FOLDERS = {
    "sams": ("models/sam", "models/sams", "extensions/sd-webui-segment-anything/models/sam"),
    "clip": ("models/open_clip",),
}
"""Where the host and other extensions keep such files."""


def find(
    image: PIL.Image.Image | None, words: str, presence: float, sam: str = NONE, clip: str = NONE
) -> Gallery:
    """Candidates for every line of words; ``presence`` is `Settings.min_present`.

    Raises:
        RefDiffError: no picture, no words, or a checkpoint that cannot be asked.
    """
    if image is None:
        raise RefDiffError("There is no picture. Put one into this tab first.")
    lines = [parse(line) for line in words.splitlines() if line.strip()]
    if not lines:
        raise ExpressionError("Say which thing is meant, such as 'the red cup on the left'.")
    picture = from_pil(image)
    with loaded(sam, clip) as models:
        settings = replace(models.settings, min_present=presence)
        return Gallery.of(picture, segment(picture, lines, models, settings))


@contextmanager
def loaded(sam: str, clip: str) -> Iterator[Models]:
    """The checkpoint that is loaded, with the models of these names on its device meanwhile."""
    attention = HostAttention(Webui(shared.sd_model))
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


def files(kind: str) -> dict[str, Path]:
    """By name: in the host's folders, and in our own."""
    root = Path(paths.models_path).parent
    found = [file for place in FOLDERS[kind] for file in models_in(root / place)]
    return {file.name: file for file in reversed(found + list_models(kind))}


@lru_cache(maxsize=1)
def _sam(name: str) -> SamProposer:
    if name == DEMO_NAME:
        return SamProposer(demo.load_sam(), DEMO, check_stopped)
    return SamProposer(load_sam(_file(name, "sams")), progress=check_stopped)


@lru_cache(maxsize=1)
def _clip(name: str) -> ClipScorer:
    own = name == DEMO_NAME
    clip = ClipModel(*demo.load_clip()) if own else load_clip(name_clip(_file(name, "clip")))
    return ClipScorer(clip, progress=check_stopped)


def _file(name: str, kind: str) -> Path:
    if name not in files(kind):
        raise ModelError(f"There is no '{name}' in {FOLDERS[kind][0]}. Put a model file there.")
    return files(kind)[name]
