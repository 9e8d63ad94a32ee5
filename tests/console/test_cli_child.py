"""The window's recomputation runs this program again: its end is always heard, in the child's own words."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from console.recompute import recompute_in_child
from jepa_core.errors import ConsoleError
from jepa_core.types import JSON


class Heard:
    """What came of one recomputation."""

    def __init__(self) -> None:
        self.report: dict[str, JSON] | None = None
        self.error: ConsoleError | None = None
        self.progress: list[tuple[float, str]] = []
        self.calls = 0
        self._is_done = threading.Event()

    def on_done(self, report: dict[str, JSON] | None, error: ConsoleError | None) -> None:
        self.report, self.error = report, error
        self.calls += 1
        self._is_done.set()

    def wait(self) -> Heard:
        assert self._is_done.wait(60), "nobody said how it ended"
        return self


def child(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def run(command: list[str] | None, session: str = "x.h5", checkpoint: str = "x.pt") -> Heard:
    heard = Heard()
    recompute_in_child(
        session, checkpoint, lambda *progress: heard.progress.append(progress), heard.on_done, command
    )
    return heard.wait()


def test_a_refusal_arrives_in_the_words_of_the_child(tmp_path: Path) -> None:
    heard = run(None, str(tmp_path / "none.h5"))

    assert heard.error is not None
    assert "none.h5" in heard.error.what
    assert heard.error.hint


def test_progress_and_a_long_report_arrive_whole() -> None:
    program = (
        "import json, sys; sys.stderr.write(json.dumps({'progress': 0.5, 'text': 'look 1'}) + chr(10)); "
        "print(json.dumps({'verdict': 'differs', 'table': ['x' * 100] * 5000})); sys.exit(1)"
    )
    heard = run(child(program))

    assert heard.progress == [(0.5, "look 1")]
    assert heard.report is not None
    assert heard.report["verdict"] == "differs"


@pytest.mark.parametrize(
    "program",
    [
        "import os; os.abort()",
        "print('not json')",
        "import sys; sys.stderr.write('{\"progress\"'); sys.exit(3)",
    ],
)
def test_a_child_that_dies_without_a_word_is_an_error_in_words(program: str) -> None:
    heard = run(child(program))

    assert heard.error is not None
    assert heard.error.what == "The recomputation did not finish."
    assert heard.calls == 1


def test_a_program_that_cannot_be_started_is_an_error_in_words() -> None:
    assert run(["/nowhere/python"]).error is not None


def test_a_cancelled_recomputation_ends_its_child_and_is_no_error() -> None:
    heard = Heard()
    cancel = recompute_in_child(
        "x.h5", "x.pt", lambda *_: None, heard.on_done, child("import threading; threading.Event().wait()")
    )
    cancel.cancel()
    heard.wait()

    assert (heard.report, heard.error) == (None, None)
