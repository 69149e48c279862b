"""Settings from a file that `refdiff tune` wrote, beneath what the inputs say."""

from dataclasses import fields, replace
from typing import Any, TypeVar

from comfy_api.latest import io

from ..refdiff_core.settings import (
    DEFAULT,
    AttentionSettings,
    Preset,
    SamSettings,
    Settings,
    find_preset,
)
from ._models import NO_PRESET, PRESETS, find_file, list_presets
from ._schema import advanced

Part = TypeVar("Part", AttentionSettings, SamSettings, Settings)


def preset_input() -> io.Input:
    """Settings from a file; optional and last, as `panel_input` says."""
    return advanced(
        io.Combo.Input(
            "preset",
            options=list_presets(),
            default=NO_PRESET,
            optional=True,
            tooltip="Settings that suit a checkpoint, from a file in models/refdiff as 'refdiff "
            "tune' writes it. What an input says in place of its own default goes before it.",
        )
    )


def load_preset(name: str) -> Preset:
    """The settings in a preset file, or the default ones.

    Raises:
        ModelError: there is no such file.
        SettingsError: it holds no settings.
    """
    return DEFAULT if name == NO_PRESET else find_preset(find_file(PRESETS, name))


def laid_on(told: Part, asked: Part) -> Part:
    """The inputs' settings on those of a preset: what is no input's default wins."""
    usual: Any = type(asked)()
    names = [field.name for field in fields(asked)]  # type: ignore[arg-type]
    own = {name: getattr(asked, name) for name in names}
    return replace(told, **{n: v for n, v in own.items() if v != getattr(usual, n)})  # type: ignore[type-var]
