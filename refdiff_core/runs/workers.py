"""One piece of work after the other in this process, or side by side in Ray's.

Work is a callable from a task to a result; it loads its models when it is first called, so that
it can be sent to another process before. On Ray each worker has its own copy, one task at a time:
that is the back-pressure, and when a worker dies it is known over which task.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from click import ClickException

from ..errors import RefDiffError, UnavailableError

logger = logging.getLogger("refdiff")

T = TypeVar("T")
R = TypeVar("R")

ATTEMPTS = 3
"""Workers that may die over one task before it is given up: a crash may be chance, three hardly."""


@dataclass(frozen=True)
class Lost:
    """In place of a result: why there is none; dead: the worker has gone with it."""

    reason: str
    dead: bool = False


class Crew(Generic[T, R]):
    """Who does the work: this process. Made by `hire`."""

    def __init__(self, work: Callable[[T], R]) -> None:
        self._work = work

    def do(self, tasks: Iterable[T]) -> Iterator[tuple[T, R | Lost]]:
        """Do all tasks; results come as they are ready, in any order.

        Errors of ours concern the whole run and end it; any other is one task's, which is lost.
        Work with a `refdiff_core.runs.ahead.LookAhead` as its ``ahead`` has some pictures opened
        before their turn.
        """
        ahead = getattr(self._work, "ahead", None)
        for task in ahead.in_turn(tasks) if ahead else tasks:
            try:
                result: R | Lost = self._work(task)
            except (RefDiffError, ClickException):
                raise
            except Exception as error:
                result = _unforeseen(error)
            yield task, result


def _unforeseen(error: BaseException) -> Lost:
    return Lost(f"it could not be done ({type(error).__name__}: {' '.join(str(error).split())})")


@contextlib.contextmanager
def hire(
    work: Callable[[T], R], count: int = 1, *, tasks: int | None = None, gpus: bool = True
) -> Iterator[Crew[T, R]]:
    """Workers while the block runs.

    Args:
        work: what they do. For more than one it must be picklable.
        count: how many. One works in this process, several on Ray: on this machine, or on the
            cluster that RAY_ADDRESS names.
        tasks: how many there are to do; more workers are not hired.
        gpus: share out the GPUs that Ray has, one each where there are enough.

    Raises:
        UnavailableError: Ray is needed and not installed, or has too few processors.
    """
    count = count if tasks is None else max(1, min(count, tasks))
    if count == 1:
        yield Crew(work)
        return
    with _cluster(count) as ray:
        yield _RayCrew(ray, work, count, gpus)


class _Worker:
    """What runs inside a Ray process."""

    def __init__(self, work: Callable[[Any], Any], neighbours: int, most: int | None) -> None:
        import torch

        threads = max(1, _processors() // neighbours)
        torch.set_num_threads(threads if most is None else min(most, threads))
        self._work = work

    def do(self, task: Any) -> Any:
        """Do one task."""
        return self._work(task)

    def process(self) -> int:
        """The number of this process."""
        return os.getpid()


class _RayCrew(Crew[T, R]):
    def __init__(self, ray: Any, work: Callable[[T], R], count: int, gpus: bool) -> None:
        super().__init__(work)
        self._ray = ray
        nodes = sum(node["Alive"] for node in ray.nodes())
        threads = os.environ.get("OMP_NUM_THREADS", "")
        self._arguments = (
            ray.put(work),
            -(-count // max(1, nodes)),
            int(threads) if threads.isdecimal() else None,
        )
        self._type = ray.remote(num_cpus=1, num_gpus=_gpu_share(ray, count) if gpus else 0)(_Worker)
        self.workers = [self._start() for _ in range(count)]

    def _start(self) -> Any:
        return self._type.remote(*self._arguments)

    def do(self, tasks: Iterable[T]) -> Iterator[tuple[T, R | Lost]]:
        left, again = iter(tasks), deque[tuple[T, int]]()
        idle = deque(range(len(self.workers)))
        busy: dict[Any, tuple[int, T, int]] = {}
        while True:
            while idle and (found := again.popleft() if again else _next(left)):
                task, attempt = found
                index = idle.popleft()
                busy[self.workers[index].do.remote(task)] = (index, task, attempt)
            if not busy:
                return
            (ready,), _ = self._ray.wait(list(busy), num_returns=1)
            index, task, attempt = busy.pop(ready)
            result = self._result(ready)
            dead = isinstance(result, Lost) and result.dead
            if dead:
                logger.warning("a worker died; another one takes its place")
                self.workers[index] = self._start()
                if attempt < ATTEMPTS:
                    again.append((task, attempt + 1))
            idle.append(index)
            if not dead or attempt == ATTEMPTS:
                yield task, result

    def _result(self, reference: Any) -> R | Lost:
        errors = self._ray.exceptions
        try:
            result: R = self._ray.get(reference)
        except errors.RayActorError as error:
            if getattr(error, "actor_init_failed", False):
                raise UnavailableError(
                    f"A worker could not start: {error}. All machines of a cluster need the same "
                    "version of refdiff."
                ) from error
            return Lost(f"{ATTEMPTS} workers died over it; most likely memory ran out.", True)
        except errors.RayTaskError as error:
            if isinstance(error.cause, (RefDiffError, ClickException)):
                raise error.cause from None
            return _unforeseen(error.cause)
        return result


def _processors() -> int:
    """Those that this process may use; on systems that cannot tell, all that there are."""
    may_use = getattr(os, "sched_getaffinity", None)
    return len(may_use(0)) if may_use else os.cpu_count() or 1


def _next(tasks: Iterator[T]) -> tuple[T, int] | None:
    return next(((task, 1) for task in tasks), None)


def _gpu_share(ray: Any, count: int) -> float:
    """A whole GPU where there are enough, else a part; none where there is none."""
    gpus = int(ray.cluster_resources().get("GPU", 0))
    return 1 / -(-count // gpus) if gpus else 0


_LITTLE_MEMORY = {"object_store_memory": 128 * 2**20}
"""Tasks and results are small; Ray would set aside a third of the machine's memory for them."""


@contextlib.contextmanager
def _cluster(count: int) -> Iterator[Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise UnavailableError(
            "More than one worker needs Ray, which is not installed. "
            "Run: pip install ray, or leave out --workers"
        ) from error
    there = os.environ.get("RAY_ADDRESS")
    here: dict[str, Any] = {"num_cpus": count, "include_dashboard": False, **_LITTLE_MEMORY}
    here = {} if there else here
    try:
        ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **here)
    except Exception as error:  # Ray has no narrower one for a node that is slow to start
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise UnavailableError(
            f"Ray does not start: {reason} Try again, or leave out --workers; RAY_ADDRESS must "
            "name a cluster that is up, or nothing."
        ) from error
    try:
        processors = int(ray.cluster_resources().get("CPU", 0))
        if processors < count:
            raise UnavailableError(
                f"The Ray cluster has {processors} processors, too few for {count} workers. "
                f"Use --workers {max(1, processors)}."
            )
        yield ray
    finally:
        ray.shutdown()
