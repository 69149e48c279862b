"""Where the words are: attention from the loaded checkpoint."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..refdiff_core.settings import Settings
from ._asked import asked, look_of
from ._check import checked
from ._host import heats
from ._models import NO_PRESET
from ._presets import laid_on, load_preset, preset_input
from ._prompt import read_lines
from ._run import read_attention
from ._schema import (
    CATEGORY,
    Attention,
    attention_inputs,
    expressions_input,
    image_input,
    model_inputs,
    schema,
    transformer_inputs,
)


class RefDiffAttention(io.ComfyNode):
    """Where the words are: B pictures and T lines to T maps of each, float32 in [0, 1]."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RefDiffAttention",
            display_name="Ref-Diff Attention",
            category=CATEGORY,
            description="Shows where the words are in a picture, by what the loaded checkpoint "
            "pays attention to. One look at the picture for all lines (some transformers, such as "
            "Z-Image, once a line); nothing is generated.",
            search_aliases=["heat map", "cross attention", "daam", "text to mask", "where"],
            inputs=[
                *model_inputs(),
                image_input(),
                expressions_input(),
                *attention_inputs(),
                *transformer_inputs(),
                preset_input(),
            ],
            outputs=[
                Attention.Output("attention", display_name="attention"),
                io.Mask.Output(
                    "maps",
                    display_name="maps",
                    tooltip="The attention as soft masks: per picture, one for every line.",
                ),
                io.Image.Output(
                    "heat", display_name="heat map", tooltip="The attention over the picture."
                ),
            ],
        )

    @classmethod
    @checked
    def execute(
        cls,
        model: Any,
        clip: Any,
        vae: Any,
        image: Tensor,
        expressions: str,
        preset: str = NO_PRESET,
        **inputs: Any,
    ) -> io.NodeOutput:
        told, lines = load_preset(preset), read_lines(expressions)
        look = laid_on(told.attention, look_of(inputs))
        radius = laid_on(told.fusion, asked(Settings, inputs)).sharpen
        found = read_attention((model, clip, vae), image, lines, look, radius)
        return io.NodeOutput(found, *heats(found))
