"""Time moves only when told to, and whoever waits can be called off."""

from __future__ import annotations

import threading

import pytest

from jepa_core.clock import CancelToken, FakeClock, SystemClock
from jepa_core.errors import Cancelled

WAIT_S = 30.0


def test_cancel_token_says_it_once_and_for_all():
    cancel = CancelToken()
    cancel.check()
    assert cancel.wait(0.0) is False
    cancel.cancel()
    cancel.cancel()
    assert cancel.is_cancelled
    assert cancel.wait(WAIT_S) is True
    with pytest.raises(Cancelled):
        cancel.check()


def test_system_clock_never_goes_back():
    clock = SystemClock()
    stamps = [clock.now_ns() for _ in range(100)]
    assert stamps == sorted(stamps)
    assert clock.wall_ns() > 1_600_000_000_000_000_000  # after 2020


def test_system_clock_returns_when_the_moment_is_there():
    clock = SystemClock()
    moment = clock.now_ns() + 1_000_000
    assert clock.wait_until(moment, CancelToken()) is True
    assert clock.now_ns() >= moment


@pytest.mark.parametrize("clock", [SystemClock(), FakeClock()], ids=["system", "fake"])
def test_waiter_is_released_by_cancel_before_its_moment(clock: SystemClock | FakeClock):
    cancel = CancelToken()
    answers: list[bool] = []
    waiter = threading.Thread(
        target=lambda: answers.append(clock.wait_until(clock.now_ns() + 3600 * 10**9, cancel))
    )
    waiter.start()
    cancel.cancel()
    waiter.join(WAIT_S)
    assert answers == [False]


def test_fake_clock_moves_only_by_hand():
    clock = FakeClock(start_ns=5)
    assert clock.now_ns() == 5
    clock.advance(10)
    assert clock.now_ns() == 15
    before = clock.wall_ns()
    clock.jump_wall(100)
    assert clock.wall_ns() == before + 100
    assert clock.now_ns() == 15


def test_advance_releases_a_waiter():
    clock = FakeClock(start_ns=0)
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(clock.wait_until(100, CancelToken())))
    waiter.start()
    clock.advance(99)
    clock.advance(1)
    waiter.join(WAIT_S)
    assert answers == [True]
