"""The report as one page of HTML that needs nothing else, neither files nor network."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .report import comparison, show

TEMPLATE = Path(__file__).with_name("report.html.jinja")
TILES = ("mIoU", "oIoU", "gIoU", "cIoU", "Pr@0.5", "N-acc", "T-acc", "selection")
"""Figures that the page begins with, those of them that there are."""


def to_html(summary: Mapping[str, Any], cases: Mapping[Any, Mapping[str, Any]]) -> str:
    """The page.

    Args:
        summary: from `refdiff_core.evaluation.report.summarise`.
        cases: for ids of its cases, the record and, under "pictures", JPEG files by name.
    """
    from jinja2 import Environment

    # sentences and names come from outside
    environment = Environment(autoescape=True)
    environment.filters["show"] = show
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    about = summary["about"]
    return template.render(
        title=_title(about),
        how=_how(about),
        report=summary,
        tiles=TILES,
        comparison=comparison(summary) if summary["published"] else [],
        cases={
            name: [_embed(cases[number]) for number in numbers if number in cases]
            for name, numbers in summary["cases"].items()
        },
        settings=list(_flat(about)),
    )


def _title(about: Mapping[str, Any]) -> str:
    data = about["data"]
    return (
        f"{data['name']} {data['split']}, variant {about['variant']}, settings {about['settings']}"
    )


def _how(about: Mapping[str, Any]) -> str:
    if about["oracle"]:
        return "The true masks of the picture's objects were the proposals."
    return "Nothing was given but the picture and the sentence."


def _embed(case: Mapping[str, Any]) -> dict[str, Any]:
    pictures = {
        name: base64.b64encode(content).decode() for name, content in case["pictures"].items()
    }
    return {**case, "pictures": pictures}


def _flat(about: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in about.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
