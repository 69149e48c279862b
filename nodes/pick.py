"""Candidates chosen by hand."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..refdiff_core.errors import RefDiffError
from ..refdiff_core.pictures.previews import candidates_sheet
from ..refdiff_core.settings import Settings
from ..refdiff_core.values import Segmentation
from ._asked import Shown, asked
from ._check import checked
from ._choice import read_choices
from ._hand import by_hand
from ._host import message, to_host
from ._panel import panel_of
from ._schema import (
    CATEGORY,
    Candidates,
    panel_input,
    schema,
    shape_inputs,
    shows_a_panel,
    threshold_input,
)
from ._values import ResultBatch


class RefDiffPick(io.ComfyNode):
    """Candidates chosen by hand: their union as MASK, one for each line's result."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RefDiffPick",
            display_name="Ref-Diff Pick",
            category=CATEGORY,
            description="Shows the candidates on the picture and gives the mask of those that you "
            "click, or name by number.",
            search_aliases=[
                "pick mask", "choose candidate", "select mask", "select object", "which one",
                "click mask",
            ],
            inputs=[
                Candidates.Input(
                    "candidates", tooltip="From Ref-Diff Segment or Fuse Masks."
                ),
                io.String.Input(
                    "picks",
                    default="1",
                    tooltip="Numbers of candidates, such as 1 or 1,3; several give their union. "
                    "For several pictures or expressions: 1; 1,3; 2. A single entry holds for all. "
                    "What is clicked on the picture goes before.",
                ),
                *shape_inputs(optional=True),
                threshold_input(),
                panel_input(),
            ],
            outputs=[
                io.Mask.Output("mask", display_name="mask", tooltip="The candidates chosen."),
                io.Image.Output(
                    "sheet", display_name="sheet", tooltip="The candidates, numbered.",
                    is_output_list=True,
                ),
            ],
            # it shows the candidates, whatever else is connected
            **{**shows_a_panel(), "is_output_node": True},
        )  # fmt: skip

    @classmethod
    @checked
    def execute(
        cls,
        candidates: ResultBatch,
        picks: str,
        **inputs: Any,
    ) -> io.NodeOutput:
        numbered = by_number(candidates, picks)
        shape, shown = asked(Settings, inputs), asked(Shown, inputs)
        choices = read_choices(shown.panel)
        handled = by_hand(candidates, choices, shape, shown.threshold, numbered=numbered)
        sheets = [candidates_sheet(*pair)[None] for pair in candidates.pairs]
        masks = to_host([result.mask for result in handled.batch.results])
        return io.NodeOutput(masks, sheets, ui=panel_of(handled, "pick", message(candidates)))


def by_number(batch: ResultBatch, picks: str) -> list[list[int]]:
    """For each result the indices of the candidates whose numbers are given.

    Raises:
        RefDiffError: see `read_picks` and `chosen`.
    """
    lines = read_picks(picks, len(batch.results))
    return [chosen(*pair) for pair in zip(batch.results, lines, strict=True)]


def read_picks(text: str, count: int) -> list[list[int]]:
    """Numbers from 1, one list per result.

    Raises:
        RefDiffError: no numbers, or as many lines as do not fit.
    """
    lines = [part for part in text.replace("\n", ";").split(";") if part.strip()] or ["1"]
    if len(lines) not in (1, count):
        raise RefDiffError(
            f"There are {len(lines)} entries of picks for {count} masks. Write one, which holds "
            "for all, or one for each, such as 1; 1,3; 2."
        )
    try:
        numbers = [[int(part) for part in line.replace(",", " ").split()] for line in lines]
    except ValueError:
        raise RefDiffError(f"'{text}' are no numbers of candidates. Write 1 or 1,3.") from None
    return numbers * count if len(numbers) == 1 else numbers


def chosen(result: Segmentation, picks: list[int]) -> list[int]:
    """Indices of candidates by rank, from 1; none where nothing was found.

    Raises:
        RefDiffError: there are not so many candidates.
    """
    count = len(result.ranking)
    if count and (bad := [pick for pick in picks if not 1 <= pick <= count]):
        raise RefDiffError(
            f"There is no candidate {bad[0]} of '{result.expression.text}': "
            f"they are numbered from 1 to {count}."
        )
    there = count and not result.missing
    return [int(result.ranking[pick - 1]) for pick in picks] if there else []
