"""The options of the command line that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from ..settings import PRESETS

out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("refdiff-out"),
    show_default=True,
    help="Folder for the results; made if need be.",
)
as_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object a line."
)
previews_option = click.option(
    "--previews", is_flag=True, help="Also write overlay, heat map and candidates."
)
each_option = click.option(
    "--each", is_flag=True, help="Also write a mask for each object: of 'both cups', two."
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes side by side, a GPU each where there are any; more than one needs Ray.",
)
fresh_option = click.option("--fresh", is_flag=True, help="Throw away the records that are there.")
records_option = click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for records and results."
)
SEED = click.IntRange(min=0, max=2**63 - 1)  # what torch's generators take
_MODEL_OPTIONS = (
    click.option(
        "--demo",
        type=click.Choice(["unet", "transformer"]),
        help="Use the bundled models, which know coloured shapes; by itself with the U-Net.",
    ),
    click.option("--checkpoint", help="A file, a diffusers folder, or a name."),
    click.option("--taesd", help="A tiny autoencoder that encodes pictures: a file, or a folder."),
    click.option("--sam", help="Segment Anything: a file, or a name."),
    click.option("--clip", help="CLIP for open_clip: ARCHITECTURE:FILE, or a folder."),
    click.option(
        "--variant",
        type=click.Choice(["g", "gs", "ds", "gsd"]),
        help="Leave parts out; see models.",
    ),
    click.option(
        "--settings",
        metavar=f"[{'|'.join(PRESETS)}|FILE]",
        default="default",
        show_default=True,
        help="The best that was measured, the paper's method, its published code's; or a preset "
        "file that ends in .json.",
    ),
    click.option(
        "--min-present",
        type=click.FloatRange(0, 1),
        help="Empty masks where a thing is there with less than this chance; 0 always finds one. "
        "Only CLIP can tell, and not by the paper's settings or its code's.",
    ),
    click.option("--seed", type=SEED, default=0, help="Of the noise."),
    click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, mps."),
    click.option(
        "--dtype",
        type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
        default="auto",
        show_default=True,
        help="What models compute in: by itself what the device is fastest in.",
    ),
)


def model_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that name models, handed to it together as ``choice``."""

    @functools.wraps(command)
    def with_choice(**given: Any) -> int:
        from ..models.choice import ModelChoice

        named = {field.name: given.pop(field.name) for field in fields(ModelChoice)}
        named["demo"] = named["demo"] or ""
        return command(choice=ModelChoice(**named), **given)

    for option in reversed(_MODEL_OPTIONS):
        with_choice = option(with_choice)
    return with_choice


_DATA_OPTIONS = (
    click.option(
        "--dataset",
        type=click.Choice(["demo", "refcoco", "refcoco+", "refcocog", "grefcoco"]),
        required=True,
        help="demo is made where it is not there yet.",
    ),
    click.option(
        "--root", type=click.Path(path_type=Path), help="Folder with the data set's folder."
    ),
    click.option("--split", help="val, testA, testB, test.  [default: val]"),
    click.option("--by", type=click.Choice(["unc", "umd", "google"]), help="Whose references."),
    click.option(
        "--text",
        type=click.Choice(["sent", "raw"]),
        default="sent",
        show_default=True,
        help="Sentences cleaned or as typed.",
    ),
    click.option("--images", type=click.Path(path_type=Path), help="Folder of the pictures."),
    click.option("--oracle", is_flag=True, help="Choose among the true masks of all objects."),
    click.option(
        "--limit",
        type=click.IntRange(min=1),
        help="About so many sentences: whole pictures until there are.",
    ),
)


def data_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that name a data set, and what of it."""
    for option in reversed(_DATA_OPTIONS):
        command = option(command)
    return command
