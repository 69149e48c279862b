"""Candidates chosen by hand."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from ..refdiff_core.errors import RefDiffError
from ..refdiff_core.pictures.previews import candidates_sheet
from ..refdiff_core.values import Segmentation
from ._host import to_host
from ._schema import CATEGORY, Candidates, schema
from ._values import ResultBatch


class RefDiffPick(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="RefDiffPick",
            display_name="Ref-Diff Pick",
            category=CATEGORY,
            description="Shows the best candidates with their numbers and gives the mask of "
            "those that you choose.",
            search_aliases=["pick mask", "choose candidate", "select mask"],
            inputs=[
                Candidates.Input(
                    "candidates", tooltip="From Ref-Diff Segment or Fuse Masks."
                ),
                io.String.Input(
                    "picks",
                    default="1",
                    tooltip="Numbers of candidates, such as 1 or 1,3; several give their union. "
                    "For several pictures or expressions: 1; 1,3; 2. A single entry holds for all.",
                ),
            ],
            outputs=[
                io.Mask.Output("mask", display_name="mask", tooltip="The candidates chosen."),
                io.Image.Output(
                    "sheet", display_name="sheet", tooltip="The candidates, numbered.",
                    is_output_list=True,
                ),
            ],
            is_output_node=True,  # it shows the candidates, whatever else is connected
        )  # fmt: skip

    @classmethod
    def execute(cls, candidates: ResultBatch, picks: str) -> io.NodeOutput:
        lines = read_picks(picks, len(candidates.results))
        chosen = [union(*pair) for pair in zip(candidates.results, lines, strict=True)]
        sheets = [candidates_sheet(*pair)[None] for pair in candidates.pairs]
        shown = [image for sheet in sheets for image in ui.PreviewImage(sheet, cls=cls).values]
        return io.NodeOutput(to_host(chosen), sheets, ui={"images": shown})


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


def union(result: Segmentation, picks: list[int]) -> Any:
    """The mask of candidates by rank, from 1; where nothing was found, the empty mask.

    Raises:
        RefDiffError: there are not so many candidates.
    """
    count = len(result.ranking)
    if not count:
        return result.mask
    if bad := [pick for pick in picks if not 1 <= pick <= count]:
        raise RefDiffError(
            f"There is no candidate {bad[0]} of '{result.expression.text}': "
            f"they are numbered from 1 to {count}."
        )
    chosen = result.ranking[[pick - 1 for pick in picks]]
    return result.proposals.union(chosen).float()
