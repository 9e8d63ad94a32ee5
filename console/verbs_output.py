"""What the verbs print: lines for a person, or one JSON object, on stdout. Reasons and progress go to stderr elsewhere.

A reader that went away, a full disk behind stdout and a file name that is no text must not end in a traceback.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from jepa_core.errors import WriteFailed
from jepa_core.types import JSON

_STEERS = frozenset({"Cc", "Cf", "Zl", "Zp"})  # move the cursor, turn the direction, hide, break the line
EXIT_NOBODY_READS = 141  # as the shell says of a program whose pipe was closed


def say(text: str) -> None:
    """A line for a person, on stdout."""
    if sys.stdout is None:  # started without a terminal, as pythonw does
        return
    try:
        sys.stdout.write(harmless(text) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # `main.py … | head` has read enough
        _let_go_of_stdout()
        raise SystemExit(EXIT_NOBODY_READS) from None
    except OSError as error:
        _let_go_of_stdout()
        raise WriteFailed(
            f"The output cannot be written: {error.strerror}.", "What was recorded is on disk."
        ) from error


def harmless(text: str) -> str:
    """The text with its control signs spelt out: a file's name or a stranger's words must not steer a terminal."""
    return "".join(
        sign
        if sign in "\n\t" or unicodedata.category(sign) not in _STEERS
        else sign.encode("unicode_escape").decode()
        for sign in text
    )


def say_json(data: Mapping[str, object]) -> None:
    """The one machine-readable object of a verb."""
    say(json.dumps(data, allow_nan=False, default=str))


def plain(value: object) -> JSON:
    """As JSON can say it: a frozen dataclass becomes an object, a set a sorted list."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, frozenset | set):
        return sorted(str(item) for item in value)
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def print_any_name() -> None:
    """A file name need not be text in the terminal's encoding; from here on it is written with escapes."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _let_go_of_stdout() -> None:
    """Python flushes once more at its end and would complain there."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
