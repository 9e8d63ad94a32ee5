"""The checkpoint controller: loads, refuses and unloads, and turns the engine's answers into notices.

Owns the engine (whose process owns the device and the model). Knows no Qt and never imports torch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from console.config import Config
from console.notices import (
    CheckpointExamined,
    CheckpointExamining,
    CheckpointLoaded,
    CheckpointLoading,
    CheckpointRefused,
    CheckpointUnloaded,
    EngineLost,
    EngineRestored,
    Faulted,
    MaskChanged,
    Notice,
    SteppedDown,
)
from console.recording import Recording
from console.vitals import Vitals
from jepa_core import messages
from jepa_core.engine_process import EngineProcess, LocalEngine
from jepa_core.errors import ConsoleError, GaveWay
from jepa_core.messages import EngineOptions
from jepa_core.types import JSON, CheckpointInfo, Inspection, LatentBasis, LatentView, LoadReport, MaskRule


class Checkpoints:
    """At most one checkpoint at a time."""

    def __init__(
        self,
        config: Config,
        *,
        options: EngineOptions | None,
        is_engine_local: bool,
        say: Callable[[Notice], None],
        recording: Recording,
        vitals: Vitals,
        on_look: Callable[[Inspection], None],
        on_look_again: Callable[[Inspection], None],
        on_settled: Callable[[bool], None],
    ) -> None:
        """`on_look` gets every inspection, `on_look_again` one of them with another view; `on_settled` says when a load came to its end, and whether it changed
        what is recorded. Both are called on the engine's own thread of this process."""
        self.info: CheckpointInfo | None = None
        self.report: LoadReport | None = None
        self.options = options or config.engine_options()
        self.engine: EngineProcess | LocalEngine = (
            LocalEngine(self._answer)
            if is_engine_local
            else EngineProcess(self._answer, heartbeat_deadline=config.model.heartbeat_deadline_s)
        )
        self._say = say
        self._recording = recording
        self._vitals = vitals
        self._on_look = on_look
        self._on_look_again = on_look_again
        self._on_settled = on_settled
        self._path = ""
        self._told_basis = ""  # id of the axes that the running recording knows of
        self._lock = threading.Lock()
        self._is_started = False

    @property
    def can_look(self) -> bool:
        """Is there a model that can be shown frames? Where it cannot predict, its look says why."""
        return self.info is not None and not self.info.cannot_see

    def load(self, path: str, config: str | None, options: EngineOptions | None) -> None:
        """Load it in the engine; CheckpointLoading…, then CheckpointLoaded or CheckpointRefused follow."""
        if options is not None:
            self.options = options
        self.info = self.report = None
        self._path = path
        self._start()
        self._say(CheckpointLoading(path, 0.0, "starting"))
        self.engine.load(path, config, self.options)

    def examine(self, path: str, config: str | None, options: EngineOptions | None) -> None:
        """Ask what a file is and what it needs; CheckpointExamining…, then CheckpointExamined. Loads nothing."""
        self._start()
        self._say(CheckpointExamining(path, 0.0, "starting"))
        self.engine.examine(path, config, options or self.options)

    def cancel_examine(self) -> None:
        self.engine.cancel_examine()

    def cancel_load(self) -> None:
        self.engine.cancel_load()

    def unload(self) -> None:
        self.info = self.report = None
        self.engine.unload()
        self._say(CheckpointUnloaded())
        self._on_settled(True)

    def set_mask(self, rule: MaskRule, seq: int) -> None:
        """A change of the mask rule is a status event and does not roll the file (session-format 4.4)."""
        self.options = replace(self.options, mask=rule)
        self.engine.set_mask(rule)
        self._recording.status_event("mask_changed", seq, rule=_fields_of(rule))
        self._say(MaskChanged(rule))

    def set_view(self, view: LatentView, seq: int) -> None:
        """What is shown of the latents is a status event: a view, not a measurement."""
        self.options = replace(self.options, view=view)
        self.engine.set_view(view)
        self._recording.status_event("view_changed", seq, **_view_fields(view))

    def _start(self) -> None:
        with self._lock:
            if not self._is_started:
                self.engine.start()
                self._is_started = True

    def stop(self, deadline_s: float) -> None:
        with self._lock:
            if self._is_started:
                self.engine.stop(deadline=deadline_s)

    # --- the engine's answers -----------------------------------------------------------------------------------------

    def _answer(self, message: object) -> None:
        match message:
            case messages.Looked(inspection):
                self._vitals.looked(inspection)
                self._tell_basis(inspection)
                self._on_look(inspection)
            case messages.LookedAgain(inspection):
                self._tell_basis(inspection)
                self._on_look_again(inspection)
            case messages.Beat(rss_bytes, device_bytes, _, looks_let_go):
                self._vitals.let_go(looks_let_go)
                self._vitals.device_bytes = (
                    device_bytes or rss_bytes
                )  # on a CPU the engine's memory is the device's
            case messages.LoadProgress(fraction, text):
                self._say(CheckpointLoading(self._path, fraction, text))
            case messages.Examining(path, fraction, text):
                self._say(CheckpointExamining(path, fraction, text))
            case messages.Examined(path, info, report, error, is_cancelled):
                self._say(CheckpointExamined(path, info, report, error, is_cancelled))
            case messages.Loaded(info, report):
                self._loaded(info, report)
            case messages.Refused(error):
                self._refused(error)
            case messages.LoadCancelled():
                self._say(CheckpointUnloaded(is_cancelled=True))
                self._on_settled(False)
            case messages.EngineFault(error):
                self._recording.fault(error.code, error.what, self._seq)
                self._say(Faulted(error))
            case messages.SteppedDown():
                self._stepped_down(message)
            case messages.EngineDown(reason):
                self._recording.fault("engine_restarted", f"The model's process ended: {reason}", self._seq)
                self._say(EngineLost(reason))
            case messages.EngineBack(seconds):
                self._recording.status_event(
                    "checkpoint_loaded", self._seq, restarted_after_s=round(seconds, 3)
                )
                self._say(EngineRestored(seconds))
            case _:
                pass  # Released and FrameDone are the engine client's own business

    def _tell_basis(self, inspection: Inspection) -> None:
        """Once per recording: in which axes the colours are, so that they can be made again from the recorded frames."""
        basis, view = inspection.basis, inspection.view
        if not self._recording.is_recording:
            self._told_basis = ""
        elif basis is not None and view is not None and basis.id != self._told_basis:
            self._told_basis = basis.id
            self._recording.status_event(
                "view_changed", inspection.seq, **_view_fields(view), basis=_basis_fields(basis)
            )

    def _loaded(self, info: CheckpointInfo, report: LoadReport) -> None:
        is_same = (
            self.info is not None and self.info.id == info.id
        )  # a restarted engine does not roll the file
        self.info, self.report = info, report
        if not is_same:
            self._recording.status_event(
                "checkpoint_loaded", self._seq, system=info.family, variant=info.variant, sha256=info.sha256
            )
            self._say(CheckpointLoaded(info, report))
        self._on_settled(not is_same)

    def _stepped_down(self, step: messages.SteppedDown) -> None:
        """One thing was given up: into the record, onto the screen. Another input or precision rolls the file."""
        text = f"{step.what}: {step.before} → {step.after}"
        error = GaveWay(
            f"The device had no room for the model, so it takes on less. {text[0].upper()}{text[1:]}.",
            "Load the checkpoint again to go back up; close what else uses the device first.",
        )
        self._recording.fault(
            error.code, error.what, self._seq, step=step.what, before=step.before, after=step.after
        )
        was, self.info = self.info, step.info or self.info
        self._say(SteppedDown(error, step.info))
        if (
            was is not None
            and self.info is not None
            and (was.id, was.input) != (self.info.id, self.info.input)
        ):
            self._on_settled(True)

    def _refused(self, error: ConsoleError) -> None:
        self.info = self.report = None
        self._recording.status_event("checkpoint_refused", self._seq, what=error.what)
        self._say(CheckpointRefused(self._path, error))
        self._on_settled(False)

    @property
    def _seq(self) -> int:
        newest = self._vitals.newest
        return newest.seq if newest is not None else -1


def _view_fields(view: LatentView) -> dict[str, JSON]:
    at = list(view.at) if view.at is not None else None
    return {"view": view.kind, "of": view.of, "level": view.level, "at": at, "slot": view.slot}


def _basis_fields(basis: LatentBasis) -> dict[str, JSON]:
    return {
        "id": basis.id,
        "explained": list(basis.explained),
        "fitted_on_tokens": basis.fitted_on,
        "fitted_on_frames": list(basis.frames),
        "level": basis.level,
    }


def _fields_of(rule: MaskRule) -> dict[str, JSON]:
    return {
        "kind": rule.kind,
        "predict_steps": rule.predict_steps,
        "generator": rule.generator,
        "region": list(rule.region) if rule.region is not None else None,
        "seed": rule.seed,
    }
