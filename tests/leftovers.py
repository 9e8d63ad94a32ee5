"""What a test run left behind on the machine: processes, shared memory, files.

Standard library only, because run.py uses it, outside the environment the tests run in. Judges the run as a whole;
tests/conftest.py judges each test. Never touches a process, segment or file that was there before the run.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_SEGMENT_PREFIXES = ("jepa", "psm_")  # our frame rings; Python's own unnamed segments
_GRACE_S = 5.0


@dataclass(frozen=True)
class Traces:
    """What could be ours, before a run."""

    segments: frozenset[str]
    changes: frozenset[str]  # lines of `git status`


def adopt_orphans() -> None:
    """On Linux a process whose parent died becomes our child, so that it can be found afterwards."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for(child: subprocess.Popen[bytes]) -> int:
    """The child's exit status. On Linux adopted orphans that end meanwhile are laid to rest as init would do it."""
    if not sys.platform.startswith("linux"):
        return child.wait()
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return child.returncode


def traces(root: Path) -> Traces:
    shm = Path("/dev/shm")
    names = [entry.name for entry in shm.iterdir()] if shm.is_dir() else []
    git = ["git", "-C", str(root), "status", "--porcelain", "--untracked-files=all"]
    try:
        status = subprocess.run(git, capture_output=True, text=True, check=False).stdout
    except OSError:
        status = ""  # no git here: the tree is not judged
    return Traces(
        segments=frozenset(name for name in names if name.startswith(_SEGMENT_PREFIXES)),
        changes=frozenset(status.splitlines()),
    )


def since(before: Traces, root: Path, home: Path) -> list[str]:
    """One sentence per thing that is here now and was not before; `home` is the run's own temporary folder."""
    left = [f"process {pid} ({name})" for pid, name in end_orphans()]
    now = traces(root)
    segments = sorted(now.segments - before.segments)
    left += [f"shared memory {name}" for name in segments if not _is_in_use(name)]
    left += [f"file in the tree: {line}" for line in sorted(now.changes - before.changes)]
    left += [f"temporary file {entry.name}" for entry in sorted(home.iterdir())]
    return left


def end_orphans() -> list[tuple[int, str]]:
    """Living children of this process, ended after a grace: (pid, name) each. Linux only."""
    found = _children()
    deadline = time.monotonic() + _GRACE_S
    while found and time.monotonic() < deadline:
        time.sleep(0.1)
        found = _children()
    for pid, _ in found:
        os.kill(pid, 9)
    return found


def _is_in_use(name: str) -> bool:
    """Whether a process still has the segment open. Ours have all ended by now, so it is another program's."""
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            if f"/dev/shm/{name}" in maps.read_text():
                return True
        except OSError:
            continue  # it ended, or belongs to somebody else
    return False


def _children() -> list[tuple[int, str]]:
    if not sys.platform.startswith("linux"):
        return []
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue  # it ended while we looked
        state, parent = rest.split()[:2]
        if int(parent) == os.getpid() and state not in "ZX":
            found.append((int(stat.parent.name), name.partition("(")[2]))
    return found
