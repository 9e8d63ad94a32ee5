"""The one crossing into the GUI thread: coalesced, in order, timed."""

from __future__ import annotations

import logging
import threading

import pytest

from console.bridge import Bridge
from jepa_core.lanes import LatestSlot


class Speaker:
    """Slots and a listener, as the pipeline has them."""

    def __init__(self):
        self.shown = LatestSlot("shown")
        self.looks = LatestSlot("looks")
        self.say = None

    def listen(self, listener):
        self.say = listener


@pytest.fixture
def speaker():
    return Speaker()


@pytest.fixture
def bridge(qtbot, speaker):
    made = Bridge(speaker)
    yield made
    made.close()


def from_a_worker(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_thousand_puts_cost_one_delivery_of_the_newest(qtbot, bridge, speaker):
    seen = []
    bridge.on_frame("view", seen.append)
    bridge.start()

    from_a_worker(lambda: [speaker.shown.put(number) for number in range(1, 1001)])
    qtbot.waitUntil(lambda: bool(seen))

    assert seen == [1000]
    assert speaker.shown.skipped == 999


def test_receivers_run_on_the_gui_thread(qtbot, bridge, speaker):
    where = []
    bridge.on_inspection("view", lambda _: where.append(threading.current_thread()))
    bridge.start()

    from_a_worker(lambda: speaker.looks.put("look"))
    qtbot.waitUntil(lambda: bool(where))

    assert where == [threading.main_thread()]


def test_every_notice_arrives_once_and_in_order(qtbot, bridge, speaker):
    seen = []
    bridge.on_notice(int, "log", seen.append)
    bridge.start()

    from_a_worker(lambda: [speaker.say(number) for number in range(500)])
    qtbot.waitUntil(lambda: len(seen) >= 500)

    assert seen == list(range(500))


def test_a_notice_reaches_only_those_who_asked_for_its_kind(qtbot, bridge, speaker):
    numbers, words = [], []
    bridge.on_notice(int, "numbers", numbers.append)
    bridge.on_notice(str, "words", words.append)
    bridge.start()

    from_a_worker(lambda: (speaker.say("a"), speaker.say(1)))
    qtbot.waitUntil(lambda: bool(numbers))

    assert (numbers, words) == ([1], ["a"])


def test_one_panel_that_fails_does_not_starve_the_others(qtbot, bridge, speaker):
    seen, failures = [], []

    def fails(_):
        raise ValueError("broken panel")

    bridge.on_frame("broken", fails)
    bridge.on_frame("view", seen.append)
    bridge.receiverFailed.connect(failures.append)
    bridge.start()

    from_a_worker(lambda: speaker.shown.put(7))
    qtbot.waitUntil(lambda: bool(seen))

    assert seen == [7]
    assert str(failures[0]) == "broken panel"


def test_a_slow_receiver_is_named_in_the_log(qtbot, speaker, caplog):
    made = Bridge(speaker, budget_ms=-1.0)
    made.on_frame("timeline", lambda _: None)
    made.start()
    with caplog.at_level(logging.WARNING):
        from_a_worker(lambda: speaker.shown.put(1))
        qtbot.waitUntil(lambda: "timeline took" in caplog.text)
    made.close()


def test_after_closing_nothing_is_delivered_and_producers_do_not_notice(qtbot, bridge, speaker):
    seen = []
    bridge.on_frame("view", seen.append)
    bridge.on_notice(int, "log", seen.append)
    bridge.start()
    bridge.close()

    from_a_worker(lambda: (speaker.shown.put(1), speaker.say(2)))
    qtbot.wait(20)

    assert seen == []
