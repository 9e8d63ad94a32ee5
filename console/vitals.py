"""How fresh and how complete everything is: the meters behind the health strip. Any thread may note; no Qt."""

from __future__ import annotations

from console.ages import AgeMeter, RateMeter
from jepa_core.clock import Clock
from jepa_core.types import Frame, Health, Inspection
from sessions.recorder import RecorderStatus


class Vitals:
    """Ages and rates since the source was opened."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ages = {name: AgeMeter() for name in ("shown", "model", "overlay")}
        self._rates = {name: RateMeter() for name in ("capture", "model", "shown")}
        self._newest: Frame | None = None
        self._latest_look: Inspection | None = None
        self.device_bytes = 0
        self._let_go = 0  # looks, since the source was opened
        self._let_go_told = 0  # what the engine last said; it counts from zero again after a restart

    def clear(self) -> None:
        """A new source: what was measured of the old one says nothing about it."""
        for age in self._ages.values():
            age.clear()
        for rate in self._rates.values():
            rate.clear()
        self._latest_look = None
        self._let_go = 0

    @property
    def newest(self) -> Frame | None:
        """The newest captured frame."""
        return self._newest

    @property
    def latest_look(self) -> Inspection | None:
        return self._latest_look

    def captured(self, frame: Frame) -> None:
        self._newest = frame
        self._rates["capture"].note(frame.received_ns)

    def looked(self, inspection: Inspection) -> None:
        self._latest_look = inspection
        self._ages["model"].note(inspection.end_ns - inspection.t_ns)
        self._rates["model"].note(inspection.end_ns)

    def let_go(self, told: int) -> None:
        """The engine's own count of looks it could not make in time."""
        self._let_go += told - self._let_go_told if told >= self._let_go_told else told
        self._let_go_told = told

    @property
    def looks_let_go(self) -> int:
        return self._let_go

    def painted(self, frame: Frame, is_replay: bool) -> None:
        """The view painted this frame just now. A replayed frame's age would be the age of the session."""
        now_ns = self._clock.now_ns()
        self._rates["shown"].note(now_ns)
        if is_replay:
            return
        self._ages["shown"].note(now_ns - frame.t_ns)
        if self._latest_look is not None:
            self._ages["overlay"].note(now_ns - self._latest_look.t_ns)

    def health(self, *, skipped: dict[str, int], recorder: RecorderStatus | None, disk_free: int) -> Health:
        now_ns = self._clock.now_ns()
        ages = {name: meter.percentiles() for name, meter in self._ages.items()}
        return Health(
            ages_ns={name: found for name, found in ages.items() if found is not None},
            rates={name: meter.rate(now_ns) for name, meter in self._rates.items()},
            skipped=skipped,
            gaps=recorder.gaps if recorder is not None else 0,
            queue_bytes=recorder.queue_bytes if recorder is not None else 0,
            disk_free=recorder.disk_free if recorder is not None else disk_free,
            device_bytes=self.device_bytes,
            seq=self._newest.seq if self._newest is not None else -1,
            synced_age_ns=recorder.synced_age_ns if recorder is not None else -1,
            disk_seconds=recorder.disk_seconds if recorder is not None else -1.0,
        )
