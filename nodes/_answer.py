"""What Ref-Diff Segment and Fuse Masks do once candidates are ranked."""

from __future__ import annotations

from comfy_api.latest import io

from ..refdiff_core.settings import Settings
from ._asked import Shown
from ._choice import read_choices
from ._hand import Asker, by_hand
from ._host import answer, message
from ._panel import panel_of
from ._values import ResultBatch


def answer_by_hand(
    found: ResultBatch, kind: str, shape: Settings, shown: Shown, asker: Asker | None = None
) -> io.NodeOutput:
    """All outputs, and the panel, of what was found as the hand left it.

    Args:
        found: by the method.
        kind: what the node is; see `panel_of`.
        shape: of the masks.
        shown: what the node's inputs say beside.
        asker: answers questions about places, where there is somebody to ask.
    """
    handled = by_hand(found, read_choices(shown.panel), shape, shown.threshold, asker)
    ui = panel_of(handled, kind, message(handled.batch), asker is not None)
    return answer(handled.batch, ui, shown.one_mask, shown.each)
