"""The inside of the engine process: takes messages, answers messages, looks in between.

Two threads meet here. The ingest thread calls `handle` for each message: it preprocesses every frame at once and lets
the pixels go, so that the clip stays dense while a look takes long. The look thread sits in `run`: it loads, looks
and advances jobs, one at a time; it owns the model. `LocalEngine` hosts the same object on threads of the window's
own process. Importing this needs no torch; loading a checkpoint does.
"""

from __future__ import annotations

import gc
import importlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jepa_core.clock import CancelToken, Clock
from jepa_core.errors import Cancelled, DeviceError, DeviceLost, OutOfMemory
from jepa_core.examination import Examination, in_words, steps
from jepa_core.families.base import JepaModel, Progress
from jepa_core.jobs import Job, JobQueue
from jepa_core.ladder import Rung, Step, precision_down
from jepa_core.messages import (
    AxesFitted,
    CancelExamine,
    CancelLoad,
    EngineFault,
    EngineOptions,
    ExamineCheckpoint,
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
    SetMask,
    SetView,
    SteppedDown,
    StopEngine,
    UnloadCheckpoint,
)
from jepa_core.types import Frame, Inspection, frozen

if TYPE_CHECKING:
    from jepa_core.engine import Engine

Loader = Callable[[LoadCheckpoint, Progress, CancelToken], JepaModel]

LOADER = "jepa_core.engine_host:load_checkpoint"
"""Who loads checkpoints, as "module:function". Tests name another one."""


def load_checkpoint(order: LoadCheckpoint, progress: Progress, cancel: CancelToken) -> JepaModel:
    """The real loader. Raises CheckpointError and DeviceError kinds, or Cancelled."""
    from jepa_core import checkpoint

    options = order.options
    return checkpoint.load(
        order.path,
        config=order.config,
        device=options.device,
        dtype=options.dtype,
        clip_frames=options.clip_frames,
        size=options.size,
        choices=options.choices,
        progress=progress,
        cancel=cancel,
    )


class EngineHost:
    """Owns the engine. `handle` never waits for a look; `run` is where the time goes."""

    def __init__(
        self,
        reply: Callable[[object], None],
        clock: Clock,
        *,
        loader: str = LOADER,
        on_device_lost: Callable[[], None] | None = None,
    ) -> None:
        """`reply` is called from both threads and must be thread-safe. `on_device_lost`: after the fault was told."""
        self._reply = reply
        self._on_device_lost = on_device_lost
        self._clock = clock
        self._loader = loader
        self._changed = threading.Condition()  # guards what follows
        self._orders: deque[tuple[LoadCheckpoint, CancelToken] | UnloadCheckpoint] = deque()
        self._answers: deque[int] = deque()  # seq of lossless frames whose look is still to come
        self._load_cancel: CancelToken | None = None
        self._settings: dict[type, SetMask | SetView] = {}  # newer than the load that may still be going on
        self._engine: Engine | None = None
        self._is_stopped = False
        self._stopping = CancelToken()
        self._examination = Examination(reply, module=loader.partition(":")[0])
        self._jobs = JobQueue()
        self._told_axes: tuple[str, ...] = ()  # ids
        self._last_fault = ""  # code of the fault that goes on; repeats are not told again

    # --- ingest thread ---------------------------------------------------------------------------------------------

    def handle(self, message: object, rgb: NDArray[np.uint8] | None = None) -> None:
        """Take one message. `rgb` are the pixels of a FrameHere; no reference to them is kept."""
        if isinstance(message, FrameHere):
            self._take_frame(message, rgb)
        elif isinstance(message, LoadCheckpoint):
            with self._changed:
                self._cancel_loads()
                self._load_cancel = CancelToken()
                self._settings.clear()  # the order holds them
                self._orders.append((message, self._load_cancel))
                self._changed.notify_all()
        elif isinstance(message, CancelLoad):
            with self._changed:
                self._cancel_loads()
        elif isinstance(message, ExamineCheckpoint):
            self._examination.start(message)
        elif isinstance(message, CancelExamine):
            self._examination.cancel()
        elif isinstance(message, UnloadCheckpoint):
            with self._changed:
                self._cancel_loads()
                self._orders.append(message)
                self._changed.notify_all()
        elif isinstance(message, SetMask | SetView):
            with self._changed:
                self._settings[type(message)] = message
                if self._engine is not None:
                    _set(self._engine, message)
                self._changed.notify_all()
        elif isinstance(message, ResetClip):
            engine = self._engine
            if engine is not None:
                engine.reset()
        elif isinstance(message, StopEngine):
            self.stop()
        else:
            raise TypeError(f"not a message to the engine: {message!r}")

    def submit(self, job: Job) -> None:
        """Advance this job between looks from now on."""
        self._jobs.submit(job)
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """Make `run` return after the step it is in."""
        self._stopping.cancel()
        self._examination.cancel()
        with self._changed:
            self._is_stopped = True
            self._cancel_loads()
            self._changed.notify_all()
        self._jobs.cancel_all()

    @property
    def clip_frames(self) -> int:
        engine = self._engine
        return 0 if engine is None else engine.clip_frames

    @property
    def looks_let_go(self) -> int:
        """Looks that were due and never made; 0 without a model."""
        engine = self._engine
        return 0 if engine is None else engine.looks_let_go

    def _cancel_loads(self) -> None:
        for order in self._orders:
            if isinstance(order, tuple):
                order[1].cancel()
        if self._load_cancel is not None:
            self._load_cancel.cancel()

    def _take_frame(self, here: FrameHere, rgb: NDArray[np.uint8] | None) -> None:
        engine = self._engine
        if engine is not None and rgb is None:
            self._report(DeviceError("The engine cannot see the pictures.", "Open the source again."))
        elif engine is not None and rgb is not None:
            frame = Frame(
                here.seq,
                here.index,
                here.t_ns,
                here.received_ns,
                here.error_ns,
                here.pts_ns,
                rgb,
                here.source,
                None if here.action is None else frozen(here.action),
                None if here.state is None else frozen(here.state),
            )
            try:
                engine.ingest(frame)
            except Exception as failure:  # noqa: BLE001 - the thread's edge: one bad frame must not end the engine
                self._report(failure)
        self._reply(Released(here.slot))  # before the answer: whoever waited for it finds its slot free
        with self._changed:
            if here.must_answer:
                self._answers.append(here.seq)
            self._changed.notify_all()

    # --- look thread -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Load, look and advance jobs until `stop`."""
        while self._wait_for_work():
            order = self._next_order()
            if order is None:
                self._look()
                self._jobs.step()
            elif isinstance(order, UnloadCheckpoint):
                self._unload()
            else:
                self._load(*order)
        self._unload()
        self._examination.join()

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._is_stopped or self._orders or self._answers or self._is_due() or len(self._jobs) > 0
                )
            )
            return not self._is_stopped

    def _is_due(self) -> bool:
        return self._engine is not None and (self._engine.is_due or self._engine.is_asked)

    def _next_order(self) -> tuple[LoadCheckpoint, CancelToken] | UnloadCheckpoint | None:
        with self._changed:
            return self._orders.popleft() if self._orders else None

    def _look(self) -> None:
        with self._changed:
            answers = list(self._answers)  # taken before looking: this look counts for these frames
            self._answers.clear()
            engine = self._engine
        try:
            if engine is not None and engine.is_due:
                inspection = self._look_where_it_fits(engine)
                if inspection is not None:
                    self._reply(Looked(inspection))
                    self._last_fault = ""
            elif engine is not None and engine.is_asked and (again := engine.look_again()) is not None:
                self._reply(LookedAgain(again))
            if engine is not None:
                self._tell_axes(engine)
        except Exception as failure:  # noqa: BLE001 - the thread's edge: a failed look must not end the engine
            self._report(failure)
        for seq in answers:
            self._reply(FrameDone(seq))

    def _tell_axes(self, engine: Engine) -> None:
        """The window's side keeps the axes of the colours: they must not change with a restart."""
        ids = tuple(basis.facts.id for basis in engine.axes)
        if ids != self._told_axes:
            self._told_axes = ids
            self._reply(AxesFitted(engine.axes))

    def _look_where_it_fits(self, engine: Engine) -> Inspection | None:
        """Look; where the device has no room, take one step down after another, each told, until it has."""
        while True:
            try:
                return engine.look_newest()
            except OutOfMemory as failure:
                told = _without_frames(failure)
            step = engine.step_down()
            if step is None:
                raise told
            self._reply(SteppedDown(step.what, step.before, step.after, _kept(step), engine.info))

    def _load_where_it_fits(self, loader: Loader, order: LoadCheckpoint, cancel: CancelToken) -> JepaModel:
        """The same for a model whose weights do not fit: only a coarser precision makes them smaller."""
        progress = steps(self._reply, LoadProgress)
        while True:
            try:
                return loader(order, progress, cancel)
            except OutOfMemory as failure:
                told = _without_frames(failure)
            gc.collect()
            step = _coarser(order.options)
            if step is None:
                raise told
            order = replace(order, options=replace(order.options, **_kept(step)))  # type: ignore[arg-type]
            self._reply(SteppedDown(step.what, step.before, step.after, _kept(step)))

    def _load(self, order: LoadCheckpoint, cancel: CancelToken) -> None:
        """Every order is answered exactly once: Loaded, Refused or LoadCancelled."""
        self._unload()  # two checkpoints at once may not fit the device
        try:
            cancel.check()
            module, _, function = self._loader.partition(":")
            loader: Loader = getattr(importlib.import_module(module), function)
            from jepa_core.engine import Engine, use_threads

            use_threads(order.options)
            model = self._load_where_it_fits(loader, order, cancel)
            cancel.check()
            engine = Engine(model, order.options, self._clock, cancel=self._stopping)
        except Cancelled:
            self._unload()
            self._reply(LoadCancelled())
        except Exception as failure:  # noqa: BLE001 - the edge of the thread: a refused file must not end the engine
            self._unload()
            self._reply(Refused(in_words(failure, order.path)))
        else:
            with self._changed:
                for setting in self._settings.values():
                    _set(engine, setting)
                self._engine = engine
            self._last_fault = ""
            self._reply(Loaded(model.info, model.report))

    def _unload(self) -> None:
        with self._changed:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.release()
            del engine
            gc.collect()

    def _report(self, failure: Exception) -> None:
        """Tell of a failed look, once until a look succeeds again: counts, not floods."""
        error = in_words(failure, "")
        if error.code != self._last_fault:
            self._last_fault = error.code
            self._reply(EngineFault(error))
        if isinstance(error, DeviceLost) and self._on_device_lost is not None:
            self._on_device_lost()


def _set(engine: Engine, setting: SetMask | SetView) -> None:
    if isinstance(setting, SetMask):
        engine.set_mask(setting.rule)
    else:
        engine.set_view(setting.view)


def _without_frames(failure: OutOfMemory) -> OutOfMemory:
    """The same sentence without the traceback, whose frames hold the tensors there was no room for."""
    return OutOfMemory(failure.what, failure.hint, failure.detail)


def _coarser(options: EngineOptions) -> Step | None:
    """The step that makes the weights smaller, from the precision these options really mean."""
    from jepa_core import device

    _, dtype = device.pick(options.device, options.dtype)
    return precision_down(Rung(0, 0, device.dtype_name(dtype)))


def _kept(step: Step) -> dict[str, int | str]:
    """The engine's options that a step changed."""
    rung = step.rung
    changed: dict[str, dict[str, int | str]] = {
        "resolution": {"size": rung.size},
        "frames": {"clip_frames": rung.frames},
        "precision": {"dtype": rung.dtype},
    }
    return changed.get(step.what, {})
