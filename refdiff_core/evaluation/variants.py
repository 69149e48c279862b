"""What docs/evaluation.md says: `refdiff evaluate --dataset demo` for every variant, one command.

python -m refdiff_core.evaluation.variants [--limit 1000] [--workers 1] [--write docs/evaluation.md]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import click

from ..errors import RefDiffError
from ..models.choice import ModelChoice
from ..runs.console import working
from ..settings import PRESETS
from .demo import publish, to_markdown
from .evaluate import Evaluation, evaluate
from .report import show

VARIANTS = ("g", "gs", "ds", "gsd")
SETTINGS = ("default", "paper")
SHOWN = ("mIoU", "oIoU", "Pr@0.5", "Pr@0.7", "Pr@0.9")
HEAD = """# Evaluation on the demo benchmark

Made by this command with the bundled models on the CPU in float32:

    python -m refdiff_core.evaluation.variants{options} --write docs/evaluation.md

Every line is one `refdiff evaluate --dataset demo`: the command and the code that measure RefCOCO,
RefCOCO+ and RefCOCOg too (README, "Measure it"). Synthetic scenes of coloured shapes: the figures
say what each part of the method adds, nothing about photographs.

Split "{split}": {pictures} scenes, {sentences} sentences. `default` settings are the best that we
have measured, `paper` what the paper says. How variant g cuts masks out of maps (`sharpen`,
`size_exponent`) was set on the first eighty scenes of "val"; on "test" nothing was set.
"""

Summary = Mapping[str, Any]


def page(settings: Sequence[str], limit: int | None, split: str, **how: Any) -> str:
    """Measure every variant, and write the tables as markdown.

    Args:
        settings: by name.
        limit: sentences, None for all.
        split: "val" or "test".
        how: workers, and whether records of earlier runs are thrown away (``fresh``).
    """
    methods = list(product(VARIANTS, settings))
    how |= {"limit": limit, "split": split}
    given = {each: _run(*each, **how) for each in methods}
    chosen = {each: _run(*each, **how, oracle=True) for each in methods if each[0] != "g"}
    ours = given["gsd", settings[0]]
    asked = "" if limit is None else f" --limit {limit}"
    if tuple(settings) != SETTINGS:
        asked += "".join(f" --settings {name}" for name in settings)
    head = HEAD.format(
        options=asked,
        split=split,
        pictures=ours["pictures"],
        sentences=ours["sentences"],
    )
    parts = [
        head,
        "## Segmenting: nothing is given\n",
        to_markdown(list(_rows(given, SHOWN))),
        "\n## Choosing: the true masks are the proposals (`--oracle`)\n",
        to_markdown(list(_rows(chosen, ("selection", "chance")))),
        f"\n## By subset: variant gsd, {settings[0]} settings\n",
        to_markdown(list(_subset_rows(ours, chosen["gsd", settings[0]]))),
    ]
    return "\n".join(parts)


def _run(variant: str, settings: str, **how: Any) -> Summary:
    choice = ModelChoice(demo="unet", variant=variant, settings=settings, device="cpu")
    with working(2) as work:
        return evaluate(Evaluation("demo", choice, **how), work)


def _rows(
    summaries: Mapping[tuple[str, str], Summary], names: tuple[str, ...]
) -> Iterator[list[str]]:
    yield ["variant", "settings", *names]
    for (variant, settings), summary in summaries.items():
        yield [variant, settings, *(show(summary["figures"][name]) for name in names)]


def _subset_rows(ours: Summary, chosen: Summary) -> Iterator[list[str]]:
    yield ["", "sentences", *SHOWN, "selection with --oracle"]
    for title, parts in ours["subsets"].items():
        yield [f"*by {title}*", *[""] * (len(SHOWN) + 2)]
        for name, part in parts.items():
            selection = chosen["subsets"][title][name]["selection"]
            figures = (*(part[shown] for shown in SHOWN), selection)
            yield [name, str(part["sentences"]), *map(show, figures)]


@click.command()
@click.option(
    "--settings",
    multiple=True,
    type=click.Choice(list(PRESETS)),
    default=SETTINGS,
    show_default=True,
    help="May be repeated.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="About so many sentences: whole pictures until there are.",
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--split", default="val", show_default=True, help="val or test.")
@click.option("--fresh", is_flag=True, help="Throw away the records that are there.")
@click.option("--write", type=click.Path(path_type=Path), help="Also write the page here.")
def main(settings: tuple[str, ...], write: Path | None, **how: Any) -> None:
    """Measure every variant; a second run only measures what is new."""
    try:
        publish(page(settings, **how), write)
    except RefDiffError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
