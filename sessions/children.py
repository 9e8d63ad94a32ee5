"""Runs one function in a process of its own, with a time limit, a memory limit, progress and cancel.

For work that may take the process down with it: writing HDF5 on a disk that fills up, opening a file that may be
damaged. The function is given by name, so that it works the same from a checkout and from a frozen bundle.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled, ConsoleError, SessionError
from jepa_core.spawning import start_deaf

Progress = Callable[[float], None]
POLL_S = 0.1


class ChildFailed(SessionError):
    """The child process ended without an answer: killed, crashed, out of memory or out of time."""

    code = "child_failed"


def run_in_child(
    function: str,
    *arguments: Any,
    timeout_s: float,
    memory_bytes: int = 0,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
    name: str = "child",
) -> Any:
    """What "module:function" returns when called as `function(*arguments, progress=…)` in a new process.

    Raises what it raises if that is a ConsoleError; Cancelled; ChildFailed.
    memory_bytes    allowed on top of what the process has once everything is imported; 0 unlimited
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_child, args=(theirs, function, arguments, memory_bytes), name=name, daemon=True
    )
    start_deaf(process)
    theirs.close()
    try:
        return _listen(process, ours, timeout_s, progress, cancel)
    finally:
        if process.is_alive():
            process.kill()
        process.join()
        ours.close()


def _listen(
    process: Any, pipe: Connection, timeout_s: float, progress: Progress | None, cancel: CancelToken | None
) -> Any:
    until = time.monotonic() + timeout_s
    while True:
        if cancel is not None:
            cancel.check()
        if time.monotonic() > until:
            raise ChildFailed(
                f"The work was stopped after {timeout_s:.0f} s.",
                "The file may be damaged, or the disk too slow.",
            )
        try:
            if not pipe.poll(POLL_S):
                continue
            kind, value = pipe.recv()
        except (EOFError, OSError) as error:
            process.join(POLL_S)
            raise ChildFailed(
                "The process that did the work ended without an answer.",
                "The file may be damaged, or memory or disk space ran out.",
                f"exit code {process.exitcode}",
            ) from error
        if kind == "progress":
            if progress is not None:
                progress(value)
        elif kind == "done":
            return value
        else:
            raise value


def _child(pipe: Connection, function: str, arguments: tuple[Any, ...], memory_bytes: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the parent, which ends us
    _silence()
    module, _, attribute = function.partition(":")
    call = getattr(importlib.import_module(module), attribute)
    _limit(memory_bytes)
    last = [0.0]

    def tell(fraction: float) -> None:
        if time.monotonic() - last[0] >= POLL_S or fraction >= 1.0:
            last[0] = time.monotonic()
            pipe.send(("progress", fraction))  # raises when the parent is gone: the work ends with it

    try:
        answer = ("done", call(*arguments, progress=tell))
    except (ConsoleError, Cancelled) as error:
        answer = ("raised", error)
    except BrokenPipeError:
        return
    except Exception as error:  # noqa: BLE001 - the last resort of the process: the parent hears of it
        answer = ("raised", _told(error))
    pipe.send(answer)
    pipe.close()


def _told(error: Exception) -> ConsoleError:
    if isinstance(error, MemoryError):
        return ChildFailed("The work needed more memory than allowed.", "The file may be damaged.")
    if isinstance(error, OSError):
        return SessionError(f"{error.strerror or error}", "Check the disk and its rights.", repr(error))
    return ChildFailed("The work failed in a way nobody foresaw.", "", traceback.format_exc())


def _silence() -> None:
    """HDF5 prints its own stack of a full disk or a damaged file; what went wrong travels over the pipe instead."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _limit(memory_bytes: int) -> None:
    if hasattr(os, "nice"):
        os.nice(5)  # a recording may be running beside us
    if memory_bytes <= 0 or not sys.platform.startswith("linux"):
        return  # elsewhere the limit cannot be set for address space alone; the time limit holds
    import resource

    with open("/proc/self/statm", encoding="ascii") as statm:
        mapped = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + memory_bytes, mapped + memory_bytes))
