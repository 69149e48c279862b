"""Where our values lie between calls: on the CPU. A GPU's memory is for the models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from torch import Tensor

from ..refdiff_core.candidates import Chosen
from ..refdiff_core.values import Proposals

Value = TypeVar("Value")


def at_rest(value: Value) -> Value:
    """The same with every tensor on the CPU; what is there already stays the object that it is."""
    found: Value = _moved(value, {})
    return found


def _moved(value: Any, known: dict[int, Any]) -> Any:
    # each object once, so that what values share is still shared
    if id(value) not in known:
        known[id(value)] = _move(value, known)
    return known[id(value)]


def _move(value: Any, known: dict[int, Any]) -> Any:
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, Chosen):
        whole = _moved(value.whole, known)
        return value if whole is value.whole else Chosen(whole, value.rows)
    before = list(_parts(value))
    after = [_moved(each, known) for each in before]
    if all(one is other for one, other in zip(before, after, strict=True)):
        return value
    if not is_dataclass(value):
        return type(value)(after)
    parts = dict(zip((field.name for field in fields(value)), after, strict=True))
    return replace(value, **parts)  # type: ignore[type-var]


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in a value of ours; what is shared comes as often as it is."""
    if isinstance(value, Proposals):
        value = value.whole  # which they keep, and read their own masks from
    if isinstance(value, Tensor):
        yield value
    for part in _parts(value):
        yield from tensors_in(part)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        yield from value
    elif is_dataclass(value):
        yield from (getattr(value, field.name) for field in fields(value))
