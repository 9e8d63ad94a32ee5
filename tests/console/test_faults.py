"""Errors in a person's words, and exit codes."""

from __future__ import annotations

import errno
import inspect

import pytest

from console import faults
from jepa_core import errors
from jepa_core.errors import Cancelled, ConsoleError, SourceNotFound


def test_every_error_code_has_a_title():
    codes = {
        kind.code for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ConsoleError)
    }

    assert codes <= faults.TITLES.keys()


def test_a_console_error_ends_with_3_and_its_sentence_without_a_traceback(capsys):
    def work() -> int:
        raise SourceNotFound("clip.mp4: no such file.", "Check the path.")

    assert faults.guarded(work) == 3
    assert capsys.readouterr().err == "clip.mp4: no such file.\nCheck the path.\n"


def test_an_unknown_error_is_one_sentence_too(capsys):
    def work() -> int:
        raise ValueError("boom")

    assert faults.guarded(work) == 3
    said = capsys.readouterr().err
    assert "ValueError" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Cancelled()])
def test_being_stopped_is_not_an_error(stop, capsys):
    def work() -> int:
        raise stop

    assert faults.guarded(work) == 130
    assert capsys.readouterr().err == "Stopped.\n"


def test_a_full_disk_is_named_as_such():
    fault = faults.describe(OSError(errno.ENOSPC, "No space left on device"))

    assert (fault.code, fault.level) == ("disk_full", "error")
    assert fault.hint


def test_a_result_passes_through():
    assert faults.guarded(lambda: 1) == 1
