"""What values settings take, so that a wrong one is told of where it is said; changing some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from numbers import Integral, Real
from typing import Any, TypeVar

from .errors import SettingsError

Value = TypeVar("Value")
Range = range | tuple[float, float] | tuple[str, ...]
"""Whole numbers, numbers between two (both are taken), or names."""

SHARE = (0.0, 1.0)
LOG_ODDS = (-1000.0, 1000.0)
MEBIBYTES = range(2**20 + 1)
PIXELS = range(8193)

RANGES: Mapping[str, Range] = {
    # attention: beyond these a model sees nothing that it was trained on, or memory runs away
    "timestep": range(1000),
    "resolution": range(64, 4097),
    "seed": range(2**63),
    "words": ("content", "root"),
    "reading": ("all", "text", "output"),
    "propagation": range(17),
    "budget": MEBIBYTES,
    # Segment Anything: 128 points a side are 16,384 prompts
    "points_per_side": range(129),
    "peaks": range(1025),
    "batch": range(1, 4097),
    "min_predicted_iou": SHARE,
    "min_stability": SHARE,
    "stability_offset": (0.0, 100.0),
    "duplicate_iou": SHARE,
    # CLIP
    "beta": SHARE,
    "surround": ("black", "mean", "blur"),
    "margin": (0.0, 10.0),
    "zoom": (0.1, 16.0),
    # calibration
    "shared": (0.0, 1000.0),
    "floor": (0.001, 1000.0),  # views may agree to the last bit
    "steep": LOG_ODDS,
    "cuts": LOG_ODDS,
    "border": (0.0, 1000.0),
    "match": LOG_ODDS,
    "plain": LOG_ODDS,
    "alone": LOG_ODDS,
    "present": LOG_ODDS,
    # ranking and the mask
    "fusion": ("agreement", "sum"),
    "alpha": SHARE,
    "min_present": SHARE,
    "sharpen": (0.0, 64.0),
    "size_exponent": (0.0, 10.0),
    "quality_exponent": (0.0, 100.0),
    "spatial_weight": SHARE,
    "smallest": SHARE,
    "largest": SHARE,
    "union": range(1, 1025),
    "grow": range(-8192, 8193),
    "feather": PIXELS,
}


def check_ranges(settings: Any) -> None:
    """Check every field of a dataclass that has a range; None and parts with fields go by.

    Raises:
        SettingsError: one of them has another value.
    """
    for field in fields(settings):
        given, wanted = getattr(settings, field.name), RANGES.get(field.name)
        values = given if isinstance(given, tuple) else (given,)
        if wanted and not all(each is None or _is_within(each, wanted) for each in values):
            raise SettingsError(f"{field.name} is {given!r}, expected {_told(wanted)}.")


def _is_within(value: Any, wanted: Range) -> bool:
    if isinstance(wanted, range):
        return isinstance(value, Integral) and value in wanted
    if isinstance(wanted[0], str):
        return value in wanted
    return isinstance(value, Real) and bool(wanted[0] <= value <= wanted[1])  # type: ignore[operator]


def _told(wanted: Range) -> str:
    if isinstance(wanted, range):
        return f"a whole number from {wanted[0]:,} to {wanted[-1]:,}"
    if isinstance(wanted[0], str):
        return f"one of {', '.join(map(str, wanted))}"
    return f"{wanted[0]:g} to {wanted[1]:g}"


def changed(value: Value, told: Mapping[str, Any]) -> Value:
    """A frozen value with other fields, in its parts too; each of the type that it had.

    Args:
        value: such as a `Preset`.
        told: new values by field, as a preset file has them.

    Raises:
        AttributeError, OverflowError, TypeError, ValueError: there is no such field, or it takes
            another value.
        SettingsError: a value beyond its range.
    """
    new: dict[str, Any] = {}
    for name, given in told.items():
        old = getattr(value, name)
        if is_dataclass(old):
            new[name] = changed(old, given)
        elif isinstance(old, tuple):
            new[name] = tuple(float(each) for each in given)
            if len(new[name]) != len(old):
                raise ValueError(f"{name} takes {len(old)} numbers, not {len(new[name])}")
        elif old is None or isinstance(given, type(old)):
            new[name] = given
        elif isinstance(old, float) and type(given) is int:
            new[name] = float(given)
        else:
            raise TypeError(f"{name} is {given!r}, expected {type(old).__name__}")
    return replace(value, **new)  # type: ignore[type-var]
