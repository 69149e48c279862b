"""Segment Anything and CLIP as a user chooses them from a list: by file name, kept, lent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..backends.clip_scorer import ClipModel, ClipScorer, load_clip
from ..backends.sam_proposer import DEMO, SamProposer, load_sam
from ..cache import PictureCache
from ..demo import models as demo
from ..errors import ModelError
from .library import list_models, models_in, name_clip

NONE, DEMO_NAME = "None", "Ref-Diff demo"
"""Beside the files: no model of the kind, and the bundled one."""


class Shelf:
    """Models by file name. The last of each kind is kept, off the device while nobody needs it.

    Args:
        places: by kind, "sams" and "clip", folders to look into beside those of `library`.
        progress: called with (done, total) between batches; may raise to stop.
    """

    def __init__(
        self, places: Mapping[str, Sequence[Path]], progress: Callable[[int, int], None]
    ) -> None:
        self.places = places
        self.progress = progress
        self._kept: dict[str, tuple[str, Any]] = {}

    def names(self, kind: str) -> list[str]:
        """What there is to choose from."""
        return [NONE, DEMO_NAME, *self._files(kind)]

    @contextmanager
    def lend(self, sam: str, clip: str, device: Any) -> Iterator[tuple[Any, Any]]:
        """A proposer and a scorer, None for `NONE` or "", on the device while the block runs.

        Raises:
            ModelError: there is no file of that name, or it is no such model.
        """
        proposer, scorer = self._get("sams", sam, self._sam), self._get("clip", clip, self._clip)
        modules = [proposer.sam] if proposer else []
        modules += [scorer.clip.model] if scorer else []
        try:
            for module in modules:
                module.to(device)
            yield proposer, scorer
        finally:
            for module in modules:
                module.to("cpu")

    def _get(self, kind: str, name: str, load: Callable[[str], Any]) -> Any:
        if name in (NONE, ""):
            return None
        if self._kept.get(kind, ("",))[0] != name:
            model = load(name)
            model.cache = PictureCache(model.cache.max_bytes, torch.device("cpu"))
            self._kept[kind] = (name, model)
        return self._kept[kind][1]

    def _sam(self, name: str) -> SamProposer:
        if name == DEMO_NAME:
            return SamProposer(demo.load_sam(), DEMO, self.progress)
        return SamProposer(load_sam(self._file("sams", name)), progress=self.progress)

    def _clip(self, name: str) -> ClipScorer:
        if name == DEMO_NAME:
            return ClipScorer(ClipModel(*demo.load_clip()), progress=self.progress)
        return ClipScorer(load_clip(name_clip(self._file("clip", name))), progress=self.progress)

    def _files(self, kind: str) -> dict[str, Path]:
        found = [file for place in self.places[kind] for file in models_in(place)]
        # of one name the first place's counts
        named = {file.name: file for file in reversed(found + list_models(kind))}
        return dict(sorted(named.items(), key=lambda each: each[0].casefold()))

    def _file(self, kind: str, name: str) -> Path:
        file = self._files(kind).get(name)
        if file is None:
            raise ModelError(
                f"There is no '{name}' in '{self.places[kind][0]}'. Put a model file there."
            )
        return file
