"""The host's threads, its stop button, and what it must be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from modules import call_queue, errors, sd_models, shared

from refdiff_core.errors import RefDiffError

Value = TypeVar("Value")

PACKAGES = {"segment_anything": "segment-anything", "open_clip": "open_clip_torch"}
"""What only some choices need, by the name that is imported."""


class StoppedError(RefDiffError):
    """The user has pressed Stop or Interrupt."""


def check_stopped(*_progress: Any) -> None:
    """Called between passes, and by the core between batches of masks."""
    if shared.state.interrupted:
        raise StoppedError("Stopped.")


def run_from_button(work: Callable[[], Value]) -> Value:
    """Do what needs the checkpoint, in turn with the host's own jobs.

    Not from `process`, which the host calls when its turn has come.
    """
    with call_queue.queue_lock:
        shared.state.begin(job="Ref-Diff")
        try:
            return _in_forge(work) if hasattr(sd_models, "forge_model_reload") else work()
        finally:
            shared.state.end()


def _in_forge(work: Callable[[], Value]) -> Value:
    """In the one thread that Forge runs models in, with the checkpoint that is chosen."""
    from modules_forge import main_thread

    def attempt() -> tuple[Value | None, Exception | None]:
        try:
            sd_models.forge_model_reload()
            return work(), None
        except Exception as error:  # the thread would print it and answer None
            return None, error

    value, error = main_thread.run_and_wait_result(attempt)
    if error is not None:
        raise error
    return value


def explain(error: Exception) -> str:
    """What the user is told; what nobody foresaw also goes to the console, with its traceback."""
    if isinstance(error, RefDiffError):
        return str(error)
    missing = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and missing in PACKAGES:
        package = PACKAGES[missing]
        return (
            f"This needs the package {package}, which is not installed. Leave that choice out, or "
            f"run with the WebUI's own Python: pip install {package}"
        )
    errors.report(f"Ref-Diff: {error}", exc_info=True)
    return f"{type(error).__name__}: {error}. The console has more."
