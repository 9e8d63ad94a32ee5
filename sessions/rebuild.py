"""From the stream table back to nouns: SourceInfo, CheckpointInfo, and the Inspection a recorded row holds.

What the table does not say, or says wrongly, comes back as unknown; a reader never fails over a description.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jepa_core.types import (
    ActionSpec,
    CheckpointInfo,
    Event,
    EventKind,
    InputSpec,
    Inspection,
    MotionSpec,
    SourceInfo,
    frozen,
)
from sessions import canonical, codec
from sessions.part_files import PartFile


class RecordedModel:
    """How the looks of one part are read back."""

    def __init__(self, part: PartFile) -> None:
        attributes = part.model.descriptor.get("attributes", {}) if part.model is not None else {}
        self.n_steps = part.n_steps
        self.signal_names = tuple(str(name) for name in attributes.get("signal_names", ()))
        self.frames_per_clip = _int(attributes.get("frames_per_clip"))
        self.tolerance = _pair(attributes.get("reproduce_tolerance"))
        self._layout = str(attributes.get("layout", "grid"))
        self._tubelet = max(1, _int(attributes.get("tubelet")))
        self._metric = str(attributes.get("distance", ""))
        self.checkpoint = _checkpoint(attributes.get("checkpoint_json"))

    def inspection(self, one: Mapping[str, Any]) -> Inspection:
        return codec.inspection_of(
            one, kind=self._layout, tubelet=self._tubelet, metric=self._metric,
            checkpoint=self.checkpoint.id if self.checkpoint is not None else "", signal_names=self.signal_names,
        )  # fmt: skip

    def signal_column(self, part: PartFile, name: str) -> NDArray[np.float64]:
        if name not in self.signal_names:
            return np.full(part.n_steps, np.nan)
        column: NDArray[np.float64] = part.step_column("signals")[:, self.signal_names.index(name)]
        return column


@dataclass(frozen=True, slots=True)
class Samples:
    """One numeric stream of one part, found by frame number."""

    seqs: NDArray[np.uint64]  # (n,) ascending
    values: NDArray[np.float32]  # (n, width) in that order

    @classmethod
    def of(cls, rows: NDArray[Any] | None) -> Samples:
        """From the stream's rows; those of which nothing was known are left out."""
        if rows is None:
            return cls(np.zeros(0, np.uint64), np.zeros((0, 0), np.float32))
        known = rows[rows["valid"] == 1]
        order = np.argsort(known["seq"], kind="stable")
        return cls(known["seq"][order].astype(np.uint64), known["data"][order].astype(np.float32))

    def at(self, seq: int) -> NDArray[np.float32] | None:
        found = int(np.searchsorted(self.seqs, np.uint64(seq)))
        if found >= len(self.seqs) or int(self.seqs[found]) != seq:
            return None
        values: NDArray[np.float32] = frozen(self.values[found].copy())
        return values


def notes_of(events: Sequence[Event]) -> list[tuple[int, str]]:
    """(frame number, why nothing was predicted from there on, "" = it was) in the order they were recorded."""
    found = []
    for event in events:
        detail = event.payload.get("detail")
        if event.kind is EventKind.STATUS and event.payload.get("subtype") == "prediction_note":
            note = detail.get("note", "") if isinstance(detail, dict) else ""
            found.append((event.seq, str(note)))
    return sorted(found, key=lambda item: item[0])


def source_info_of(part: PartFile, n_frames: int) -> SourceInfo:
    attributes = part.camera.descriptor.get("attributes", {}) if part.camera is not None else {}
    try:
        source = canonical.decode(str(attributes.get("source_json", "{}")))
        return SourceInfo(
            name=str(source["name"]), kind=str(source["kind"]), width=int(attributes["width"]),
            height=int(attributes["height"]), fps=float(source["fps"]), frames=n_frames,
            is_live=bool(source["is_live"]), is_seekable=bool(source["is_seekable"]), detail=dict(source["detail"]),
            motion=_motion(source.get("motion")),
        )  # fmt: skip
    except (canonical.NotCanonical, KeyError, TypeError, ValueError):
        width, height = attributes.get("width", 0), attributes.get("height", 0)
        fps = attributes.get("nominal_fps", 0.0)
        return SourceInfo(
            str(attributes.get("device", "")),
            "unknown",
            int(width),
            int(height),
            float(fps),
            n_frames,
            False,
            True,
        )


def _motion(said: Any) -> MotionSpec | None:
    if not isinstance(said, Mapping):
        return None
    names = ("action_names", "action_units", "state_names", "state_units")
    return MotionSpec(*(tuple(str(text) for text in said.get(name, ())) for name in names))


def _checkpoint(text: Any) -> CheckpointInfo | None:
    if not isinstance(text, str):
        return None
    try:
        fields = dict(canonical.decode(text))
        spec = dict(fields.pop("input"))
        action = fields.pop("action", None)
        return CheckpointInfo(
            input=InputSpec(**{**spec, "mean": tuple(spec["mean"]), "std": tuple(spec["std"])}),
            action=_action(dict(action)) if action else None,
            abilities=frozenset(fields.pop("abilities", ())),
            notes=tuple(fields.pop("notes", ())),
            sizes=tuple(fields.pop("sizes", ())),
            **fields,
        )
    except (canonical.NotCanonical, KeyError, TypeError, ValueError, AttributeError):
        return None


def _action(fields: dict[str, Any]) -> ActionSpec:
    is_from_state = bool(fields.pop("is_from_state", False))
    return ActionSpec(**{name: tuple(value) for name, value in fields.items()}, is_from_state=is_from_state)


def _int(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _pair(value: Any) -> tuple[float, float]:
    """Two numbers; what is anything else counts as 0: nothing then passes as reproduced that is not bit-equal."""
    if isinstance(value, list) and len(value) == 2 and all(isinstance(item, int | float) for item in value):
        return float(value[0]), float(value[1])
    return 0.0, 0.0
