"""The host's threads, its stop button, and what it must be told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from modules import call_queue, errors, sd_models, shared

from refdiff_core.errors import RefDiffError, UnavailableError, foreseen

Value = TypeVar("Value")

NO_CHECKPOINT = "No checkpoint is loaded. Choose one at the top of the page first."


def check_stopped(done: int = 0, total: int = 0) -> None:
    """Called between passes, and by the core between batches of masks: tells how far it is.

    Raises:
        RefDiffError: the user has pressed Stop or Interrupt.
    """
    shared.state.sampling_step, shared.state.sampling_steps = done, total
    if shared.state.interrupted:
        raise RefDiffError("Stopped.")


@contextmanager
def unnoted() -> Iterator[None]:
    """What the host notes of the prompts that it encodes, for a picture's info, is not of ours.

    AUTOMATIC1111 1.10 keeps it in its ``model_hijack``, Forge beside its text engine; both take it
    over when they make the picture.
    """
    hijack = getattr(sys.modules.get("modules.sd_hijack"), "model_hijack", None)
    engine = sys.modules.get("backend.text_processing.classic_engine")
    places = [(hijack, "extra_generation_params"), (hijack, "comments")]
    places += [(engine, "last_extra_generation_params")]
    kept = [(*place, getattr(*place)) for place in places if hasattr(*place)]
    try:
        for holder, name, notes in kept:
            setattr(holder, name, notes.copy())
        yield
    finally:
        for each in kept:
            setattr(*each)


def run_from_button(work: Callable[[], Value]) -> Value:
    """Do what needs the checkpoint, in turn with the host's own jobs.

    Not from `process`, which the host calls when its turn has come.
    """
    with call_queue.queue_lock:
        shared.state.begin(job="Ref-Diff")
        shared.state.job_count = 1
        try:
            return _in_forge(work) if hasattr(sd_models, "forge_model_reload") else work()
        finally:
            shared.state.end()


def _in_forge(work: Callable[[], Value]) -> Value:
    """In the one thread that Forge runs models in, with the checkpoint that is chosen."""
    from modules_forge import main_thread

    def attempt() -> tuple[Any, Exception | None]:
        try:
            if not sd_models.model_data.forge_loading_parameters.get("checkpoint_info"):
                raise UnavailableError(NO_CHECKPOINT)
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
    if (message := foreseen(error)) is None:
        errors.report(f"Ref-Diff: {error}", exc_info=True)
        message = f"{type(error).__name__}: {error}. The console has more."
    return message
