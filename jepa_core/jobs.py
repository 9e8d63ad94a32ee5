"""Long work in small steps: a Job is a generator that the engine advances between two live looks.

The live picture keeps moving while a job runs, and every step is a point where it can be cancelled. Owned by the
engine; whoever submitted a job holds its CancelToken and nothing else. Needs no torch.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass

from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled, ConsoleError, OutOfMemory
from jepa_core.types import RunStatus

MAX_WAITING = 8  # a person plans one thing at a time; more than this is a fault of the caller


@dataclass(frozen=True, slots=True)
class JobUpdate:
    """How far a job is. `value` is what the last step gave, as the job defines it."""

    job_id: str
    status: RunStatus
    steps: int
    value: object | None = None
    error: ConsoleError | None = None


class Job:
    """One generator, its status and its cancel token. Stepped by one thread only."""

    def __init__(
        self,
        job_id: str,
        work: Callable[[CancelToken], Generator[object, None, None]],
        on_update: Callable[[JobUpdate], None],
        cancel: CancelToken | None = None,
    ) -> None:
        """`work` is called with the cancel token at the first step; `on_update` after every step."""
        self.id = job_id
        self.cancel = cancel or CancelToken()
        self.status = RunStatus.RUNNING
        self.steps = 0
        self._work = work
        self._on_update = on_update
        self._running: Generator[object, None, None] | None = None

    def step(self) -> RunStatus:
        """Advance by one yield. The job's own failure becomes its status; it never raises."""
        if self.status is not RunStatus.RUNNING:
            return self.status
        value: object | None = None
        error: ConsoleError | None = None
        try:
            self.cancel.check()
            if self._running is None:
                self._running = self._work(self.cancel)
            value = next(self._running)
            self.steps += 1
        except StopIteration:
            self.status = RunStatus.DONE
        except Cancelled:
            self.status = RunStatus.CANCELLED
        except ConsoleError as failure:
            self.status, error = RunStatus.FAILED, failure
        except MemoryError as failure:
            self.status = RunStatus.FAILED
            error = OutOfMemory(
                "There was not enough memory for this job.", "Ask for fewer candidates.", repr(failure)
            )
        except Exception as failure:  # noqa: BLE001 - the edge of foreign work; it is reported, and the looks go on
            self.status = RunStatus.FAILED
            error = ConsoleError("The job failed.", "The log has the details.", repr(failure))
        if self.status is not RunStatus.RUNNING:
            self._close()
        self._on_update(JobUpdate(self.id, self.status, self.steps, value, error))
        return self.status

    def _close(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.close()  # the generator lets go of its tensors


class JobQueue:
    """Jobs in order of submission; the engine steps the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: deque[Job] = deque()

    def __len__(self) -> int:
        with self._lock:
            return len(self._jobs)

    def submit(self, job: Job) -> None:
        with self._lock:
            if len(self._jobs) >= MAX_WAITING:
                raise ValueError(f"{MAX_WAITING} jobs are waiting already")
            self._jobs.append(job)

    def step(self) -> bool:
        """One step of the first job. False when there was nothing to do."""
        with self._lock:
            job = self._jobs[0] if self._jobs else None
        if job is None:
            return False
        if job.step() is not RunStatus.RUNNING:
            with self._lock:
                self._jobs.popleft()
        return True

    def cancel_all(self) -> None:
        """Every job ends as CANCELLED at its next step."""
        with self._lock:
            for job in self._jobs:
                job.cancel.cancel()
