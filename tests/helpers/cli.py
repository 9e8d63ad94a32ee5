"""Runs `main.py` as a person does: a process of its own, with its exit code, both streams, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
CELL = ROOT / "assets" / "demo" / "cell.pt"
WORLD = "world:cell?frames=30&width=320&height=240"
ENDLESS = "world:cell?width=320&height=240"
PATIENCE_S = 60.0

NO_SCREEN: Mapping[str, str] = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "QT_QPA_PLATFORM": ""}
OFFSCREEN: Mapping[str, str] = {**NO_SCREEN, "QT_QPA_PLATFORM": "offscreen"}


@dataclass(frozen=True)
class Said:
    """What one run left on its streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout; fails where there is more, or less."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    def refused(self) -> str:
        """Its sentence; checks that there is one, with a hint, and exit code 3."""
        lines = self.err.strip().splitlines()
        assert self.code == 3, (self.code, self.out, self.err)
        assert len(lines) == 2, self.err
        assert lines[0].endswith("."), self.err
        return lines[0]


def main_py(*arguments: object, environ: Mapping[str, str] = NO_SCREEN, cwd: Path = ROOT) -> Said:
    """Run it to its end. Never with a traceback."""
    done = subprocess.run(
        command(*arguments), env=environment(environ), cwd=cwd, capture_output=True, text=True,
        timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


def command(*arguments: object) -> list[str]:
    return [sys.executable, str(ROOT / "main.py"), *(str(each) for each in arguments)]


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's, without what is changed to nothing."""
    merged = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value or name not in changes}


class Running:
    """A run that is still going on."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.relatives: dict[int, psutil.Process] = {}

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Look every 10 ms; fails when the program ends first or nothing comes."""
        tick = threading.Event()
        for _ in range(int(PATIENCE_S * 100)):
            self.meet()
            if is_so():
                return
            assert self.process.poll() is None, self.process.communicate()
            tick.wait(0.01)
        raise AssertionError("it did not come that far")

    def meet(self) -> None:
        """Remember every child it has now, so that each can be asked for afterwards."""
        try:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self.relatives.setdefault(child.pid, child)
        except psutil.NoSuchProcess:
            return

    def stop(self, number: signal.Signals) -> Said:
        """Ctrl+C goes to the whole group, as from a terminal; SIGTERM to the program alone."""
        self.meet()
        if number is signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return Said(self.process.returncode, out, err)

    def left_alive(self) -> list[str]:
        """Command lines of children that outlived it."""
        _, alive = psutil.wait_procs(list(self.relatives.values()), timeout=5.0)
        return [" ".join(child.cmdline()) for child in alive if child.status() != psutil.STATUS_ZOMBIE]

    @property
    def bytes_read(self) -> int:
        return int(psutil.Process(self.process.pid).io_counters().read_chars)


@contextmanager
def running(*arguments: object, environ: Mapping[str, str] = NO_SCREEN) -> Iterator[Running]:
    process = subprocess.Popen(
        command(*arguments), env=environment(environ), cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        yield Running(process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
