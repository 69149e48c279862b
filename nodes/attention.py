"""Where the words are: attention from the loaded checkpoint."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..refdiff_core.previews import heat_picture
from ..refdiff_core.settings import AttentionSettings
from ._host import to_host
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
)


class RefDiffAttention(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RefDiffAttention",
            display_name="Ref-Diff Attention",
            category=CATEGORY,
            description="Shows where the words are in a picture, by what the loaded checkpoint "
            "pays attention to. One look at the picture for all lines; nothing is generated.",
            search_aliases=["heat map", "cross attention", "daam", "text to mask", "where"],
            inputs=[*model_inputs(), image_input(), expressions_input(), *attention_inputs()],
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
    def execute(
        cls,
        model: Any,
        clip: Any,
        vae: Any,
        image: Tensor,
        expressions: str,
        timestep: int,
        resolution: int,
        seed: int,
        sharpen: float,
    ) -> io.NodeOutput:
        settings = AttentionSettings(timestep, resolution or None, seed)
        lines = read_lines(expressions)
        found = read_attention((model, clip, vae), image, lines, settings, sharpen)
        shown = [heat_picture(picture, each.heat) for picture, each in found.pairs]
        heats = [each.heat for _, each in found.pairs]
        return io.NodeOutput(found, to_host(heats), to_host(shown))
