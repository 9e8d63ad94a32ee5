"""Starts child processes that Ctrl+C does not reach.

A terminal sends Ctrl+C to the whole group of processes. Only the parent may act on it: it ends its children in good
order. A child that merely sets its own handler is too late, since importing what it needs comes first and takes a
second. So the signal is blocked while the child is made, and the child inherits that. Standard library only.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess


def start_deaf(process: BaseProcess) -> None:
    """`process.start()`, for a process that is told of an end by other means than Ctrl+C."""
    with _interrupt_held_back():
        process.start()


@contextmanager
def _interrupt_held_back() -> Iterator[None]:
    """What comes meanwhile is delivered afterwards, to whoever of this process hears it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows: there the child's own handler has to do
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # now: starting it lets the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
