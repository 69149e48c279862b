"""Which candidate it is, and its mask."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..refdiff_core.settings import Settings
from ._host import answer
from ._run import fuse_batch
from ._schema import (
    CATEGORY,
    Attention,
    Proposals,
    Scores,
    Segs,
    alpha_input,
    image_input,
    mask_inputs,
    result_outputs,
    schema,
)


class RefDiffFuseMasks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RefDiffFuseMasks",
            display_name="Fuse Masks",
            category=CATEGORY,
            description="Ranks candidates by attention, CLIP and the words' geometry, and makes "
            "the mask of the best one. Candidates may come from anywhere, such as SAM 3's "
            "individual masks; without any they are made from the attention.",
            search_aliases=["which mask", "rank masks", "choose mask", "pick mask", "which one"],
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
            ],
            outputs=result_outputs(),
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        attention: Any = None,
        proposals: Any = None,
        scores: Any = None,
        image: Tensor | None = None,
        **settings: Any,
    ) -> io.NodeOutput:
        found = fuse_batch(attention, proposals, scores, image, Settings(**settings))
        return answer(found, cls.hidden.unique_id)
