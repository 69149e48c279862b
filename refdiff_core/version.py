"""Which version this is."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path


def version() -> str:
    """The installed package's version, or a word where there is none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("refdiff")
    except PackageNotFoundError:  # run from a checkout
        return "(not installed)"


def code_digest() -> str:
    """What stands for the code itself, which in a checkout changes while the version stays."""
    digest, root = sha256(), Path(__file__).parent
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]
