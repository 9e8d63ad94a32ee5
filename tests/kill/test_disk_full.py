"""A disk that is really full: what was confirmed stays, events go on, the fold fails without taking anything down."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jepa_core.clock import FakeClock
from jepa_core.errors import ConsoleError
from sessions import events, fold, verify
from sessions.reader import open_session
from sessions.schema import RecordType
from tests.helpers.recordings import SMALL, Listener, make_recorder, make_row

pytestmark = [pytest.mark.kill, pytest.mark.slow]


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 6 MiB. Mounting one needs rights; without them tests/sessions/test_recorder.py uses a fake."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("no right to mount a small file system")
    point = tmp_path / "small"
    point.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(point)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small file system")
    try:
        yield point
    finally:
        subprocess.run(["umount", "-l", str(point)], check=True)


def test_on_a_really_full_disk_nothing_confirmed_is_lost(small_disk, tmp_path):
    clock, heard = FakeClock(), Listener()
    recorder = make_recorder(small_disk, clock, heard, settings=replace(SMALL, reserve_bytes=1 << 20))
    recorder.start()
    row = make_row(0, clock)
    heavy = replace(row, encoded=row.encoded + os.urandom(100_000))
    for number in range(120):
        recorder.frame(replace(heavy, seq=1000 + number, index=number))
        if number % 10 == 0:
            recorder.event(events.near_miss(t_ns=clock.now_ns(), seq=1000 + number, actor="operator:ada"))
    assert heard.wait_for(1, of="faults")
    for number in range(20):
        recorder.event(events.near_miss(t_ns=clock.now_ns(), seq=2000 + number, actor="operator:ada"))
    assert heard.wait_for(32)
    journal = recorder.stop()
    assert heard.failed == []
    assert [fault.code for fault in heard.faults] == ["disk_full"]

    with contextlib.suppress(
        ConsoleError
    ):  # it may just fit; where it does not, it must say so and leave nothing
        fold.fold_in_child(journal)
    assert not list(small_disk.glob("*.partial"))
    elsewhere = Path(shutil.copy(journal, tmp_path / journal.name))
    session = fold.fold(elsewhere)
    assert verify.verify(session).is_valid
    with open_session(session) as reader:
        recorded = {event.id for event in reader.events()}
        assert set(heard.acks) <= recorded
        (gap,) = reader.gaps()
        assert (gap["reason"], gap["count"]) == ("disk_full", 120 - reader.n_frames)
        assert reader.header["session_id"]
    assert RecordType.GAP


def test_folding_onto_a_full_disk_fails_in_words_and_keeps_the_journal(small_disk):
    clock, heard = FakeClock(), Listener()
    recorder = make_recorder(small_disk, clock, heard, settings=replace(SMALL, reserve_bytes=1 << 20))
    recorder.start()
    row = make_row(0, clock)
    for number in range(40):
        recorder.frame(replace(row, encoded=os.urandom(100_000), seq=number, index=number))
    journal = recorder.stop()
    before = journal.read_bytes()
    with pytest.raises(ConsoleError):
        fold.fold_in_child(journal)
    assert journal.read_bytes() == before
    assert sorted(path.name for path in small_disk.iterdir()) == [journal.name]
