"""A file that is still arriving: its bytes so far, what they belong to, and their checksum. Survives kill -9.

Owned by the one thread that writes it, and locked against other programs. The bytes lie in `<folder>/.download/` and
move into the folder in one step when they are complete and checked; until then nobody can take them for a checkpoint.
How far they are synced to the disk stands beside them, so that after a power cut only bytes that surely are there count.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

from jepa_core.clock import CancelToken
from jepa_core.errors import AlreadyDownloading, ChecksumDiffers, DownloadError, NoRoom
from jepa_core.file_lock import FileLock, Locked
from jepa_core.file_names import below

FOLDER = ".download"
STATE_ENDING = ".part.json"
SYNC_BYTES = 32 << 20  # between two syncs; so much is fetched again after a power cut, at most
READ_BYTES = 1 << 20
SPARE_BYTES = 64 << 20  # left free on the disk, for everybody else
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class PartState:
    """What the bytes of a part belong to, and how many of them are surely on the disk."""

    identity: str = ""  # of the file on the server (hub.Remote.identity)
    validator: str = ""  # of the answer the bytes are from, for If-Range
    total: int = -1  # of the whole file, -1 not said
    synced: int = 0


class PartFile:
    """Use `with`: it takes the lock, finds what is there, and leaves a synced part behind, however it ends."""

    def __init__(
        self, folder: Path, name: str, *, spare_bytes: int = SPARE_BYTES, sync_bytes: int = SYNC_BYTES
    ) -> None:
        """Raises UnsafeName for a name that leads elsewhere."""
        self.target = below(folder, name)
        self._work = folder / FOLDER
        flat = _flat(name)
        self.path = self._work / f"{flat}.part"
        self.damaged = self._work / f"{flat}.damaged"
        self.state_path = self._work / f"{flat}{STATE_ENDING}"
        self._lock = FileLock(self._work / f"{flat}.lock")
        self._name = name
        self._spare_bytes = spare_bytes
        self._sync_bytes = sync_bytes
        self._file: FileIO | None = None
        self._sha256 = hashlib.sha256()
        self.state = PartState()
        self.length = 0  # bytes that are there and hashed

    def __enter__(self) -> PartFile:
        try:
            self._work.mkdir(parents=True, exist_ok=True)
            self._lock.__enter__()
        except Locked as error:
            raise AlreadyDownloading(
                f"{self._name} is being downloaded by another program right now.",
                "Wait for it, or stop it there.",
            ) from error
        except OSError as error:
            raise self._failed(error) from error
        try:
            self.state = read_state(self.state_path)
            self._file = open(self.path, "r+b" if self.path.exists() else "w+b", buffering=0)
        except OSError as error:
            self._lock.__exit__(None, None, None)
            raise self._failed(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._file is not None:
                self._close()
        finally:
            self._lock.__exit__(None, None, None)

    # --- going on ----------------------------------------------------------------------------------------------------

    def take_up(self, cancel: CancelToken, progress: Callable[[int], None]) -> None:
        """Read again what is there, for the checksum, and cut off what may not be on the disk. `progress`: bytes read."""
        file = self._open()
        there = min(os.fstat(file.fileno()).st_size, self.state.synced)
        self._begin_hash()
        try:
            file.seek(0)
            while self.length < there:
                cancel.check()
                data = file.read(min(READ_BYTES, there - self.length))
                if not data:
                    break
                self._sha256.update(data)
                self.length += len(data)
                progress(self.length)
            file.truncate(self.length)
            file.seek(self.length)
        except OSError as error:
            raise self._failed(error) from error

    def begin(self, state: PartState) -> None:
        """From nothing: these bytes will be of that file."""
        file = self._open()
        self._begin_hash()
        try:
            file.seek(0)
            file.truncate(0)
            self.damaged.unlink(missing_ok=True)
            self._write_state(PartState(state.identity, state.validator, state.total, 0))
        except OSError as error:
            raise self._failed(error) from error

    def check_room(self, total: int) -> None:
        """Raises NoRoom where the rest of the file would not fit."""
        missing = max(total - self.length, 0)
        free = self._free_bytes()
        if free < missing + self._spare_bytes:
            raise NoRoom(
                f"{self._name} still needs {size_words(missing)}, and {self._work.parent} has {size_words(free)} free.",
                "Make room or set models.downloads to another folder. What arrived is kept; the download goes on from there.",
            )

    def write(self, data: bytes) -> None:
        """Append. Raises NoRoom or DownloadError; what was written before stays good."""
        file = self._open()
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            self._cut_back()
            raise self._failed(error) from error
        self._sha256.update(data)
        self.length += len(data)
        if self.length - self.state.synced >= self._sync_bytes:
            self.sync()
            if self._free_bytes() < self._spare_bytes:
                raise self._failed(OSError(errno.ENOSPC, "nearly full"))

    def sync(self) -> None:
        """Every byte so far is on the disk when this returns, and it stands beside them that they are."""
        file = self._open()
        try:
            os.fsync(file.fileno())
            state = self.state
            self._write_state(PartState(state.identity, state.validator, state.total, self.length))
        except OSError as error:
            self._cut_back()
            raise self._failed(error) from error

    # --- the end -----------------------------------------------------------------------------------------------------

    @property
    def sha256(self) -> str:
        """Of the bytes so far."""
        return self._sha256.hexdigest()

    def git_sha1(self, cancel: CancelToken) -> str:
        """The hash that git gives a file of these bytes."""
        file = self._open()
        found = hashlib.sha1(b"blob %d\0" % self.length, usedforsecurity=False)
        file.seek(0)
        while data := file.read(READ_BYTES):
            cancel.check()
            found.update(data)
        file.seek(self.length)
        return found.hexdigest()

    def finish(self) -> Path:
        """Complete and checked: move it into its folder, in one step and for good."""
        self.sync()
        try:
            self.let_go()
            self.target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.path, self.target)
            self.state_path.unlink(missing_ok=True)
            _sync_folder(self.target.parent)
        except OSError as error:
            raise self._failed(error) from error
        return self.target

    def set_apart(self, why: str, detail: str = "") -> ChecksumDiffers:
        """These bytes are not the announced ones: keep them where nobody takes them for a checkpoint."""
        try:
            self.let_go()
            os.replace(self.path, self.damaged)
            self.state_path.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error) from error
        return ChecksumDiffers(
            f"{self._name} is not what was announced: {why}.",
            f"It is not used. It lies apart as {self.damaged} and is replaced when you download again.",
            detail,
        )

    def _free_bytes(self) -> int:
        try:
            return shutil.disk_usage(self._work).free
        except OSError as error:
            raise self._failed(error) from error

    def _open(self) -> FileIO:
        assert self._file is not None, "a part file is used inside its `with`"
        return self._file

    def let_go(self) -> None:
        """Close the bytes; the lock is kept until the `with` ends."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _begin_hash(self) -> None:
        self._sha256 = hashlib.sha256()
        self.length = 0

    def _close(self) -> None:
        """Leave a synced part, as far as the disk lets us; what is not synced is fetched again."""
        try:
            if self.length > self.state.synced:
                self.sync()
        except DownloadError:
            pass  # the state still names the bytes that are there for sure
        finally:
            self.let_go()

    def _cut_back(self) -> None:
        """After a write that failed half-way: only whole, hashed bytes stay."""
        try:
            self._open().truncate(self.length)
        except OSError:
            pass  # beyond what is synced nothing counts anyway

    def _write_state(self, state: PartState) -> None:
        self.state = state
        draft = self.state_path.with_name(self.state_path.name + ".new")
        draft.write_text(json.dumps({"schema": 1, **asdict(state)}), "utf-8")
        os.replace(draft, self.state_path)

    def _failed(self, error: OSError) -> DownloadError:
        """What the disk says, in words."""
        if error.errno in _FULL:
            return NoRoom(
                f"There is no more room in {self._work.parent} for {self._name}; {size_words(self.length)} arrived.",
                "Make room or set models.downloads to another folder. What arrived is kept; the download goes on from there.",
                str(error),
            )
        if error.errno == errno.EFBIG:
            return NoRoom(
                f"The disk of {self._work.parent} does not take a file as large as {self._name}.",
                "FAT32 ends at 4 GiB. Set models.downloads to a folder on another disk.",
                str(error),
            )
        return DownloadError(
            f"{self._name} cannot be written to {self._work.parent} ({error.strerror or error}).",
            "Check the folder's rights, or set models.downloads to another one.",
            str(error),
        )


def arrived(folder: Path, name: str) -> PartState:
    """How much of a file has arrived, without opening it; an empty state where nothing has."""
    return read_state(folder / FOLDER / f"{_flat(name)}{STATE_ENDING}")


def discard(folder: Path, name: str) -> int:
    """Throw away what arrived of a file that nobody is writing; bytes that became free. Raises AlreadyDownloading."""
    with PartFile(folder, name) as part:
        freed = 0
        part.let_go()
        for path in (part.path, part.damaged, part.state_path):
            try:
                freed += path.stat().st_size
                path.unlink()
            except OSError:
                continue
        return freed


def read_state(path: Path) -> PartState:
    """What stands beside a part; an empty state where nothing readable does."""
    try:
        found: Any = json.loads(path.read_text("utf-8")) if path.stat().st_size < 100_000 else None
    except (OSError, ValueError, RecursionError):
        return PartState()
    if not isinstance(found, dict) or found.get("schema") != 1:
        return PartState()
    identity, validator, total, synced = (
        found.get(name) for name in ("identity", "validator", "total", "synced")
    )
    if not (
        isinstance(identity, str) and isinstance(validator, str) and (identity + validator).isprintable()
    ):
        return PartState()
    if type(total) is not int or type(synced) is not int or total < -1 or synced < 0:
        return PartState()
    return PartState(identity, validator, total, synced)


def _flat(name: str) -> str:
    return name.replace("/", "__")


def size_words(n_bytes: int) -> str:
    """1234567 → "1.2 MB"."""
    if n_bytes < 1000:
        return f"{n_bytes} B"
    size, unit = n_bytes / 1000, "kB"
    for larger in ("MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.1f} {unit}"


def _sync_folder(folder: Path) -> None:
    """Make a new name durable; Windows keeps names in its own journal."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
