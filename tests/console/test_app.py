"""Opening the window as main.py does: screenshots, SIGINT, uncaught exceptions, what a request asks for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

PROGRAM = """
import os, signal, sys, threading
from pathlib import Path
from console import config
from console.app import run_window
from console.start_request import StartRequest
from tests.helpers.pipeline import ScriptedPipeline

class Scripted(ScriptedPipeline):
    def watch(self, uri, checkpoint, **options):
        self.calls.append(("watch", uri, checkpoint, options))
        print("watch", uri, checkpoint, options["record_to"], options["every_frame"], flush=True)

folder = Path(sys.argv[1])
found = config.load({"recording.directory": str(folder / "rec")}, user_file=folder / "none.toml")
"""


def run(tmp_path, body, **environ):
    env = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": ROOT, "XDG_CONFIG_HOME": str(tmp_path)}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + body, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**env, **environ},
    )


def test_a_screenshot_is_saved_in_the_asked_size_and_the_program_ends(tmp_path):
    done = run(
        tmp_path,
        """
code = run_window(found, start=StartRequest(screenshot=folder / "a" / "shot.png", after_s=0.5, size=(1280, 720),
                  theme="light", zoom=1.0), make_pipeline=Scripted)
sys.exit(code)
""",
    )

    assert done.returncode == 0, done.stderr
    from PySide6.QtGui import QImage

    picture = QImage(str(tmp_path / "a" / "shot.png"))
    assert (picture.width(), picture.height()) == (1280, 720)


def test_a_request_is_carried_out(tmp_path):
    done = run(
        tmp_path,
        """
sys.exit(run_window(found, start=StartRequest(source="/clips/a.mp4", checkpoint="/m/c.pt", record_directory="/rec",
                    every_frame=True, seconds=0.4), make_pipeline=Scripted))
""",
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "watch /clips/a.mp4 /m/c.pt /rec True\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_window_in_order(tmp_path, number):
    done = run(
        tmp_path,
        f"""
class Ends(Scripted):
    def watch(self, *what, **options):  # the window stands and listens
        os.kill(os.getpid(), {int(number)})
    def shutdown(self, deadline_s=10.0):
        print("ended in order", flush=True)
sys.exit(run_window(found, start=StartRequest(source="/clips/a.mp4", seconds=30), make_pipeline=Ends))
""",
    )

    assert done.returncode == 0, done.stderr
    assert "ended in order" in done.stdout


def test_an_uncaught_exception_is_shown_and_the_window_lives_on(tmp_path):
    done = run(
        tmp_path,
        """
from PySide6.QtCore import QTimer
import console.main_window as m
class Window(m.MainWindow):
    def begin(self):
        super().begin()
        QTimer.singleShot(100, self.breaks)
        QTimer.singleShot(600, self.tells)
    def breaks(self):
        threading.Thread(target=lambda: 1 / 0, name="worker").start()
        raise ValueError("boom")
    def tells(self):
        print(sorted(self.desk.banner.codes()), flush=True)
m.MainWindow = Window
sys.exit(run_window(found, start=StartRequest(seconds=1.2), make_pipeline=Scripted))
""",
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "['error']\n"


def test_no_display_is_one_sentence(tmp_path):
    done = run(
        tmp_path,
        """
from console.faults import guarded
sys.exit(guarded(lambda: run_window(found, make_pipeline=Scripted)))
""",
        QT_QPA_PLATFORM="xcb",
        DISPLAY=":4093",
        WAYLAND_DISPLAY="",
    )

    assert done.returncode == 3
    assert done.stderr.count("\n") == 2
    assert "does not answer" in done.stderr
