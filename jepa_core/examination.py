"""Examining a checkpoint in the engine process, beside the looks: what it is and what it needs, loading nothing.

Owned by the engine's host. Reads on a thread of its own, so that the checkpoint in use goes on looking while gigabytes
of another one are read. Importing this needs no torch; examining does.
"""

from __future__ import annotations

import importlib
import threading
import traceback
from collections.abc import Callable

from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled, CheckpointError, ConsoleError, DeviceError, OutOfMemory
from jepa_core.families.base import Progress
from jepa_core.messages import ExamineCheckpoint, Examined, Examining
from jepa_core.types import CheckpointInfo, LoadReport

EXAMINER = "examine_checkpoint"
"""Who says what a checkpoint is: the function of this name in the loader's module, where that module has its own."""

_PROGRESS_STEP = 0.01  # of the whole; a report per tensor would flood the pipe

Examiner = Callable[[ExamineCheckpoint, Progress, CancelToken], tuple[CheckpointInfo, LoadReport]]


def examine_checkpoint(
    order: ExamineCheckpoint, progress: Progress, cancel: CancelToken
) -> tuple[CheckpointInfo, LoadReport]:
    """The real examination. Raises CheckpointError and DeviceError kinds, or Cancelled."""
    from jepa_core import checkpoint

    options = order.options
    return checkpoint.examine(
        order.path,
        config=order.config,
        device=options.device,
        dtype=options.dtype,
        clip_frames=options.clip_frames,
        size=options.size,
        choices=options.choices,
        progress=progress,
        cancel=cancel,
    )


class Examination:
    """At most one runs; a newer question calls the older one off. Every question is answered once, in order."""

    def __init__(self, reply: Callable[[object], None], *, module: str) -> None:
        """`reply` is called from the examining thread. `module`: the loader's, which may bring its own examiner."""
        self._reply = reply
        self._module = module
        self._running: tuple[threading.Thread, CancelToken] | None = None

    def start(self, order: ExamineCheckpoint) -> None:
        """Examining… and at last Examined follow, also where it is cancelled or fails."""
        self.cancel()
        before = None if self._running is None else self._running[0]
        cancel = CancelToken()
        thread = threading.Thread(
            target=self._examine, args=(order, cancel, before), name="engine-examine", daemon=True
        )
        self._running = (thread, cancel)
        thread.start()

    def cancel(self) -> None:
        if self._running is not None:
            self._running[1].cancel()

    def join(self) -> None:
        """Wait for the one that runs; cancelled, it ends within one tensor."""
        if self._running is not None:
            self._running[0].join()

    def _examine(
        self, order: ExamineCheckpoint, cancel: CancelToken, before: threading.Thread | None
    ) -> None:
        if before is not None:
            before.join()
        self._reply(self._answer(order, cancel))

    def _answer(self, order: ExamineCheckpoint, cancel: CancelToken) -> Examined:
        told = steps(self._reply, lambda fraction, text: Examining(order.path, fraction, text))
        try:
            cancel.check()
            examiner: Examiner = getattr(importlib.import_module(self._module), EXAMINER, examine_checkpoint)
            info, report = examiner(order, told, cancel)
        except Cancelled:
            return Examined(order.path, None, None, is_cancelled=True)
        except Exception as failure:  # noqa: BLE001 - the thread's edge: a refused file must not end the engine
            error = in_words(failure, order.path)
            report_of = error.report if isinstance(error, CheckpointError) else None
            return Examined(order.path, None, report_of, error)
        return Examined(order.path, info, report)


def steps(reply: Callable[[object], None], make: Callable[[float, str], object]) -> Progress:
    """A progress function that replies with `make(fraction, text)` where it moved by a step or says another text."""
    told = (-1.0, "")

    def tell(fraction: float, text: str) -> None:
        nonlocal told
        if text != told[1] or fraction >= told[0] + _PROGRESS_STEP:
            told = (fraction, text)
            reply(make(fraction, text))

    return tell


def in_words(failure: Exception, path: str) -> ConsoleError:
    """What a person is told; `detail` keeps the traceback for the log of the window's process, which is the only one."""
    if isinstance(failure, ConsoleError):
        return failure
    detail = "".join(traceback.format_exception(failure))
    if isinstance(failure, MemoryError) or "Insufficient memory" in str(failure):  # OpenCV's own word for it
        return OutOfMemory(
            "There is not enough memory.", "Close other programs or use fewer clip frames.", detail
        )
    if isinstance(failure, OSError) and path:
        return CheckpointError(
            f"{path} could not be read: {failure.strerror or failure}.", "Check the path.", detail
        )
    if path:
        return CheckpointError(f"{path} could not be loaded.", "The log has the details.", detail)
    return DeviceError("A look failed.", "The log has the details; the next look is tried.", detail)
