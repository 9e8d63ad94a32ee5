"""The three ways things travel: newest wins, lossless within a budget, never dropped."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from jepa_core.clock import CancelToken
from jepa_core.lanes import ByteLane, EventLane, LatestSlot

WAIT_S = 30.0


@dataclass(frozen=True)
class Row:
    seq: int
    nbytes: int
    is_gap: bool = False

    def without_payload(self) -> Row:
        return Row(self.seq, 0, is_gap=True)


class TestLatestSlot:
    @given(st.lists(st.sampled_from(["put", "take"]), max_size=50))
    def test_newest_wins_and_every_loss_is_counted(self, steps: list[str]):
        slot: LatestSlot[int] = LatestSlot("test")
        put = taken = 0
        for step in steps:
            if step == "put":
                put += 1
                slot.put(put)
            elif (item := slot.take()) is not None:
                taken += 1
                assert item == put
        left = 0 if slot.take() is None else 1
        assert slot.skipped == put - taken - left

    def test_a_thousand_puts_cost_one_wake_up(self):
        slot: LatestSlot[int] = LatestSlot("test")
        calls: list[int] = []
        slot.listen(lambda: calls.append(1))
        for n in range(1000):
            slot.put(n)
        assert len(calls) == 1
        slot.take()
        slot.put(1)
        assert len(calls) == 2

    def test_listener_that_comes_late_hears_of_what_is_there(self):
        slot: LatestSlot[int] = LatestSlot("test")
        slot.put(1)
        calls: list[int] = []
        slot.listen(lambda: calls.append(1))
        assert calls == [1]

    def test_blocking_put_waits_until_the_slot_is_empty(self):
        slot: LatestSlot[int] = LatestSlot("test")
        slot.put(0)
        cancel = CancelToken()
        got: list[int | None] = []

        def take_all() -> None:
            got.extend(slot.take_waiting(cancel) for _ in range(4))

        taker = threading.Thread(target=take_all)
        taker.start()
        assert all(slot.put_blocking(n, cancel) for n in (1, 2, 3))
        taker.join(WAIT_S)
        assert got == [0, 1, 2, 3]
        assert slot.skipped == 0

    def test_cancelled_waits_give_up(self):
        slot: LatestSlot[int] = LatestSlot("test")
        cancel = CancelToken()
        cancel.cancel()
        assert slot.take_waiting(cancel) is None
        slot.put(1)
        assert slot.put_blocking(2, cancel) is False
        assert slot.take() == 1

    def test_waiting_take_ends_at_its_timeout(self):
        assert LatestSlot[int]("test").take_waiting(CancelToken(), timeout=0.05) is None


class TestByteLane:
    def test_full_lane_lets_go_of_pixels_but_keeps_the_row(self):
        lane: ByteLane[Row] = ByteLane(budget=100)
        assert lane.put(Row(0, 80)) is True
        assert lane.put(Row(1, 80)) is False
        assert [(row.seq, row.is_gap) for row in lane.drain()] == [(0, False), (1, True)]
        assert lane.gaps == 1

    @given(
        budget=st.integers(0, 200),
        steps=st.lists(st.one_of(st.integers(0, 120), st.just("drain")), max_size=60),
    )
    def test_order_and_count_are_complete_and_the_budget_holds(self, budget: int, steps: list[int | str]):
        lane: ByteLane[Row] = ByteLane(budget=budget)
        out: list[Row] = []
        seq = 0
        for step in steps:
            if isinstance(step, str):
                out += lane.drain(3)
            else:
                lane.put(Row(seq, step))
                seq += 1
            assert lane.queued_bytes <= budget
        out += lane.drain()
        assert [row.seq for row in out] == list(range(seq))
        assert sum(row.is_gap for row in out) == lane.gaps
        assert lane.queued_bytes == 0
        assert len(lane) == 0

    def test_room_is_there_again_after_a_drain(self):
        lane: ByteLane[Row] = ByteLane(budget=100)
        lane.put(Row(0, 100))
        assert lane.put(Row(1, 1)) is False
        lane.drain()
        assert lane.put(Row(2, 100)) is True

    def test_listener_hears_every_row(self):
        lane: ByteLane[Row] = ByteLane(budget=1)
        calls: list[int] = []
        lane.listen(lambda: calls.append(len(lane)))
        lane.put(Row(0, 1))
        lane.put(Row(1, 1))
        assert calls == [1, 2]


class TestEventLane:
    def test_nothing_is_dropped_and_the_order_is_kept(self):
        lane: EventLane[int] = EventLane()
        for n in range(10_000):
            lane.put(n)
        assert len(lane) == 10_000
        assert lane.drain() == list(range(10_000))
        assert lane.drain() == []

    def test_many_producers_lose_nothing(self):
        lane: EventLane[tuple[int, int]] = EventLane()

        def produce(who: int) -> None:
            for n in range(500):
                lane.put((who, n))

        threads = [threading.Thread(target=produce, args=(who,)) for who in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        items = lane.drain()
        for who in range(4):
            assert [n for at, n in items if at == who] == list(range(500))
