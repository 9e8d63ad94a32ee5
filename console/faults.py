"""From an error to what a person reads: a title, a sentence, a hint, and the exit code.

The text of a ConsoleError is made where it is raised; this table adds the title its code has on the banner and how
serious it is. Must never import Qt: the verbs without a window use it too.
"""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from console.verbs_output import harmless, say_json
from jepa_core.errors import Cancelled, ConsoleError, DiskFull, OutOfMemory, WriteFailed
from jepa_core.types import JSON

log = logging.getLogger(__name__)

LOG_HINT = "The log has the details; please report it."
EXIT_OK, EXIT_FINDING, EXIT_USAGE, EXIT_ERROR, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


@dataclass(frozen=True, slots=True)
class Fault:
    """What the banner, the toast and the log say of one error."""

    code: str
    title: str
    text: str
    hint: str
    detail: str
    level: str  # "error" red | "warning" amber


TITLES: dict[str, str] = {
    "error": "Something went wrong",
    "checkpoint_refused": "Checkpoint refused",
    "unknown_family": "Checkpoint refused: not a family this program knows",
    "keys_differ": "Checkpoint refused: tensors are missing or left over",
    "shapes_differ": "Checkpoint refused: tensors have other shapes",
    "unsafe_file": "Checkpoint refused: the file could run code",
    "config_differs": "Checkpoint refused: its configuration does not fit",
    "weights_not_finite": "Checkpoint refused: weights are not finite",
    "unreadable_checkpoint": "Checkpoint refused: the file cannot be read",
    "device_error": "The model's device failed",
    "out_of_memory": "The model's device is out of memory",
    "ladder": "The model takes on less",
    "device_lost": "The model's device is gone",
    "not_finite": "The model gave numbers that are not finite",
    "source_error": "The source failed",
    "source_not_found": "The source cannot be opened",
    "source_lost": "The source is gone",
    "source_frozen": "The source repeats the same frame",
    "not_seekable": "This source cannot be sought",
    "session_error": "The session failed",
    "not_a_session": "Not a session file",
    "newer_schema": "Session of a newer version",
    "damaged": "The session file is damaged",
    "disk_full": "The disk is full",
    "write_failed": "Writing failed",
    "request_error": "That is not possible",
    "action_out_of_range": "Action out of range",
    "not_able": "This checkpoint cannot do that",
    "config_error": "A setting is wrong",
    "download_failed": "The download failed",
    "offline": "No connection",
    "server_refused": "The server does not give the file",
    "download_stalled": "The download stands still",
    "checksum_differs": "The downloaded file is not the announced one",
    "no_room": "Not enough room for the download",
    "already_downloading": "Already being downloaded",
    "unsafe_name": "A name that leads elsewhere was refused",
    "display_error": "No display",
    "engine_lost": "The engine stopped",
    "recording_fault": "Recording failed",
}

# What goes on by itself or is only refused is amber; what stopped and needs a person is red.
WARNINGS = frozenset(
    {
        "ladder",
        "not_seekable",
        "request_error",
        "action_out_of_range",
        "not_able",
        "source_frozen",
        "config_error",
        "offline",
        "server_refused",
        "download_stalled",
        "already_downloading",
    }
)


def describe(error: BaseException) -> Fault:
    """Any error in a person's words. Unknown ones say so and point at the log."""
    known = translate(error)
    return Fault(
        code=known.code,
        title=TITLES.get(known.code, TITLES["error"]),
        text=known.what,
        hint=known.hint,
        detail=known.detail,
        level="warning" if known.code in WARNINGS else "error",
    )


def translate(error: BaseException) -> ConsoleError:
    """The ConsoleError that says the same as this error."""
    if isinstance(error, ConsoleError):
        return error
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError):
        return OutOfMemory(
            "The computer's memory is full.", "Close other programs or use fewer clip frames.", detail
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return DiskFull(
            "The disk is full.", "Make room or choose another folder; what was confirmed is kept.", detail
        )
    if isinstance(error, PermissionError):
        return WriteFailed(
            f"{error.filename or 'A file'}: you have no right to do this.", "Choose another folder.", detail
        )
    if isinstance(error, OSError):
        return ConsoleError(
            f"{error.filename or 'The system'}: {error.strerror or error}.",
            "Check the path, its rights and the disk.",
            detail,
        )
    return ConsoleError(
        f"An unexpected {type(error).__name__} happened.",
        LOG_HINT,
        detail,
    )


def as_text(error: BaseException) -> str:
    """Two lines for a terminal: what, and what to do."""
    fault = describe(error)
    return f"{fault.text}\n{fault.hint}".strip()


def exit_code(error: BaseException) -> int:
    if isinstance(error, (KeyboardInterrupt, Cancelled)):
        return EXIT_INTERRUPTED
    return EXIT_ERROR


def guarded(work: Callable[[], int], *, as_json: bool = False, log_file: Path | None = None) -> int:
    """Run a verb. An error becomes its sentence and hint on stderr and an exit code, never a traceback.

    as_json     the error is one JSON object on stdout as well
    log_file    where a person finds the details of what nobody foresaw
    """
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(
            logging.NullHandler()
        )  # else logging says everything on stderr a second time
    try:
        return work()
    except (KeyboardInterrupt, Cancelled) as stopped:
        if as_json:
            say_json({"error": "stopped", "what": "Stopped.", "hint": ""})
        sys.stderr.write("Stopped.\n")
        return exit_code(stopped)
    except ConsoleError as error:
        return refuse(error, as_json=as_json)
    except Exception as error:
        log.exception("last resort: %s", type(error).__name__)
        return refuse(_with_log(translate(error), log_file), as_json=as_json)


def refuse(error: ConsoleError, *, as_json: bool = False, facts: Mapping[str, JSON] | None = None) -> int:
    """Say why a verb could not do all it was asked for: one sentence and one hint on stderr. Returns the exit code.

    facts       of the JSON object: what there is all the same, such as the session up to the fault
    """
    log.error("%s", error.what, extra={"code": error.code, "detail": error.detail})
    if as_json:
        say_json({**(facts or {}), "error": error.code, "what": error.what, "hint": error.hint})
    sys.stderr.write(harmless(as_text(error)) + "\n")
    return EXIT_ERROR


def _with_log(error: ConsoleError, log_file: Path | None) -> ConsoleError:
    """What nobody foresaw says where its details are."""
    if error.hint != LOG_HINT:
        return error
    where = f"The details are in {log_file}; please report it." if log_file is not None else LOG_HINT
    return ConsoleError(error.what, where, error.detail)
