"""Runs `replay --recompute` as a child process, so that the window's process never imports torch.

Progress arrives as JSON lines on the child's stderr, the report as one JSON object on its stdout.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from jepa_core.clock import CancelToken
from jepa_core.errors import ConsoleError, RequestError
from jepa_core.types import JSON

OnDone = Callable[[dict[str, JSON] | None, ConsoleError | None], None]


def program() -> list[str]:
    """The command that starts this program again, from a checkout or from a bundle."""
    if getattr(sys, "frozen", False):
        return [sys.executable]
    return [sys.executable, str(Path(__file__).resolve().parent.parent / "main.py")]


def recompute_in_child(
    session: str, checkpoint: str, on_progress: Callable[[float, str], None], on_done: OnDone
) -> CancelToken:
    """Start it; the callbacks come from a thread of its own. `on_done(None, None)` means cancelled."""
    cancel = CancelToken()
    command = [
        *program(), "replay", session, "--recompute", "--checkpoint", checkpoint, "--json", "--progress-lines",
    ]  # fmt: skip
    thread = threading.Thread(
        target=_run, args=(command, cancel, on_progress, on_done), name="recompute", daemon=True
    )
    thread.start()
    return cancel


def _run(
    command: list[str], cancel: CancelToken, on_progress: Callable[[float, str], None], on_done: OnDone
) -> None:
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stderr is not None
    watcher = threading.Thread(
        target=_end_when_cancelled, args=(child, cancel), name="recompute-cancel", daemon=True
    )
    watcher.start()
    said: list[str] = []
    for line in child.stderr:
        progress = _progress_of(line)
        if progress is None:
            said.append(line)
        else:
            on_progress(*progress)
    output = child.stdout.read()
    code = child.wait()
    watcher.join()
    if cancel.is_cancelled:
        on_done(None, None)
    elif code in (0, 1):
        on_done(json.loads(output), None)
    else:
        on_done(None, RequestError("The recomputation did not finish.", "".join(said[-3:]).strip()))


def _end_when_cancelled(child: subprocess.Popen[str], cancel: CancelToken) -> None:
    while child.poll() is None:
        if cancel.wait(0.1):
            child.terminate()
            return


def _progress_of(line: str) -> tuple[float, str] | None:
    """(fraction, words) when the line is one of our progress lines."""
    if not line.startswith('{"progress"'):
        return None
    found = json.loads(line)
    return float(found["progress"]), str(found.get("text", ""))
