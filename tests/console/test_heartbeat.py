"""The stall meter: what a key press would have waited."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from console.heartbeat import Heartbeat


def test_a_beat_is_measured_on_the_gui_thread(qtbot):
    meter = Heartbeat(interval_s=0.001)
    meter.start()

    qtbot.waitUntil(lambda: meter.stalls().beats >= 5)
    meter.stop()

    assert meter.stalls().max_ms > 0
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())


def test_a_blocked_gui_thread_shows_in_the_maximum(qtbot):
    meter = Heartbeat(interval_s=0.001)
    meter.start()
    qtbot.waitUntil(lambda: meter.stalls().beats >= 2)
    threading.Event().wait(0.08)  # the GUI thread is busy: this is the stall
    qtbot.waitUntil(lambda: meter.stalls().over_50_ms >= 1)
    meter.stop()

    assert meter.stalls().max_ms > 50


@given(st.lists(st.floats(0, 2000), min_size=1, max_size=300))
def test_quantiles_contain_what_was_recorded(delays):
    meter = Heartbeat()
    for delay in delays:
        meter.record(delay)

    stalls = meter.stalls()

    assert stalls.max_ms == max(delays)
    assert stalls.p50_ms <= stalls.p99_ms <= stalls.p999_ms <= stalls.max_ms
    assert sum(delay <= stalls.p50_ms for delay in delays) >= len(delays) / 2


def test_a_reset_forgets():
    meter = Heartbeat()
    meter.record(80)
    meter.reset()

    assert meter.stalls().beats == 0
    assert meter.stalls().max_ms == 0
