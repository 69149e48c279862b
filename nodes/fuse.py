"""Which candidate it is, and its mask."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from torch import Tensor

from ..refdiff_core.settings import Settings
from ._choice import read_choices
from ._hand import by_hand
from ._host import answer, message
from ._models import NO_PRESET
from ._panel import panel_of
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
    def execute(
        cls,
        attention: Any = None,
        proposals: Any = None,
        scores: Any = None,
        image: Tensor | None = None,
        threshold: float = 0.0,
        panel: str = "",
        one_mask: bool = False,
        each: bool = False,
        preset: str = NO_PRESET,
        **settings: Any,
    ) -> io.NodeOutput:
        shape = laid_on(load_preset(preset).fusion, Settings(**settings))
        found = fuse_batch(attention, proposals, scores, image, shape)
        handled = by_hand(found, read_choices(panel), shape, threshold)
        ui = panel_of(handled, "fuse", message(handled.batch))
        return answer(handled.batch, ui, one_mask, each)
