"""What the engine's process and its libraries say goes to the parent's log, never to a terminal."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from jepa_core.child_log import MOST_WAITING, ChildLog
from jepa_core.engine_process import EngineProcess
from jepa_core.messages import EngineOptions, Loaded
from tests.helpers.models import ScriptedModel, load_scripted

LOUD = "tests.jepa_core.test_child_log:load_loudly"
ROOT = Path(__file__).resolve().parents[2]


def load_loudly(order: object, progress: object, cancel: object) -> ScriptedModel:
    """A loader whose library warns, as torch does."""
    warnings.warn("this number type is slow here", UserWarning, stacklevel=1)
    logging.getLogger("some.library").warning("a tensor was cast")
    return load_scripted(order, progress, cancel)  # type: ignore[arg-type]


def test_lines_wait_in_order_and_a_flood_keeps_the_newest() -> None:
    collected = ChildLog()
    for number in range(MOST_WAITING + 10):
        collected.handle(logging.makeLogRecord({"msg": f"line {number}", "levelno": logging.WARNING}))

    texts = [line.text for line in collected.drain()]
    assert texts[0] == "line 10"
    assert texts[-1] == f"line {MOST_WAITING + 9}"
    assert collected.drain() == []


@pytest.mark.slow
def test_a_warning_in_the_engine_is_a_log_line_here_and_nothing_on_its_stderr(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    both = threading.Event()
    loaded = threading.Event()

    class Watch(logging.Handler):
        seen: set[str] = set()  # noqa: RUF012 - one instance, in one test

        def emit(self, record: logging.LogRecord) -> None:
            self.seen.add(record.name)
            if {"py.warnings", "some.library"} <= self.seen:
                both.set()

    watch = Watch()
    logging.getLogger().addHandler(watch)
    engine = EngineProcess(
        lambda message: loaded.set() if isinstance(message, Loaded) else None, loader=LOUD, beat_s=0.1
    )
    try:
        engine.start()
        engine.load("scripted:", None, EngineOptions(threads=1))
        assert loaded.wait(60)
        assert both.wait(30)
    finally:
        engine.stop()
        logging.getLogger().removeHandler(watch)

    assert "this number type is slow here" in caplog.text
    assert "this number type is slow here" not in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are blocked on POSIX only")
def test_ctrl_c_does_not_reach_a_child_that_is_still_starting() -> None:
    """A terminal's Ctrl+C goes to the whole group: a child between its birth and its first line must not hear it."""
    program = """
import multiprocessing, os, signal, sys, time
from jepa_core.spawning import start_deaf
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = multiprocessing.get_context("spawn").Process(target=print, args=("alive",))
    signal.signal(signal.SIGINT, lambda *_: None)
    start_deaf(process)
    os.kill(process.pid, signal.SIGINT)
    process.join(30)
    sys.exit(process.exitcode)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "alive"
    assert done.stderr == ""
