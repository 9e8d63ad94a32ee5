"""A recorded session as a source: as recorded, gaps included. Against a recording in memory with the reader's shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jepa_core import barcode
from jepa_core.clock import CancelToken, SystemClock
from jepa_core.errors import Cancelled, ConsoleError
from jepa_core.types import SourceInfo
from sessions import codec
from sessions.header import CameraStream, build_header
from sessions.recorder import FrameRow, Recorder, RecorderSettings
from sessions.sources.base import Grab
from sessions.sources.registry import open_source
from sessions.sources.session_file import GAP_GREY, SessionFile
from tests.helpers.media import numbered_picture
from tests.helpers.sources import SessionStandIn


def replay(stand_in: SessionStandIn, path: Path) -> SessionFile:
    source = SessionFile(path / "recorded.h5", stand_in)
    source.open()
    return source


def rows(source: SessionFile) -> list[Grab]:
    found = []
    while (grab := source.read(CancelToken())) is not None:
        found.append(grab)
    return found


def test_frames_come_with_their_recorded_numbers_times_and_bytes(tmp_path: Path):
    stand_in = SessionStandIn(frames=5, first_seq=2000)
    grabs = rows(replay(stand_in, tmp_path))
    assert [grab.index for grab in grabs] == [0, 1, 2, 3, 4]
    assert [grab.seq for grab in grabs] == [2000, 2001, 2002, 2003, 2004]
    assert [grab.t_ns for grab in grabs] == stand_in.frame_t_ns.tolist()
    assert [grab.error_ns for grab in grabs] == [1_000_000] * 5
    assert [grab.encoded for grab in grabs] == [stand_in.frame_encoded(row) for row in range(5)]
    assert [barcode.read(grab.rgb) for grab in grabs] == [0, 1, 2, 3, 4]


def test_a_gap_is_grey_and_says_so_and_is_never_the_picture_before(tmp_path: Path):
    grabs = rows(replay(SessionStandIn(frames=5, gaps=frozenset({0, 3})), tmp_path))
    assert [grab.is_gap for grab in grabs] == [True, False, False, True, False]
    for grab in grabs:
        if grab.is_gap:
            assert np.all(grab.rgb == GAP_GREY)
            assert grab.rgb.shape == grabs[1].rgb.shape
            assert grab.encoded is None


def test_a_picture_that_was_damaged_when_it_was_recorded_still_says_so(tmp_path: Path):
    stand_in = SessionStandIn(frames=3)
    stand_in.frame_flags[1] = 1 | 4
    stand_in.frame_flags[2] = 4
    assert [grab.is_corrupt for grab in rows(replay(stand_in, tmp_path))] == [False, True, False]


def test_looks_come_with_the_frame_they_end_at(tmp_path: Path):
    one, two, three = object(), object(), object()
    stand_in = SessionStandIn(frames=6, looks={1: [one], 4: [two, three]})
    grabs = rows(replay(stand_in, tmp_path))
    assert [list(grab.inspections) for grab in grabs] == [[], [one], [], [], [two, three], []]


def test_after_a_seek_the_look_that_was_on_the_screen_then_comes_too(tmp_path: Path):
    one, two, three = object(), object(), object()
    source = replay(SessionStandIn(frames=6, looks={1: [one], 4: [two, three]}), tmp_path)
    found = []
    for row in (0, 1, 3, 5):
        source.seek(row)
        grab = source.read(CancelToken())
        assert grab is not None
        found.append(list(grab.inspections))
    assert found == [[], [one], [one], [three]]


def test_info_says_it_is_a_session_and_what_was_recorded(tmp_path: Path):
    info = replay(SessionStandIn(frames=7), tmp_path).info
    assert (info.name, info.kind, info.frames) == ("session:recorded.h5", "session", 7)
    assert (info.is_live, info.is_seekable) == (False, True), "what was a camera can be sought now"
    assert info.detail["recorded_source"] == "camera:0"
    assert info.detail["device"] == "test"


def test_a_moment_leads_to_the_row_captured_at_or_before_it(tmp_path: Path):
    stand_in = SessionStandIn(frames=5)
    source = replay(stand_in, tmp_path)
    times = stand_in.frame_t_ns.tolist()
    assert [source.index_at(t_ns) for t_ns in times] == [0, 1, 2, 3, 4]
    assert [source.index_at(t_ns - 1) for t_ns in times] == [0, 0, 1, 2, 3]
    assert source.index_at(times[-1] + 10**12) == 4


def test_closing_closes_the_file_once_and_for_all(tmp_path: Path):
    stand_in = SessionStandIn()
    source = replay(stand_in, tmp_path)
    source.close()
    assert stand_in.is_closed
    with pytest.raises(Cancelled):
        source.read(CancelToken())
    with pytest.raises(Cancelled):
        source.index_at(0)


def test_a_real_recording_comes_back_with_its_own_pixels(tmp_path: Path):
    """Recorder → journal on disk → registry → source: the one test here without a stand-in."""
    journal = _record(tmp_path, frames=6, gaps={2})
    source = open_source(str(journal))
    source.open()
    grabs = rows(source)
    source.close()
    assert source.info.kind == "session"
    assert [grab.seq for grab in grabs] == [40, 41, 42, 43, 44, 45]
    assert [grab.t_ns for grab in grabs] == [10**9 + row * 66_000_000 for row in range(6)]
    assert [grab.pts_ns for grab in grabs] == [row * 66_000_000 for row in range(6)]
    assert [grab.is_gap for grab in grabs] == [False, False, True, False, False, False]
    assert [barcode.read(grab.rgb) for grab in grabs] == [0, 1, None, 3, 4, 5]
    for row, grab in enumerate(grabs):
        if not grab.is_gap:
            assert grab.encoded == codec.encode_jpeg(numbered_picture(row))
            assert np.array_equal(grab.rgb, codec.decode(grab.encoded))


def _record(folder: Path, *, frames: int, gaps: set[int]) -> Path:
    """A journal of numbered pictures, left unfolded, as after a crash."""
    info = SourceInfo("video:clip.mp4", "video", 192, 144, 15.0, frames, False, True)
    camera = CameraStream.of(info)
    faults: list[ConsoleError] = []
    recorder = Recorder(
        folder,
        build_header(source=info, camera=camera, environment={}),
        clock=SystemClock(),
        on_ack=lambda event_id: None,
        on_event_failed=lambda event_id, error: faults.append(error),
        on_fault=faults.append,
        settings=RecorderSettings(reserve_bytes=1 << 20),
    )
    journal = recorder.start()
    for row in range(frames):
        encoded = b"" if row in gaps else codec.encode_jpeg(numbered_picture(row))
        crc32 = 0 if row in gaps else codec.crc32_of(codec.decode(encoded))
        t_ns = 10**9 + row * 66_000_000
        recorder.frame(FrameRow(40 + row, row, t_ns, t_ns, -1, row * 66_000_000, encoded, crc32))
    recorder.stop()
    assert faults == []
    return journal
