"""All of it in one node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..refdiff_core.settings import Settings
from ._answer import answer_by_hand
from ._asked import Shown, asked, look_of
from ._check import checked
from ._models import NO_PRESET
from ._presets import laid_on, load_preset, preset_input
from ._prompt import read_lines
from ._run import asker_of, segment_batch
from ._schema import (
    CATEGORY,
    Clip,
    Sam,
    alpha_input,
    answer_inputs,
    attention_inputs,
    expressions_input,
    image_input,
    mask_inputs,
    model_inputs,
    result_outputs,
    schema,
    shows_a_panel,
    transformer_inputs,
)


class RefDiffSegment(io.ComfyNode):
    """The whole method in one node: a picture and lines to a mask of each."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RefDiffSegment",
            display_name="Ref-Diff Segment",
            category=CATEGORY,
            description="Say which one, get its mask, from the checkpoint that is loaded already: "
            "'the left cup', 'the player in white', 'the dog behind the bench'. SAM sharpens the "
            "mask's edges, CLIP helps to choose; both may be left out.",
            search_aliases=[
                "text to mask", "mask by text", "segment by text", "select object", "describe",
                "select by text", "find", "find object", "which one", "pick object", "clipseg",
                "remove object", "referring segmentation", "grounding dino", "sam", "lang sam",
                "inpaint mask", "ref-diff",
            ],
            inputs=[
                *model_inputs(),
                image_input(),
                expressions_input(),
                Sam.Input(
                    "sam_model",
                    optional=True,
                    tooltip="From Load SAM, Impact Pack's or storyicon's loader. Without it, "
                    "candidates are parts of the attention and their edges are rough.",
                ),
                Clip.Input(
                    "refdiff_clip",
                    optional=True,
                    tooltip="From Load CLIP for Scoring; helps to choose among candidates.",
                ),
                alpha_input(),
                *mask_inputs(),
                *attention_inputs(),
                *answer_inputs(),
                *transformer_inputs(),
                preset_input(),
            ],
            outputs=result_outputs(),
            **shows_a_panel(),
        )  # fmt: skip

    @classmethod
    @checked
    def execute(
        cls,
        model: Any,
        clip: Any,
        vae: Any,
        image: Tensor,
        expressions: str,
        sam_model: Any = None,
        refdiff_clip: Any = None,
        preset: str = NO_PRESET,
        **inputs: Any,
    ) -> io.NodeOutput:
        told, lines, checkpoint = load_preset(preset), read_lines(expressions), (model, clip, vae)
        look = laid_on(told.attention, look_of(inputs))
        shape = laid_on(told.fusion, asked(Settings, inputs))
        told = replace(told, attention=look, fusion=shape)
        found = segment_batch(checkpoint, image, lines, sam_model, refdiff_clip, told)
        shown, asker = asked(Shown, inputs), asker_of(sam_model)
        return answer_by_hand(found, "segment", shape, shown, asker)
