"""What the window's side of an engine has in common, wherever the engine is hosted: orders, frames, answers.

Frames go by newest-wins: at most a few are on their way, one waits, a newer one replaces it and `skipped` grows. So
`offer` never waits, whatever the engine does. Orders (load, mask, reset) keep their order and go before the waiting
frame. Owned by the pipeline; its own `engine-sender` thread is the only one that transmits. Needs no torch.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from jepa_core.clock import CancelToken
from jepa_core.engine_offer import Offer, State
from jepa_core.errors import ConsoleError
from jepa_core.frame_ring import FrameRing
from jepa_core.messages import (
    AttachRing,
    AxesFitted,
    Beat,
    CancelExamine,
    CancelLoad,
    EngineBack,
    EngineFault,
    EngineOptions,
    ExamineCheckpoint,
    Examined,
    Examining,
    FrameDone,
    FrameHere,
    LoadCancelled,
    LoadCheckpoint,
    Loaded,
    LoadProgress,
    Looked,
    LookedAgain,
    Refused,
    Released,
    ResetClip,
    Said,
    SetMask,
    SetView,
    SteppedDown,
    UnloadCheckpoint,
)
from jepa_core.types import Frame, LatentView, MaskRule, freeze_arrays

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 2  # frames on their way: one being preprocessed, one behind it
_LOOK_AGAIN_S = 0.05  # a cancel does not notify


class EngineClient(ABC):
    """Base of EngineProcess and LocalEngine. Thread-safe; `on_message` comes from the engine's own thread."""

    uses_ring = True

    def __init__(self, on_message: Callable[[object], None]) -> None:
        self._on_message = on_message
        self._changed = threading.Condition()  # guards what follows
        self._state = State.EMPTY
        self._orders: deque[object] = deque()
        self._waiting: Offer | None = None
        self._in_flight: deque[Offer] = deque()  # sent, pixels not given back yet, in the order sent
        self._unanswered: list[Offer] = []  # lossless frames sent, FrameDone not here yet
        self._skipped = 0
        self._ring: FrameRing | None = None
        self._wanted: LoadCheckpoint | None = (
            None  # reloaded after a restart, with the newest mask rule and view
        )
        self._examining: ExamineCheckpoint | None = None  # the newest question, not answered yet
        self._examines_open = (
            0  # questions the engine has and did not answer; only the newest answer is passed on
        )
        self._loads_open = 0  # load orders not answered yet; only the newest answer is passed on
        self._is_connected = False
        self._is_stopping = False  # nobody waits for the engine any more
        self._is_over = False  # nothing will be transmitted any more
        self._beat: Beat | None = None
        self._sender = threading.Thread(target=self._send_loop, name="engine-sender", daemon=True)

    # --- what the pipeline calls -----------------------------------------------------------------------------------

    def load(self, path: str, config: str | None = None, options: EngineOptions | None = None) -> None:
        """Load this checkpoint instead of the present one. Loaded, Refused or LoadCancelled follows."""
        with self._changed:
            self._drop_waiting()
            self._wanted = LoadCheckpoint(path, config, options or EngineOptions())
            if self._state is State.GONE and not self._is_stopping:
                self._revive()
            self._state = State.LOADING
            self._loads_open += 1
            self._order(self._wanted)

    def cancel_load(self) -> None:
        """Call the load off. LoadCancelled follows, or Loaded where it was just done."""
        with self._changed:
            self._order(CancelLoad())

    def examine(self, path: str, config: str | None = None, options: EngineOptions | None = None) -> None:
        """Say what this file is, load nothing. Examining… and at last Examined follow, also where it is cancelled."""
        with self._changed:
            self._examining = ExamineCheckpoint(path, config, options or EngineOptions())
            if self._state is State.GONE and not self._is_stopping:
                self._revive()
                self._state = State.EMPTY
            self._examines_open += 1
            self._order(self._examining)

    def cancel_examine(self) -> None:
        with self._changed:
            self._order(CancelExamine())

    def unload(self) -> None:
        with self._changed:
            self._drop_waiting()
            self._wanted = None
            if self._state is not State.GONE:
                self._state = State.EMPTY
            self._order(UnloadCheckpoint())

    def attach_ring(self, ring: FrameRing | None) -> None:
        """The coming frames lie in this ring. The old one is not used by new frames any more; its owner closes it."""
        with self._changed:
            self._drop_waiting()
            self._ring = ring
            for order in [order for order in self._orders if isinstance(order, AttachRing)]:
                self._orders.remove(order)  # no frame was ever sent in it
            if ring is not None and self.uses_ring:
                self._order(AttachRing(ring.name, ring.slots, ring.slot_bytes))

    def set_mask(self, rule: MaskRule) -> None:
        """Looks from now on are masked by this rule."""
        self._set(SetMask(rule), mask=rule)

    def set_view(self, view: LatentView) -> None:
        """What is shown of the latents of looks from now on."""
        self._set(SetView(view), view=view)

    def reset_clip(self) -> None:
        """The source changed or jumped. A frame still waiting is from before the jump and is let go."""
        with self._changed:
            self._drop_waiting()
            self._order(ResetClip())

    def offer(self, frame: Frame, slot: int) -> None:
        """Show the engine this frame, if it can still take it. Never waits; an older waiting frame is skipped.

        `slot` is where `frame.rgb` lies in the attached ring; -1 (no pixels) is not looked at. LocalEngine does not
        care.
        """
        with self._changed:
            if self._state is State.DOWN or (self._state is State.READY and not self._can_take(slot)):
                self._skipped += 1
            elif self._state is State.READY:
                self._drop_waiting()
                self._waiting = self._make_offer(frame, slot, must_answer=False)
                self._changed.notify_all()

    def offer_and_wait(self, frame: Frame, slot: int, cancel: CancelToken) -> bool:
        """Show the engine this frame and wait until the look it completes, if any, was passed to `on_message`.

        False: no checkpoint is loaded, cancelled, or the engine died on it. While the engine is on its way back it
        waits, so that a lossless run does not race past it.
        """
        with self._changed:
            if not self._can_take(slot):
                return False
            self._wait_while(lambda: self._state is State.DOWN, cancel)
            if self._state is not State.READY or cancel.is_cancelled:
                return False
            self._drop_waiting()
            offer = self._waiting = self._make_offer(frame, slot, must_answer=True)
            self._changed.notify_all()
            self._wait_while(lambda: offer is self._waiting or offer in self._unanswered, cancel)
            if offer is self._waiting:
                self._waiting = None
                offer.let_go()
            return offer.is_done

    @property
    def skipped(self) -> int:
        """Frames the model did not see because a newer one was there, or because it was on its way back."""
        with self._changed:
            return self._skipped

    @property
    def is_ready(self) -> bool:
        """Is a checkpoint loaded and looking?"""
        with self._changed:
            return self._state is State.READY

    @property
    def state(self) -> State:
        with self._changed:
            return self._state

    @property
    def last_beat(self) -> Beat | None:
        """The engine's newest sign of life: its memory and its clip."""
        with self._changed:
            return self._beat

    # --- what a hosting gives --------------------------------------------------------------------------------------

    @abstractmethod
    def _transmit(self, message: object, offer: Offer | None) -> None:
        """Bring one message to the engine. On the sender thread; may block while the engine is stuck."""

    @abstractmethod
    def _revive(self) -> None:
        """A load was ordered after the hosting had given up: try once more. Under the lock."""

    @abstractmethod
    def _time_down(self) -> float | None:
        """Seconds since the engine died, None if it did not; ends the outage. Under the lock."""

    # --- the engine's answers, from one thread ---------------------------------------------------------------------

    def _receive(self, message: object) -> None:
        """One message from the engine: keep the books, tell the pipeline what concerns it."""
        if isinstance(message, Released):
            self._released(message.slot)
        elif isinstance(message, FrameDone):
            self._done(message.seq)
        elif isinstance(message, Beat):
            with self._changed:
                self._beat = message
            self._tell(message)
        elif isinstance(message, Looked | LookedAgain):
            freeze_arrays(message.inspection)
            freeze_arrays(message.inspection.masks)
            self._tell(message)
        elif isinstance(message, Loaded | Refused | LoadCancelled):
            self._answered(message)
        elif isinstance(message, Examined):
            self._examined(message)
        elif isinstance(message, Examining):
            with self._changed:
                is_news = self._examines_open == 1
            if is_news:
                self._tell(message)
        elif isinstance(message, Said):
            speaker = logging.getLogger(message.logger)
            speaker.log(message.level, "%s", message.text, extra={"detail": message.trace})
        elif isinstance(message, SteppedDown):
            self._stepped_down(message)
        elif isinstance(message, AxesFitted):
            with self._changed:
                if not self._loads_open:  # else of the checkpoint before
                    self._keep(axes=message.axes)
        elif isinstance(message, LoadProgress):
            with self._changed:
                is_news = self._state is State.LOADING and self._loads_open == 1
            if is_news:
                self._tell(message)
        else:
            self._tell(message)

    def _answered(self, message: Loaded | Refused | LoadCancelled) -> None:
        with self._changed:
            self._loads_open = max(0, self._loads_open - 1)
            if self._loads_open or self._wanted is None:
                return  # of an order that a newer one replaced
            is_reload = self._state is State.DOWN
            if isinstance(message, Loaded):
                self._state = State.READY
            else:
                self._state, self._wanted = State.EMPTY, None
            seconds_down = self._time_down()
            self._changed.notify_all()
        if seconds_down is not None:
            self._tell(EngineBack(seconds_down))
        if not (is_reload and isinstance(message, Loaded)):  # to the pipeline it is the checkpoint it knows
            self._tell(message)

    def _examined(self, message: Examined) -> None:
        with self._changed:
            self._examines_open = max(0, self._examines_open - 1)
            if self._examines_open:
                return  # of a question that a newer one replaced
            self._examining = None
        self._tell(message)

    def _stepped_down(self, message: SteppedDown) -> None:
        """What was given up stays given up after a restart too: only a person goes back up."""
        with self._changed:
            if self._wanted is None or self._loads_open > 1:
                return  # of a checkpoint that a newer order replaced
            self._keep(**message.kept)
        self._tell(message)

    def _keep(self, **options: object) -> None:
        """A restarted engine gets these options too."""
        with self._changed:
            if self._wanted is not None:
                kept = replace(self._wanted.options, **options)  # type: ignore[arg-type]
                self._wanted = replace(self._wanted, options=kept)

    def _released(self, slot: int) -> None:
        """The engine gives slots back in the order it got them."""
        with self._changed:
            if self._in_flight and self._in_flight[0].here.slot == slot:
                self._in_flight.popleft().let_go()
            self._changed.notify_all()

    def _done(self, seq: int) -> None:
        with self._changed:
            for offer in [offer for offer in self._unanswered if offer.here.seq == seq]:
                offer.is_done = True
                self._unanswered.remove(offer)
            self._changed.notify_all()

    def _tell(self, message: object) -> None:
        try:
            self._on_message(message)
        except Exception as failure:
            log.exception("the listener of the engine failed on %s", type(message).__name__)
            if not isinstance(message, EngineFault):
                error = failure if isinstance(failure, ConsoleError) else _listener_failed(failure)
                self._tell(EngineFault(error))

    # --- books -----------------------------------------------------------------------------------------------------

    def _can_take(self, slot: int) -> bool:
        return not self.uses_ring or (self._ring is not None and slot >= 0)

    def _make_offer(self, frame: Frame, slot: int, *, must_answer: bool) -> Offer:
        here = FrameHere.of(frame, slot, must_answer=must_answer)
        if not self.uses_ring or self._ring is None:
            return Offer(here, frame, None)
        self._ring.lend(slot)
        return Offer(here, None, self._ring)

    def _order(self, message: object) -> None:
        self._orders.append(message)
        self._changed.notify_all()

    def _set(self, message: SetMask | SetView, **options: MaskRule | LatentView) -> None:
        """A change of what the engine was loaded with: the newest of its kind counts, also after a restart."""
        with self._changed:
            self._keep(**options)
            for order in [order for order in self._orders if type(order) is type(message)]:
                self._orders.remove(order)  # a dragged slider must not pile up
            self._order(message)

    def _drop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.let_go()
            self._waiting = None
            self._skipped += 1
            self._changed.notify_all()

    def _drop_frames(self) -> None:
        """The engine is gone: every frame on its way is over. Under the lock."""
        self._drop_waiting()
        self._skipped += len(self._in_flight)
        for offer in self._in_flight:
            offer.let_go()
        self._in_flight.clear()
        self._unanswered.clear()
        self._changed.notify_all()

    def _wait_while(self, is_waiting: Callable[[], bool], cancel: CancelToken) -> None:
        while is_waiting() and not cancel.is_cancelled and not self._is_stopping:
            self._changed.wait(_LOOK_AGAIN_S)

    def _next_to_send(self) -> tuple[object, Offer | None] | None:
        """Wait for something to transmit; None when it is over."""
        with self._changed:
            while True:
                if self._is_connected and self._orders:
                    return self._orders.popleft(), None
                if self._is_over:
                    return None
                if self._is_connected and self._waiting is not None and len(self._in_flight) < MAX_IN_FLIGHT:
                    offer, self._waiting = self._waiting, None
                    self._in_flight.append(offer)
                    if offer.here.must_answer:
                        self._unanswered.append(offer)
                    return offer.here, offer
                self._changed.wait()

    def _send_loop(self) -> None:
        while (work := self._next_to_send()) is not None:
            self._transmit(*work)


def _listener_failed(failure: Exception) -> ConsoleError:
    return ConsoleError(
        "The console could not use an answer of the engine.", "The log has the details.", repr(failure)
    )
