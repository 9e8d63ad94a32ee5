"""Takes the tensors out of a pickled model object without running anything of it.

Some released files (`*_object.ckpt` of LeWorldModel and C-JEPA) are a whole Python object, whose ordinary opening runs
whatever the file names. Here the pickle is read as data: `pickletools` splits it into its instructions, and a small
machine replays them on dictionaries, lists and name tags. No class is looked up, no function is called, nothing is
imported; what a file calls for becomes a tag that remembers its name. Follows `specs/lewm-cjepa.md`, section 5.

Memory is bounded before anything is built: stored (never compressed) zip entries only, limits on the size and the
number of instructions, tensors are views into the mapped file and must lie inside their storage and not over each
other.
"""

from __future__ import annotations

import bisect
import io
import mmap
import pickletools
import struct
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jepa_core.errors import UnreadableCheckpoint, UnsafeFile

MAX_PICKLE_BYTES = 8_000_000  # a model of 1,000 tensors needs about 0.5 MB
MAX_INSTRUCTIONS = 2_000_000
MAX_TENSORS = 20_000
MAX_ENTRIES = 40_000  # files inside the zip
MAX_DEPTH = 64  # modules inside modules; the deepest released model has 9
MAX_AXES = 8

# Parts of Python that no model needs and that take over a machine when called. The tags would be harmless; a file that
# names them is not a checkpoint gone astray but an attack, and is refused as one.
_RUNS_CODE = frozenset(
    [
        "os",
        "posix",
        "nt",
        "sys",
        "subprocess",
        "importlib",
        "runpy",
        "socket",
        "shutil",
        "ctypes",
        "pty",
        "code",
        "codeop",
        "commands",
        "webbrowser",
        "pickle",
        "_pickle",
        "cloudpickle",
        "dill",
        "marshal",
        "pip",
        "urllib",
        "timeit",
        "bdb",
        "pdb",
        "cProfile",
        "profile",
        "imp",
        "zipimport",
    ]
)
_BUILTINS = ("builtins", "__builtin__")
_HARMLESS_BUILTINS = frozenset(
    [
        "set",
        "frozenset",
        "object",
        "getattr",
        "slice",
        "range",
        "complex",
        "bytearray",
        "bytes",
        "str",
        "int",
        "float",
        "bool",
        "list",
        "dict",
        "tuple",
        "type",
        "print",
        "property",
        "super",
        "staticmethod",
        "classmethod",
        "Exception",
        "ValueError",
        "NotImplementedError",
    ]
)

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in _STORAGES.values()}


@dataclass(frozen=True, slots=True)
class PickledModel:
    """What was taken out of a file."""

    tensors: Mapping[str, Any]  # "encoder.layernorm.weight" → tensor; of a dictionary, as it is nested there
    stated: Mapping[str, int | float | bool]  # the objects' own settings: "predictor.….attn.heads" → 16
    is_module: bool  # the file is one object; else a dictionary with foreign objects in it
    names: tuple[str, ...]  # everything the file asks for, replaced by tags: "jepa.JEPA", "builtins.getattr"


@dataclass(frozen=True, slots=True)
class _Name:
    """A class or function the file names. Never looked up."""

    path: str


@dataclass(slots=True, eq=False)
class _Object:
    """An instance of something named. `state` is what its pickle would have restored."""

    kind: str
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Storage:
    key: str
    dtype: torch.dtype | None  # None = bytes without a type of their own
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class _Claim:
    """A tensor as the file describes it; checked against its storage before anything is made of it."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


class _Mark:
    """Where a list of arguments begins on the stack."""


class _BadPickle(Exception):
    """Not what torch.save writes; the sentence for a person is made at the door."""


def read(file: Path) -> PickledModel:
    """The tensors of a pickled module, or of a dictionary with foreign objects in it.

    Raises UnsafeFile for a file that names code no model needs, or claims more than it holds; UnreadableCheckpoint for
    a damaged one.
    """
    try:
        archive = _Archive(file)
        machine = _Machine()
        root = machine.run(archive.pickle())
        hostile = sorted(name for name in machine.names if _runs_code(name))
        if hostile:
            raise UnsafeFile(
                f"{file.name} asks to run {hostile[0]}, which no model needs. Nothing was run and nothing was loaded.",
                "Do not open this file with other programs. Get the checkpoint from its authors.",
                "asks for " + ", ".join(sorted(machine.names)),
            )
        found = _Walk(archive)
        tensors = found.content(root)
    except _BadPickle as error:
        raise UnreadableCheckpoint(
            f"{file.name} is damaged or not a torch checkpoint: {error}.", "Copy or download it again."
        ) from error
    except (zipfile.BadZipFile, EOFError, OSError, struct.error, NotImplementedError, OverflowError) as error:
        raise UnreadableCheckpoint(
            f"{file.name} is damaged or not a torch checkpoint.", "Copy or download it again.", str(error)
        ) from error
    return PickledModel(tensors, found.stated, isinstance(root, _Object), tuple(sorted(machine.names)))


def _runs_code(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    if module in _BUILTINS:
        return attribute not in _HARMLESS_BUILTINS
    return module.split(".")[0] in _RUNS_CODE


# --- the zip ---------------------------------------------------------------------------------------------------------


class _Archive:
    """A torch zip file: one pickle, and the bytes of each storage, mapped and never copied."""

    def __init__(self, file: Path) -> None:
        self.file_bytes = file.stat().st_size
        with zipfile.ZipFile(file) as opened:
            entries = opened.infolist()
            if len(entries) > MAX_ENTRIES:
                raise _BadPickle(f"{len(entries)} files in one checkpoint")
            self._entries = {entry.filename: entry for entry in entries}
            self._check(entries)
            pickles = [name for name in self._entries if name.endswith("/data.pkl") and name.count("/") == 1]
            if len(pickles) != 1:
                raise _BadPickle(f"{len(pickles)} data.pkl in it")
            self._root = pickles[0].removesuffix("data.pkl")
            if self._entries[pickles[0]].file_size > MAX_PICKLE_BYTES:
                raise _BadPickle("its object tree is larger than a model's can be")
            self._pickle = opened.read(pickles[0])
            order = self._entries.get(self._root + "byteorder")
            if order is not None and (order.file_size > 8 or opened.read(order) != b"little"):
                raise _BadPickle("its numbers are not stored little-endian")
        with file.open("rb") as stream:
            self._bytes = mmap.mmap(
                stream.fileno(), 0, access=mmap.ACCESS_COPY
            )  # ours alone; writes reach no disk

    def _check(self, entries: list[zipfile.ZipInfo]) -> None:
        """Torch stores without compressing; so what is claimed can never exceed what is there."""
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise _BadPickle("it is compressed, which torch never does")
        if sum(entry.file_size for entry in entries) > self.file_bytes:
            raise _BadPickle("it claims more bytes than it has")
        if len(self._entries) != len(entries):
            raise _BadPickle("two of its entries have the same name")

    def pickle(self) -> bytes:
        return self._pickle

    def storage(self, claim: _Storage) -> memoryview:
        """The bytes of one storage, in place."""
        entry = self._entries.get(f"{self._root}data/{claim.key}")
        if entry is None:
            raise _BadPickle(f"the numbers of storage {claim.key[:40]!r} are missing")
        head = self._bytes[entry.header_offset : entry.header_offset + 30]
        if len(head) < 30 or head[:4] != b"PK\x03\x04":
            raise _BadPickle("its table of contents points nowhere")
        name_length, extra_length = struct.unpack("<HH", head[26:30])
        start = entry.header_offset + 30 + name_length + extra_length
        if start + entry.file_size > self.file_bytes:
            raise _BadPickle("it is cut off")
        return memoryview(self._bytes)[start : start + entry.file_size]


# --- the pickle ------------------------------------------------------------------------------------------------------


class _Machine:
    """Replays a pickle's instructions on plain data. Every instruction it does not know ends the reading."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        try:
            for count, (code, argument, _) in enumerate(pickletools.genops(io.BytesIO(data))):
                if count > MAX_INSTRUCTIONS:
                    raise _BadPickle("its object tree is larger than a model's can be")
                if code.name == "STOP":
                    return self._pop()
                self._do(code.name, argument)
        except (
            ValueError,
            IndexError,
            KeyError,
            TypeError,
            AttributeError,
            UnicodeError,
            RecursionError,
        ) as error:
            raise _BadPickle("its object tree cannot be read") from error
        raise _BadPickle("its object tree has no end")

    def _do(self, code: str, argument: Any) -> None:
        if code in _LITERALS:
            self._stack.append(argument)
        elif code in _CONSTANTS:
            self._stack.append(_CONSTANTS[code]())
        elif code in _PUTS:
            self._memo[len(self._memo) if code == "MEMOIZE" else argument] = self._stack[-1]
        elif code in _GETS:
            self._stack.append(self._memo[argument])
        elif code in _ARGUMENTS:
            getattr(self, f"_{code.lower()}")(argument)
        elif code in _MACHINE:
            getattr(self, f"_{code.lower()}")()
        else:
            raise _BadPickle(f"it holds the instruction {code}, which torch never writes")

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _Mark:
            raise ValueError("a mark where a value should be")
        return value

    def _since_mark(self) -> list[Any]:
        for i in range(len(self._stack) - 1, -1, -1):
            if self._stack[i] is _Mark:
                values = self._stack[i + 1 :]
                del self._stack[i:]
                return values
        raise ValueError("no mark")

    # instructions with an argument

    def _global(self, argument: str) -> None:
        module, _, attribute = argument.partition(" ")
        self._named(module, attribute)

    def _proto(self, argument: int) -> None:
        """Nothing to do: every protocol is read the same way."""

    def _frame(self, argument: int) -> None:
        """Nothing to do: frames only help a stream's reader."""

    # instructions on the stack alone

    def _stack_global(self) -> None:
        attribute, module = self._pop(), self._pop()
        if not (isinstance(attribute, str) and isinstance(module, str)):
            raise ValueError("a name that is no text")
        self._named(module, attribute)

    def _named(self, module: str, attribute: str) -> None:
        path = f"{module}.{attribute}"
        if len(path) > 300:
            raise ValueError("a name too long to be one")
        self.names.add(path)
        self._stack.append(_Name(path))

    def _mark(self) -> None:
        self._stack.append(_Mark)

    def _pop_mark(self) -> None:
        self._since_mark()

    def _dup(self) -> None:
        self._stack.append(self._stack[-1])

    def _tuple(self) -> None:
        self._stack.append(tuple(self._since_mark()))

    def _tuple1(self) -> None:
        self._stack.append((self._pop(),))

    def _tuple2(self) -> None:
        last, first = self._pop(), self._pop()
        self._stack.append((first, last))

    def _tuple3(self) -> None:
        third, second, first = self._pop(), self._pop(), self._pop()
        self._stack.append((first, second, third))

    def _list(self) -> None:
        self._stack.append(self._since_mark())

    def _frozenset(self) -> None:
        self._stack.append(self._since_mark())

    def _append(self) -> None:
        value = self._pop()
        self._extend([value])

    def _appends(self) -> None:
        self._extend(self._since_mark())

    def _additems(self) -> None:
        self._extend(self._since_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(values)  # what a tag collects is of no use to anybody

    def _setitem(self) -> None:
        value, key = self._pop(), self._pop()
        self._fill([key, value])

    def _setitems(self) -> None:
        self._fill(self._since_mark())

    def _fill(self, pairs: list[Any]) -> None:
        """Only text keys are kept: parameters have names, and hashing foreign keys could be made to take forever."""
        target = self._stack[-1]
        place = target.state if isinstance(target, _Object) else target
        if isinstance(place, dict):
            place.update((key, value) for key, value in _pairs(pairs) if isinstance(key, str))

    def _dict(self) -> None:
        pairs = self._since_mark()
        self._stack.append({key: value for key, value in _pairs(pairs) if isinstance(key, str)})

    def _build(self) -> None:
        state = self._pop()
        target = self._stack[-1]
        if isinstance(state, tuple) and len(state) == 2:
            state = state[0] if isinstance(state[0], dict) else state[1]  # (attributes, slots)
        if isinstance(target, _Object) and isinstance(state, dict):
            target.state.update(state)

    def _newobj(self) -> None:
        self._pop()
        self._stack.append(_Object(_kind(self._pop())))

    def _newobj_ex(self) -> None:
        self._pop(), self._pop()
        self._stack.append(_Object(_kind(self._pop())))

    def _reduce(self) -> None:
        arguments, called = self._pop(), self._pop()
        if not isinstance(arguments, tuple):
            raise ValueError("arguments that are no tuple")
        self._stack.append(_made(_kind(called), arguments))

    def _binpersid(self) -> None:
        self._stack.append(_storage(self._pop()))


def _pairs(flat: list[Any]) -> Iterator[tuple[Any, Any]]:
    if len(flat) % 2:
        raise ValueError("a key without a value")
    return zip(flat[::2], flat[1::2], strict=True)


def _kind(called: Any) -> str:
    return called.path if isinstance(called, _Name) else ""


def _made(kind: str, arguments: tuple[Any, ...]) -> Any:
    """What a call would have made, for the few calls that carry data; a tag for every other."""
    if kind == "collections.OrderedDict":
        pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
        return {
            pair[0]: pair[1]
            for pair in pairs
            if isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str)
        }
    if kind in ("builtins.set", "__builtin__.set", "builtins.frozenset", "__builtin__.frozenset"):
        return arguments[0] if arguments and isinstance(arguments[0], list) else []
    if kind == "torch._utils._rebuild_tensor_v2":
        return _claim(arguments, arguments[0].dtype if arguments else None)
    if kind == "torch._utils._rebuild_tensor_v3":
        return _claim(arguments, arguments[6] if len(arguments) > 6 else None)
    if kind in ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"):
        return arguments[0]
    if kind.startswith("torch._utils._rebuild"):
        raise _BadPickle(f"it holds a tensor of a kind this reader does not know ({kind})")
    return _Object(kind)


def _storage(persistent: Any) -> _Storage:
    tag, kind, key, _, count = persistent
    if tag != "storage" or not isinstance(key, str) or not _is_count(count):
        raise ValueError("not a storage")
    module, _, name = _kind(kind).rpartition(".")
    if module in ("torch", "torch.storage") and name == "UntypedStorage":
        return _Storage(key, None, count)
    if module != "torch" or name not in _STORAGES:
        raise _BadPickle(f"it holds numbers of a kind this reader does not know ({_kind(kind)})")
    return _Storage(key, _STORAGES[name], count)


def _claim(arguments: tuple[Any, ...], dtype: Any) -> _Claim:
    storage, offset, size, stride = arguments[:4]
    if isinstance(dtype, _Name):
        dtype = _DTYPES.get(dtype.path.removeprefix("torch."))
    sizes = (*size, *stride, offset)
    if not (
        isinstance(storage, _Storage)
        and isinstance(dtype, torch.dtype)
        and isinstance(size, tuple)
        and isinstance(stride, tuple)
        and len(size) == len(stride) <= MAX_AXES
        and all(_is_count(value) for value in sizes)
    ):
        raise ValueError("not a tensor")
    return _Claim(storage, offset, size, stride, dtype)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < sys.maxsize


_LITERALS = frozenset(
    [
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "UNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
    ]
)
_CONSTANTS: Mapping[str, Any] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}
_PUTS = frozenset(["PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"])
_GETS = frozenset(["GET", "BINGET", "LONG_BINGET"])
_ARGUMENTS = frozenset(["GLOBAL", "PROTO", "FRAME"])
_MACHINE = frozenset(
    [
        "STACK_GLOBAL",
        "MARK",
        "POP",
        "POP_MARK",
        "DUP",
        "TUPLE",
        "TUPLE1",
        "TUPLE2",
        "TUPLE3",
        "LIST",
        "FROZENSET",
        "APPEND",
        "APPENDS",
        "ADDITEMS",
        "SETITEM",
        "SETITEMS",
        "DICT",
        "BUILD",
        "NEWOBJ",
        "NEWOBJ_EX",
        "REDUCE",
        "BINPERSID",
    ]
)


# --- from objects to tensors -----------------------------------------------------------------------------------------


class _Walk:
    """Turns a replayed object into names and tensors, and the claims into views of the file."""

    def __init__(self, archive: _Archive) -> None:
        self.stated: dict[str, int | float | bool] = {}
        self._archive = archive
        self._tensors: dict[int, Tensor] = {}  # of each claim: a parameter under two names is one tensor
        self._claims: list[_Claim] = []  # keeps them alive, so that their ids stay theirs
        self._taken: dict[str, list[tuple[int, int]]] = {}  # storage → byte ranges in use
        self._named_bytes = 0
        self._count = 0

    def content(self, root: Any) -> dict[str, Any]:
        """A module's parameters and buffers by name; a dictionary's entries, nested dictionaries and modules alike."""
        if isinstance(root, _Object):
            return self._of_module(root, "", 0)
        if isinstance(root, dict):
            return self._of_dict(root, 0)
        raise _BadPickle("it holds neither a model nor a dictionary of tensors")

    def _of_dict(self, values: dict[str, Any], depth: int) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise _BadPickle("its object tree is deeper than a model's can be")
        out: dict[str, Any] = {}
        for key, value in values.items():
            if isinstance(value, _Claim):
                out[key] = self._tensor(value)
            elif isinstance(value, dict):
                out[key] = self._of_dict(value, depth + 1)
            elif isinstance(value, _Object):
                out[key] = self._of_module(value, f"{key}.", depth + 1) if "_modules" in value.state else None
            else:
                out[key] = value if isinstance(value, int | float | str | None) else None
        return out

    def _of_module(self, module: _Object, prefix: str, depth: int) -> dict[str, Tensor]:
        if depth > MAX_DEPTH:
            raise _BadPickle("its object tree is deeper than a model's can be")
        self._state(module.state, prefix)
        passing = module.state.get("_non_persistent_buffers_set")
        left_out = set(_texts(passing))
        out: dict[str, Tensor] = {}
        for place in ("_parameters", "_buffers"):
            for name, value in _mapping(module.state, place).items():
                if isinstance(value, _Claim) and not (place == "_buffers" and name in left_out):
                    out[prefix + name] = self._tensor(value)
        for name, child in _mapping(module.state, "_modules").items():
            if isinstance(child, _Object):
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
        if len(self.stated) > MAX_INSTRUCTIONS:
            raise _BadPickle("its object tree is larger than a model's can be")

    def _tensor(self, claim: _Claim) -> Tensor:
        """A view into the file. The whole of all views is bounded by the file, however often it is named."""
        self._count += 1
        if self._count > MAX_TENSORS:
            raise _BadPickle("it names more tensors than a model has")
        if id(claim) not in self._tensors:
            self._tensors[id(claim)] = self._view(claim)
            self._claims.append(claim)
        tensor = self._tensors[id(claim)]
        self._named_bytes += tensor.numel() * tensor.element_size()
        if self._named_bytes > 2 * self._archive.file_bytes:
            raise UnsafeFile(
                "The file names the same numbers over and over, as if it held more than it does.",
                "Get the checkpoint from its authors.",
            )
        return tensor

    def _view(self, claim: _Claim) -> Tensor:
        storage, item = claim.storage, claim.dtype.itemsize
        if storage.dtype is not None and storage.dtype != claim.dtype:
            raise _BadPickle("a tensor and its storage differ in kind")
        raw = self._archive.storage(storage)
        held = len(raw) // item
        if storage.count * (item if storage.dtype is not None else 1) > len(raw):
            raise _BadPickle(f"storage {storage.key[:40]!r} claims more numbers than there are")
        if 0 in claim.size:
            return torch.empty(claim.size, dtype=claim.dtype)
        span = sum((n - 1) * step for n, step in zip(claim.size, claim.stride, strict=True)) + 1
        count = 1
        for n in claim.size:
            count *= n
        if claim.offset + span > held:
            raise _BadPickle("a tensor reaches beyond its storage")
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
