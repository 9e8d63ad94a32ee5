"""`python -m tests.benchmarks.window`: what a person waits for.

Three things, each beside its own floor in the same run: the time to the first window (beside a bare Qt window), the delay
of the GUI thread while the engine is saturated (beside the same window without a checkpoint), and the age of the picture on
the screen. Budgets: stalls p99.9 16 ms and 50 ms at most. Nothing here passes or fails; it prints and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

BARE_WINDOW = """
import sys, time, psutil
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication, QMainWindow
app = QApplication(sys.argv)
window = QMainWindow()
"""
OUR_WINDOW = """
import sys, time, psutil
sys.path.insert(0, {root!r})
from console import config, environment
environment.clean()
from PySide6.QtCore import QEvent, QObject
from console.app import _application
app = _application()
from pathlib import Path
from console.main_window import MainWindow
from console.pipeline import Pipeline
from console.settings import Settings
found = config.load({{"recording.directory": {folder!r}}}, user_file=Path({folder!r}) / "none.toml")
window = MainWindow(Pipeline(found), found, Settings(Path({folder!r}) / "window.ini"))
window.begin()
"""
UNTIL_PAINTED = """
class Eye(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint:
            print(time.time() - psutil.Process().create_time(), flush=True)
            import os
            os._exit(0)
        return False
eye = Eye()
window.installEventFilter(eye)
window.resize(1280, 720)
window.show()
app.exec()
"""


def first_window(rounds: int) -> dict[str, Any]:
    """Seconds from the start of the process to the first paint, ours and a bare window, in turn."""
    found: dict[str, list[float]] = {"ours": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        ours = OUR_WINDOW.format(root=str(ROOT), folder=folder) + UNTIL_PAINTED
        for _ in range(rounds):
            for name, script in (("ours", ours), ("bare", BARE_WINDOW + UNTIL_PAINTED)):
                done = subprocess.run(
                    [sys.executable, "-c", script], capture_output=True, text=True, check=True
                )
                found[name].append(float(done.stdout.split()[0]))
    medians = {name: statistics.median(values) for name, values in found.items()}
    return {"seconds": medians, "ratio": medians["ours"] / medians["bare"], "rounds": rounds}


def in_use(seconds: float, *, has_checkpoint: bool) -> dict[str, Any]:
    """GUI-thread delays and picture ages of the real window on the embedded world, in this process."""
    from PySide6.QtCore import QTimer

    from console import app as window_app
    from console import config
    from console.main_window import MainWindow
    from console.pipeline import Pipeline
    from console.settings import Settings
    from console.verbs_common import DEMO_CHECKPOINT

    application = window_app._application()
    sys.setswitchinterval(window_app.SWITCH_INTERVAL_S)
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "recording.directory": folder,
            "model.stride": 1,
        }  # a look wanted at every frame: saturated
        found = config.load(settings, user_file=Path(folder) / "none.toml")
        pipeline = Pipeline(found)
        window = MainWindow(pipeline, found, Settings(Path(folder) / "window.ini"))
        window.resize(1280, 720)
        window.begin()
        window.show()
        pipeline.watch(
            "world:cell?fps=60&width=1280&height=720", str(DEMO_CHECKPOINT) if has_checkpoint else None
        )
        result: dict[str, Any] = {}

        def begin_counting() -> None:
            window.heartbeat.reset()

        def read_out() -> None:
            health = pipeline.health()
            result["gui_delay"] = asdict(window.heartbeat.stalls())
            result["rates_hz"] = {name: round(rate, 1) for name, rate in health.rates.items()}
            result["age_ms"] = {name: [age / 1e6 for age in ages] for name, ages in health.ages_ns.items()}
            window.close()

        QTimer.singleShot(8_000, begin_counting)  # the checkpoint is loaded and everything is drawn once
        QTimer.singleShot(round(8_000 + seconds * 1000), read_out)
        application.exec()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "first_window": first_window(arguments.rounds),
        "saturated": in_use(arguments.seconds, has_checkpoint=True),
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
