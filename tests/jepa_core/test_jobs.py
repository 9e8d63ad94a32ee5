"""A job runs in steps, can be called off at each, and its failure is its own."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from jepa_core.clock import CancelToken
from jepa_core.errors import ActionOutOfRange
from jepa_core.jobs import MAX_WAITING, Job, JobQueue, JobUpdate
from jepa_core.types import RunStatus


def counting(steps: int, closed: list[str] | None = None):
    def work(cancel: CancelToken) -> Generator[object, None, None]:
        try:
            yield from range(steps)
        finally:
            if closed is not None:
                closed.append("closed")

    return work


def run(job: Job) -> None:
    while job.step() is RunStatus.RUNNING:
        pass


def test_job_tells_every_step_and_its_end():
    updates: list[JobUpdate] = []
    run(Job("a", counting(2), updates.append))
    assert [(update.status, update.steps, update.value) for update in updates] == [
        (RunStatus.RUNNING, 1, 0),
        (RunStatus.RUNNING, 2, 1),
        (RunStatus.DONE, 2, None),
    ]


def test_cancelled_job_ends_at_its_next_step_and_lets_go_of_its_work():
    updates: list[JobUpdate] = []
    closed: list[str] = []
    job = Job("a", counting(100, closed), updates.append)
    job.step()
    job.cancel.cancel()
    assert job.step() is RunStatus.CANCELLED
    assert closed == ["closed"]
    assert [update.status for update in updates] == [RunStatus.RUNNING, RunStatus.CANCELLED]


@pytest.mark.parametrize("failure", [ActionOutOfRange("too far"), MemoryError(), ZeroDivisionError()])
def test_failing_job_ends_as_failed_with_words_and_does_not_raise(failure: Exception):
    def work(cancel: CancelToken) -> Generator[object, None, None]:
        yield 1
        raise failure

    updates: list[JobUpdate] = []
    run(Job("a", work, updates.append))
    assert updates[-1].status is RunStatus.FAILED
    assert updates[-1].error is not None
    assert updates[-1].error.what


def test_finished_job_does_nothing_more():
    updates: list[JobUpdate] = []
    job = Job("a", counting(0), updates.append)
    run(job)
    job.step()
    assert len(updates) == 1


def test_queue_finishes_one_job_before_the_next():
    order: list[str] = []
    queue = JobQueue()
    for name in "ab":
        queue.submit(Job(name, counting(2), lambda update: order.append(update.job_id)))
    while queue.step():
        pass
    assert order == ["a"] * 3 + ["b"] * 3
    assert len(queue) == 0


def test_queue_has_a_bound():
    queue = JobQueue()
    for n in range(MAX_WAITING):
        queue.submit(Job(str(n), counting(1), lambda update: None))
    with pytest.raises(ValueError, match="waiting"):
        queue.submit(Job("one too many", counting(1), lambda update: None))


def test_cancelling_all_ends_every_job():
    statuses: list[RunStatus] = []
    queue = JobQueue()
    for n in range(3):
        queue.submit(Job(str(n), counting(5), lambda update: statuses.append(update.status)))
    queue.cancel_all()
    while queue.step():
        pass
    assert statuses == [RunStatus.CANCELLED] * 3
