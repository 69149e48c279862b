"""What was understood of a text, as tests say it."""

from __future__ import annotations

from pathlib import Path

from refdiff_core.language.expression import parse
from refdiff_core.values import Expression, Order

DATA = Path(__file__).parent / "language" / "data"
SIDES = {"left", "right", "top", "bottom", "middle", "front", "back"}
EXTREMES = {None, "largest", "smallest", "tallest", "shortest", "closest", "farthest"}


def rows(name: str) -> list[dict[str, str]]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    header, *body = [line.split("\t") for line in lines if not line.startswith("# ")]
    return [dict(zip(header, row, strict=True)) for row in body]


def order_text(order: Order | None) -> str:
    return f"{order.index} {order.side}" if order else ""


def relations(text: str) -> list[tuple[str, str]]:
    return [(relation.kind, relation.noun.text) for relation in parse(text).relations]


def check_invariants(found: Expression) -> None:
    named = [*found.attributes, *(word for each in found.relations for word in each.words)]
    for word in [*named, *([found.root] if found.root else [])]:
        assert word.text and found.text[word.start : word.end].lower() == word.text
    assert found.text == " ".join(found.text.split())
    assert found.root not in found.attributes
    for each in found.excluded:
        assert each.text == found.text and not each.excluded
        check_invariants(each)
    assert set(found.position) <= SIDES and len(set(found.position)) == len(found.position)
    assert found.order is None or (
        found.order.index >= 1 and found.order.side in {*SIDES - {"middle"}, found.extreme}
    )
    assert found.extreme in EXTREMES
