"""The command line: `refdiff`, also `python -m refdiff_core`.

Standard output carries results, standard error everything else. Exit status: 0 done, 2 bad input,
130 interrupted. Heavy imports are inside the commands, so that `refdiff --help` answers at once.
"""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import click

from ..errors import RefDiffError
from ..runs.console import brief, logging_to_stderr, say, table, working
from ..version import version as get_version
from .options import (
    SEED,
    as_json_option,
    data_options,
    each_option,
    fresh_option,
    model_options,
    out_option,
    previews_option,
    records_option,
    workers_option,
)

BAD_INPUT = 2
INTERRUPTED = 130


def main() -> None:
    """Run the command line and leave with its exit status."""
    # Nothing is downloaded unasked: a model that is not here is an error, not a request.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # other libraries' notes to their developers
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a letter that a terminal lacks ends nothing
            stream.reconfigure(errors="backslashreplace")
    sys.exit(leave(run(sys.argv[1:])))


def leave(status: int) -> int:
    """Hand over what is still to be written; what cannot be is said once, not in a traceback."""
    try:
        sys.stdout.flush()
    except OSError as error:
        status = _untold(error)
        # or Python would try again on its way out
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _untold(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):  # whoever read has seen enough
        return INTERRUPTED
    say(f"results cannot be written ({error}).")
    return BAD_INPUT


def run(arguments: Sequence[str]) -> int:
    """Run the command line; bad input ends in one line on standard error, not in a traceback.

    Args:
        arguments: what follows the program's name.

    Returns:
        The exit status.
    """
    try:
        with logging_to_stderr():
            status = cli.main(_spelt(arguments), prog_name="refdiff", standalone_mode=False)
    except click.ClickException as error:
        say(error.format_message())
        return BAD_INPUT
    except RefDiffError as error:
        say(str(error))
        return BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        return INTERRUPTED
    except OSError as error:
        return _untold(error)
    return status if isinstance(status, int) else 0


def _spelt(arguments: Sequence[str]) -> list[str]:
    """With the U-Net named after a bare --demo: what follows it is mostly a picture's name."""
    following = [*arguments[1:], ""]
    return [
        "--demo=unet" if each == "--demo" and after not in ("unet", "transformer") else each
        for each, after in zip(arguments, following, strict=False)
    ]


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.option("--version", is_flag=True, help="Show the version and exit.")
@click.pass_context
def cli(context: click.Context, version: bool) -> None:
    """Describe which one, get its mask.

    Segments what a phrase refers to, from the attention of a Stable Diffusion checkpoint or of a
    transformer such as Flux.
    """
    if version:
        click.echo(f"refdiff {get_version()}")
        context.exit()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command()
@out_option
@click.option("--seed", type=SEED, help="Another scene, other expressions.")
def demo(out: Path, seed: int | None) -> None:
    """Try it: a bundled scene, no downloads."""
    with working(2) as work:
        work.step("loading models")
        from .demo import show

        work.result(show(out, seed, lambda: work.step("looking at the scene")))


@cli.command()
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--expression",
    "expressions",
    multiple=True,
    required=True,
    help="What to find, such as 'the red cup on the left'; one a line, may be repeated.",
)
@model_options
@click.option(
    "--masks",
    type=click.Path(path_type=Path),
    help="Proposals of your own: a folder of PNGs, or one .npy (N, height, width).",
)
@out_option
@previews_option
@each_option
@as_json_option
def segment(**given: Any) -> int:
    """Write the mask of what each expression means.

    Every expression is looked for in each of IMAGES.
    """
    with working(1 + len(given["images"])) as work:
        work.step("loading models")
        from .segment import SegmentJob, run_segment

        return 0 if run_segment(SegmentJob(**given), work) else BAD_INPUT


@cli.command()
@data_options
@model_options
@workers_option
@records_option
@fresh_option
def evaluate(**given: Any) -> int:
    """Measure the method on a benchmark of referring expressions.

    Goes on where it was interrupted. The data set "demo" has the bundled models unless others are
    named.
    """
    from ..evaluation.evaluate import Evaluation
    from ..evaluation.evaluate import evaluate as measure

    with working(2) as work:
        summary = measure(Evaluation(**given), work)
    return BAD_INPUT if summary["failed"] else 0


@cli.command()
@data_options
@click.option(
    "--timestep",
    "timesteps",
    type=click.IntRange(0, 999),
    multiple=True,
    help="Also read the checkpoint at this one; may be repeated.",
)
@click.option(
    "--resolution",
    "resolutions",
    type=click.IntRange(min=64),
    multiple=True,
    help="Also read the checkpoint at this one, in pixels a side; may be repeated.",
)
@click.option(
    "--trials",
    type=click.IntRange(min=2),
    default=60,
    show_default=True,
    help="Ways to rank what was read, tried for each way of reading it.",
)
@model_options
@workers_option
@records_option
@fresh_option
def tune(**given: Any) -> int:
    """Find the settings that suit a checkpoint, and write them to a preset file.

    They are chosen on every other picture of a data set and judged on the rest; what is not
    clearly better stays as it is. Goes on where it was interrupted.
    """
    from ..evaluation.tune import Tuning
    from ..evaluation.tune import tune as find

    with working(2) as work:
        find(Tuning(**given), work)
    return 0


@cli.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@model_options
@workers_option
@out_option
@previews_option
@each_option
@fresh_option
def batch(**given: Any) -> int:
    """Write masks for a list of pictures, many or few.

    MANIFEST has a picture and what to find in it on each line: JSON such as
    {"image": "a.jpg", "expressions": ["the red cup"]}, or CSV with columns image and expression.
    Goes on where it was interrupted.
    """
    from .batch import BatchJob, run_batch

    with working(1) as work:
        return 0 if run_batch(BatchJob(**given), work) else BAD_INPUT


@cli.command()
def models() -> None:
    """Say what models are known, and which are here."""
    from ..models.library import KINDS, list_models, model_folders

    click.echo(_KNOWN_MODELS)
    click.echo("Looked for in (REFDIFF_MODELS names other folders):")
    for folder in model_folders():
        click.echo(f"  {folder}{'' if folder.is_dir() else '  (not there)'}")
    for kind in KINDS:
        there = [f"  {path}" for path in list_models(kind)]
        click.echo("\n".join([f"Found in {kind}:", *(there or ["  nothing"])]))


_KNOWN_MODELS = """\
Variants: g attention alone; gs with Segment Anything; ds Segment Anything and CLIP; gsd all three.
Models:
  --demo        bundled tiny models of all three kinds; they know coloured shapes and no more
  --checkpoint  Stable Diffusion 1.x, 2.x and XL: one original-layout file, or a diffusers folder;
                SD 3.x, Flux.1, Z-Image, Chroma, Qwen-Image, Lumina 2: a diffusers folder
  --taesd       a tiny autoencoder (TAESD) of the checkpoint's family, to encode pictures faster
  --sam         Segment Anything vit_b, vit_l, vit_h
  --clip        CLIP with a vision transformer, as open_clip names it: ViT-B-16:FILE, or a folder
"""


@cli.command()
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True)
@as_json_option
def parse(texts: tuple[str, ...], as_json: bool) -> None:
    """Show how expressions are understood."""
    from ..language.expression import parse_lines, to_json

    for expression in [each for text in texts for each in parse_lines(text)]:
        record = to_json(expression)
        click.echo(json.dumps(record) if as_json else _describe_parse(record))
        for note in expression.notes:
            say(f"note: '{brief(expression.text)}': {note}")


def _describe_parse(record: dict[str, object]) -> str:
    rows = [["", str(record["text"])]]
    told = {**record, "text": None, "notes": None}
    for name in ("excluded", "things"):
        told[name] = [_in_short(each) for each in cast(list[dict[str, object]], record[name])]
    rows += [[name, str(value)] for name, value in told.items() if value and value != 1]
    return table(rows)


def _in_short(record: dict[str, object]) -> dict[str, object]:
    """What a record says beyond what is true of every line."""
    said = {name: value for name, value in record.items() if value and value != 1}
    return {name: value for name, value in said.items() if name not in ("text", "notes")}
