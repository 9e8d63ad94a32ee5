"""A track never loses a spike, whatever the zoom, and reads the same while it grows."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.tracks import SignalTrack

values = st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=700)
steps = st.integers(0, 1000)


def grow(samples: list[float], step_ns: list[int] | None = None) -> SignalTrack:
    track = SignalTrack("surprise", "L1")
    t_ns = 0
    for at, value in enumerate(samples):
        track.append(t_ns, value, seq=at)
        t_ns += step_ns[at] if step_ns else 10
    return track


@given(samples=values, columns=st.integers(1, 50), data=st.data())
def test_every_column_holds_exactly_its_extremes(samples: list[float], columns: int, data: st.DataObject):
    step_ns = data.draw(st.lists(steps, min_size=len(samples), max_size=len(samples)))
    track = grow(samples, step_ns)
    t_all, v_all, _ = track.arrays()
    t0, t1 = sorted(data.draw(st.tuples(*[st.integers(-10, int(t_all[-1]) + 10)] * 2)))

    t, low, high = track.window(t0, t1, columns)

    assert len(t) == len(low) == len(high) <= columns
    starts = np.searchsorted(t_all, t, "left")
    inside = np.flatnonzero((t_all >= t0) & (t_all <= t1))
    if len(inside) <= columns:
        np.testing.assert_array_equal(low, v_all[inside])
        np.testing.assert_array_equal(high, v_all[inside])
        return
    ends = np.append(starts[1:], inside[-1] + 1)
    assert starts[0] == inside[0]
    for start, end, least, greatest in zip(starts, ends, low, high, strict=True):
        column = v_all[start:end]
        np.testing.assert_equal(least, np.fmin.reduce(column))
        np.testing.assert_equal(greatest, np.fmax.reduce(column))


@given(samples=values, columns=st.integers(1, 50))
def test_loaded_track_draws_like_one_that_grew(samples: list[float], columns: int):
    grown = grow(samples)
    t_all, v_all, seq = grown.arrays()
    loaded = SignalTrack.from_arrays("surprise", "L1", t_all, v_all, seq)
    loaded.append(int(t_all[-1]) + 10, 7.0, len(samples))
    grown.append(int(t_all[-1]) + 10, 7.0, len(samples))
    for ours, theirs in zip(loaded.window(0, 10**9, columns), grown.window(0, 10**9, columns), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_spike_of_one_sample_survives_any_zoom():
    samples = [0.1] * 10_000
    samples[6_543] = 9.0
    track = grow(samples)
    for columns in (1, 7, 100, 1_000):
        _, _, high = track.window(0, 100_000, columns)
        assert high.max() == 9.0


@given(samples=values, at=st.integers(-50, 8000))
def test_value_at_is_the_newest_sample_not_after_it(samples: list[float], at: int):
    track = grow(samples)
    t_all, v_all, seq = track.arrays()
    before = np.flatnonzero(t_all <= at)
    np.testing.assert_equal(track.value_at(at), v_all[before[-1]] if len(before) else math.nan)
    assert track.seq_at(at) == (seq[before[-1]] if len(before) else -1)


def test_sample_from_the_past_is_refused_and_changes_nothing():
    track = grow([1.0, 2.0])
    assert track.append(5, 3.0, 2) is False
    assert len(track) == 2
    assert track.last == (10, 2.0, 1)


def test_empty_track_draws_nothing():
    track = SignalTrack("surprise")
    assert [len(part) for part in track.window(0, 100, 10)] == [0, 0, 0]
    assert math.isnan(track.value_at(5))
    assert track.last is None
    assert track.span_ns is None


def test_arrays_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="shapes differ"):
        SignalTrack.from_arrays("x", "", [0, 1], [0.0], [0, 1])
    with pytest.raises(ValueError, match="backwards"):
        SignalTrack.from_arrays("x", "", [1, 0], [0.0, 0.0], [0, 1])


def test_reader_never_sees_a_half_written_sample():
    track = SignalTrack("surprise")
    failures: list[str] = []
    is_done = threading.Event()

    def read_all_the_time() -> None:
        while not is_done.is_set():
            t, low, high = track.window(0, 1 << 60, 64)
            t_all, v_all, seq = track.arrays()
            if not (np.all(np.diff(t) >= 0) and np.all(low <= high) and len(t_all) == len(v_all) == len(seq)):
                failures.append("window")
            if len(t_all) and not np.array_equal(t_all, v_all.astype(np.int64)):
                failures.append("sample")

    reader = threading.Thread(target=read_all_the_time)
    reader.start()
    for at in range(5_000):
        track.append(at, float(at), at)
    is_done.set()
    reader.join()
    assert not failures
