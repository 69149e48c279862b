"""What came in by links, which the host compares by the names of their types alone.

Loaders give None for what a file does not hold, and sockets of any type let anything through: what
is not what an input takes is told before anything works with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from inspect import signature
from numbers import Integral, Real
from typing import Any, TypeVar

from ..refdiff_core.errors import RefDiffError
from ._host import is_mask
from ._models import HostClip
from ._values import AttentionBatch, ProposalBatch, ResultBatch, ScoreBatch

Run = TypeVar("Run", bound=Callable[..., Any])


def checked(execute: Run) -> Run:
    """An ``execute`` that is called with what its schema's inputs take; None is as if not there.

    Raises:
        RefDiffError: something else came in.
    """
    names = list(signature(execute).parameters)[1:]

    @wraps(execute)
    def run(cls: Any, *args: Any, **inputs: Any) -> Any:
        given = {**dict(zip(names, args, strict=False)), **inputs}
        for each in cls.define_schema().inputs:
            if each.id in given:
                _check(each, given[each.id])
        return execute(cls, **{name: each for name, each in given.items() if each is not None})

    return run  # type: ignore[return-value]


def _check(taker: Any, value: Any) -> None:
    name, kind = taker.id, str(taker.get_io_type())
    if value is None:
        if taker.optional:
            return
        what_to_do = _LOAD if kind in _PARTS else "Connect another output."
        raise RefDiffError(f"Nothing came in by '{name}', which takes {kind}. {what_to_do}")
    known = [_TAKES[each] for each in kind.split(",") if each in _TAKES]
    if known and not any(takes(value) for takes, _ in known):
        wanted = " or ".join(told for _, told in known)
        shown = repr(value) if isinstance(value, (str, Real)) else f"of type {type(value).__name__}"
        raise RefDiffError(f"'{name}' is {shown}, expected {wanted}. Connect another output.")


def _is(kind: Any) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


def _has(*names: str) -> Callable[[Any], bool]:
    return lambda value: all(hasattr(value, name) for name in names)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


_PARTS = ("MODEL", "CLIP", "VAE")
_LOAD = (
    "The file that was loaded may hold none: load it by itself, such as with Load Diffusion Model, "
    "Load CLIP or Load VAE."
)
_TAKES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "INT": (_is_whole, "a whole number"),
    "FLOAT": (_is_number, "a number"),
    "BOOLEAN": (_is(bool), "true or false"),
    "STRING": (_is(str), "text"),
    "COMBO": (_is(str), "one of its list"),
    "MODEL": (_has("clone", "model"), "a MODEL"),
    "CLIP": (_has("tokenize", "encode_from_tokens"), "a CLIP"),
    "VAE": (_has("encode", "first_stage_model"), "a VAE"),
    "MASK": (is_mask, "a MASK"),
    "SEGS": (_has(), "SEGS"),  # which have a reader that tells what is wrong
    "REFDIFF_ATTENTION": (_is(AttentionBatch), "what Ref-Diff Attention gives"),
    "REFDIFF_PROPOSALS": (_is(ProposalBatch), "what SAM Proposals gives"),
    "REFDIFF_SCORES": (_is(ScoreBatch), "what CLIP Score gives"),
    "REFDIFF_CANDIDATES": (_is(ResultBatch), "candidates of Ref-Diff Segment or Fuse Masks"),
    "REFDIFF_CLIP": (_is(HostClip), "what Load CLIP for Scoring gives"),
}
