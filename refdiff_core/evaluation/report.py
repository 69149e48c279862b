"""What a run's records amount to: figures as plain data, and as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from math import isnan
from typing import Any

from ..runs.console import table
from ..runs.records import Record
from . import metrics
from .metrics import PRECISIONS
from .published import published_for
from .subsets import split_up

BINS = 20
EACH = 4
"""Best, median and worst cases that are shown, so many of each."""

Figures = dict[str, float | None]
"""By name; None where no sentence says anything about it."""


def figures_of(records: Sequence[Record], *, generalised: bool = False) -> Figures:
    """The field's metrics of records, by name; for true masks as proposals also the selection.

    Where some mean several things or none, these are gRefCOCO's, whose gIoU and cIoU are the mean
    and the overall IoU, and whose Pr@X is over the expressions that mean something.
    """
    found = [_metric_record(each) for each in records]
    figures: dict[str, float]
    if generalised:
        some = [each for each in found if not each.none]
        figures = {"gIoU": metrics.mean_iou(found), "cIoU": metrics.overall_iou(found)}
        figures |= {
            "N-acc": metrics.no_target_accuracy(found),
            "T-acc": metrics.target_accuracy(found),
        }
        figures |= {f"Pr@{at}": metrics.precision_at(some, at) for at in PRECISIONS[2:]}
    else:
        figures = {"mIoU": metrics.mean_iou(found), "oIoU": metrics.overall_iou(found)}
        figures |= {f"Pr@{at}": metrics.precision_at(found, at) for at in PRECISIONS}
    if any(record["target"] is not None for record in records):
        figures["selection"] = metrics.selection(found)
        figures["chance"] = metrics.chance(found)
    return {name: None if isnan(value) else value for name, value in figures.items()}


def _metric_record(record: Record) -> metrics.Record:
    known = record["target"] is not None
    meant = record["target"] if known else record["annotation"]
    return metrics.Record(
        record["text"],
        record["group"],
        record["intersection"],
        record["union"],
        # what could not be done is a wrong choice, also where no target is known
        record["chosen"] if known else None,
        record["target"] if known else -1,
        # one drawn by lot is never none, nor several
        0.0 if isinstance(meant, list) else 1 / max(1, record["objects"]),
        record["none"],
        # what could not be done has found nothing, and is not right where nothing is meant
        record["found"] or (record["none"] and "error" in record),
    )


def summarise(records: Sequence[Record], about: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that a report says, as plain data; the same whatever the records' order.

    Args:
        records: of all sentences, those that could not be done among them.
        about: what was run; its "data" names data set, split and by.
    """
    ordered = sorted(records, key=lambda record: (record["image"], record["id"]))
    data = about["data"]
    generalised = data["name"] == "grefcoco"
    return {
        "about": dict(about),
        "sentences": len(ordered),
        "pictures": len({record["image"] for record in ordered}),
        "figures": figures_of(ordered, generalised=generalised),
        "subsets": {
            title: {
                name: {"sentences": len(part), **figures_of(part, generalised=generalised)}
                for name, part in rows.items()
            }
            for title, rows in split_up(ordered).items()
        },
        "histogram": _histogram(ordered),
        "nothing_found": sum(not record["found"] for record in ordered),
        "failed": _failures(ordered),
        "published": [
            asdict(each) for each in published_for(data["name"], data["split"], data["by"])
        ],
        "cases": _choose_cases(ordered),
    }


def _histogram(records: Sequence[Record]) -> list[int]:
    """How many have an IoU in each twentieth; 1 belongs to the last."""
    counts = [0] * BINS
    for record in records:
        counts[min(BINS - 1, int(record["iou"] * BINS))] += 1
    return counts


def _failures(records: Sequence[Record]) -> list[dict[str, Any]]:
    """What could not be done, and why: by picture and reason."""
    found: dict[tuple[Any, str], int] = {}
    for record in records:
        if "error" in record:
            key = record["image"], record["error"]
            found[key] = found.get(key, 0) + 1
    return [{"image": key[0], "sentences": count, "why": key[1]} for key, count in found.items()]


def _choose_cases(records: Sequence[Record]) -> dict[str, list[Any]]:
    """Ids of best, median and worst cases, each from another picture as far as there are.

    Among equals chance decides, but always the same: many an IoU is 0.
    """
    done = [record for record in records if "error" not in record]
    ranked = sorted(done, key=lambda r: (-r["iou"], sha256(str(r["id"]).encode()).hexdigest()))
    middle = sorted(range(len(ranked)), key=lambda at: abs(at - (len(ranked) - 1) / 2))
    orders = {
        "best": ranked,
        "median": [ranked[at] for at in middle],
        "worst": ranked[::-1],
    }
    chosen: dict[str, list[Any]] = {name: [] for name in orders}
    seen: set[Any] = set()
    # in turns, so that with few pictures all three have some
    for name in (*orders,) * EACH:
        record = next((each for each in orders[name] if each["image"] not in seen), None)
        if record is not None:
            seen.add(record["image"])
            chosen[name].append(record["id"])
    return chosen


# --- for the terminal -------------------------------------------------------------------


def to_text(summary: Mapping[str, Any]) -> str:
    """The report's tables as lines of text."""
    figures = summary["figures"]
    head = ["", "sentences", *figures]
    rows = [head, _row("all", {"sentences": summary["sentences"], **figures})]
    for title, parts in summary["subsets"].items():
        rows.append([f"by {title}:", *[""] * (len(head) - 1)])
        rows += [_row(f"  {name}", part) for name, part in parts.items()]
    blocks = [table(rows)]
    if summary["published"]:
        blocks.append(table(comparison(summary)))
    blocks += [
        f"not done, counted as 0: picture {each['image']}, sentences: {each['sentences']}; "
        f"{each['why']}"
        for each in summary["failed"]
    ]
    return "\n\n".join(blocks)


def comparison(summary: Mapping[str, Any]) -> list[list[str]]:
    """Ours among the published figures, in per cent; rows of a table with its head."""
    rows = [
        (each["metric"], each["value"], each["method"], each["source"])
        for each in summary["published"]
    ]
    rows += [
        (metric, 100 * summary["figures"][metric], "this run", "")
        for metric in ("mIoU", "oIoU", "gIoU", "cIoU")
        if summary["figures"].get(metric) is not None
    ]
    ordered = sorted(rows, key=lambda row: (row[0], -row[1], row[2]))
    return [["metric", "%", "method", "source"]] + [
        [metric, f"{value:.2f}", method, source] for metric, value, method, source in ordered
    ]


def _row(name: str, figures: Mapping[str, float | None]) -> list[str]:
    return [name, *map(show, figures.values())]


def show(value: float | None) -> str:
    """A figure, or a dash for none; whole numbers are counts."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
