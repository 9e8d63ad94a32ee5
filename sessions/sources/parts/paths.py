"""Is this path there, may it be read, and is it what it is taken for? Said in words before anything is opened."""

from __future__ import annotations

import os
from pathlib import Path

from jepa_core.errors import SourceNotFound


def readable_file(text: str, kind: str) -> Path:
    """The path of a regular file that may be read. Raises SourceNotFound."""
    path = _existing(text, kind)
    if path.is_dir():
        raise SourceNotFound(f"{path} is a folder, not a {kind} file.", "Choose the file itself.")
    if not path.is_file():
        raise SourceNotFound(f"{path} is not a regular file.", f"Choose a {kind} file on a disk.")
    if not os.access(path, os.R_OK):
        raise SourceNotFound(
            f"{path} may not be read by this user.", "Ask its owner for read rights, or copy it."
        )
    return path


def readable_folder(text: str, kind: str) -> Path:
    """The path of a folder whose names may be listed. Raises SourceNotFound."""
    path = _existing(text, kind)
    if not path.is_dir():
        raise SourceNotFound(f"{path} is not a folder.", f"Choose the folder that holds the {kind}.")
    if not os.access(path, os.R_OK | os.X_OK):
        raise SourceNotFound(
            f"The folder {path} may not be opened by this user.", "Ask its owner for read rights."
        )
    return path


def _existing(text: str, kind: str) -> Path:
    if not text:
        raise SourceNotFound(f"No {kind} file or folder was named.", f"Write the path after '{kind}:'.")
    path = Path(text).expanduser()
    try:
        path.stat()
    except PermissionError as error:
        raise SourceNotFound(
            f"{path} may not be reached by this user.", "A folder above it gives no rights.", str(error)
        ) from error
    except (OSError, ValueError) as error:
        raise SourceNotFound(f"There is no {path}.", _nearest(path), str(error)) from error
    return path


def _nearest(path: Path) -> str:
    """Where the path stops being true, which is most of the help a wrong path needs."""
    for parent in path.parents:
        try:
            if parent.is_dir():
                shown = parent if str(parent) != "." else Path.cwd()
                return f"The folder {shown} exists; look there for the right name."
        except OSError:
            continue
    return "Check the spelling."
