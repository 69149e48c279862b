"""Our errors by a name that a person can read: the page begins its message with it."""

from __future__ import annotations

from ..refdiff_core import errors


def name_errors() -> None:
    """Call them "refdiff.MaskError"; ComfyUI loads packs under names made of a folder's path."""
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, errors.RefDiffError):
            value.__module__ = "refdiff"
