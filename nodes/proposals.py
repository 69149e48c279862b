"""What could be a thing: masks from Segment Anything."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..refdiff_core.settings import SamSettings
from ._check import checked
from ._host import candidate_masks
from ._models import NO_PRESET
from ._presets import load_preset, preset_input
from ._run import asked_settings, own_settings, propose
from ._schema import CATEGORY, Attention, Proposals, Sam, advanced, image_input, schema


def _filters() -> list[io.Input]:
    default = SamSettings()
    quality = io.Float.Input(
        "min_quality",
        default=0.0,
        min=0.0,
        max=1.0,
        step=0.01,
        tooltip="Masks that Segment Anything itself trusts less, from 0 to 1, are left out. "
        f"0 takes its own figure, {default.min_predicted_iou}.",
    )
    duplicates = io.Float.Input(
        "duplicate_iou",
        default=default.duplicate_iou,
        min=0.1,
        max=1.0,
        step=0.01,
        tooltip="Of two masks that overlap by more (IoU), the better one stays.",
    )
    return [advanced(quality), advanced(duplicates)]


class RefDiffSAMProposals(io.ComfyNode):
    """Everything that Segment Anything finds, around the peaks of maps where there are some."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RefDiffSAMProposals",
            display_name="SAM Proposals",
            category=CATEGORY,
            description="Finds everything that could be a thing with Segment Anything. With the "
            "attention connected it also looks where the words are, and needs fewer points.",
            search_aliases=[
                "segment anything",
                "sam",
                "automatic masks",
                "segment everything",
                "mask generator",
            ],
            inputs=[
                Sam.Input(
                    "sam_model",
                    tooltip="From Load SAM, or from Impact Pack's or storyicon's loader.",
                ),
                image_input(),
                Attention.Input(
                    "attention",
                    optional=True,
                    tooltip="From Ref-Diff Attention on the same picture: its peaks are asked too.",
                ),
                io.Int.Input(
                    "points_per_side",
                    default=0,
                    min=0,
                    max=64,
                    tooltip="A grid of so many points a side is asked. 0 takes 8 with attention "
                    "and 32, Segment Anything's own figure, without.",
                ),
                *_filters(),
                preset_input(),
            ],
            outputs=[
                Proposals.Output("proposals", display_name="proposals"),
                io.Mask.Output(
                    "masks",
                    display_name="masks",
                    tooltip="All masks of all pictures; one empty mask when there are none.",
                ),
            ],
        )

    @classmethod
    @checked
    def execute(
        cls,
        sam_model: Any,
        image: Tensor,
        points_per_side: int,
        min_quality: float,
        duplicate_iou: float,
        attention: Any = None,
        preset: str = NO_PRESET,
    ) -> io.NodeOutput:
        told = own_settings(sam_model, load_preset(preset).sam)
        settings = asked_settings(
            told, points_per_side, min_quality, duplicate_iou, guided=attention is not None
        )
        found = propose(sam_model, image, attention, settings)
        return io.NodeOutput(found, candidate_masks(found, image))
