"""What every training command shares: arguments, schedule, running mean of the weights.

Started by ``torchrun --nproc-per-node N`` a command splits every batch over N processes,
which changes nothing but rounding and, where threads do not help, the time.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributed as dist

log = logging.getLogger("refdiff.training")

Batch = TypeVar("Batch", Tensor, list[str])


def arguments(description: str | None, **defaults: int | float | str) -> argparse.Namespace:
    """Parse ``--work FOLDER`` and one flag per default, and set threads and log."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--work", type=Path, required=True, help="folder for scratch files")
    parser.add_argument("--threads", type=int, default=1)
    for name, value in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parsed = parser.parse_args()
    if "RANK" in os.environ:
        dist.init_process_group("gloo", timeout=timedelta(days=1))
    level = logging.INFO if is_first() else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", force=True)
    torch.set_num_threads(parsed.threads)
    return parsed


def _place() -> tuple[int, int]:
    """This process's number and how many there are."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def is_first() -> bool:
    """Whether this is the process that writes files and reports; the only one, usually."""
    return _place()[0] == 0


def own_share(batch: Batch) -> Batch:
    """This process's part of a batch."""
    rank, count = _place()
    return batch[rank::count]


def once(make: Callable[[], None]) -> None:
    """Let the first process do something while the others wait."""
    if is_first():
        make()
    if dist.is_initialized():
        dist.barrier()


def learning_rate(
    step: int, steps: int, peak: float, *, decay: int | None = None, warm_up: int = 50
) -> float:
    """Linear warm-up, constant, then linear down to 2 % over the last ``decay`` steps.

    Without ``decay`` the last 40 % of the steps decay.
    """
    left = (steps - step) / (decay or 0.4 * steps)
    return peak * min(1.0, (step + 1) / warm_up) * min(1.0, max(0.02, left))


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Give every parameter group the same rate, times the group's ``scale`` if it has one."""
    for group in optimizer.param_groups:
        group["lr"] = value * group.get("scale", 1.0)


def descend(loss: Tensor, optimizer: torch.optim.Optimizer, parameters: list[Tensor]) -> None:
    """One optimisation step with the gradient's norm clipped to 1."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if dist.is_initialized():
        _average([p.grad for p in parameters if p.grad is not None])
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()


def _average(gradients: list[Tensor]) -> None:
    """Replace gradients by their mean over all processes."""
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    parts = (flat / dist.get_world_size()).split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def pixels(images: np.ndarray | Iterable[np.ndarray]) -> Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in [0, 255]."""
    array = images if isinstance(images, np.ndarray) else np.stack(list(images))
    return torch.from_numpy(array).permute(0, 3, 1, 2).float()


class RunningMean:
    """Exponential moving average of parameters, faster while there are few steps."""

    def __init__(self, parameters: list[nn.Parameter], decay: float = 0.998) -> None:
        self.parameters, self.decay, self.steps = parameters, decay, 0
        self.mean = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Move the mean towards the present parameters."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.mean, list(self.parameters), 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the parameters and their mean; call again to undo."""
        for parameter, mean in zip(self.parameters, self.mean, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(mean)
            mean.copy_(kept)


class Progress:
    """Logs running means of named figures every so many steps."""

    def __init__(self, every: int) -> None:
        self.every, self.seen, self.start = every, {}, time.monotonic()

    def add(self, step: int, **figures: float) -> None:
        """Note the figures of a step, and log when it is time."""
        for name, value in figures.items():
            self.seen.setdefault(name, []).append(value)
        if (step + 1) % self.every == 0:
            means = " ".join(f"{name} {np.mean(values):.4f}" for name, values in self.seen.items())
            log.info("step %d, %.0f s: %s", step + 1, time.monotonic() - self.start, means)
            self.seen = {}
