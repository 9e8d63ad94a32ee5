"""The engine's own process, seen from the window's process: spawn it, watch it, start it again.

`EngineProcess` owns the process and the pipe; its `engine-supervisor` thread is the only one that reads them. A fault
in the engine (a segfault, an out-of-memory kill, a hang) ends the engine process only: its frames are taken back,
EngineDown is told, a new process loads the same checkpoint, EngineBack is told. `LocalEngine` has the same face and
hosts the engine on threads of this process, for headless runs and tests. Importing this module needs no torch.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from jepa_core.clock import Clock, SystemClock
from jepa_core.engine_child import engine_main
from jepa_core.engine_client import EngineClient
from jepa_core.engine_host import LOADER, EngineHost
from jepa_core.engine_offer import Offer, State
from jepa_core.errors import DeviceLost, OutOfMemory
from jepa_core.jobs import Job
from jepa_core.messages import (
    AttachRing,
    Beat,
    EngineBack,
    EngineDown,
    EngineFault,
    ExamineCheckpoint,
    Examined,
    LoadCheckpoint,
    Refused,
    StopEngine,
)
from jepa_core.spawning import start_deaf

log = logging.getLogger(__name__)

BEAT_S = 1.0
STARTUP_S = 60.0  # until the first beat: a cold disk reads a Python installation slowly
DEATHS_MOST, DEATHS_WITHIN_S = 5, 60.0  # then it is not started again by itself
BACK_OFF_S = (0.0, 0.25, 0.5, 1.0, 2.0)  # before the n-th restart in that time


class EngineProcess(EngineClient):
    """An engine in a process of its own. Never blocks its caller; dies with its parent."""

    def __init__(
        self,
        on_message: Callable[[object], None],
        *,
        heartbeat_deadline: float = 10.0,
        loader: str = LOADER,
        beat_s: float = BEAT_S,
    ) -> None:
        """`on_message` gets the replies of messages.py, on the supervisor's thread; it must not wait.

        `loader` is "module:function" of who loads checkpoints in there; tests name a scripted one.
        """
        super().__init__(on_message)
        self._heartbeat_deadline_s = heartbeat_deadline
        self._loader = loader
        self._beat_s = beat_s
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._sending = threading.Lock()  # held while a send is on its way; the pipe is closed under it
        self._woken, self._wake = multiprocessing.Pipe(duplex=False)
        self._deaths: deque[float] = deque()
        self._down_s: float | None = None  # when it died, until it is back
        self._stop_by_s: float | None = None
        self._supervisor = threading.Thread(target=self._supervise, name="engine-supervisor", daemon=True)

    def start(self) -> None:
        """Start the process. Returns at once; a checkpoint may be ordered right away."""
        self._supervisor.start()
        self._sender.start()

    @property
    def pid(self) -> int | None:
        """Of the present process; None while there is none."""
        process = self._process
        return None if process is None else process.pid

    @property
    def is_alive(self) -> bool:
        process = self._process
        return process is not None and process.exitcode is None and self._supervisor.is_alive()

    def stop(self, deadline: float = 5.0) -> None:
        """Let the engine finish its step, then kill it at the deadline (seconds). May be called twice."""
        with self._changed:
            is_first = not self._is_stopping
            self._is_stopping = True
            self._state = State.GONE
            self._drop_waiting()
            self._orders.append(StopEngine())
            self._stop_by_s = time.monotonic() + deadline
            self._changed.notify_all()
        if is_first:
            self._wake_supervisor()
        for thread in (self._supervisor, self._sender):
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(deadline + 5.0)
        if is_first:
            self._wake.close()
            self._woken.close()

    # --- supervisor thread -----------------------------------------------------------------------------------------

    def _supervise(self) -> None:
        try:
            while not self._is_stopping:
                self._spawn()
                reason = self._serve()
                self._bury()
                if self._is_stopping:
                    break
                self._died(reason)
                if not self._may_restart():
                    break
        except Exception as failure:
            log.exception("the supervisor of the engine failed")
            self._tell(
                EngineFault(
                    DeviceLost(
                        "The engine cannot be watched any more.", "Restart the console.", repr(failure)
                    )
                )
            )
        finally:
            self._bury()
            with self._changed:
                self._state = State.GONE
                self._is_connected = False
                self._is_stopping = self._is_over = True
                self._drop_frames()

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=True)
        process = context.Process(
            target=engine_main, args=(theirs, self._loader, self._beat_s), name="jepa-engine", daemon=True
        )
        start_deaf(process)
        theirs.close()  # so that the pipe ends when the child does
        self._process, self._pipe = process, ours
        with self._changed:
            self._orders.clear()  # the new process is told the state as it is, not how it came to be
            if self._ring is not None:
                self._orders.append(AttachRing(self._ring.name, self._ring.slots, self._ring.slot_bytes))
            if self._wanted is not None:
                self._orders.append(self._wanted)
            self._loads_open = int(self._wanted is not None)
            if self._examining is not None:
                self._orders.append(self._examining)
            self._examines_open = int(self._examining is not None)
            if self._is_stopping:
                self._orders.append(StopEngine())
            self._is_connected = True
            self._changed.notify_all()

    def _serve(self) -> str:
        """Pass on what the process says until it is gone or silent. Returns why, in words."""
        process, pipe = self._process, self._pipe
        assert process is not None
        assert pipe is not None
        alive_by_s = time.monotonic() + max(STARTUP_S, self._heartbeat_deadline_s)
        while True:
            limit_s = alive_by_s
            if self._is_stopping and self._stop_by_s is not None:
                limit_s = self._stop_by_s
            ready = wait([pipe, process.sentinel, self._woken], max(0.0, limit_s - time.monotonic()))
            if self._woken in ready:
                self._woken.recv_bytes()
                continue
            if pipe in ready:
                try:
                    message = pipe.recv()
                except (EOFError, OSError):
                    return self._cause(process)
                # Any answer is a sign of life; whatever waited in the pipe while we were busy counts too.
                alive_by_s = time.monotonic() + self._heartbeat_deadline_s
                self._receive(message)
                if isinstance(message, Beat):
                    self._first_beat()
            elif process.sentinel in ready:
                return self._cause(process)
            elif not ready:
                process.kill()
                return f"gave no sign of life for {self._heartbeat_deadline_s:g} s"

    def _cause(self, process: SpawnProcess) -> str:
        process.join(2.0)
        code = process.exitcode
        if code is None:
            process.kill()
            return "closed its pipe"
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            return f"ended by signal {name}"
        return f"ended with exit code {code}"

    def _bury(self) -> None:
        """Take everything back from a process that is gone, or that has to go now."""
        process, pipe = self._process, self._pipe
        with self._changed:
            self._is_connected = False
            self._beat = None
        if process is not None and process.exitcode is None:
            process.kill()
            process.join(5.0)
        if pipe is not None:
            with self._sending:  # a send that was stuck fails now that the other end is gone
                self._pipe = None
                pipe.close()
        with self._changed:
            self._drop_frames()
            if self._ring is not None:
                self._ring.release_all()

    def _died(self, reason: str) -> None:
        now_s = time.monotonic()
        with self._changed:
            self._deaths.append(now_s)
            while now_s - self._deaths[0] > DEATHS_WITHIN_S:
                self._deaths.popleft()
            if self._down_s is None:
                self._down_s = now_s
            wanted, was_loading = self._wanted, self._state is State.LOADING
            examining, self._examining = self._examining, None  # nor ask again what may have killed it
            if was_loading:
                self._wanted, self._state = None, State.EMPTY  # do not try again what may have killed it
            elif self._state is State.READY:
                self._state = State.DOWN
            self._changed.notify_all()
        log.error("the engine process %s", reason)
        self._tell(EngineDown(f"The engine process {reason}."))
        if was_loading and wanted is not None:
            self._tell(Refused(_load_was_fatal(wanted, reason)))
        if examining is not None:
            self._tell(Examined(examining.path, None, None, _load_was_fatal(examining, reason)))

    def _may_restart(self) -> bool:
        """Wait out the back-off; False when stopped. After too many deaths wait until a load is ordered."""
        with self._changed:
            n = len(self._deaths)
            if n >= DEATHS_MOST:
                self._state, self._wanted = State.GONE, None
                self._changed.notify_all()
            else:
                end_s = time.monotonic() + BACK_OFF_S[min(n, len(BACK_OFF_S)) - 1]
                while not self._is_stopping and (left_s := end_s - time.monotonic()) > 0:
                    self._changed.wait(left_s)
                return not self._is_stopping
        self._tell(
            EngineFault(
                DeviceLost(
                    f"The engine process ended {n} times within {DEATHS_WITHIN_S:g} s and is not started again.",
                    "Video, events and recording go on. Load a checkpoint to try once more; the log has the causes.",
                )
            )
        )
        with self._changed:
            while self._state is State.GONE and not self._is_stopping:
                self._changed.wait()
            return not self._is_stopping

    def _revive(self) -> None:
        self._deaths.clear()

    def _first_beat(self) -> None:
        """A process without a checkpoint is back as soon as it beats."""
        with self._changed:
            is_back = self._down_s is not None and self._state is State.EMPTY
            seconds = self._time_down() if is_back else None
        if seconds is not None:
            self._tell(EngineBack(seconds))

    def _time_down(self) -> float | None:
        down_s, self._down_s = self._down_s, None
        return None if down_s is None else time.monotonic() - down_s

    def _wake_supervisor(self) -> None:
        with contextlib.suppress(OSError):
            self._wake.send_bytes(b"!")

    # --- sender thread ---------------------------------------------------------------------------------------------

    def _transmit(self, message: object, offer: Offer | None) -> None:
        with self._sending:
            pipe = self._pipe
            if pipe is None:
                return  # it died meanwhile; the next process is told the state as it is
            try:
                pipe.send(message)
            except (OSError, ValueError):
                log.debug("the engine is gone; %s was not sent", type(message).__name__)


class LocalEngine(EngineClient):
    """The same engine on two threads of this process: for headless runs, recomputation and tests."""

    uses_ring = False

    def __init__(
        self, on_message: Callable[[object], None], *, clock: Clock | None = None, loader: str = LOADER
    ) -> None:
        super().__init__(on_message)
        self._host = EngineHost(self._receive, clock or SystemClock(), loader=loader)
        self._looks = threading.Thread(target=self._host.run, name="engine-looks", daemon=True)

    def start(self) -> None:
        with self._changed:
            self._is_connected = True
        self._looks.start()
        self._sender.start()

    @property
    def pid(self) -> int | None:
        return os.getpid() if self._looks.is_alive() else None

    @property
    def is_alive(self) -> bool:
        return self._looks.is_alive()

    def submit(self, job: Job) -> None:
        """Advance this job between looks."""
        self._host.submit(job)

    def stop(self, deadline: float = 5.0) -> None:
        """Let the engine finish its step. A look that outlasts the deadline is abandoned on its daemon thread."""
        with self._changed:
            self._is_stopping = self._is_over = True
            self._state = State.GONE
            self._drop_frames()
            self._changed.notify_all()
        self._host.stop()
        for thread in (self._looks, self._sender):
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(deadline)

    def _revive(self) -> None:
        """Threads of this process do not die by themselves."""

    def _time_down(self) -> float | None:
        return None

    def _transmit(self, message: object, offer: Offer | None) -> None:
        if isinstance(message, AttachRing):
            return
        self._host.handle(message, None if offer is None or offer.frame is None else offer.frame.rgb)


def _load_was_fatal(order: LoadCheckpoint | ExamineCheckpoint, reason: str) -> OutOfMemory | DeviceLost:
    if "SIGKILL" in reason:
        return OutOfMemory(
            f"The engine process {reason} while reading {order.path}.",
            "Most often the system ran out of memory. Close other programs or choose a smaller checkpoint.",
        )
    return DeviceLost(f"The engine process {reason} while reading {order.path}.", "The log has the details.")
