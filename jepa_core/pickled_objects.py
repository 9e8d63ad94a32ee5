"""Takes the tensors out of a torch file without running anything of it.

Every torch file is a pickle, whose ordinary opening runs whatever the file names; some released ones (`*_object.ckpt`
of LeWorldModel and C-JEPA) are a whole Python object. Here the pickle is read as data (`pickle_machine`): no class is
looked up, no function is called, nothing is imported. Follows `specs/lewm-cjepa.md`, section 5.

Memory is bounded before anything is built: stored (never compressed) zip entries only, limits on the size and the
number of instructions, tensors are views into the mapped file and must lie inside their storage and not over each
other. What lies under a name to be skipped (the optimizer) is never looked at.
"""

from __future__ import annotations

import bisect
import re
import struct
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jepa_core.design import Stored
from jepa_core.errors import UnreadableCheckpoint, UnsafeFile
from jepa_core.pickle_machine import BadPickle, Claim, Machine, Object, runs_code
from jepa_core.torch_archive import TorchArchive

MAX_TENSORS = 20_000
MAX_VISITS = 200_000  # of dictionaries, modules and values in them, however often they are shared
MAX_STATED = 200_000  # settings of objects
MAX_DEPTH = 64  # modules inside modules; the deepest released model has 9
MAX_SHARING = 4  # times the file's size that all names together may claim: some share theirs by right
CHECKSUMS = "the file's own CRC-32 of every tensor that is read"
NO_CHECKSUMS = "none: this file was written without, so only the sha256 can tell whether a weight was changed"

# What a file of plain tensors, numbers and texts names: how torch describes them, and numpy's numbers among them.
_PLAIN = re.compile(
    r"collections\.(OrderedDict|defaultdict|Counter)|(builtins|__builtin__)\.(set|frozenset|int|float|bool|complex|bytearray)"
    r"|torch\._utils\._rebuild\w*|torch\._tensor\._rebuild\w*|torch(\.storage)?\.\w+Storage|torch\.(Size|device|Tensor)"
    r"|torch\.(double|float|half|bfloat16|long|int|short|bool|u?int\d+|float\d+\w*|complex\d+)"
    r"|torch\.nn\.parameter\.Parameter|torch\.serialization\._get_layout|_codecs\.encode"
    r"|numpy(\._?core)?(\.multiarray)?\.(scalar|_reconstruct|dtype|ndarray)"
)


@dataclass(frozen=True, slots=True)
class PickledModel:
    """What was taken out of a file."""

    tensors: Mapping[str, Any]  # "encoder.layernorm.weight" → Stored; of a dictionary, as it is nested there
    stated: Mapping[str, int | float | bool]  # the objects' own settings: "predictor.….attn.heads" → 16
    is_module: bool  # the file is one object; else a dictionary, maybe with foreign objects in it
    names: tuple[str, ...]  # everything the file asks for, replaced by tags: "jepa.JEPA", "builtins.getattr"
    foreign: tuple[str, ...]  # of these, what a file of plain tensors would not name
    checksums: str  # what shows that its numbers are those that were written, for the report


def read(file: Path, skip: Collection[str] = ()) -> PickledModel:
    """The tensors of a dictionary or of a pickled module. No number is read yet.

    skip  entries of the outermost dictionary that are left out: the optimizer
    Raises UnsafeFile for a file that names code no model needs, or claims more than it holds; UnreadableCheckpoint for
    a damaged one. Each tensor's `read` raises UnreadableCheckpoint where its numbers have changed.
    """
    try:
        archive = TorchArchive(file)
        machine = Machine()
        root = machine.run(archive.pickle())
        hostile = sorted(name for name in machine.names if runs_code(name))
        if hostile:
            raise UnsafeFile(
                f"{file.name} asks to run {hostile[0]!r}, which no model needs. Nothing was run and nothing was loaded.",
                "Do not open this file with other programs. Get the checkpoint from its authors.",
                "asks for " + ", ".join(sorted(machine.names)),
            )
        found = _Walk(file.name, archive)
        tensors = found.content(root, skip)
    except BadPickle as error:
        raise _damaged(file.name, error) from error
    except (
        zipfile.BadZipFile,
        EOFError,
        OSError,
        struct.error,
        RuntimeError,
        ValueError,
        OverflowError,
    ) as error:
        raise UnreadableCheckpoint(
            f"{file.name} is damaged or not a torch checkpoint.", "Copy or download it again.", str(error)
        ) from error
    return PickledModel(
        tensors,
        found.stated,
        isinstance(root, Object),
        tuple(sorted(machine.names)),
        tuple(sorted(name for name in machine.names if not _PLAIN.fullmatch(name))),
        CHECKSUMS if archive.has_checksums else NO_CHECKSUMS,
    )


def _damaged(name: str, error: BadPickle) -> UnreadableCheckpoint:
    return UnreadableCheckpoint(
        f"{name} is damaged or not a torch checkpoint: {error}.", "Copy or download it again."
    )


class _Walk:
    """Turns a replayed object into names and tensors, and the claims into stretches of the file."""

    def __init__(self, name: str, archive: TorchArchive) -> None:
        self.stated: dict[str, int | float | bool] = {}
        self._name = name
        self._archive = archive
        self._tensors: dict[int, Stored] = {}  # of each claim: a parameter under two names is one tensor
        self._same: dict[tuple[Any, ...], Stored] = {}  # what two claims describe alike is one tensor too
        self._claims: list[Claim] = []  # keeps them alive, so that their ids stay theirs
        self._taken: dict[str, list[tuple[int, int]]] = {}  # storage → byte ranges in use
        self._named_bytes = 0
        self._count = 0
        self._visits = 0

    def content(self, root: Any, skip: Collection[str] = ()) -> dict[str, Any]:
        """A module's parameters and buffers by name; a dictionary's entries, nested dictionaries and modules alike."""
        if isinstance(root, Object):
            return self._of_module(root, "", 0)
        if isinstance(root, dict):
            return self._of_dict(root, 0, skip)
        raise BadPickle("it holds neither a model nor a dictionary of tensors")

    def _visit(self, depth: int) -> None:
        """Two dictionaries in each of sixty levels, shared, are 2^60 names: whatever is walked is counted."""
        self._visits += 1
        if depth > MAX_DEPTH or self._visits > MAX_VISITS:
            raise BadPickle("its object tree is deeper or wider than a model's can be")

    def _of_dict(self, values: dict[str, Any], depth: int, skip: Collection[str] = ()) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in values.items():
            self._visit(depth)
            if key in skip:
                out[key] = None
            elif isinstance(value, Claim):
                out[key] = self._tensor(value)
            elif isinstance(value, dict):
                out[key] = self._of_dict(value, depth + 1)
            elif isinstance(value, Object):
                out[key] = self._of_module(value, f"{key}.", depth + 1) if "_modules" in value.state else None
            else:
                out[key] = value if isinstance(value, int | float | str | None) else None
        return out

    def _of_module(self, module: Object, prefix: str, depth: int) -> dict[str, Stored]:
        self._visit(depth)
        self._state(module.state, prefix)
        passing = module.state.get("_non_persistent_buffers_set")
        left_out = set(_texts(passing))
        out: dict[str, Stored] = {}
        for place in ("_parameters", "_buffers"):
            for name, value in _mapping(module.state, place).items():
                if isinstance(value, Claim) and not (place == "_buffers" and name in left_out):
                    out[prefix + name] = self._tensor(value)
        for name, child in _mapping(module.state, "_modules").items():
            if isinstance(child, Object):
                out.update(self._of_module(child, f"{prefix}{name}.", depth + 1))
        return out

    def _state(self, state: dict[str, Any], prefix: str) -> None:
        """Keep the numbers that a module, or the config it carries, says of itself. Never a text: those hold paths."""
        settings = state.get("config")
        for path, values in ((prefix, state), (f"{prefix}config.", getattr(settings, "state", settings))):
            if isinstance(values, dict):
                self.stated.update(
                    (path + key, value) for key, value in values.items() if isinstance(value, int | float)
                )
        if len(self.stated) > MAX_STATED:
            raise BadPickle("its object tree is larger than a model's can be")

    def _tensor(self, claim: Claim) -> Stored:
        """One tensor. The whole of all of them is bounded by the file, however often it is named."""
        self._count += 1
        if self._count > MAX_TENSORS:
            raise BadPickle("it names more tensors than a model has")
        if id(claim) not in self._tensors:
            alike = (claim.storage.key, claim.offset, claim.size, claim.stride, claim.dtype)
            if alike not in self._same:
                self._same[alike] = self._stored(claim)
            self._tensors[id(claim)] = self._same[alike]
            self._claims.append(claim)
        tensor = self._tensors[id(claim)]
        self._named_bytes += _numbers(claim.size) * claim.dtype.itemsize
        if self._named_bytes > MAX_SHARING * self._archive.file.size:
            raise UnsafeFile(
                f"{self._name} names the same numbers over and over, as if it held more than it does.",
                "Get the checkpoint from its authors.",
            )
        return tensor

    def _stored(self, claim: Claim) -> Stored:
        """Where a tensor lies, held against its storage; its numbers are checked when they are read."""
        storage, item = claim.storage, claim.dtype.itemsize
        if storage.dtype is not None and storage.dtype != claim.dtype:
            raise BadPickle("a tensor and its storage differ in kind")
        begin, held = self._archive.place(storage)
        if storage.count * (item if storage.dtype is not None else 1) > held:
            raise BadPickle(f"storage {storage.key[:40]!r} claims more numbers than there are")
        if 0 in claim.size:
            return Stored(claim.size, claim.dtype, lambda: torch.empty(claim.size, dtype=claim.dtype))
        span = sum((n - 1) * step for n, step in zip(claim.size, claim.stride, strict=True)) + 1
        if (claim.offset + span) * item > held:
            raise BadPickle("a tensor reaches beyond its storage")
        if _numbers(claim.size) > span or not _is_one_to_one(claim.size, claim.stride):
            raise UnsafeFile(
                f"A tensor of {self._name} claims more numbers than it holds.",
                "Get the checkpoint from its authors.",
            )
        first, end = claim.offset * item, (claim.offset + span) * item
        self._take(storage.key, first, end)
        archive = self._archive

        def read() -> Tensor:
            try:
                archive.check(storage.key)
            except BadPickle as error:
                raise _damaged(self._name, error) from error
            return archive.file.tensor(begin + first, claim.dtype, claim.size, claim.stride)

        return Stored(claim.size, claim.dtype, read, lambda: archive.file.let_go(begin + first, end - first))

    def _take(self, key: str, start: int, end: int) -> None:
        """Book a byte range of a storage. Raises UnsafeFile where it lies over another tensor's."""
        taken = self._taken.setdefault(key, [])
        at = bisect.bisect(taken, (start, end))
        if (at and taken[at - 1][1] > start) or (at < len(taken) and taken[at][0] < end):
            raise UnsafeFile(
                f"Two tensors of {self._name} lie over each other.", "Get the checkpoint from its authors."
            )
        taken.insert(at, (start, end))


def _numbers(size: tuple[int, ...]) -> int:
    count = 1
    for n in size:
        count *= n
    return count


def _is_one_to_one(size: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Does every index have a number of its own? True of whatever slicing and turning make of one tensor."""
    reach = 1
    for step, n in sorted((step, n) for n, step in zip(size, stride, strict=True) if n > 1):
        if step < reach:
            return False
        reach = step * (n - 1) + reach
    return True


def _mapping(state: dict[str, Any], name: str) -> dict[str, Any]:
    value = state.get(name)
    return value if isinstance(value, dict) else {}


def _texts(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
