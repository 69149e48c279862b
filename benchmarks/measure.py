"""Counting, timing, and what the machine is called."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from .work import Part

Result = TypeVar("Result")
Shape = Sequence[int]
Stages = dict[str, float]
"""A figure for every stage."""


def count_flops(run: Callable[[], object]) -> int:
    """FLOPs, two for a multiplication and an addition, of whatever runs."""
    with FlopCounterMode(display=False, custom_mapping={CPU_ATTENTION: _attention}) as counter:
        run()
    return counter.get_total_flops()


CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
"""PyTorch counts what attention costs on a GPU and on the meta device, but not this."""


def _attention(query: Shape, key: Shape, value: Shape, *_: object, **__: object) -> int:
    return sdpa_flop_count(query, key, value)


@torch.inference_mode()
def count_parts(parts: Sequence[Part], known: dict[str, int] | None = None) -> Stages:
    """TFLOP of every stage.

    Args:
        parts: what is counted, each once however often it is due.
        known: counts by part, looked up and added to.
    """
    known = {} if known is None else known
    stages: Stages = defaultdict(float)
    for part in parts:
        if part.name not in known:
            known[part.name] = count_flops(part.run)
        stages[part.stage] += known[part.name] * part.times / 1e12
    return dict(stages)


@dataclass
class Times:
    """Wall seconds of the same work in several rounds, and what processors spent on it."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The shortest: what else the machine does only ever adds."""
        return min(self.wall)


class Clock:
    """Times of works by name, of one round after the other."""

    def __init__(self) -> None:
        self.times: dict[str, Times] = defaultdict(Times)

    def __call__(self, name: str, run: Callable[[], Result]) -> Result:
        """Run, and note how long it took."""
        wait()
        wall, processor = time.perf_counter(), time.process_time()
        result = run()
        wait()
        self.times[name].wall.append(time.perf_counter() - wall)
        self.times[name].processor.append(time.process_time() - processor)
        return result

    @torch.inference_mode()
    def parts(self, parts: Sequence[Part]) -> None:
        """One round of every part, each once however often it is due."""
        for part in parts:
            self(part.name, part.run)

    def stages(self, parts: Sequence[Part]) -> Stages:
        """Seconds of every stage all of whose parts were timed, each as often as it is due."""
        stages: Stages = defaultdict(float)
        missing = {part.stage for part in parts if part.name not in self.times}
        for part in parts:
            if part.stage not in missing:
                stages[part.stage] += self.times[part.name].best * part.times
        return dict(stages)

    def below(self, name: str) -> Stages:
        """Seconds of all works whose names begin with this one and a comma, by what follows."""
        start = f"{name}, "
        return {
            work.removeprefix(start): times.best
            for work, times in self.times.items()
            if work.startswith(start)
        }

    def processor(self, parts: Sequence[Part]) -> float:
        """The processors' seconds for all parts: less disturbed than the wall's."""
        return sum(min(self.times[part.name].processor) * part.times for part in parts)


def wait() -> None:
    """Until the GPU is done, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@contextlib.contextmanager
def stopwatch(
    modules: Mapping[str, Sequence[nn.Module]], *, processor: bool = False
) -> Iterator[Stages]:
    """Seconds inside modules while the block runs, by stage, passes that are cut short included.

    A module inside another one that is watched counts where it runs by itself.

    Args:
        modules: by stage.
        processor: the processor's seconds, not the wall's.
    """
    now = time.process_time if processor else time.perf_counter
    spent: Stages = defaultdict(float)
    started: list[float] = []
    handles = []

    def start(*_: object) -> None:
        wait()
        started.append(now())

    for stage, members in modules.items():

        def stop(*_: object, stage: str = stage) -> None:
            wait()
            seconds = now() - started.pop()
            if not started:
                spent[stage] += seconds

        for module in members:
            handles.append(module.register_forward_pre_hook(start))
            handles.append(module.register_forward_hook(stop, always_call=True))
    try:
        yield spent
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def peak_memory(
    found: dict[str, float], name: str, device: torch.device, *, beside: bool = False
) -> Iterator[None]:
    """Note the GiB in use at most while the block ran, weights included.

    Nothing is noted where neither CUDA nor Linux can tell.

    Args:
        found: where it is noted. name: by which name.
        device: whose memory.
        beside: only what came on top of what was in use before.
    """
    _reset_peak(device)
    before = _peak_bytes(device) if beside else 0
    yield
    peak = _peak_bytes(device)
    if peak is not None and before is not None:
        found[name] = (peak - before) / 2**30


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(
                0
            )  # what earlier work left would hide what this one takes
            Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes(device: torch.device) -> float | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    lines = _read("/proc/self/status").split("\n")
    peak = next((line for line in lines if line.startswith("VmHWM:")), None)
    return None if peak is None else float(peak.split()[1]) * 1024


def machine(device: torch.device) -> str:
    """What the figures of a device were measured on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    names = [
        line.partition(":")[2].strip()
        for line in _read("/proc/cpuinfo").split("\n")
        if line.startswith("model name")
    ]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} of {os.cpu_count()} cores"


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
