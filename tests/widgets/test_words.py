"""Numbers as people read them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from widgets import words


def plain(text: str) -> str:
    return text.replace(words.NO_BREAK, " ")


@pytest.mark.parametrize(
    ("seqs", "text"),
    [
        ((), "–"),
        ((7,), "7"),
        ((114, 117), "114–117"),
        ((243_114, 243_117), "243 114–117"),
        ((999, 1002), "999–1 002"),
    ],
)
def test_frame_ranges_say_the_thousands_once(seqs: tuple[int, ...], text: str) -> None:
    assert plain(words.frame_range(seqs)) == text


@given(first=st.integers(0, 10**9), length=st.integers(0, 5000))
def test_a_frame_range_can_be_read_back(first: int, length: int) -> None:
    text = plain(words.frame_range((first, first + length))).replace(" ", "")
    begin, _, end = text.partition("–")
    assert int(begin) == first
    if end:
        assert int(begin[: max(len(begin) - len(end), 0)] + end) == first + length


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.2, "4.2 s"), (95, "1 m 35 s"), (147_132, "40 h 52 m"), (-1, "–"), (float("nan"), "–")],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_clock_counts_from_an_origin() -> None:
    assert words.clock(8_047_000_000_000) == "02:14:07"
    assert words.clock(3_933_400_000, parts=3) == "00:00:03.933"
    assert words.clock(-1_000_000_000) == "−00:00:01"


def test_widgets_bring_no_torch_no_h5py_no_cv2() -> None:
    code = (
        "import importlib, pkgutil, sys, widgets\n"
        "for found in pkgutil.walk_packages(widgets.__path__, 'widgets.'):\n"
        "    importlib.import_module(found.name)\n"
        "bad = {'torch', 'h5py', 'cv2', 'sessions', 'console'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(bad)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
