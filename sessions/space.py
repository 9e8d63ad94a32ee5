"""How much room the disk has, and for how long: the rules of session format 2.6.

Belongs to the recorder thread after the start. Holds the reserve: a file that really occupies space, let go when the
disk is full so that events and the end of the journal still fit.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jepa_core.errors import ConsoleError, DiskFull
from sessions.disk import Disk, is_full
from sessions.header import SessionHeader

if TYPE_CHECKING:
    from sessions.rows import RecorderSettings

BYTES_PER_PIXEL = (
    0.25  # JPEG of quality 95 of ordinary scenes; only the first guess, then the rate is measured
)
SMOOTHING = 0.2  # weight of the newest second in the measured rate


class Space:
    """Counts the seconds until the disk is full, and says when frames must stop and may go on."""

    def __init__(
        self, directory: Path, disk: Disk, settings: RecorderSettings, header: SessionHeader
    ) -> None:
        self._directory = directory
        self._disk = disk
        self._settings = settings
        self._rate = expected_rate(header)  # bytes per second
        self._expected_bytes = _whole_source_bytes(header, self._rate)
        self._reserve: Path | None = None
        self._reserve_name = ""
        self._written = 0
        self._written_ns = -1
        self._is_warned = False
        self.is_full = False
        self.free_bytes = -1

    @property
    def seconds_left(self) -> float:
        return self.free_bytes / self._rate if self.free_bytes >= 0 and self._rate > 0 else -1.0

    def check_start(self) -> None:
        """Raises DiskFull when the disk would be full too soon; a file that is shorter than that needs less."""
        self.free_bytes = self._disk.free_bytes(self._directory)
        needed = self._settings.start_s * self._rate
        if self._expected_bytes > 0:
            needed = min(needed, self._expected_bytes)
        needed += self._settings.reserve_bytes
        if self.free_bytes < needed:
            raise DiskFull(
                f"{self._directory} has {_size(self.free_bytes)} free; this recording needs {_size(needed)} to start.",
                "Free some space, or choose another folder.",
            )

    def take_reserve(self, file_id: str) -> None:
        """OSError when there is no room for it."""
        self._reserve_name = f"{file_id}.reserve"
        if self._settings.reserve_bytes > 0:
            path = self._directory / self._reserve_name
            self._disk.reserve(path, self._settings.reserve_bytes)
            self._reserve = path

    def give_reserve(self) -> bool:
        """Let the reserve go; True if there was one."""
        reserve, self._reserve = self._reserve, None
        if reserve is None:
            return False
        self._disk.remove(reserve)
        return True

    def fill(self) -> bool:
        """The disk is full: frames stop. True if letting the reserve go made room."""
        self.is_full = True
        self.free_bytes = 0
        return self.give_reserve()

    def look(self, written: int, now_ns: int) -> ConsoleError | None:
        """Once a second: measure the rate, and return a fault when one of the limits was crossed.

        written    bytes of the whole session so far
        """
        try:
            self.free_bytes = self._disk.free_bytes(self._directory)
        except OSError:
            return None  # a volume that is gone makes the next write fail, and that is told
        if self._written_ns >= 0 and now_ns > self._written_ns and not self.is_full:
            newest = (written - self._written) * 1e9 / (now_ns - self._written_ns)
            self._rate = max(1.0, self._rate + SMOOTHING * (newest - self._rate))
        self._written, self._written_ns = written, now_ns
        return self._judge()

    def _judge(self) -> ConsoleError | None:
        seconds, settings = self.seconds_left, self._settings
        if self.is_full:
            spare = self.free_bytes - (settings.reserve_bytes if self._reserve is None else 0)
            if spare / self._rate >= settings.warn_s and self._try_reserve():
                self.is_full = self._is_warned = False
                return _DiskBack(
                    "There is space on the disk again: frames are recorded.", "The gap is in the record."
                )
            return None
        if 0 <= seconds < settings.stop_frames_s:
            self.is_full = True
            return DiskFull(
                f"The disk will be full in {seconds:.0f} s: frames and looks are no longer recorded.",
                "Free some space. Events are still recorded; the gap is in the record.",
            )
        if 0 <= seconds < settings.warn_s and not self._is_warned:
            self._is_warned = True
            return _DiskLow(
                f"The disk will be full in {seconds / 60:.0f} min at the present rate.",
                f"Frames stop at {settings.stop_frames_s / 60:.0f} min. Free some space.",
            )
        if seconds > 1.2 * settings.warn_s:
            self._is_warned = False
        return None

    def _try_reserve(self) -> bool:
        if self._reserve is not None:
            return True
        try:
            self.take_reserve(self._reserve_name.removesuffix(".reserve"))
        except OSError as error:
            if not is_full(error):
                raise
            return False
        return True


class _DiskLow(DiskFull):
    """A warning: nothing is lost yet."""

    code = "disk_low"


class _DiskBack(DiskFull):
    """Good news, told the same way as the bad."""

    code = "disk_back"


def expected_rate(header: SessionHeader) -> float:
    """Bytes per second this recording is expected to write, from its stream table."""
    camera = header.camera
    fps = camera.fps if camera.fps > 0 else 30.0
    per_frame = 256.0 + (camera.width * camera.height * BYTES_PER_PIXEL if camera.encoding != "none" else 0.0)
    rate = fps * per_frame
    if header.model is not None:
        steps, rows, columns = header.model.grid
        rate += fps / header.model.tubelet * (512 + 5 * steps * rows * columns + 12 * header.model.embed_dim)
    return rate


def _whole_source_bytes(header: SessionHeader, rate: float) -> float:
    """Of a source with a known end: what all of it would need. 0 unknown."""
    source = header.camera.source
    if source is None or source.frames <= 0:
        return 0.0
    fps = source.fps if source.fps > 0 else 30.0
    return source.frames / fps * rate


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
