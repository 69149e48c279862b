"""Which candidate it is, and its mask."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..refdiff_core.settings import Settings
from ._answer import answer_by_hand
from ._asked import Shown, asked
from ._check import checked
from ._models import NO_PRESET
from ._presets import laid_on, load_preset, preset_input
from ._run import fuse_batch
from ._schema import (
    CATEGORY,
    Attention,
    Proposals,
    Scores,
    Segs,
    alpha_input,
    answer_inputs,
    image_input,
    mask_inputs,
    result_outputs,
    schema,
    shows_a_panel,
)


class RefDiffFuseMasks(io.ComfyNode):
    """Of candidates from anywhere, the mask of the one that is meant; one MASK a line."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RefDiffFuseMasks",
            display_name="Fuse Masks",
            category=CATEGORY,
            description="Ranks candidates by attention, CLIP and the words' geometry, and makes "
            "the mask of the best one. Candidates may come from anywhere, such as SAM 3's "
            "individual masks; without any they are made from the attention.",
            search_aliases=[
                "which mask", "which one", "rank masks", "choose mask", "pick mask",
                "select object", "sam 3 masks",
            ],
            inputs=[
                io.MultiType.Input(
                    "attention",
                    [Attention, io.Mask],
                    optional=True,
                    tooltip="From Ref-Diff Attention. Any soft mask may stand in for it, such as "
                    "a painted hint.",
                ),
                io.MultiType.Input(
                    "proposals",
                    [Proposals, io.Mask, Segs],
                    optional=True,
                    tooltip="The candidates: from SAM Proposals, any batch of masks, or SEGS. "
                    "Without them, parts of the attention are the candidates.",
                ),
                Scores.Input(
                    "scores", optional=True, tooltip="From CLIP Score, for the same proposals."
                ),
                image_input(
                    optional=True,
                    note=" Only needed where a mask stands in for the attention, for the overlay.",
                ),
                alpha_input(),
                *mask_inputs(),
                *answer_inputs(),
                preset_input(),
            ],
            outputs=result_outputs(),
            **shows_a_panel(),
        )  # fmt: skip

    @classmethod
    @checked
    def execute(
        cls,
        attention: Any = None,
        proposals: Any = None,
        scores: Any = None,
        image: Tensor | None = None,
        preset: str = NO_PRESET,
        **inputs: Any,
    ) -> io.NodeOutput:
        shape = laid_on(load_preset(preset).fusion, asked(Settings, inputs))
        found = fuse_batch(attention, proposals, scores, image, shape)
        return answer_by_hand(found, "fuse", shape, asked(Shown, inputs))
