"""Settings from a file that `refdiff tune` wrote, beneath what the inputs say."""

from dataclasses import fields, replace
from typing import Any, TypeVar

from comfy_api.latest import io

from ..refdiff_core.settings import AttentionSettings, Settings, find_preset
from ._models import NO_PRESET, PRESETS, find_file, list_presets
from ._schema import advanced

Parts = tuple[AttentionSettings, Settings]
Kept = TypeVar("Kept", AttentionSettings, Settings)


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


def with_preset(preset: str, look: AttentionSettings, shape: Settings) -> Parts:
    """The inputs' settings on those of a preset file: what is no input's default wins.

    Raises:
        ModelError: there is no such file, or it holds no settings.
    """
    if preset == NO_PRESET:
        return look, shape
    told = find_preset(find_file(PRESETS, preset))
    return _laid_on(told.attention, look), _laid_on(told.fusion, shape)


def _laid_on(told: Kept, asked: Kept) -> Kept:
    usual: Any = type(asked)()
    names = [field.name for field in fields(asked)]  # type: ignore[arg-type]
    own = {name: getattr(asked, name) for name in names}
    return replace(told, **{n: v for n, v in own.items() if v != getattr(usual, n)})  # type: ignore[type-var]
