"""Takes the tensors out of a pickled model object without running anything of it.

Some released files (`*_object.ckpt` of LeWorldModel and C-JEPA) are a whole Python object, whose ordinary opening runs
whatever the file names. Here the pickle is read as data (`pickle_machine`): no class is looked up, no function is
called, nothing is imported. Follows `specs/lewm-cjepa.md`, section 5.

Memory is bounded before anything is built: stored (never compressed) zip entries only, limits on the size and the
number of instructions, tensors are views into the mapped file and must lie inside their storage and not over each
other.
"""

from __future__ import annotations

import bisect
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jepa_core.errors import UnreadableCheckpoint, UnsafeFile
from jepa_core.pickle_machine import BadPickle, Claim, Machine, Object, runs_code
from jepa_core.torch_archive import TorchArchive

MAX_TENSORS = 20_000
MAX_STATED = 200_000  # settings of objects
MAX_DEPTH = 64  # modules inside modules; the deepest released model has 9
MAX_SHARING = 2  # times the file's size that all names together may claim


@dataclass(frozen=True, slots=True)
class PickledModel:
    """What was taken out of a file."""

    tensors: Mapping[str, Any]  # "encoder.layernorm.weight" → tensor; of a dictionary, as it is nested there
    stated: Mapping[str, int | float | bool]  # the objects' own settings: "predictor.….attn.heads" → 16
    is_module: bool  # the file is one object; else a dictionary with foreign objects in it
    names: tuple[str, ...]  # everything the file asks for, replaced by tags: "jepa.JEPA", "builtins.getattr"
    let_go: Callable[[Tensor], None]  # give back the memory that reading one of `tensors` took


def read(file: Path) -> PickledModel:
    """The tensors of a pickled module, or of a dictionary with foreign objects in it.

    Raises UnsafeFile for a file that names code no model needs, or claims more than it holds; UnreadableCheckpoint for
    a damaged one.
    """
    try:
        archive = TorchArchive(file)
        machine = Machine()
        root = machine.run(archive.pickle())
        hostile = sorted(name for name in machine.names if runs_code(name))
        if hostile:
            raise UnsafeFile(
                f"{file.name} asks to run {hostile[0]}, which no model needs. Nothing was run and nothing was loaded.",
                "Do not open this file with other programs. Get the checkpoint from its authors.",
                "asks for " + ", ".join(sorted(machine.names)),
            )
        found = _Walk(archive)
        tensors = found.content(root)
    except BadPickle as error:
        raise UnreadableCheckpoint(
            f"{file.name} is damaged or not a torch checkpoint: {error}.", "Copy or download it again."
        ) from error
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
        tensors, found.stated, isinstance(root, Object), tuple(sorted(machine.names)), archive.let_go
    )


class _Walk:
    """Turns a replayed object into names and tensors, and the claims into views of the file."""

    def __init__(self, archive: TorchArchive) -> None:
        self.stated: dict[str, int | float | bool] = {}
        self._archive = archive
        self._tensors: dict[int, Tensor] = {}  # of each claim: a parameter under two names is one tensor
        self._claims: list[Claim] = []  # keeps them alive, so that their ids stay theirs
        self._taken: dict[str, list[tuple[int, int]]] = {}  # storage → byte ranges in use
        self._named_bytes = 0
        self._count = 0

    def content(self, root: Any) -> dict[str, Any]:
        """A module's parameters and buffers by name; a dictionary's entries, nested dictionaries and modules alike."""
        if isinstance(root, Object):
            return self._of_module(root, "", 0)
        if isinstance(root, dict):
            return self._of_dict(root, 0)
        raise BadPickle("it holds neither a model nor a dictionary of tensors")

    def _of_dict(self, values: dict[str, Any], depth: int) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise BadPickle("its object tree is deeper than a model's can be")
        out: dict[str, Any] = {}
        for key, value in values.items():
            if isinstance(value, Claim):
                out[key] = self._tensor(value)
            elif isinstance(value, dict):
                out[key] = self._of_dict(value, depth + 1)
            elif isinstance(value, Object):
                out[key] = self._of_module(value, f"{key}.", depth + 1) if "_modules" in value.state else None
            else:
                out[key] = value if isinstance(value, int | float | str | None) else None
        return out

    def _of_module(self, module: Object, prefix: str, depth: int) -> dict[str, Tensor]:
        if depth > MAX_DEPTH:
            raise BadPickle("its object tree is deeper than a model's can be")
        self._state(module.state, prefix)
        passing = module.state.get("_non_persistent_buffers_set")
        left_out = set(_texts(passing))
        out: dict[str, Tensor] = {}
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

    def _tensor(self, claim: Claim) -> Tensor:
        """A view into the file. The whole of all views is bounded by the file, however often it is named."""
        self._count += 1
        if self._count > MAX_TENSORS:
            raise BadPickle("it names more tensors than a model has")
        if id(claim) not in self._tensors:
            self._tensors[id(claim)] = self._view(claim)
            self._claims.append(claim)
        tensor = self._tensors[id(claim)]
        self._named_bytes += tensor.numel() * tensor.element_size()
        if self._named_bytes > MAX_SHARING * self._archive.file_bytes:
            raise UnsafeFile(
                "The file names the same numbers over and over, as if it held more than it does.",
                "Get the checkpoint from its authors.",
            )
        return tensor

    def _view(self, claim: Claim) -> Tensor:
        storage, item = claim.storage, claim.dtype.itemsize
        if storage.dtype is not None and storage.dtype != claim.dtype:
            raise BadPickle("a tensor and its storage differ in kind")
        raw = self._archive.storage(storage)
        held = len(raw) // item
        if storage.count * (item if storage.dtype is not None else 1) > len(raw):
            raise BadPickle(f"storage {storage.key[:40]!r} claims more numbers than there are")
        if 0 in claim.size:
            return torch.empty(claim.size, dtype=claim.dtype)
        span = sum((n - 1) * step for n, step in zip(claim.size, claim.stride, strict=True)) + 1
        count = 1
        for n in claim.size:
            count *= n
        if claim.offset + span > held:
            raise BadPickle("a tensor reaches beyond its storage")
        if count > span:
            raise UnsafeFile(
                "A tensor of this file claims more numbers than it holds.",
                "Get the checkpoint from its authors.",
            )
        start, end = claim.offset * item, (claim.offset + span) * item
        self._take(storage.key, start, end)
        own: Any = raw[start:end]
        if torch.frombuffer(own, dtype=torch.uint8).data_ptr() % item:
            own = bytearray(own)  # torch wants numbers on their own boundaries
        flat = torch.frombuffer(own, dtype=claim.dtype, count=span)
        return torch.as_strided(flat, claim.size, claim.stride)

    def _take(self, key: str, start: int, end: int) -> None:
        """Book a byte range of a storage. Raises UnsafeFile where it lies over another tensor's."""
        taken = self._taken.setdefault(key, [])
        at = bisect.bisect(taken, (start, end))
        if (at and taken[at - 1][1] > start) or (at < len(taken) and taken[at][0] < end):
            raise UnsafeFile(
                "Two tensors of this file lie over each other.", "Get the checkpoint from its authors."
            )
        taken.insert(at, (start, end))


def _mapping(state: dict[str, Any], name: str) -> dict[str, Any]:
    value = state.get(name)
    return value if isinstance(value, dict) else {}


def _texts(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
