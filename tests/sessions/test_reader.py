"""Reading: what live gave comes back as it was, frame-exact, from every kind of file a session can be."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from jepa_core.clock import FakeClock
from jepa_core.errors import Damaged, NewerSchema, NotASession
from sessions import codec, events, fold
from sessions.reader import open_session
from tests.helpers.recordings import (
    DIM,
    FRAME_NS,
    SMALL,
    Listener,
    TroubledDisk,
    make_checkpoint,
    make_header,
    make_look,
    make_recorder,
    make_rgb,
    make_row,
    make_source,
    record,
)


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    return record(tmp_path_factory.mktemp("reader"), n_frames=30, n_events=3)


@pytest.fixture(scope="module")
def sealed(journal, tmp_path_factory):
    copy = Path(shutil.copy(journal, tmp_path_factory.mktemp("sealed") / journal.name))
    return fold.fold(copy, keep_journal=False)


@pytest.fixture(params=["sealed", "journal"])
def session(request):
    with open_session(request.getfixturevalue(request.param)) as reader:
        yield reader


def test_frames_come_back_exactly(session):
    assert session.n_frames == 30
    assert session.frame_seq.tolist() == [1000 + number for number in range(30)]
    assert session.frame_index.tolist() == list(range(30))
    assert session.frame_pts_ns[2] == 2 * FRAME_NS
    assert (np.diff(session.frame_t_ns) == FRAME_NS).all()
    for row in (29, 0, 13):
        encoded = codec.encode_jpeg(make_rgb(row))
        assert session.frame_encoded(row) == encoded
        pixels = session.frame_rgb(row)
        assert np.array_equal(pixels, codec.decode(encoded))
        assert not pixels.flags.writeable
        assert codec.crc32_of(pixels) == session.frame_crc32[row]


def test_wall_times_follow_the_clock_of_the_recording(session):
    assert (
        session.frame_wall_ns - session.frame_t_ns == session.frame_wall_ns[0] - session.frame_t_ns[0]
    ).all()


def test_looks_come_back_as_the_inspections_they_were(session):
    assert session.n_steps == 14
    for step in range(session.n_steps):
        seen = session.inspection(step)
        number = seen.seq - 1000
        was = make_look(number, FakeClock(), n_frames=min(8, number + 1), step=number // 2)
        assert (seen.clip, seen.layout, seen.metric, seen.checkpoint, seen.step) == (
            was.clip, was.layout, was.metric, was.checkpoint, was.step,
        )  # fmt: skip
        assert np.array_equal(seen.error, was.error, equal_nan=True)
        assert np.array_equal(seen.pooled, was.pooled)
        assert np.array_equal(seen.masks.context, was.masks.context)
        assert np.array_equal(seen.masks.targets[0], was.masks.targets[0])
        assert (seen.masks.seed, dict(seen.signals)) == (was.masks.seed, dict(was.signals))
        assert not seen.error.flags.writeable


def test_looks_are_found_by_the_frame_they_end_at(session):
    assert list(session.steps_for_row(5)) == [1]
    assert list(session.steps_for_row(4)) == []
    assert session.row_of_seq(1007) == 7
    assert session.row_of_seq(999) is None
    assert session.row_of_seq(5000) is None
    assert session.row_of_seq(-1) is None


def test_the_source_and_the_checkpoint_come_back(session):
    assert session.info == replace(make_source(), frames=30)
    assert session.checkpoint_info == make_checkpoint()
    assert session.header["title"] == "a test"
    assert session.longest_clip == 8


def test_events_come_back_in_order_of_onset(session):
    found = session.events()
    assert [event.seq for event in found] == [1000, 1001, 1002]
    assert all(event.actor == "operator:ada" for event in found)


def test_a_track_holds_every_value_of_a_signal(session):
    assert session.track_names == ("surprise", "surprise_top")
    t_ns, value, seq = session.signal("surprise")
    assert value.tolist() == [0.5 + (s - 1000) / 7 for s in seq.tolist()]
    assert session.track("surprise").value_at(int(t_ns[3])) is not None
    assert np.isnan(session.signal("never recorded")[1]).all()


def test_states_say_what_kind_of_file_it_is(sealed, journal):
    with open_session(sealed) as reader:
        assert (reader.state, reader.problems) == ("sealed", ())
    with open_session(journal) as reader:
        assert (reader.state, reader.problems) == ("journal", ())


def test_a_number_beyond_the_session_is_refused(session):
    for wrong in (-1, session.n_frames):
        with pytest.raises(IndexError):
            session.frame_encoded(wrong)
    with pytest.raises(IndexError):
        session.inspection(session.n_steps)


def rolled(directory: Path, n_frames: int = 24) -> tuple[Path, ...]:
    clock, listener = FakeClock(), Listener()
    header = make_header(clock)
    recorder = make_recorder(directory, clock, listener, header=header)
    recorder.start()
    for number in range(n_frames):
        clock.advance(FRAME_NS)
        if number in (8, 16):
            recorder.reconfigure(model=header.model if number == 16 else None)
        recorder.frame(make_row(number, clock))
        if number % 2 and (number > 17 or 3 <= number < 8):
            recorder.step(make_look(number, clock, step=number // 2))
    recorder.event(events.near_miss(t_ns=clock.now_ns(), seq=1000 + n_frames - 1, actor="operator:ada"))
    assert listener.wait_for(1)
    recorder.stop()
    return recorder.parts


@pytest.mark.parametrize("folded", [(), (0,), (0, 1, 2)])
def test_the_parts_of_a_rolled_recording_open_as_one(tmp_path, folded):
    parts = rolled(tmp_path)
    assert len(parts) == 3
    for number in folded:
        fold.fold(parts[number])
    for part in parts:
        start = fold.session_path(part) if fold.session_path(part).exists() else part
        with open_session(start) as session:
            assert session.frame_seq.tolist() == [1000 + number for number in range(24)]
            assert [session.inspection(step).seq - 1000 for step in range(session.n_steps)] == [
                3,
                5,
                7,
                19,
                21,
                23,
            ]
            assert np.array_equal(session.frame_rgb(20), codec.decode(codec.encode_jpeg(make_rgb(20))))
            assert session.inspection(3).clip[0] == 1012  # a frame of the part before
            assert session.clip_rows(3)[0] == 12
            assert len(session.events()) == 1
            assert session.problems == ()


def test_a_missing_part_is_told(tmp_path):
    parts = rolled(tmp_path)
    parts[1].unlink()
    with open_session(parts[2]) as session:
        assert session.n_frames == 16
        assert session.problems == ("part 2 of this session is not in the folder",)


def test_an_event_written_into_two_parts_counts_once(tmp_path):
    disk, clock, heard = TroubledDisk(), FakeClock(), Listener()
    recorder = make_recorder(tmp_path, clock, heard, disk=disk)
    recorder.start()
    disk.sync_error = OSError(5, "Input/output error")
    recorder.event(events.near_miss(t_ns=1, seq=1, actor="operator:ada"))
    assert heard.wait_for(1)
    recorder.stop()
    with open_session(recorder.parts[0]) as session:
        assert [event.kind.name for event in session.events()].count("NEAR_MISS") == 1


def test_a_frame_without_pixels_keeps_its_row_and_says_so(tmp_path):
    disk, clock = TroubledDisk(), FakeClock()
    recorder = make_recorder(tmp_path, clock, disk=disk, settings=replace(SMALL, queue_bytes=1))
    recorder.start()
    recorder.frame(make_row(0, clock))
    recorder.step(make_look(0, clock))
    with open_session(recorder.stop()) as session:
        assert session.frame_encoded(0) is None
        assert session.has_pixels.tolist() == [False]
        with pytest.raises(Damaged):
            session.frame_rgb(0)
        assert session.gaps()[0]["reason"] == "queue_full"
        look = session.inspection(0)
        assert np.isnan(look.error).all()
        assert look.signals["surprise"] == 0.5
        assert look.pooled.shape == (3, DIM)


def test_an_unfinished_journal_opens_as_far_as_it_goes(journal, tmp_path):
    cut = tmp_path / journal.name
    cut.write_bytes(journal.read_bytes()[:-600])
    with open_session(cut) as session:
        assert 20 < session.n_frames <= 30
        assert session.problems[0].startswith("torn_tail")
        session.frame_rgb(session.n_frames - 1)


def test_a_damaged_picture_is_told_and_the_others_are_shown(sealed, tmp_path):
    copy = Path(shutil.copy(sealed, tmp_path / sealed.name))
    with h5py.File(copy, "r+") as file:
        offset = int(file["streams/camera/data_offset"][4])
        file["streams/camera/data"][offset : offset + 4] = 0
    with open_session(copy) as session:
        with pytest.raises(Damaged):
            session.frame_rgb(4)
        assert session.frame_rgb(5).shape == (48, 64, 3)


def test_a_damaged_column_is_told_and_the_rest_is_shown(sealed, tmp_path):
    copy = Path(shutil.copy(sealed, tmp_path / sealed.name))
    with h5py.File(copy) as file:
        where = file["streams/camera/t_received_mono_ns"].id.get_chunk_info(0)
    data = bytearray(copy.read_bytes())
    data[where.byte_offset + 10] ^= 255
    copy.write_bytes(bytes(data))
    with open_session(copy) as session:
        assert session.frame_received_ns.shape == (30,)
        assert "t_received_mono_ns" in session.problems[0]
        assert session.frame_rgb(3).shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.h5", b"text", NotASession),
        ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(3000), Damaged),
        ("a.wmj", b"WMJ1\r\n\x1a\n\x01", Damaged),
        ("a.mp4", b"", NotASession),
    ],
)
def test_what_is_no_session_is_refused_in_words(tmp_path, name, data, kind):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(kind) as caught:
        open_session(tmp_path / name)
    assert name in caught.value.what


def test_a_missing_file_and_a_foreign_or_newer_one_are_refused(sealed, tmp_path):
    with pytest.raises(NotASession):
        open_session(tmp_path / "absent.h5")
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file.attrs["format"] = "something"
    with pytest.raises(NotASession):
        open_session(tmp_path / "foreign.h5")
    newer = Path(shutil.copy(sealed, tmp_path / "newer.h5"))
    with h5py.File(newer, "r+") as file:
        file.attrs["schema_version"] = "2.0.0"
    with pytest.raises(NewerSchema):
        open_session(newer)


def test_a_newer_minor_version_with_more_columns_is_read(sealed, tmp_path):
    newer = Path(shutil.copy(sealed, tmp_path / "newer.h5"))
    with h5py.File(newer, "r+") as file:
        file.attrs["schema_version"] = "1.7.0"
        file["events"].create_dataset("mood", data=np.zeros(3))
    with open_session(newer) as session:
        assert len(session.events()) == 3


def test_the_file_is_opened_read_only(sealed, tmp_path):
    copy = Path(shutil.copy(sealed, tmp_path / sealed.name))
    before = copy.read_bytes()
    with open_session(copy) as session:
        session.inspection(2)
        session.frame_rgb(2)
    assert copy.read_bytes() == before
