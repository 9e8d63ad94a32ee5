"""The ordered end: once, on a thread of its own, and never silently."""

from __future__ import annotations

import threading

from console.shutdown import DEADLINE_S, Shutdown, Stopped


class Slow:
    """A pipeline whose end waits until the test lets it go."""

    def __init__(self, error=None):
        self.go = threading.Event()
        self.calls = 0
        self.error = error

    def shutdown(self, deadline_s=DEADLINE_S):
        self.calls += 1
        self.go.wait(5)
        if self.error is not None:
            raise self.error


def test_stopping_twice_stops_once():
    slow, said = Slow(), []
    end = Shutdown(slow, said.append)
    end.begin()
    end.begin()
    slow.go.set()

    assert end.wait(5)
    assert (slow.calls, said) == (1, [Stopped(None)])


def test_an_end_that_fails_is_said_too():
    error = OSError("disk gone")
    slow, said = Slow(error), []
    end = Shutdown(slow, said.append)
    slow.go.set()
    end.begin()

    assert end.wait(5)
    assert said == [Stopped(error)]


def test_after_the_deadline_a_person_may_leave():
    now = [0.0]
    slow = Slow()
    end = Shutdown(slow, lambda notice: None, now_s=lambda: now[0])
    end.begin()
    assert not end.is_overdue

    now[0] = DEADLINE_S + 1

    assert end.is_overdue
    slow.go.set()
    assert end.wait(5)
