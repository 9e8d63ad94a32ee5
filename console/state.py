"""The only GUI state that panels share: what is open, who looks, and where the cursor stands.

Owned by the window, on the GUI thread. Every property has one `…Changed` signal, emitted when it changes and only
then. Knows no widget and no pipeline.
"""

from __future__ import annotations

from typing import Generic, TypeVar, overload

from PySide6.QtCore import QObject, Signal

from jepa_core.types import CheckpointInfo, SourceInfo

T = TypeVar("T")


class Watched(Generic[T]):
    """A property whose change emits the owner's signal `<name>Changed`."""

    def __init__(self, default: T, signal: str) -> None:
        self._default = default
        self._signal = signal

    def __set_name__(self, owner: type, name: str) -> None:
        self._field = f"_{name}"

    @overload
    def __get__(self, owner: None, kind: type) -> Watched[T]: ...
    @overload
    def __get__(self, owner: QObject, kind: type) -> T: ...
    def __get__(self, owner: QObject | None, kind: type) -> T | Watched[T]:
        return self if owner is None else getattr(owner, self._field, self._default)

    def __set__(self, owner: QObject, value: T) -> None:
        if getattr(owner, self._field, self._default) == value:
            return
        setattr(owner, self._field, value)
        getattr(owner, self._signal).emit(value)


class AppState(QObject):
    sourceChanged = Signal(object)
    checkpointChanged = Signal(object)
    recordingChanged = Signal(object)
    recoveringChanged = Signal(object)
    roleChanged = Signal(object)
    cursorChanged = Signal(object)
    layersChanged = Signal(object)
    screenChanged = Signal(object)
    themeChanged = Signal(object)
    zoomChanged = Signal(object)

    source: Watched[SourceInfo | None] = Watched(None, "sourceChanged")
    checkpoint: Watched[CheckpointInfo | None] = Watched(None, "checkpointChanged")
    recording: Watched[str | None] = Watched(None, "recordingChanged")  # session id
    recovering: Watched[str | None] = Watched(None, "recoveringChanged")  # name of the journal
    role: Watched[str] = Watched("operator", "roleChanged")
    cursor_t_ns: Watched[int] = Watched(-1, "cursorChanged")  # time of the frame on the screen
    layers: Watched[frozenset[str]] = Watched(frozenset({"error", "masks", "slots"}), "layersChanged")
    screen: Watched[str] = Watched("start", "screenChanged")  # "start" | "live" | "replay" | "models"
    theme: Watched[str] = Watched("dark", "themeChanged")
    zoom: Watched[float] = Watched(1.0, "zoomChanged")
