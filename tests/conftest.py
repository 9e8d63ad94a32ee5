"""What every test may rely on, and the guard that nothing outlives it.

Owns the test run's environment: offscreen Qt, a home of its own for settings, logs and sessions, one torch thread,
fixed seeds, and a hypothesis profile that gives the same examples every time. After each test the leak guard looks
for threads, child processes, mapped shared memory and visible windows that were not there before, and fails the
test by name. It must never import Qt or torch itself: tests of the lower rooms run without them.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_SESSION_HOME = tempfile.mkdtemp(prefix="jepa-console-tests-")
_HOME_VARIABLES = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")

# Before the first import of Qt, torch or numpy anywhere: these are read once, at import.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
for _name in _HOME_VARIABLES:
    os.environ[_name] = str(Path(_SESSION_HOME, _name.lower()))
for _name in [name for name in os.environ if name.startswith("JEPA_CONSOLE_")]:
    if not _name.startswith("JEPA_CONSOLE_TEST_"):
        del os.environ[_name]  # the developer's own settings must not decide a test

import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import psutil  # noqa: E402
import pytest  # noqa: E402

hypothesis.settings.register_profile(
    "ci",
    derandomize=True,
    max_examples=25,
    deadline=None,
    database=None,  # no .hypothesis folder left behind
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.register_profile(
    "thorough", parent=hypothesis.settings.get_profile("ci"), derandomize=False, max_examples=500
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

_GRACE_S = 5.0  # how long something that was told to stop may take to be gone
_OUR_THREADS = (
    "source-",
    "recorder",
    "engine",
    "supervisor",
    "library",
    "download",
)  # ours even where they are daemons
_HELPER_COMMANDS = ("resource_tracker", "forkserver")  # multiprocessing's own, one per run


@pytest.fixture(autouse=True)
def fresh_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for each test's settings, logs and sessions; made only when something writes there."""
    home = tmp_path_factory.getbasetemp() / "homes" / f"{next(_counter)}"
    for name in _HOME_VARIABLES:
        monkeypatch.setenv(name, str(home / name.lower()))
    if "PySide6.QtCore" in sys.modules:  # QSettings reads the variable once, so it is told as well
        from PySide6.QtCore import QSettings

        for layout in (QSettings.Format.NativeFormat, QSettings.Format.IniFormat):
            QSettings.setPath(layout, QSettings.Scope.UserScope, str(home / "xdg_config_home"))
    return home


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """The same random numbers in every test, whatever ran before it; one torch thread."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - for code under test that reads the global generator by mistake
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)
        if torch.get_num_threads() != 1:
            torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def leak_guard(fresh_home: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails the test that leaves a thread, a process, mapped shared memory or a visible window behind."""
    threads, children, segments = set(threading.enumerate()), _children(), _segments()
    yield
    leaks = [
        *_leaked_windows(),
        *_leaked_threads(threads),
        *_leaked_children(children),
        *_leaked_segments(segments),
    ]
    if leaks:
        pytest.fail(f"{request.node.name} left behind: " + "; ".join(leaks), pytrace=False)


def _leaked_threads(before: set[threading.Thread]) -> list[str]:
    leaks = []
    for thread in set(threading.enumerate()) - before:
        if thread.daemon and not thread.name.startswith(_OUR_THREADS):
            continue
        thread.join(_GRACE_S)
        if thread.is_alive():
            leaks.append(f"thread {thread.name!r}")
    return leaks


def _children() -> dict[int, psutil.Process]:
    """Living child processes by pid, multiprocessing's own helpers left out."""
    multiprocessing.active_children()  # reaps the finished ones
    found = {}
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() == psutil.STATUS_ZOMBIE:
                continue
            if not any(word in part for part in child.cmdline() for word in _HELPER_COMMANDS):
                found[child.pid] = child
        except psutil.NoSuchProcess:
            continue
    return found


def _leaked_children(before: dict[int, psutil.Process]) -> list[str]:
    new = [child for pid, child in _children().items() if pid not in before]
    if not new:
        return []
    _, alive = psutil.wait_procs(new, timeout=_GRACE_S)
    leaks = []
    for child in alive:
        try:
            if child.status() == psutil.STATUS_ZOMBIE:
                continue
            leaks.append(f"process {child.pid} ({' '.join(child.cmdline()[:4])})")
            child.kill()  # so that the next test is judged by what it does itself
        except psutil.NoSuchProcess:
            continue
    return leaks


def _segments() -> set[str]:
    """Shared memory segments this process has mapped and that still have a name (Linux only)."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return set()
    fields = (line.split(maxsplit=5) for line in maps.read_text().splitlines())
    return {
        field[5]
        for field in fields
        if len(field) == 6 and field[5].startswith("/dev/shm/") and not field[5].endswith("(deleted)")
    }


def _leaked_segments(before: set[str]) -> list[str]:
    if not _segments() - before:
        return []
    gc.collect()  # a view in a reference cycle is late, not leaked
    return [f"shared memory {name}" for name in sorted(_segments() - before)]


def _leaked_windows() -> list[str]:
    if "PySide6.QtWidgets" not in sys.modules:
        return []
    from PySide6.QtCore import QCoreApplication, QEvent
    from PySide6.QtWidgets import QApplication

    if QCoreApplication.instance() is None:
        return []
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    windows = [window for window in QApplication.topLevelWidgets() if window.isVisible()]
    leaks = [f"window {type(window).__name__} {window.windowTitle()!r}" for window in windows]
    for window in windows:
        window.close()
    return leaks


def _count_up() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


_counter = _count_up()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many were skipped and why; the counts also go to run.py where it asked for them."""
    stats = terminalreporter.stats
    reasons: Counter[str] = Counter()
    for report in stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason.removeprefix("Skipped: ")] += 1
    if reasons:
        terminalreporter.section("skipped, by reason")
        for reason, count in reasons.most_common():
            terminalreporter.write_line(f"{count:5d}  {reason}")
    if target := os.environ.get("JEPA_CONSOLE_TEST_REPORT"):
        counts = {name: len(stats.get(name, [])) for name in ("passed", "failed", "error", "skipped")}
        Path(target).write_text(json.dumps({**counts, "skipped_by_reason": dict(reasons)}), encoding="utf-8")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(_SESSION_HOME, ignore_errors=True)
