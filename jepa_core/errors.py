"""The error tree. Raise the narrowest; catch at a thread's edge; never swallow.

`what` is one sentence for a person, `hint` says what to do next, `detail` goes to the log. `code` names the fault in
events and on the command line.
"""

from __future__ import annotations

from jepa_core.types import LoadReport


class ConsoleError(Exception):
    """Something a person can be told in one sentence."""

    code = "error"

    def __init__(self, what: str, hint: str = "", detail: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.detail = detail

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.hint, self.detail, self.__dict__.copy()))

    def __str__(self) -> str:
        return f"{self.what} {self.hint}".strip()


def _rebuild(
    kind: type[ConsoleError], what: str, hint: str, detail: str, state: dict[str, object]
) -> ConsoleError:
    """Errors cross a pipe between processes; Exception's own pickling would lose the keyword fields."""
    error = kind.__new__(kind)
    ConsoleError.__init__(error, what, hint, detail)
    error.__dict__.update(state)
    return error


class CheckpointError(ConsoleError):
    """A checkpoint was refused. `report` says why, tensor by tensor, where it got that far."""

    code = "checkpoint_refused"

    def __init__(self, what: str, hint: str = "", detail: str = "", report: LoadReport | None = None) -> None:
        super().__init__(what, hint, detail)
        self.report = report


class UnknownFamily(CheckpointError):
    code = "unknown_family"


class KeysDiffer(CheckpointError):
    code = "keys_differ"


class ShapesDiffer(CheckpointError):
    code = "shapes_differ"


class UnsafeFile(CheckpointError):
    code = "unsafe_file"


class UnreadableCheckpoint(CheckpointError):
    code = "unreadable_checkpoint"


class WeightsNotFinite(CheckpointError):
    """A weight is NaN or infinite: nothing this model says would mean anything."""

    code = "weights_not_finite"


class ConfigDiffers(CheckpointError):
    """The config beside a checkpoint is unreadable, or says other than its tensors do."""

    code = "config_differs"


class DeviceError(ConsoleError):
    code = "device_error"


class OutOfMemory(DeviceError):
    code = "out_of_memory"


class GaveWay(DeviceError):
    """The device had no room, so one thing was given up (`ladder`); the looks go on."""

    code = "ladder"


class DeviceLost(DeviceError):
    code = "device_lost"


class EngineStopped(DeviceError):
    """The engine's process ended; it is started again by itself."""

    code = "engine_lost"


class NotFinite(DeviceError):
    code = "not_finite"


class SourceError(ConsoleError):
    code = "source_error"


class SourceNotFound(SourceError):
    code = "source_not_found"


class SourceLost(SourceError):
    code = "source_lost"


class SourceFrozen(SourceError):
    code = "source_frozen"


class NotSeekable(SourceError):
    code = "not_seekable"


class SessionError(ConsoleError):
    code = "session_error"


class NotASession(SessionError):
    code = "not_a_session"


class NewerSchema(SessionError):
    code = "newer_schema"


class Damaged(SessionError):
    code = "damaged"


class DiskFull(SessionError):
    code = "disk_full"


class WriteFailed(SessionError):
    code = "write_failed"


class RequestError(ConsoleError):
    code = "request_error"


class ActionOutOfRange(RequestError):
    code = "action_out_of_range"


class NotAble(RequestError):
    code = "not_able"


class DownloadError(ConsoleError):
    """A file was not fetched. What arrived before is kept and goes on next time, unless the text says otherwise."""

    code = "download_failed"


class Offline(DownloadError):
    """Nobody answers. A normal state: what is on this machine works without."""

    code = "offline"


class ServerRefused(DownloadError):
    """The server answered and did not give the file: not there, not allowed, too many requests, its own fault."""

    code = "server_refused"


class Stalled(DownloadError):
    """The connection was there and nothing came any more."""

    code = "download_stalled"


class ChecksumDiffers(DownloadError):
    """What arrived is not what was announced. It is kept apart and never offered."""

    code = "checksum_differs"


class NoRoom(DownloadError):
    code = "no_room"


class AlreadyDownloading(DownloadError):
    """Another program writes this very file."""

    code = "already_downloading"


class UnsafeName(DownloadError):
    """A name or an address that leads somewhere else than it should."""

    code = "unsafe_name"


class ConfigError(ConsoleError):
    """Names the file, the line and the key."""

    code = "config_error"


class DisplayError(ConsoleError):
    """No display, no platform plugin, no OpenGL."""

    code = "display_error"


class Cancelled(Exception):
    """A status, not an error: the work was called off on purpose."""
