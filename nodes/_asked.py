"""What a node's inputs ask for, as settings of the core and of the panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ..refdiff_core.errors import SettingsError
from ..refdiff_core.settings import AttentionSettings

Asked = TypeVar("Asked")

BY_MODEL = "by the model"
READINGS = {BY_MODEL: None, "all tokens": "all", "the text": "text", "output": "output"}
"""How transformers compare places with words, as the nodes call it and as the core does."""


@dataclass(frozen=True)
class Shown:
    """How an answer is shown, and what the hand did to it; the inputs say more of each."""

    threshold: float = 0.0
    panel: str = ""
    one_mask: bool = False
    each: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise SettingsError(f"threshold is {self.threshold!r}, expected 0 to 1.")


def asked(kind: type[Asked], inputs: Mapping[str, Any]) -> Asked:
    """A value of those inputs that bear its fields' names; what is not there is as usual."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: inputs[name] for name in names if name in inputs})


def look_of(inputs: Mapping[str, Any]) -> AttentionSettings:
    """How attention is read, by inputs whose -1, 0 and "by the model" leave it to the model."""
    reading = inputs.get("reading", BY_MODEL)
    chosen = {
        "timestep": None if inputs["timestep"] < 0 else inputs["timestep"],
        "resolution": inputs["resolution"] or None,
        "reading": READINGS.get(reading, reading),
    }
    return asked(AttentionSettings, {**inputs, **chosen})
