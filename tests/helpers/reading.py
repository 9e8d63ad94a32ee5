"""Opens checkpoint files in a child process with a limit on time and memory, so that no file can take a test down.

The child lives from file to file; one that hangs or dies is counted, ended by its own process id and replaced.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0  # for one file; a tiny one takes a tenth of a second, and other processes may be at work


@dataclass(frozen=True)
class Opened:
    """What came of one file."""

    kind: str  # "loaded" | "refused" | "crashed" | "hung" | "died"
    what: str = ""  # the sentence of a refusal, the traceback of a crash
    error: str = ""  # class
    hint: str = ""
    family: str = ""
    digest: str = ""  # of every weight that is used
    peak_bytes: int = 0  # of memory, above what the child held before


class Reader:
    """A child that opens files. Use as a context manager."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Reader:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._end()

    def open(self, path: Path, config: Path | None = None) -> Opened:
        """Never raises for what a file does."""
        child = self._child or self._start()
        assert child.stdin is not None
        assert child.stdout is not None
        asked = {"path": str(path), "config": None if config is None else str(config)}
        child.stdin.write(json.dumps(asked).encode() + b"\n")
        child.stdin.flush()
        ready, _, _ = select.select([child.stdout], [], [], PATIENCE_S)
        if not ready:
            self._end()
            return Opened("hung", f"no answer after {PATIENCE_S:g} s")
        line = child.stdout.readline()
        if not line:
            code = child.wait()
            self._end()
            return Opened("died", f"the child ended with {code}")
        said: dict[str, Any] = json.loads(line)
        return Opened(**said)

    def _start(self) -> subprocess.Popen[bytes]:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.reading_child"],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.communicate()
