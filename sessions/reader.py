"""Opens a recorded session, whole or unfinished, and gives back exactly what was recorded.

Lazy and frame-exact: columns are read when first asked for, pictures and looks one at a time. The parts of a rolled
recording open as one. Read only; shows recorded values and never computes any.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jepa_core.errors import ConsoleError, Damaged
from jepa_core.tracks import SignalTrack
from jepa_core.types import CheckpointInfo, Event, Inspection, SourceInfo, frozen
from sessions import canonical, codec, events
from sessions.part_files import PartFile, open_part
from sessions.rebuild import RecordedModel, Samples, notes_of, source_info_of


def open_session(path: str | Path) -> SessionReader:
    """Open a .h5 or .wmj file, together with the other parts of its session that lie beside it.

    Raises NotASession, NewerSchema or Damaged. What else is wrong with it stands in `problems`.
    """
    path = Path(path)
    main = open_part(path)
    parts: list[tuple[int, PartFile]] = [(_part_number(path), main)]
    problems: list[str] = []
    try:
        for number, sibling in _siblings(path):
            try:
                part = open_part(sibling)
            except ConsoleError as error:
                problems.append(error.what)
                continue
            if part.header.get("session_id") == main.header.get("session_id"):
                parts.append((number, part))
            else:
                part.close()
        parts.sort(key=lambda item: item[0])
        missing = sorted(set(range(1, parts[-1][0])) - {number for number, _ in parts})
        problems.extend(f"part {number} of this session is not in the folder" for number in missing)
        return SessionReader(path, [part for _, part in parts], problems)
    except BaseException:
        for _, part in parts:
            part.close()
        raise


class SessionReader:
    """One recorded session. May be used from several threads; one reads at a time.

    Rows and steps are numbered from 0 over all parts. Arrays are read-only.
    """

    def __init__(self, path: Path, parts: Sequence[PartFile], problems: Sequence[str] = ()) -> None:
        self.path = path
        self._parts = list(parts)
        self._problems = list(problems)
        self._lock = threading.RLock()
        self._first_row = np.cumsum([0, *(part.n_frames for part in parts)])
        self._first_step = np.cumsum([0, *(part.n_steps for part in parts)])
        self._columns: dict[str, NDArray[Any]] = {}
        self._models = [RecordedModel(part) for part in parts]
        self._notes: list[tuple[int, str]] | None = None
        self._samples: dict[tuple[int, str], Samples] = {}

    def __enter__(self) -> SessionReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """May be called twice."""
        with self._lock:
            for part in self._parts:
                part.close()

    # --- what it is -------------------------------------------------------------------------------------------------

    @property
    def header(self) -> Mapping[str, Any]:
        """The session header of the first part, as it was written."""
        return self._parts[0].header

    @property
    def session_id(self) -> str:
        return str(self.header.get("session_id", ""))

    @property
    def state(self) -> str:
        """The least finished of the parts: "journal", "recovered" or "sealed"."""
        states = [part.state for part in self._parts]
        return next((state for state in ("journal", "recovered") if state in states), states[0])

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(part.path for part in self._parts)

    @property
    def problems(self) -> tuple[str, ...]:
        """What cannot be read, in words; empty for a sound session."""
        return tuple(self._problems + [problem for part in self._parts for problem in part.problems])

    @property
    def info(self) -> SourceInfo:
        """The source as it was recorded, with the number of recorded frames."""
        return source_info_of(self._parts[0], self.n_frames)

    @property
    def checkpoint_info(self) -> CheckpointInfo | None:
        """The checkpoint of the first part that has looks, else of the first that names one."""
        named = [model for model in self._models if model.checkpoint is not None]
        with_looks = [model for model in named if model.n_steps]
        best = next(iter(with_looks or named), None)
        return best.checkpoint if best is not None else None

    @property
    def longest_clip(self) -> int:
        """Frames of the longest clip any part has room for, 0 without a model."""
        return max((model.frames_per_clip for model in self._models), default=0)

    def tolerance(self, step: int) -> tuple[float, float]:
        """Largest difference of a token error that counts as reproduced: on the same device and dtype, on others."""
        part, _ = self._locate(self._first_step, step)
        return self._models[part].tolerance

    # --- frames -----------------------------------------------------------------------------------------------------

    @property
    def n_frames(self) -> int:
        return int(self._first_row[-1])

    @property
    def frame_seq(self) -> NDArray[np.uint64]:
        """(n_frames,) frame number shown everywhere."""
        return self._frames("seq")

    @property
    def frame_index(self) -> NDArray[np.uint64]:
        """(n_frames,) the source's own frame number."""
        return self._frames("capture_index")

    @property
    def frame_t_ns(self) -> NDArray[np.int64]:
        """(n_frames,) capture time, monotonic."""
        return self._frames("t_capture_mono_ns")

    @property
    def frame_wall_ns(self) -> NDArray[np.int64]:
        """(n_frames,) capture time, UTC since 1970."""
        return self._frames("t_capture_wall_ns")

    @property
    def frame_error_ns(self) -> NDArray[np.int64]:
        """(n_frames,) stated bound on the capture time, −1 unknown."""
        return self._frames("t_capture_error_ns")

    @property
    def frame_received_ns(self) -> NDArray[np.int64]:
        """(n_frames,) when the program got the frame, monotonic."""
        return self._frames("t_received_mono_ns")

    @property
    def frame_pts_ns(self) -> NDArray[np.int64]:
        """(n_frames,) position in the source file, −1 for live."""
        return self._frames("source_pts_ns")

    @property
    def frame_flags(self) -> NDArray[np.uint8]:
        return self._frames("flags")

    @property
    def frame_crc32(self) -> NDArray[np.uint32]:
        """(n_frames,) CRC-32 of the decoded RGB bytes."""
        return self._frames("decoded_crc32")

    @property
    def has_pixels(self) -> NDArray[np.bool_]:
        """(n_frames,) False where the pixels were let go (a gap)."""
        return np.asarray(self._frames("data_length") > 0)

    def row_of_seq(self, seq: int) -> int | None:
        """The row of a frame number; None when it was not recorded."""
        order, ordered = self._ordered("frame order", self._frames, "seq")
        at = int(np.searchsorted(ordered, np.uint64(seq))) if seq >= 0 else len(ordered)
        return int(order[at]) if at < len(ordered) and int(ordered[at]) == seq else None

    def frame_encoded(self, row: int) -> bytes | None:
        """The picture file as it was recorded; None where the pixels were let go. Raises Damaged, IndexError."""
        part, local = self._locate(self._first_row, row)
        with self._lock:
            return self._parts[part].frame_data(local) or None

    def frame_rgb(self, row: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, read-only: the pixels the model saw. Raises Damaged where there are none."""
        encoded = self.frame_encoded(row)
        if encoded is None:
            raise Damaged(
                f"Frame {int(self.frame_seq[row])} was recorded without pixels.",
                "Its row and its times are shown.",
            )
        return codec.decode(encoded)

    def frame_action(self, row: int) -> NDArray[np.float32] | None:
        """(A,) what was done from this frame to the next; None where the source did not tell it."""
        return self._numbers("action", row)

    def frame_state(self, row: int) -> NDArray[np.float32] | None:
        """(P,) how the body stood at this frame; None where the source did not tell it."""
        return self._numbers("state", row)

    def _numbers(self, stream: str, row: int) -> NDArray[np.float32] | None:
        part, _ = self._locate(self._first_row, row)
        seq = self.frame_seq[row]
        with self._lock:
            if (part, stream) not in self._samples:
                self._samples[part, stream] = Samples.of(self._parts[part].samples(stream))
            return self._samples[part, stream].at(int(seq))

    # --- looks ------------------------------------------------------------------------------------------------------

    @property
    def n_steps(self) -> int:
        return int(self._first_step[-1])

    @property
    def step_seq(self) -> NDArray[np.uint64]:
        """(n_steps,) frame number of the newest frame of each look's clip."""
        return self._steps("seq")

    @property
    def step_t_ns(self) -> NDArray[np.int64]:
        """(n_steps,) capture time of that frame."""
        return self._steps("t_mono_ns")

    def inspection(self, step: int) -> Inspection:
        """The look as it was recorded. Raises Damaged, IndexError."""
        part, local = self._locate(self._first_step, step)
        with self._lock:
            one = self._parts[part].step(local)
        look = self._models[part].inspection(one)
        return look if look.masks.targets else replace(look, note=self._note_at(look.seq))

    def _note_at(self, seq: int) -> str:
        """Why nothing was predicted then: the last sentence that was recorded up to that frame."""
        with self._lock:
            if self._notes is None:
                self._notes = notes_of(self.events())
        known = [note for at, note in self._notes if at <= seq]
        return known[-1] if known else ""

    def steps_for_row(self, row: int) -> range | NDArray[np.int64]:
        """The looks whose newest frame is this row."""
        order, ordered = self._ordered("step order", self._steps, "seq")
        seq = self.frame_seq[row]
        first, last = np.searchsorted(ordered, seq, side="left"), np.searchsorted(ordered, seq, side="right")
        return np.asarray(np.sort(order[first:last]), np.int64)

    def clip_rows(self, step: int) -> list[int | None]:
        """The rows of the frames a look saw, over all parts; None for one that was not recorded."""
        clip = self.inspection(step).clip
        return [self.row_of_seq(seq) for seq in clip]

    @property
    def track_names(self) -> tuple[str, ...]:
        """Every signal recorded in any part, in the order first seen."""
        return tuple(dict.fromkeys(name for model in self._models for name in model.signal_names))

    def signal(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """(t_ns, value, seq) of one signal over the whole session, NaN where a look had no such value."""
        times, values, seqs = [], [], []
        with self._lock:
            for part, model in zip(self._parts, self._models):
                if part.n_steps == 0:
                    continue
                times.append(part.step_column("t_mono_ns"))
                seqs.append(part.step_column("seq").astype(np.int64))
                values.append(model.signal_column(part, name))
        if not times:
            return np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64)
        return np.concatenate(times), np.concatenate(values), np.concatenate(seqs)

    def track(self, name: str, unit: str = "") -> SignalTrack:
        """One signal as the timeline wants it, in order of time."""
        t_ns, value, seq = self.signal(name)
        order = np.argsort(t_ns, kind="stable")  # a session of a session may have been sought backwards
        return SignalTrack.from_arrays(name, unit, t_ns[order], value[order], seq[order])

    # --- documents --------------------------------------------------------------------------------------------------

    def events(self) -> list[Event]:
        """Every event in order of onset, corrections included; one that was written twice counts once."""
        found: dict[str, Event] = {}
        for document in self._documents("/events"):
            event = events.parse_document(document)
            found.setdefault(event.id, event)
        return sorted(found.values(), key=lambda event: event.t_ns)

    def gaps(self) -> list[Mapping[str, Any]]:
        """Gap records as written: stream, first_index, last_index, count, reason."""
        return [canonical.decode(document) for document in self._documents("/integrity/gaps")]

    def _documents(self, table: str) -> list[bytes]:
        with self._lock:
            return [document for part in self._parts for document in part.documents(table)]

    # --- inside -----------------------------------------------------------------------------------------------------

    def _frames(self, name: str) -> NDArray[Any]:
        return self._joined(f"frame {name}", lambda part: part.frame_column(name) if part.n_frames else None)

    def _steps(self, name: str) -> NDArray[Any]:
        return self._joined(f"step {name}", lambda part: part.step_column(name) if part.n_steps else None)

    def _joined(self, key: str, read: Callable[[PartFile], NDArray[Any] | None]) -> NDArray[Any]:
        with self._lock:
            if key not in self._columns:
                pieces = [piece for part in self._parts if (piece := read(part)) is not None]
                self._columns[key] = frozen(np.concatenate(pieces) if pieces else np.zeros(0, np.int64))
            return self._columns[key]

    def _ordered(
        self, key: str, column: Callable[[str], NDArray[Any]], name: str
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """(order, sorted values) of a column, kept."""
        with self._lock:
            if key not in self._columns:
                self._columns[key] = np.argsort(column(name), kind="stable")
                self._columns[f"{key} sorted"] = column(name)[self._columns[key]]
            return self._columns[key], self._columns[f"{key} sorted"]

    def _locate(self, firsts: NDArray[Any], number: int) -> tuple[int, int]:
        if not 0 <= number < int(firsts[-1]):
            raise IndexError(f"{number} is not between 0 and {int(firsts[-1]) - 1}")
        part = int(np.searchsorted(firsts, number, side="right")) - 1
        return part, number - int(firsts[part])


def _siblings(path: Path) -> list[tuple[int, Path]]:
    """The other parts of the session this file belongs to, one file each: sealed where it is, else the journal."""
    stem = re.sub(r"(\.p\d+)?\.(h5|wmj)$", "", path.name)
    best: dict[int, Path] = {}
    for other in sorted(path.parent.glob(f"{stem}*")):
        match = re.fullmatch(rf"{re.escape(stem)}(\.p\d+)?\.(h5|wmj)", other.name)
        if (
            match
            and _part_number(other) != _part_number(path)
            and (match[2] == "h5" or _part_number(other) not in best)
        ):
            best[_part_number(other)] = other
    return list(best.items())


def _part_number(path: Path) -> int:
    match = re.search(r"\.p(\d+)\.(h5|wmj)$", path.name)
    return int(match[1]) if match else 1
