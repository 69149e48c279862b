"""Ref-Diff: a picture and a description of which thing you mean become a mask.

    from refdiff_core import load_demo, load_image, segment
    result, = segment(load_image("scene.png"), "the red circle", load_demo())
    result.mask  # float32 (H, W) in [0, 1]

Everything is imported when it is first used, so that `import refdiff_core` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import RefDiffError as RefDiffError
    from .language.expression import parse as parse
    from .language.expression import parse_lines as parse_lines
    from .models.loading import load_demo as load_demo
    from .models.loading import load_models as load_models
    from .pictures.images import load_image as load_image
    from .pictures.images import save_image as save_image
    from .pipeline import Models as Models
    from .pipeline import segment as segment
    from .settings import AttentionSettings as AttentionSettings
    from .settings import Settings as Settings
    from .values import Proposals as Proposals
    from .values import Segmentation as Segmentation
    from .words import Expression as Expression

_HOMES = {
    "AttentionSettings": "settings",
    "Expression": "words",
    "Models": "pipeline",
    "Proposals": "values",
    "RefDiffError": "errors",
    "Segmentation": "values",
    "Settings": "settings",
    "load_demo": "models.loading",
    "load_image": "pictures.images",
    "load_models": "models.loading",
    "parse": "language.expression",
    "parse_lines": "language.expression",
    "save_image": "pictures.images",
    "segment": "pipeline",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - a list of names, kept in one place


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
