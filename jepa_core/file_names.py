"""Which names of files that others send may become files here: below their own folder, on any system, and visible.

A name from a catalogue, a hub or an index of shards is a claim of somebody else. Standard library only. Must never
repair a name: one that is not plain is refused, because a repaired one could meet another file.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path, PurePosixPath

from jepa_core.errors import UnsafeName

LONGEST_PART = 200  # bytes of UTF-8; common file systems take 255, and our own endings come on top
MOST_PARTS = 8
OUR_ENDINGS = (".part", ".lock", ".damaged", ".new")  # what a download itself puts beside a file

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')  # control signs; what Windows refuses or reads as a path
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE)


def safe_path(name: str) -> PurePosixPath:
    """The relative path that a name means, or UnsafeName: absolute, climbing, reserved, hidden or unreadable ones."""
    parts = name.split("/")
    if not 0 < len(parts) <= MOST_PARTS:
        raise _refused(name, "it has too many parts")
    for part in parts:
        reason = _fault(part)
        if reason:
            raise _refused(name, reason)
    return PurePosixPath(*parts)


def below(folder: Path, name: str) -> Path:
    """Where a name lies below a folder of ours. Raises UnsafeName where a link on the way leads out of the folder."""
    path = folder.joinpath(*safe_path(name).parts)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise _refused(name, f"a link in {folder} leads elsewhere")
    return path


def _fault(part: str) -> str:
    """Why one part of a name is refused; empty where it is not."""
    if part in ("", ".", ".."):
        return "it is absolute or climbs out of its folder"
    if part.startswith("."):
        return "it would be hidden"
    if _FORBIDDEN.search(part) or part[-1] in ". ":
        return "it has signs that a file name cannot have everywhere"
    if _DEVICES.fullmatch(part):
        return "it names a device on Windows"
    if part.lower().endswith(OUR_ENDINGS):
        return "its ending is one that a download uses itself"
    if unicodedata.normalize("NFC", part) != part or any(
        unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in part
    ):
        return "it has signs that cannot be seen"
    if len(part.encode("utf-8")) > LONGEST_PART:
        return "it is too long"
    return ""


def _refused(name: str, reason: str) -> UnsafeName:
    shown = ascii(name if len(name) <= 80 else name[:77] + "…")
    return UnsafeName(
        f"A file name was refused, {reason}: {shown}.",
        "Nothing was written. Do not trust where it came from.",
    )
