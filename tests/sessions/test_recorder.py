"""The recorder: nothing confirmed that may be lost, nothing lost without a word, nobody kept waiting."""

from __future__ import annotations

import errno
import json
import math
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jepa_core.clock import FakeClock
from jepa_core.errors import DiskFull, WriteFailed
from sessions import canonical, events
from sessions.header import CameraStream
from sessions.recorder import RecorderSettings
from sessions.scan import JournalScan
from sessions.schema import RECORD_SECTIONS, RecordType
from tests.helpers.recordings import (
    FRAME_NS,
    SMALL,
    Listener,
    TroubledDisk,
    make_checkpoint,
    make_header,
    make_look,
    make_recorder,
    make_row,
    make_source,
)


def read(path: Path) -> list[tuple[RecordType, bytes]]:
    with JournalScan(path) as scan:
        return [(RecordType(record.type), record.payload) for record in scan.records()]


def documents(path: Path, kind: str) -> list[dict]:
    found = [canonical.decode(payload) for type_, payload in read(path) if type_ == RecordType.DOCUMENT]
    return [document for document in found if document["document"] == kind]


def gaps(path: Path) -> list[tuple[int, int, int, str]]:
    found = [canonical.decode(payload) for type_, payload in read(path) if type_ == RecordType.GAP]
    return [(gap["first_index"], gap["last_index"], gap["count"], gap["reason"]) for gap in found]


def press(clock: FakeClock) -> events.Event:
    return events.override_start(t_ns=clock.now_ns(), seq=1, actor="operator:ada")


def test_an_event_is_confirmed_only_after_its_sync_returned(tmp_path):
    disk, clock, heard = TroubledDisk(), FakeClock(), Listener()
    recorder = make_recorder(tmp_path, clock, heard, disk=disk)
    recorder.start()
    disk.may_sync.clear()
    event = press(clock)
    recorder.event(event)
    assert disk.syncing.wait(20)
    assert heard.acks == []
    assert recorder.status().unsaved_events == 1
    disk.may_sync.set()
    assert heard.wait_for(1)
    assert heard.acks == [event.id]
    recorder.stop()


def test_a_blocked_disk_never_blocks_a_producer(tmp_path):
    disk, clock = TroubledDisk(), FakeClock()
    recorder = make_recorder(tmp_path, clock, disk=disk)
    recorder.start()
    disk.may_write.clear()
    recorder.frame(make_row(0, clock))
    assert disk.writing.wait(20)
    for number in range(1, 200):  # returns: were one of these to wait, the test would run into its time limit
        recorder.frame(make_row(number, clock))
        recorder.step(make_look(number, clock))
        recorder.event(press(clock))
    assert recorder.status().queue_rows > 100
    disk.may_write.set()
    journal = recorder.stop()
    assert recorder.status().frames == 200
    assert recorder.status().gaps == 0
    assert len(documents(journal, "event")) == 199


def test_documents_go_before_the_frames_that_wait(tmp_path):
    disk, clock = TroubledDisk(), FakeClock()
    recorder = make_recorder(tmp_path, clock, disk=disk)
    recorder.start()
    disk.may_write.clear()
    recorder.frame(make_row(0, clock))
    assert disk.writing.wait(20)
    for number in range(1, 60):
        recorder.frame(make_row(number, clock))
    recorder.event(press(clock))
    disk.may_write.set()
    journal = recorder.stop()
    types = [type_ for type_, _ in read(journal)]
    last_event = max(index for index, type_ in enumerate(types) if type_ == RecordType.DOCUMENT)
    assert types[last_event:].count(RecordType.FRAME) > 40


def test_a_full_queue_lets_go_of_pixels_and_reports_the_gap(tmp_path):
    disk, clock = TroubledDisk(), FakeClock()
    row_bytes = make_row(0, clock).nbytes
    recorder = make_recorder(tmp_path, clock, disk=disk, settings=replace(SMALL, queue_bytes=4 * row_bytes))
    recorder.start()
    disk.may_write.clear()
    recorder.frame(make_row(0, clock))
    assert disk.writing.wait(20)
    kept = [recorder.frame(make_row(number, clock)) for number in range(1, 12)]
    assert not all(kept)
    disk.may_write.set()
    journal = recorder.stop()
    frames = [payload for type_, payload in read(journal) if type_ == RecordType.FRAME]
    n_lost = kept.count(False)
    assert len(frames) == 12
    assert sum(count for *_, count, _ in gaps(journal)) == n_lost == recorder.status().gaps
    assert {reason for *_, reason in gaps(journal)} == {"queue_full"}


def test_frames_that_never_came_are_a_gap(tmp_path):
    clock = FakeClock()
    recorder = make_recorder(tmp_path, clock)
    recorder.start()
    for number in (0, 1, 5, 6, 3, 4):  # a jump, then a seek back
        recorder.frame(make_row(number, clock))
    assert gaps(recorder.stop()) == [(2, 4, 3, "not_received")]


def test_every_journal_opens_with_the_whole_system_record(tmp_path):
    clock = FakeClock()
    recorder = make_recorder(tmp_path, clock)
    recorder.start()
    (record,) = documents(recorder.stop(), "record")
    stated = {(row["section"], row["field"]): row for row in record["fields"]}
    assert set(stated) == {
        (section, field) for section, fields in RECORD_SECTIONS.items() for field in fields
    }
    assert stated["model_identity", "system_name"]["value"] == "V-JEPA 2"
    assert stated["model_identity", "checkpoint_sha256"]["status"] == "stated"
    assert stated["data", "training_sources"]["status"] == "unknown"


def test_streams_are_synced_and_checkpointed_as_time_passes(tmp_path):
    disk, clock = TroubledDisk(), FakeClock()
    recorder = make_recorder(tmp_path, clock, disk=disk)
    journal = recorder.start()
    at_start = len(disk.synced_fds)
    for number in range(40):
        clock.advance(500_000_000)
        recorder.frame(make_row(number, clock))
        wait_until_written(recorder, number + 1)
    n_synced = len(disk.synced_fds) - at_start
    recorder.stop()
    assert n_synced >= 15  # 20 s of frames, none unsynced for more than a second
    checkpoints = [canonical.decode(p) for type_, p in read(journal) if type_ == RecordType.CHECKPOINT]
    walls = [item["t_wall_ns"] for item in checkpoints]
    assert len(walls) >= 3
    assert max(np.diff(walls)) <= 10e9


def wait_until_written(recorder, frames: int) -> None:
    """Until the recorder thread has taken the row: an event behind it is confirmed only later."""
    waiting = threading.Event()
    for _ in range(2000):
        if recorder.status().frames >= frames:
            return
        waiting.wait(0.005)
    raise AssertionError("the recorder did not take the row")


def test_a_failed_sync_ends_the_journal_and_the_event_is_confirmed_in_the_next(tmp_path):
    disk, clock, heard = TroubledDisk(), FakeClock(), Listener()
    recorder = make_recorder(tmp_path, clock, heard, disk=disk)
    first = recorder.start()
    disk.sync_error = OSError(errno.EIO, "Input/output error")
    event = press(clock)
    recorder.event(event)
    assert heard.wait_for(1)
    recorder.frame(make_row(0, clock))
    second = recorder.stop()
    assert recorder.parts == (first, second)
    assert event.id in [document["event_id"] for document in documents(second, "event")]
    with JournalScan(second) as scan:
        assert scan.header["previous_journal"] == first.name
        assert len(scan.header["previous_chain_head"]) == 64
    assert any(isinstance(fault, WriteFailed) for fault in heard.faults)
    assert any(document["subtype"] == "write_failed" for document in documents(second, "event"))
    assert RecordType.END not in [type_ for type_, _ in read(first)]


def test_when_nothing_can_be_written_events_fail_and_say_so(tmp_path):
    disk, clock, heard = TroubledDisk(), FakeClock(), Listener()
    recorder = make_recorder(tmp_path, clock, heard, disk=disk)
    recorder.start()
    disk.create = lambda path: (_ for _ in ()).throw(OSError(errno.EROFS, "Read-only file system"))
    disk.sync_error = OSError(errno.EIO, "Input/output error")
    event = press(clock)
    recorder.event(event)
    assert heard.wait_for(1, of="failed")
    assert heard.failed[0][0] == event.id
    assert recorder.status().state == "failed"
    recorder.frame(make_row(0, clock))
    recorder.stop()
    assert heard.acks == []


def test_the_recording_goes_on_in_the_other_folder_when_its_own_fails(tmp_path):
    disk, clock, heard = TroubledDisk(), FakeClock(), Listener()
    other = tmp_path / "other"
    recorder = make_recorder(
        tmp_path / "own", clock, heard, disk=disk, settings=replace(SMALL, fallback_directory=other)
    )
    recorder.start()
    create = disk.create

    def only_elsewhere(path: Path) -> int:
        if path.parent != other:
            raise OSError(errno.EIO, "Input/output error")
        return create(path)

    disk.create = only_elsewhere
    disk.sync_error = OSError(errno.EIO, "Input/output error")
    recorder.event(press(clock))
    assert heard.wait_for(1)
    assert recorder.stop().parent == other


def test_on_a_full_disk_frames_stop_loudly_and_events_go_on_into_the_reserve(tmp_path):
    disk, clock, heard = TroubledDisk(), FakeClock(), Listener()
    disk.room = 2 << 20
    recorder = make_recorder(tmp_path, clock, heard, disk=disk)
    recorder.start()
    disk.room = 100
    for number in range(6):
        recorder.frame(make_row(number, clock))
    assert heard.wait_for(1, of="faults")
    before = press(clock)
    recorder.event(before)
    assert heard.wait_for(1)
    journal = recorder.stop()
    assert isinstance(heard.faults[0], DiskFull)
    assert [fault.code for fault in heard.faults].count("disk_full") == 1
    saved = [document["event_id"] for document in documents(journal, "event")]
    assert before.id in saved
    assert gaps(journal) == [(0, 5, 6, "disk_full")]
    with JournalScan(journal) as scan:
        list(scan.records())
        assert scan.end_document["end_reason"] == "disk_full"
        assert scan.damage == []
    assert not list(tmp_path.glob("*.reserve"))


def test_an_event_that_no_longer_fits_is_failed_and_the_ones_before_stay_confirmed(tmp_path):
    disk, clock, heard = TroubledDisk(), FakeClock(), Listener()
    recorder = make_recorder(tmp_path, clock, heard, disk=disk, settings=replace(SMALL, reserve_bytes=0))
    recorder.start()
    kept = press(clock)
    recorder.event(kept)
    assert heard.wait_for(1)
    disk.room = 10
    lost = press(clock)
    recorder.event(lost)
    assert heard.wait_for(1, of="failed")
    disk.room = 1 << 20
    journal = recorder.stop()
    assert heard.acks == [kept.id]
    assert heard.failed[0][0] == lost.id
    assert lost.id not in [document["event_id"] for document in documents(journal, "event")]


def test_too_little_space_refuses_the_start_and_leaves_nothing(tmp_path):
    disk, clock = TroubledDisk(), FakeClock()
    disk.room = 1 << 20
    recorder = make_recorder(tmp_path, clock, disk=disk, settings=RecorderSettings())
    with pytest.raises(DiskFull):
        recorder.start()
    assert list(tmp_path.iterdir()) == []


def test_space_below_two_minutes_stops_frames_before_the_disk_is_full(tmp_path):
    disk, clock, heard = TroubledDisk(), FakeClock(), Listener()
    settings = replace(SMALL, warn_s=600.0, stop_frames_s=120.0)
    recorder = make_recorder(tmp_path, clock, heard, disk=disk, settings=settings)
    recorder.start()
    disk.room = 30 * 1000
    clock.advance(2_000_000_000)
    assert heard.wait_for(1, of="faults")
    recorder.frame(make_row(0, clock))
    journal = recorder.stop()
    assert gaps(journal) == [(0, 0, 1, "disk_full")]
    assert RecordType.FRAME not in [type_ for type_, _ in read(journal)]


def test_a_folder_that_cannot_be_written_is_refused_in_words(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteFailed):
        make_recorder(tmp_path / "file" / "below", FakeClock()).start()


def test_a_long_recording_rolls_without_losing_a_record(tmp_path):
    clock, rolled = FakeClock(), []
    recorder = make_recorder(tmp_path, clock, settings=replace(SMALL, part_s=1.0), on_part=rolled.append)
    recorder.start()
    for number in range(60):
        clock.advance(FRAME_NS)
        recorder.frame(make_row(number, clock))
        wait_until_written(recorder, number + 1)
    recorder.stop()
    assert len(recorder.parts) >= 2
    assert rolled == list(recorder.parts[:-1])
    seqs, head = [], ""
    for path in recorder.parts:
        with JournalScan(path) as scan:
            assert scan.header["previous_chain_head"] == head
            payloads = [record.payload for record in scan.records() if record.type == RecordType.FRAME]
            seqs.extend(int.from_bytes(payload[:8], "little") for payload in payloads)
            head = scan.head.hex()
    assert seqs == [1000 + number for number in range(60)]
    with JournalScan(recorder.parts[0]) as scan:
        list(scan.records())
        assert scan.end_document["end_reason"] == "rolled"


def test_new_streams_begin_a_new_part_at_their_place_in_the_order(tmp_path):
    clock = FakeClock()
    recorder = make_recorder(tmp_path, clock)
    recorder.start()
    recorder.frame(make_row(0, clock))
    recorder.reconfigure(camera=CameraStream.of(make_source(width=128)))
    recorder.frame(make_row(1, clock))
    recorder.reconfigure(camera=CameraStream.of(make_source(width=128)))  # nothing new: no new part
    recorder.frame(make_row(2, clock))
    recorder.stop()
    assert len(recorder.parts) == 2
    counts = [[type_ for type_, _ in read(path)].count(RecordType.FRAME) for path in recorder.parts]
    assert counts == [1, 2]
    with JournalScan(recorder.parts[1]) as scan:
        assert scan.header["streams"][0]["attributes"]["width"] == 128
        assert scan.header["streams"][1]["kind"] == "model"


@pytest.mark.parametrize(
    "changes",
    [
        {"signals": {"surprise": 1.0, "brand_new": 2.0}},
        {"metric": "cosine"},
        {"checkpoint": "bbbb:float32"},
        {"pooled": np.zeros((3, 9), np.float32)},
    ],
)
def test_a_look_that_does_not_fit_the_stream_table_is_recorded_in_a_part_where_it_does(tmp_path, changes):
    clock = FakeClock()
    recorder = make_recorder(tmp_path, clock)
    recorder.start()
    recorder.step(make_look(1, clock))
    recorder.step(make_look(2, clock, **changes))
    recorder.stop()
    assert len(recorder.parts) == 2
    assert recorder.status().steps == 2


def test_looks_without_a_stated_checkpoint_are_recorded_too(tmp_path):
    clock = FakeClock()
    recorder = make_recorder(tmp_path, clock, header=make_header(clock, has_model=False))
    recorder.start()
    recorder.step(make_look(1, clock))
    recorder.stop()
    assert recorder.status().steps == 1


def test_a_disk_that_no_longer_answers_does_not_hold_the_stop_for_ever(tmp_path):
    disk, clock, heard = TroubledDisk(), FakeClock(), Listener()
    recorder = make_recorder(tmp_path, clock, heard, disk=disk, settings=replace(SMALL, deadline_s=-1.9))
    journal = recorder.start()
    disk.may_sync.clear()
    recorder.event(press(clock))
    assert disk.syncing.wait(20)
    assert recorder.stop() == journal
    assert any(isinstance(fault, WriteFailed) for fault in heard.faults)
    disk.may_sync.set()
    recorder.stop()  # may be called again; now the thread can end


def test_a_listener_that_raises_does_not_end_the_recording(tmp_path):
    clock, heard = FakeClock(), Listener()
    heard.ack = lambda event_id: 1 / 0
    recorder = make_recorder(tmp_path, clock, heard)
    recorder.start()
    recorder.event(press(clock))
    recorder.frame(make_row(0, clock))
    journal = recorder.stop()
    assert len(documents(journal, "event")) == 1
    assert recorder.status().frames == 1


def test_the_status_is_plain_numbers(tmp_path):
    clock = FakeClock()
    recorder = make_recorder(tmp_path, clock)
    assert recorder.status().state == "idle"
    assert recorder.status().synced_age_ns == -1
    recorder.start()
    recorder.frame(make_row(0, clock))
    recorder.stop()
    status = recorder.status()
    assert (status.state, status.frames, status.steps, status.gaps) == ("stopped", 1, 0, 0)
    assert status.bytes == status.journal.stat().st_size
    assert math.isfinite(status.disk_seconds)


def test_the_header_holds_everything_that_is_known_before_the_first_record(tmp_path):
    clock = FakeClock()
    header = make_header(clock).to_json()
    assert header["config_sha256"]
    assert json.loads(canonical.encode(header["environment"]))["packages"]["numpy"] == np.__version__
    model = header["streams"][1]
    assert model["attributes"]["grid_t"] == 4
    assert [column["name"] for column in model["columns"]][:2] == ["step", "look"]
    assert make_checkpoint().id in model["attributes"]["checkpoint_json"]
