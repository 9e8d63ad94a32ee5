"""Runs `replay --recompute` as a child process, so that the window's process never imports torch.

Progress arrives as JSON lines on the child's stderr, the report (or why there is none) as one JSON object on its
stdout. Whatever becomes of the child, `on_done` is called exactly once.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from jepa_core.clock import CancelToken
from jepa_core.errors import ConsoleError, RequestError
from jepa_core.types import JSON

log = logging.getLogger(__name__)

OnDone = Callable[[dict[str, JSON] | None, ConsoleError | None], None]
REPORTS = (0, 1)  # exit codes of a run that came to a verdict


def program() -> list[str]:
    """The command that starts this program again, from a checkout or from a bundle."""
    if getattr(sys, "frozen", False):
        return [sys.executable]
    return [sys.executable, str(Path(__file__).resolve().parent.parent / "main.py")]


def recompute_in_child(
    session: str,
    checkpoint: str,
    on_progress: Callable[[float, str], None],
    on_done: OnDone,
    command: list[str] | None = None,
) -> CancelToken:
    """Start it; the callbacks come from a thread of its own. `on_done(None, None)` means cancelled.

    command     for tests: what to run instead of this program
    """
    cancel = CancelToken()
    wanted = [
        *(command or program()), "replay", session, "--recompute", "--checkpoint", checkpoint, "--json", "--progress-lines",
    ]  # fmt: skip
    thread = threading.Thread(
        target=_run, args=(wanted, cancel, on_progress, on_done), name="recompute", daemon=True
    )
    thread.start()
    return cancel


def _run(
    command: list[str], cancel: CancelToken, on_progress: Callable[[float, str], None], on_done: OnDone
) -> None:
    try:
        report = _report_of(command, cancel, on_progress)
    except ConsoleError as error:
        on_done(None, error)
    except Exception as error:  # the thread's edge: whoever waits for the end must hear of it
        log.exception("the recomputation failed")
        on_done(None, _not_finished(repr(error)))
    else:
        on_done(report, None)


def _report_of(
    command: list[str], cancel: CancelToken, on_progress: Callable[[float, str], None]
) -> dict[str, JSON] | None:
    """The report; None when cancelled. Raises ConsoleError with the child's own words."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:  # a pipe nobody reads would fill up
        with subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, text=True) as child:
            watcher = threading.Thread(
                target=_end_when_cancelled, args=(child, cancel), name="recompute-cancel", daemon=True
            )
            watcher.start()
            assert child.stderr is not None
            said = _listen(child.stderr, on_progress)
        watcher.join()
        output.seek(0)
        text = output.read()
    if cancel.is_cancelled:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        raise _not_finished(said) from None
    if child.returncode in REPORTS and "error" not in found:
        return dict(found)
    raise RequestError(str(found.get("what", "")), str(found.get("hint", "")), said)


def _listen(stream: IO[str], on_progress: Callable[[float, str], None]) -> str:
    """Pass progress on until the child ends; what else it said."""
    said: list[str] = []
    for line in stream:
        progress = _progress_of(line)
        if progress is None:
            said.append(line)
        else:
            on_progress(*progress)
    return "".join(said[-20:]).strip()


def _not_finished(detail: str) -> ConsoleError:
    return RequestError("The recomputation did not finish.", "Try again; the log has the details.", detail)


def _end_when_cancelled(child: subprocess.Popen[str], cancel: CancelToken) -> None:
    while child.poll() is None:
        if cancel.wait(0.1):
            child.terminate()
            return


def _progress_of(line: str) -> tuple[float, str] | None:
    """(fraction, words) when the line is one of our progress lines."""
    if not line.startswith('{"progress"'):
        return None
    try:
        found = json.loads(line)
        return float(found["progress"]), str(found.get("text", ""))
    except (ValueError, KeyError, TypeError):  # cut off when the child was killed
        return None
