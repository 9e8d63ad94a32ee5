"""ScriptedPipeline: the pipeline's public face, played by a script. For tests and pictures of the window.

The same slots, notices and methods as console/pipeline.py; nothing moves by itself. A test says what happens
(`script_frame`, `script_look`, `say`), and finds in `calls` what the window asked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from console import notices
from jepa_core.clock import CancelToken, FakeClock
from jepa_core.errors import ConsoleError
from jepa_core.lanes import LatestSlot
from jepa_core.messages import EngineOptions
from jepa_core.signals import SIGNALS
from jepa_core.tracks import SignalTrack
from jepa_core.types import (
    CheckpointInfo,
    Event,
    Frame,
    Health,
    InputSpec,
    Inspection,
    LatentView,
    LoadReport,
    MaskRule,
    MaskSet,
    SourceInfo,
    TokenLayout,
    frozen,
)
from sessions import events

SECOND_NS = 1_000_000_000


def make_source(kind: str = "video", frames: int = 300, **changes: Any) -> SourceInfo:
    values: dict[str, Any] = {
        "name": f"{kind}:clip", "kind": kind, "width": 640, "height": 360, "fps": 30.0, "frames": frames,
        "is_live": kind == "world", "is_seekable": kind != "world",
    }  # fmt: skip
    return SourceInfo(**(values | changes))


def make_checkpoint(**changes: Any) -> CheckpointInfo:
    values: dict[str, Any] = {
        "id": "9c1e000000000000:float32", "family": "V-JEPA 2", "variant": "ViT-L/16", "path": "/models/vitl.pt",
        "sha256": "9c1e" + "0" * 56 + "44b0", "input": InputSpec(256, 64, 4.0, 2, 16), "action": None,
        "abilities": frozenset({"masked", "temporal"}),
    }  # fmt: skip
    return CheckpointInfo(**(values | changes))


def make_report(**changes: Any) -> LoadReport:
    values: dict[str, Any] = {
        "path": "/models/vitl.pt", "family": "V-JEPA 2", "variant": "ViT-L/16", "matched": 588, "sha256": "9c1e",
        "file_bytes": 1 << 30, "memory_bytes": 2 << 30,
    }  # fmt: skip
    return LoadReport(**(values | changes))


class ScriptedPipeline:
    """Does what it is told and remembers what it was asked."""

    def __init__(self, config: Any = None) -> None:
        self.config = config
        self.shown: LatestSlot[Frame] = LatestSlot("shown")
        self.looks: LatestSlot[Inspection] = LatestSlot("looks")
        self.tracks: dict[str, SignalTrack] = {}
        self.clock = FakeClock()
        self.source_info: SourceInfo | None = None
        self.checkpoint_info: CheckpointInfo | None = None
        self.checkpoint_report: LoadReport | None = None
        self.recorded_checkpoint: CheckpointInfo | None = None
        self.mask_rule = MaskRule()
        self.options = EngineOptions()
        self.is_recording = False
        self.is_replay = False
        self.events: list[Event] = []
        self.calls: list[tuple[Any, ...]] = []
        self.painted: list[int] = []
        self.health_now = Health({}, {}, {}, 0, 0, -1, 0)
        self._listeners: list[Callable[[Any], None]] = []
        self._seq = itertools.count()

    # what a script says

    def listen(self, listener: Callable[[Any], None]) -> None:
        self._listeners.append(listener)

    def say(self, notice: object) -> None:
        for listener in self._listeners:
            listener(notice)

    def script_source(self, info: SourceInfo) -> None:
        self.source_info = info
        self.is_replay = info.kind == "session"
        self.tracks = {name: SignalTrack(name, signal.unit) for name, signal in SIGNALS.items()}
        self.say(notices.SourceOpened(info))
        self.say(notices.TransportChanged(True, 1.0, False))

    def script_frame(self, index: int = -1, rgb: np.ndarray | None = None) -> Frame:
        """One frame, 1/30 s after the one before."""
        info = self.source_info or make_source()
        seq = next(self._seq)
        self.clock.advance(SECOND_NS // 30)
        t_ns = self.clock.now_ns()
        if rgb is None:
            rgb = np.full((info.height, info.width, 3), (40, 70, 100), np.uint8)
            rgb[:, : 10 + seq % 200] = (180, 120, 60)
        frame = Frame(
            seq, seq if index < 0 else index, t_ns, t_ns, 0, seq * SECOND_NS // 30, frozen(rgb), info.name
        )
        self.shown.put(frame)
        return frame

    def script_look(self, frame: Frame, surprise: float = 0.4) -> Inspection:
        """A look of an 8 × 8 × 4 grid whose newest two time steps were predicted."""
        n, first = 4 * 8 * 8, 2 * 8 * 8
        error = np.full(n, np.nan, np.float32)
        error[first:] = np.random.default_rng(frame.seq).uniform(0, surprise, n - first)
        height, width, _ = frame.rgb.shape
        side = float(min(height, width))
        layout = TokenLayout("grid", (4, 8, 8), 2, ((width - side) / 2, (height - side) / 2, side, side))
        masks = MaskSet(
            frozen(np.arange(first, dtype=np.int32)),
            (frozen(np.arange(first, n, dtype=np.int32)),),
            frame.seq,
        )
        look = Inspection(
            seq=frame.seq, t_ns=frame.t_ns, clip=tuple(range(max(frame.seq - 7, 0), frame.seq + 1)), layout=layout,
            masks=masks, error=frozen(error), metric="l1",
            signals={name: surprise for name in SIGNALS}, pooled=frozen(np.zeros((3, 4), np.float32)), colors=None,
            start_ns=frame.t_ns, end_ns=frame.t_ns + 20_000_000, checkpoint="9c1e000000000000:float32",
        )  # fmt: skip
        for name, track in self.tracks.items():
            track.append(look.t_ns, look.signals[name], look.seq)
        self.looks.put(look)
        return look

    def script_checkpoint(self) -> None:
        self.checkpoint_info, self.checkpoint_report = make_checkpoint(), make_report()
        self.say(notices.CheckpointLoaded(self.checkpoint_info, self.checkpoint_report))

    def script_saved(self) -> None:
        """Everything that was made is on disk now."""
        for event in self.events:
            self.say(notices.EventSaved(event.id))

    # what the window asks

    def open_source(self, uri: str, **options: Any) -> None:
        self.calls.append(("open_source", uri, options))

    def close_source(self) -> None:
        self.calls.append(("close_source",))
        self.source_info = None
        self.say(notices.SourceClosed())

    def play(self) -> None:
        self.calls.append(("play",))
        self.say(notices.TransportChanged(True, 1.0, False))

    def pause(self) -> None:
        self.calls.append(("pause",))
        self.say(notices.TransportChanged(False, 1.0, False))

    def step(self, n: int) -> None:
        self.calls.append(("step", n))

    def seek(self, index: int) -> None:
        self.calls.append(("seek", index))

    def seek_time(self, t_ns: int) -> None:
        self.calls.append(("seek_time", t_ns))

    def seek_seq(self, seq: int) -> None:
        self.calls.append(("seek_seq", seq))

    def set_speed(self, speed: float) -> None:
        self.calls.append(("set_speed", speed))

    def set_every_frame(self, is_on: bool) -> None:
        self.calls.append(("set_every_frame", is_on))

    def load_checkpoint(
        self, path: str, config: str | None = None, options: EngineOptions | None = None
    ) -> None:
        self.calls.append(("load_checkpoint", path, config))
        self.options = options or self.options
        self.checkpoint_info = None
        self.say(notices.CheckpointLoading(path, 0.3, "reading tensors"))

    @property
    def engine_options(self) -> EngineOptions:
        return self.options

    def examine_checkpoint(
        self, path: str, config: str | None = None, options: EngineOptions | None = None
    ) -> None:
        self.calls.append(("examine_checkpoint", path, config, options))
        self.say(notices.CheckpointExamining(path, 0.2, "checking the file's fingerprint"))

    def cancel_examine(self) -> None:
        self.calls.append(("cancel_examine",))
        path = self.asked("examine_checkpoint")[-1][1]
        self.say(notices.CheckpointExamined(path, None, None, is_cancelled=True))

    def script_examined(self, error: ConsoleError | None = None, **report: Any) -> None:
        """The engine has read the file that was asked for last; with an error it is refused."""
        path = self.asked("examine_checkpoint")[-1][1]
        found = make_report(path=path, **report)
        if error is None:
            self.say(notices.CheckpointExamined(path, make_checkpoint(path=path), found))
        else:
            self.say(notices.CheckpointExamined(path, None, found, error))

    def cancel_load(self) -> None:
        self.calls.append(("cancel_load",))
        self.say(notices.CheckpointUnloaded(is_cancelled=True))

    def unload_checkpoint(self) -> None:
        self.calls.append(("unload_checkpoint",))
        self.checkpoint_info = None
        self.say(notices.CheckpointUnloaded())

    def set_mask(self, rule: MaskRule) -> None:
        self.calls.append(("set_mask", rule))
        self.mask_rule = rule
        self.say(notices.MaskChanged(rule))

    def set_view(self, view: LatentView) -> None:
        self.calls.append(("set_view", view))

    def start_recording(self, directory: str) -> None:
        self.calls.append(("start_recording", directory))
        self.is_recording = True
        self.say(notices.RecordingStarted("20261122T114407Z-5be1f00a", Path(directory) / "s.wmj"))

    def stop_recording(self) -> None:
        self.calls.append(("stop_recording",))
        self.is_recording = False
        self.say(notices.FoldProgress(0.5))
        journal = Path("/recordings/s.wmj")
        self.say(
            notices.RecordingStopped(
                journal, journal.with_suffix(".h5"), {"frames": 10, "events": 1, "gaps": 0}
            )
        )

    def recover(self, journal: str) -> None:
        self.calls.append(("recover", journal))
        self.say(notices.Recovered(Path(journal), Path(journal).with_suffix(".h5"), None))

    def override_start(self, t_ns: int, seq: int) -> Event:
        self._override = self._keep(events.override_start(t_ns=t_ns, seq=seq, actor="operator:test"))
        return self._override

    def override_end(self, t_ns: int, seq: int) -> Event:
        return self._keep(events.override_end(self._override, t_end_ns=t_ns, seq=seq))

    def near_miss(self, t_ns: int, seq: int) -> Event:
        return self._keep(events.near_miss(t_ns=t_ns, seq=seq, actor="operator:test"))

    def note(self, t_ns: int, seq: int, text: str) -> Event:
        return self._keep(events.note(text, t_ns=t_ns, seq=seq, actor="operator:test"))

    def bookmark(self, t_ns: int, seq: int) -> Event:
        return self._keep(events.bookmark(t_ns=t_ns, seq=seq, actor="operator:test"))

    def amend(self, event_id: str, **fields: Any) -> Event:
        self.calls.append(("amend", event_id, fields))
        now_ns = self.clock.now_ns()
        return self._keep(events.correction(event_id, t_ns=now_ns, seq=-1, actor="operator:test", **fields))

    def recompute(
        self, checkpoint: str, on_progress: Callable[[float, str], None], on_done: Callable[[Any, Any], None]
    ) -> CancelToken:
        self.calls.append(("recompute", checkpoint))
        self.recompute_progress, self.recompute_done = on_progress, on_done
        return CancelToken()

    def health(self) -> Health:
        return self.health_now

    def shown_now(self, frame: Frame) -> None:
        self.painted.append(frame.seq)

    def shutdown(self, deadline_s: float = 10.0) -> None:
        self.calls.append(("shutdown",))

    def asked(self, name: str) -> list[tuple[Any, ...]]:
        """Every call of this name."""
        return [call for call in self.calls if call[0] == name]

    def fail(self, error: ConsoleError) -> None:
        self.say(notices.Faulted(error))

    def _keep(self, event: Event) -> Event:
        self.events.append(event)
        self.say(notices.EventMade(event, self.is_recording))
        return event
