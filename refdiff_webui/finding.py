"""From a picture and words to candidates, by the checkpoint and by models that are chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import PIL.Image
from modules import devices, paths, shared

from refdiff_core.backends.host_attention import HostAttention
from refdiff_core.backends.tokens import pasted_lines
from refdiff_core.errors import RefDiffError
from refdiff_core.gallery import Gallery
from refdiff_core.language.expression import parse_lines
from refdiff_core.models.shelf import NONE, Shelf
from refdiff_core.pictures.images import from_pil
from refdiff_core.pipeline import Models, segment
from refdiff_webui.attention import Webui
from refdiff_webui.host import check_stopped

ROOT = Path(paths.models_path).parent
SAMS = ("models/sam", "models/sams", "extensions/sd-webui-segment-anything/models/sam")
PLACES = {"sams": [ROOT / each for each in SAMS], "clip": [ROOT / "models/open_clip"]}
"""Where the host and other extensions keep such files."""
SHELF = Shelf(PLACES, check_stopped)


def find(
    image: PIL.Image.Image | None, words: str, presence: float, sam: str = NONE, clip: str = NONE
) -> Gallery:
    """Candidates for every line of words; ``presence`` is `Settings.min_present`.

    Raises:
        RefDiffError: no picture, no words, or a checkpoint that cannot be asked.
    """
    if image is None:
        raise RefDiffError("There is no picture. Put one into this tab first.")
    lines = parse_lines(pasted_lines(words))
    picture, attention = from_pil(image), HostAttention(Webui(shared.sd_model))
    with SHELF.lend(sam, clip, devices.device) as (proposer, scorer):
        models = Models(attention, proposer, scorer)
        settings = replace(models.settings, min_present=presence)
        return Gallery.of(picture, segment(picture, lines, models, settings))
