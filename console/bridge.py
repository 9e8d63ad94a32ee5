"""The only place where something crosses into the GUI thread.

Frames and inspections wait in LatestSlots: "became full" is one queued signal, and the receiver gets what is there
when it runs, so a thousand puts cost one repaint. Notices wait in an EventLane: none is lost, all come in order, and
a burst costs one wake-up. Deliveries are timed; one that takes more than 8 ms is a warning with the receiver's name.

Lives on the GUI thread; `post` and the slots' listeners are called from anywhere. Never blocks a producer.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from PySide6.QtCore import QObject, Qt, Signal

from jepa_core.lanes import EventLane, LatestSlot
from jepa_core.types import Frame, Inspection

log = logging.getLogger(__name__)

BUDGET_MS = 8.0  # ARCHITECTURE section 12: no GUI slot runs longer


class Speaks(Protocol):
    """The part of the pipeline that the bridge listens to."""

    shown: LatestSlot[Frame]
    looks: LatestSlot[Inspection]

    def listen(self, listener: Callable[[Any], None]) -> None: ...


class Bridge(QObject):
    """Delivers on the GUI thread what worker threads said."""

    receiverFailed = Signal(object)  # an exception that a receiver let out
    _frameWaits = Signal()
    _lookWaits = Signal()
    _noticesWait = Signal()

    def __init__(self, pipeline: Speaks, parent: QObject | None = None, budget_ms: float = BUDGET_MS) -> None:
        super().__init__(parent)
        self._pipeline = pipeline
        self._budget_ms = budget_ms
        self._notices: EventLane[object] = EventLane("notices")
        self._lock = threading.Lock()
        self._is_woken = False
        self._is_closed = False
        self._on_frame: list[tuple[str, Callable[[Frame], None]]] = []
        self._on_look: list[tuple[str, Callable[[Inspection], None]]] = []
        self._on_notice: dict[type, list[tuple[str, Callable[[Any], None]]]] = {}
        queued = Qt.ConnectionType.QueuedConnection
        self._frameWaits.connect(self._take_frame, queued)
        self._lookWaits.connect(self._take_look, queued)
        self._noticesWait.connect(self._take_notices, queued)

    def start(self) -> None:
        """Begin to listen. Receivers are registered before this."""
        self._pipeline.listen(self.post)
        self._pipeline.shown.listen(self._frame_waits)
        self._pipeline.looks.listen(self._look_waits)

    def close(self) -> None:
        """Stop delivering; what worker threads still say is dropped."""
        with self._lock:
            self._is_closed = True
        self._pipeline.shown.listen(None)
        self._pipeline.looks.listen(None)

    def on_frame(self, name: str, receiver: Callable[[Frame], None]) -> None:
        self._on_frame.append((name, receiver))

    def on_inspection(self, name: str, receiver: Callable[[Inspection], None]) -> None:
        self._on_look.append((name, receiver))

    def on_notice(self, kind: type, name: str, receiver: Callable[[Any], None]) -> None:
        """`receiver` gets every notice of this class, in the order in which they were said."""
        self._on_notice.setdefault(kind, []).append((name, receiver))

    def post(self, notice: object) -> None:
        """From any thread. Delivered once, in order; never waits."""
        self._notices.put(notice)
        with self._lock:
            if self._is_woken or self._is_closed:
                return
            self._is_woken = True
            self._noticesWait.emit()  # inside the lock: close() must not overtake it

    def _frame_waits(self) -> None:
        with self._lock:
            if not self._is_closed:
                self._frameWaits.emit()

    def _look_waits(self) -> None:
        with self._lock:
            if not self._is_closed:
                self._lookWaits.emit()

    def _take_frame(self) -> None:
        frame = None if self._is_closed else self._pipeline.shown.take()
        if frame is not None:
            self._deliver(self._on_frame, frame)

    def _take_look(self) -> None:
        inspection = None if self._is_closed else self._pipeline.looks.take()
        if inspection is not None:
            self._deliver(self._on_look, inspection)

    def _take_notices(self) -> None:
        with self._lock:
            self._is_woken = False
            if self._is_closed:
                return
        for notice in self._notices.drain():
            self._deliver(self._on_notice.get(type(notice), ()), notice)

    def _deliver(self, receivers: Any, item: object) -> None:
        for name, receiver in receivers:
            began = time.perf_counter()
            try:
                receiver(item)
            except Exception as error:  # one panel's fault must not starve the others
                log.exception("%s failed on %s", name, type(item).__name__)
                self.receiverFailed.emit(error)
            took_ms = (time.perf_counter() - began) * 1e3
            if took_ms > self._budget_ms:
                log.warning(
                    "%s took %.1f ms on the GUI thread, budget %.0f ms",
                    name,
                    took_ms,
                    self._budget_ms,
                    extra={"seq": getattr(item, "seq", -1)},
                )
