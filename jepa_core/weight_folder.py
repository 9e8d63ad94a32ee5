"""Which files hold a checkpoint's tensors: one, or several that a Hugging Face index lists; and their fingerprint.

The index was written by others: it may only name files that lie beside it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jepa_core import checkpoint_paths
from jepa_core.clock import CancelToken
from jepa_core.errors import UnreadableCheckpoint, UnsafeFile
from jepa_core.plain_text import MAX_JSON_BYTES, BadText, read_json

WHOLE = ("model.safetensors", "pytorch_model.bin")  # the first that is there
INDEX = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_PIECE = re.compile(r".+-\d{5}-of-(\d{5})\.(?:safetensors|bin)")
HASH_CHUNK = 1 << 22  # bytes between two looks at the cancel token
MAX_FILES = 200  # of one model; the largest released one here would come in two


def files_of(path: Path) -> tuple[Path, ...]:
    """The files that hold the tensors, by name: the path itself, or those of a Hugging Face folder.

    Raises UnreadableCheckpoint where there are none, or the index cannot be read or names files that are not there;
    UnsafeFile where it names files elsewhere.
    """
    if not path.exists():
        raise UnreadableCheckpoint(f"{path} does not exist.", "Check the path.")
    if path.is_file() and path.name in INDEX:
        return _listed(path)
    if path.is_file():
        _check_whole(path)
        return (path,)
    if not path.is_dir():
        raise UnreadableCheckpoint(
            f"{path.name} is not a file but a pipe or a device, which may never end.",
            "Choose a checkpoint file.",
        )
    for whole, index in zip(WHOLE, INDEX, strict=True):
        if (path / whole).is_file():
            return (path / whole,)
        if (path / index).is_file():
            return _listed(path / index)
    meant = checkpoint_paths.meant_by(path).path
    if meant != path:
        return (meant,)
    if several := checkpoint_paths.weights_in(path):
        raise UnreadableCheckpoint(
            f"{path.name} is a folder with {len(several)} files of weights: "
            + ", ".join(found.name for found in several[:6])
            + ("." if len(several) <= 6 else ", …"),
            "Choose one of them.",
        )
    raise UnreadableCheckpoint(
        f"{path.name} is a folder without {' or '.join(WHOLE)} and without a file of weights.",
        "Choose the checkpoint file itself, or a Hugging Face folder with config.json and its tensors.",
    )


def seen(files: tuple[Path, ...]) -> list[tuple[int, int]]:
    """Size and time of change of each file, to tell whether any changed meanwhile."""
    found = [file.stat() for file in files]
    return [(one.st_size, one.st_mtime_ns) for one in found]


def fingerprint(
    files: tuple[Path, ...],
    progress: Callable[[float, str], None] | None = None,
    cancel: CancelToken | None = None,
    share: float = 1.0,
) -> str:
    """sha256, hex, read in pieces; of a model in several files, of one after another. `share`: of the progress bar."""
    digest, done = hashlib.sha256(), 0
    size = max(sum(size for size, _ in seen(files)), 1)
    piece = memoryview(bytearray(HASH_CHUNK))  # read into again and again: no file ever stands in memory
    for file in files:
        with file.open("rb", buffering=0) as stream:
            while count := stream.readinto(piece):
                if cancel is not None:
                    cancel.check()
                digest.update(piece[:count])
                done += count
                if progress is not None:
                    progress(share * done / size, "checking the file's fingerprint")
    return digest.hexdigest()


def _check_whole(path: Path) -> None:
    piece = _PIECE.fullmatch(path.name)
    if piece is not None and int(piece[1]) > 1:
        raise UnreadableCheckpoint(
            f"{path.name} is one of {int(piece[1])} files of a model.", "Choose the folder they lie in."
        )


def _listed(index: Path) -> tuple[Path, ...]:
    """Every file that the index says holds a tensor."""
    names = set(_weight_map(index).values())
    for name in sorted(names):
        if (
            not name.isprintable()
            or Path(name).name != name
            or name in ("", ".", "..")
            or "\\" in name
            or "\0" in name
        ):
            raise UnsafeFile(
                f"{index.name} names a file outside its folder: {name[:80]!r}. Nothing was opened.",
                "Get the checkpoint from its authors.",
            )
    if not 0 < len(names) <= MAX_FILES:
        raise UnreadableCheckpoint(
            f"{index.name} lists {len(names)} files.", "Copy or download the folder again."
        )
    missing = [name for name in sorted(names) if not (index.parent / name).is_file()]
    if missing:
        raise UnreadableCheckpoint(
            f"{index.parent.name} lacks {len(missing)} of its {len(names)} files of weights, first {missing[0]}.",
            "Copy or download the folder again.",
        )
    return tuple(index.parent / name for name in sorted(names))


def check_places(path: Path, found: Mapping[str, str]) -> None:
    """Hold the files a folder's tensors were found in (name → file) against its index, tensor by tensor.

    Raises UnreadableCheckpoint for one that is promised and not there, and for one that no index promises.
    """
    index = path if path.is_file() else next(path / name for name in INDEX if (path / name).is_file())
    promised = _weight_map(index)
    for name in (*promised, *found):
        if promised.get(name) != found.get(name):
            raise UnreadableCheckpoint(
                f"{index.name} says that {name[:80]!r} lies in {promised.get(name, 'no file')}; it lies in "
                f"{found.get(name, 'none')}.",
                "Its files belong to different models. Copy or download the folder again.",
            )


def _weight_map(index: Path) -> Mapping[str, Any]:
    try:
        with index.open("rb") as stream:
            content = stream.read(MAX_JSON_BYTES + 1)
        values = read_json(content.decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError, BadText) as error:
        raise UnreadableCheckpoint(
            f"{index.name} cannot be read.", "Copy or download the folder again.", str(error)
        ) from error
    found = values.get("weight_map") if isinstance(values, Mapping) else None
    if not isinstance(found, Mapping):
        raise UnreadableCheckpoint(f"{index.name} lists no tensors.", "Copy or download the folder again.")
    if not all(isinstance(name, str) for name in found.values()):
        raise UnreadableCheckpoint(
            f"{index.name} gives a tensor a file that has no name.", "Copy or download the folder again."
        )
    return found
