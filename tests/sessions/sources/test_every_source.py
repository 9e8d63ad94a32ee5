"""What every source must do, whatever it is: the scripted one of the tests included."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from jepa_core.clock import CancelToken, SystemClock
from jepa_core.errors import Cancelled, NotSeekable
from sessions.source_thread import SourceThread
from sessions.sources.base import Grab, Source
from sessions.sources.registry import SCHEMES, open_source
from sessions.sources.session_file import SessionFile
from tests.helpers import trajectories
from tests.helpers.media import write_pictures, write_video
from tests.helpers.sources import WAIT_S, ScriptedSource, SessionStandIn


def _video(folder: Path) -> Source:
    return open_source(f"video:{write_video(folder / 'clip.mp4', frames=24, b_frames=2)}")


def _images(folder: Path) -> Source:
    return open_source(f"images:{write_pictures(folder / 'pictures', frames=24)}?fps=12")


def _world(folder: Path) -> Source:
    return open_source("world:cell?seed=3&frames=24&width=192&height=144&event_every=0.5")


def _trajectory(folder: Path) -> Source:
    return open_source(f"trajectory:{trajectories.write_arm(folder / 'arm.npz', FRAMES)}")


def _session(folder: Path) -> Source:
    return SessionFile(folder / "recorded.h5", SessionStandIn(frames=24, gaps=frozenset({5})))


def _scripted(folder: Path) -> Source:
    return ScriptedSource(frames=24)


MAKERS: dict[str, Callable[[Path], Source]] = {
    "images": _images,
    "session": _session,
    "trajectory": _trajectory,
    "video": _video,
    "world": _world,
    "scripted": _scripted,
}
FRAMES = 24
every_source = pytest.mark.parametrize("kind", [*SCHEMES, "scripted"])


@pytest.fixture
def source(kind: str, tmp_path: Path):
    if kind == "video":
        pytest.importorskip("av", reason="PyAV is not installed here")
    made = MAKERS[kind](tmp_path)
    yield made
    made.close()


def played(source: Source) -> list[Grab]:
    grabs, cancel = [], CancelToken()
    while (grab := source.read(cancel)) is not None:
        grabs.append(grab)
    return grabs


def media_ns(grab: Grab) -> int:
    return grab.t_ns if grab.t_ns >= 0 else grab.pts_ns


@every_source
def test_every_source_counts_up_in_frames_and_time(source: Source):
    source.open()
    grabs = played(source)
    assert [grab.index for grab in grabs] == list(range(FRAMES))
    times = [media_ns(grab) for grab in grabs]
    assert all(a < b for a, b in pairwise(times))
    assert times[0] >= 0
    assert source.read(CancelToken()) is None, "the end stays the end"


@every_source
def test_every_source_gives_read_only_pictures_of_the_stated_size(source: Source):
    source.open()
    info = source.info
    for grab in played(source):
        assert grab.rgb.dtype == np.uint8
        assert grab.rgb.shape == (info.height, info.width, 3)
        assert grab.rgb.flags.c_contiguous
        assert not grab.rgb.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            grab.rgb[0, 0, 0] = 1


@every_source
def test_every_source_says_what_it_is(source: Source, kind: str):
    source.open()
    assert source.info.name.partition(":")[1] == ":"
    assert source.info.frames == FRAMES
    assert source.info.fps > 0
    assert source.info.is_seekable
    assert not source.info.is_live
    if kind in SCHEMES:
        assert source.info.kind == kind


@every_source
def test_every_source_seeks_to_exactly_the_frame(source: Source):
    source.open()
    straight = played(source)
    order = np.random.default_rng(7).permutation(np.repeat(np.arange(FRAMES), 2))
    for index in [int(i) for i in order]:
        source.seek(index)
        for wanted in straight[index : index + 2]:
            grab = source.read(CancelToken())
            assert grab is not None
            assert (grab.index, media_ns(grab)) == (wanted.index, media_ns(wanted))
            assert np.array_equal(grab.rgb, wanted.rgb)


@every_source
@pytest.mark.parametrize("index", [-1, FRAMES, 10**6])
def test_every_source_refuses_frames_it_does_not_have(source: Source, index: int):
    source.open()
    with pytest.raises(NotSeekable):
        source.seek(index)
    grab = source.read(CancelToken())
    assert grab is not None
    assert grab.index == 0, "a refused seek changes nothing"


@every_source
def test_every_source_gives_the_same_again(kind: str, tmp_path: Path):
    if kind == "video":
        pytest.importorskip("av", reason="PyAV is not installed here")
    runs = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        source = MAKERS[kind](tmp_path / name)
        source.open()
        runs.append(played(source))
        source.close()
    for one, other in zip(*runs, strict=True):
        assert np.array_equal(one.rgb, other.rgb)
        assert (one.index, one.pts_ns, one.t_ns, one.seq) == (
            other.index,
            other.pts_ns,
            other.t_ns,
            other.seq,
        )


@every_source
def test_every_source_closes_twice_and_reads_no_more(source: Source):
    source.open()
    source.read(CancelToken())
    source.close()
    source.close()
    with pytest.raises(Cancelled):
        source.read(CancelToken())


@every_source
def test_every_source_closes_before_it_was_opened(source: Source):
    source.close()
    source.close()


@every_source
def test_every_source_minds_the_cancel_token(source: Source):
    source.open()
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        source.read(cancel)
    assert source.read(CancelToken()) is not None, "called off is not over"


@every_source
def test_every_source_stops_within_a_second_while_it_plays(source: Source):
    seen = threading.Event()
    thread = SourceThread(
        source,
        deliver=lambda grab, is_jump: seen.set(),
        on_end=lambda: None,
        on_fault=lambda error: None,
        on_open=lambda info: None,
        clock=SystemClock(),
        speed=0.01,  # the second picture is due long after the test
    )
    thread.start()
    assert seen.wait(WAIT_S)
    assert thread.stop(deadline=1.0)
    assert not thread.is_alive
