"""The window on a real X server, not on Qt's offscreen platform: plugins, system libraries and fonts are all needed.

Xvfb is that server without a screen. Where it is not installed the check is skipped and counted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jepa_core.cv import cv2

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="an X server is a thing of Linux"),
    pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed"),
]


@pytest.fixture
def display() -> Iterator[str]:
    """An X display of its own, on a number that nobody has."""
    told, tells = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(tells), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"],
        pass_fds=(tells,),
        stderr=subprocess.DEVNULL,
    )
    os.close(tells)
    with os.fdopen(told) as answer:
        number = answer.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"
    server.terminate()
    server.wait(timeout=20)


def test_the_demo_opens_on_a_real_display_and_draws(display: str, tmp_path: Path):
    picture = tmp_path / "window.png"
    environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    command = [
        sys.executable,
        "main.py",
        "demo",
        "--screenshot",
        str(picture),
        "--after",
        "3",
        "--size",
        "1280x720",
    ]

    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False
    )

    assert done.returncode == 0, done.stderr[-2000:]
    drawn = cv2.imread(str(picture))  # (H, W, 3)
    assert drawn.shape == (720, 1280, 3)
    assert drawn.std() > 10, "nothing is painted"


def test_a_display_that_does_not_answer_is_one_sentence(tmp_path: Path):
    environment = {**os.environ, "DISPLAY": ":4711", "QT_QPA_PLATFORM": "xcb"}
    done = subprocess.run(
        [sys.executable, "main.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert ":4711" in done.stderr
