"""From the address of a source to the source, not yet opened.

An address is a path (video, folder of pictures, session) or "scheme:body?name=value&…". The registry holds strings only:
importing it imports no source, no decoder and no h5py.
"""

from __future__ import annotations

import difflib
import importlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import parse_qsl

from jepa_core.errors import SourceNotFound
from sessions.sources.base import Source
from sessions.sources.parts.paths import readable_file, readable_folder

SCHEMES: dict[str, str] = {
    "images": "sessions.sources.image_folder:ImageFolder",
    "session": "sessions.sources.session_file:SessionFile",
    "trajectory": "sessions.sources.trajectory:Trajectory",
    "video": "sessions.sources.video_file:VideoFile",
    "world": "sessions.sources.world:World",
}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+):")  # two letters at least: "C:\\clip.mp4" is a path
_CHECKPOINTS = frozenset({".pt", ".pth", ".ckpt", ".safetensors", ".tar", ".bin", ".onnx"})
_TRAJECTORIES = frozenset({".npz"})
_SESSIONS = frozenset({".h5", ".hdf5", ".wmj"})
_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
_HDF5 = b"\x89HDF\r\n\x1a\n"


class _SourceClass(Protocol):
    def from_uri(self, body: str, options: Mapping[str, str]) -> Source: ...


def open_source(uri: str | os.PathLike[str]) -> Source:
    """The source behind an address. It is checked here, but not opened. Raises SourceNotFound in words for a person."""
    scheme, body, options = parse(os.fspath(uri))
    module, name = SCHEMES[scheme].split(":")
    kind = cast(_SourceClass, getattr(importlib.import_module(module), name))
    return kind.from_uri(body, options)


def parse(uri: str) -> tuple[str, str, dict[str, str]]:
    """(scheme, body, options) of an address. A plain path gets the scheme of what lies there."""
    text = uri.strip()
    if not text:
        raise SourceNotFound(
            "No source was named.", "Give a video, a folder of pictures, a session or 'world:cell'."
        )
    if text.startswith("file://"):  # what a file manager drops
        text = _from_file_url(text)
    if os.path.lexists(text):
        return _scheme_of(Path(text)), text, {}
    head, _, tail = text.partition("?")
    options = dict(parse_qsl(tail, keep_blank_values=True))
    match = _SCHEME.match(head)
    if match is None:
        path = Path(head).expanduser()
        return _scheme_of(path), str(path), options
    scheme, body = match.group(1).lower(), head[match.end() :]
    if scheme not in SCHEMES:
        raise SourceNotFound(f"There is no source of the kind '{scheme}:'.", _suggestion(scheme))
    # A file whose name holds a question mark is there under its full name.
    whole = text[match.end() :]
    return (scheme, whole, {}) if scheme != "world" and os.path.lexists(whole) else (scheme, body, options)


def _scheme_of(path: Path) -> str:
    """What lies at this path, by its content where that is quick to see."""
    if path.is_dir():
        folder = readable_folder(str(path), "pictures")
        if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")):
            raise _is_a_checkpoint(folder)
        return "images"
    suffix = path.suffix.lower()
    file = readable_file(str(path), "source")
    with file.open("rb") as opened:
        is_hdf5 = opened.read(len(_HDF5)) == _HDF5
    if is_hdf5 or suffix in _SESSIONS:
        return "session"
    if suffix in _TRAJECTORIES:
        return "trajectory"
    if suffix in _CHECKPOINTS:
        raise _is_a_checkpoint(file)
    if suffix in _PICTURES:
        raise SourceNotFound(
            f"{file.name} is a single picture.",
            f"Open the folder it is in to play its pictures: {file.parent}",
        )
    return "video"


def _is_a_checkpoint(path: Path) -> SourceNotFound:
    return SourceNotFound(
        f"{path.name} looks like a checkpoint, not like a source of pictures.",
        "Open it as a checkpoint (Ctrl+M, or --checkpoint).",
    )


def _suggestion(scheme: str) -> str:
    near = difflib.get_close_matches(scheme, SCHEMES, n=1)
    if near:
        return f"Did you mean '{near[0]}:'?"
    known = ", ".join(f"'{name}:'" for name in SCHEMES)
    return f"This version opens {known} and plain paths."


def _from_file_url(url: str) -> str:
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    return url2pathname(urlsplit(url).path)
