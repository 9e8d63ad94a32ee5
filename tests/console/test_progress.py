"""Progress goes to stderr and to nobody who did not ask."""

from __future__ import annotations

import io
import json

from console.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_are_json_for_another_program() -> None:
    stream = io.StringIO()
    progress = Progress(as_lines=True, stream=stream)

    progress.show(1.0, "step 9 of 9")

    assert json.loads(stream.getvalue()) == {"progress": 1.0, "text": "step 9 of 9"}


def test_nothing_is_written_where_nobody_watches() -> None:
    stream = io.StringIO()
    progress = Progress(stream=stream)

    progress.show(1.0, "frame 3 of 3")
    progress.end()

    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_that_goes_away_again() -> None:
    terminal = Terminal()
    progress = Progress(stream=terminal)

    progress.show(1.0, "frame 3 of 3")
    progress.end()

    assert "100%" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r")
