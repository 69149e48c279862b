"""How well each candidate fits the words, by CLIP."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ._check import checked
from ._models import NO_PRESET
from ._presets import load_preset, preset_input
from ._prompt import read_lines
from ._run import score
from ._schema import (
    CATEGORY,
    Clip,
    Proposals,
    Scores,
    Segs,
    expressions_input,
    image_input,
    schema,
)


class RefDiffCLIPScore(io.ComfyNode):
    """How well every candidate looks like what each line says, by CLIP."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RefDiffCLIPScore",
            display_name="CLIP Score",
            category=CATEGORY,
            description="Scores every candidate by how well it fits the words, cut out and in "
            "its place, with a CLIP that sees pictures.",
            search_aliases=["clip similarity", "rank masks", "text image score"],
            inputs=[
                Clip.Input("refdiff_clip", tooltip="From Load CLIP for Scoring."),
                image_input(),
                io.MultiType.Input(
                    "proposals",
                    [Proposals, io.Mask, Segs],
                    tooltip="The candidates: from SAM Proposals, any batch of masks, or SEGS. "
                    "Masks and SEGS are candidates in every picture of the batch.",
                ),
                expressions_input(),
                preset_input(),
            ],
            outputs=[Scores.Output("scores", display_name="scores")],
        )

    @classmethod
    @checked
    def execute(
        cls,
        refdiff_clip: Any,
        image: Tensor,
        proposals: Any,
        expressions: str,
        preset: str = NO_PRESET,
    ) -> io.NodeOutput:
        told, lines = load_preset(preset).clip, read_lines(expressions)
        return io.NodeOutput(score(refdiff_clip, image, lines, proposals, told))
