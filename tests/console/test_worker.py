"""The worker keeps order and loses no exception."""

from __future__ import annotations

from console.worker import Worker
from jepa_core.errors import ConsoleError, WriteFailed


def test_tasks_are_done_in_the_order_they_were_asked_for() -> None:
    done: list[int] = []
    worker = Worker(lambda error: None)
    for number in range(20):
        worker.submit(done.append, number)
    worker.stop()

    assert done == list(range(20))


def test_a_task_that_raises_becomes_a_fault_and_the_next_one_runs() -> None:
    faults: list[ConsoleError] = []
    done: list[str] = []
    worker = Worker(faults.append)

    def refuse() -> None:
        raise WriteFailed("The folder is read-only.", "Choose another.")

    def divide() -> None:
        done.append(str(1 // 0))

    worker.submit(refuse)
    worker.submit(divide)
    worker.submit(done.append, "after")
    worker.stop()

    assert [fault.code for fault in faults] == ["write_failed", "error"]
    assert "ZeroDivisionError" in faults[1].detail
    assert done == ["after"]


def test_after_the_end_nothing_is_taken_on() -> None:
    done: list[int] = []
    worker = Worker(lambda error: None)
    worker.stop()

    worker.submit(done.append, 1)

    assert done == []
