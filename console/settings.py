"""What the window remembers by itself: geometry and dock state per role, recent files and checkpoints. Nothing else.

Settings that a person chooses live in config.py's TOML. Used on the GUI thread only.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs
from PySide6.QtCore import QByteArray, QSettings

from console.config_models import APP

LAYOUT_VERSION = 1  # raise it when a dock is added or renamed: old layouts are then not restored
MOST_RECENT = 10


@dataclass(frozen=True, slots=True)
class Recent:
    uri: str
    title: str
    kind: str  # "source" | "session" | "checkpoint" | "folder" of recordings
    t_wall_ns: int


class Settings:
    """A thin, typed face of one QSettings file."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or Path(platformdirs.user_config_dir(APP, appauthor=False)) / "window.ini"
        self._store = QSettings(str(self.path), QSettings.Format.IniFormat)

    def geometry(self) -> QByteArray | None:
        return self._bytes("window/geometry")

    def layout(self, role: str) -> QByteArray | None:
        return self._bytes(f"layout/{role}")

    def save_geometry(self, geometry: QByteArray) -> None:
        self._store.setValue("window/geometry", geometry)

    def save_layout(self, role: str, geometry: QByteArray, state: QByteArray) -> None:
        self._store.setValue("window/geometry", geometry)
        self._store.setValue(f"layout/{role}", state)

    def forget_layout(self, role: str) -> None:
        self._store.remove(f"layout/{role}")

    def recents(self, *kinds: str) -> list[Recent]:
        """Newest first; of all kinds when none is named."""
        try:
            rows = [Recent(**row) for row in json.loads(str(self._store.value("recent", "[]")))]
        except (ValueError, TypeError):  # a file another version wrote
            return []
        return [row for row in rows if not kinds or row.kind in kinds]

    def remember(self, uri: str, title: str, kind: str) -> None:
        uri = uri if kind == "source" and ":" in uri.split("/")[0] else os.path.abspath(uri)
        rows = [row for row in self.recents() if (row.uri, row.kind) != (uri, kind)]
        rows.insert(0, Recent(uri, title, kind, time.time_ns()))
        kept = [row for of in ("source", "session", "checkpoint", "folder") for row in _first(rows, of)]
        kept.sort(key=lambda row: -row.t_wall_ns)
        self._store.setValue("recent", json.dumps([asdict(row) for row in kept]))

    def forget(self, uri: str) -> None:
        rows = [row for row in self.recents() if row.uri != uri]
        self._store.setValue("recent", json.dumps([asdict(row) for row in rows]))

    def sync(self) -> None:
        self._store.sync()

    def _bytes(self, key: str) -> QByteArray | None:
        value = self._store.value(key)
        return value if isinstance(value, QByteArray) and not value.isEmpty() else None


def _first(rows: list[Recent], kind: str) -> list[Recent]:
    return [row for row in rows if row.kind == kind][:MOST_RECENT]
