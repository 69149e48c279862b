"""Which version this is."""

from __future__ import annotations


def version() -> str:
    """The installed package's version, or a word where there is none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("refdiff")
    except PackageNotFoundError:  # run from a checkout
        return "(not installed)"
