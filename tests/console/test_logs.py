"""Log lines: JSON on disk, a ring in memory, repeats as counts."""

from __future__ import annotations

import json
import logging

import pytest

from console import config, logs


@pytest.fixture
def running(tmp_path):
    made = logs.setup(config.LogConfig(str(tmp_path / "log"), "INFO", 1 << 16, 2))
    yield made
    made.close()


def test_a_line_is_one_json_object_with_its_frame(running):
    logging.getLogger("sessions.recorder").warning("gap after %d rows", 7, extra={"seq": 41})

    line = json.loads(running.path.read_text("utf-8").splitlines()[-1])
    assert line["text"] == "gap after 7 rows"
    assert (line["level"], line["logger"], line["seq"]) == ("WARNING", "sessions.recorder", 41)


def test_repeats_collapse_into_a_count(running):
    speaker = logging.getLogger("noisy")
    for number in range(50):
        speaker.warning("frame %d is late", number)

    assert [line.text for line in running.ring.lines() if line.logger == "noisy"] == ["frame 0 is late"]


def test_after_its_window_a_repeat_says_how_often_it_was_held_back():
    sieve = logs.RepeatFilter(window_s=10)
    records = []
    for t_s in (0.0, 1.0, 2.0, 11.0):
        record = logging.LogRecord("x", logging.WARNING, "", 0, "late", (), None)
        record.created = t_s
        records.append(sieve.filter(record))

    assert records[0] is True
    assert records[1] is False
    assert records[2] is False
    assert records[3].repeats == 2


def test_a_folder_without_rights_keeps_the_lines_in_memory_and_says_so(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")

    made = logs.setup(config.LogConfig(str(blocker / "log"), "INFO", 1 << 16, 2))
    logging.getLogger("x").warning("kept")
    made.close()

    assert made.path is None
    assert made.fault is not None
    assert made.fault.code == "write_failed"
    assert made.ring.lines()[-1].text == "kept"


def test_an_exception_keeps_its_trace_in_the_file_only(running):
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("x").exception("went wrong")

    line = json.loads(running.path.read_text("utf-8").splitlines()[-1])
    assert "ValueError: boom" in line["trace"]
