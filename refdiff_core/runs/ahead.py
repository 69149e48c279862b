"""Picture files opened before their turn, so that models may encode several in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import torch

from ..errors import ImageError
from ..grid import WORKING_SIDE
from ..models.choice import find_device
from ..pictures.images import load_image
from ..together import Lot, pictures_at_once
from ..values import Image

T = TypeVar("T")


class LookAhead:
    """The pictures of a run's next tasks, as many as models may take together; on a CPU none.

    Args:
        path_of: a task's picture.
        device: where models are, as `find_device` knows it.
        at_once: pictures that are opened and go through an encoder together; None for what suits
            the device.

    Attributes:
        lot: what is open, for `refdiff_core.together.together`.
    """

    def __init__(
        self,
        path_of: Callable[[Any], Path] = attrgetter("path"),
        device: str = "cpu",
        at_once: int | None = None,
    ) -> None:
        self.path_of = path_of
        self.device = device
        self.at_once = at_once
        self.lot = Lot([])
        self._open: dict[Path, Image] = {}

    def in_turn(self, tasks: Iterable[T]) -> Iterator[T]:
        """The tasks in their order; before the first of each lot its pictures are opened."""
        left = iter(tasks)
        size = self.at_once or pictures_at_once(torch.device(find_device(self.device)))
        while tasks := list(islice(left, size)):
            if size > 1:
                self._begin(map(self.path_of, tasks))
            yield from tasks
        self._begin(())

    def open(self, path: Path) -> Image:
        """A picture, read from its file unless it is open.

        Raises:
            ImageError: see `load_image`.
        """
        return self._open[path] if path in self._open else load_image(path)

    def _begin(self, paths: Iterable[Path]) -> None:
        self._open = {}
        for path in paths:
            with suppress(ImageError):  # of which its own turn will tell
                self._open[path] = load_image(path)
                # what models see a copy of takes longer to read than to encode, and much memory
                if max(self._open[path].shape) > WORKING_SIDE:
                    break
        self.lot = Lot(list(self._open.values()), self.at_once)
