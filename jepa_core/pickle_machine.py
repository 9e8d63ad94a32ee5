"""Replays a pickle on plain data: no class is looked up, no function called, nothing imported.

`pickletools` splits a pickle into its instructions; the machine here carries them out on dictionaries, lists and name
tags. What a file calls for becomes a tag that remembers its name; only the few calls that describe tensors and
containers give what they would have given. Every instruction torch does not write ends the reading.
"""

from __future__ import annotations

import io
import pickletools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

MAX_INSTRUCTIONS = 2_000_000  # a model of 1,000 tensors needs about 150,000
MAX_AXES = 8
MAX_NAME = 300  # characters
MOST_KEY = 1 << 63  # a number for a key, as optimizers have them


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Parts of Python that no model needs and that take over a machine when called. The tags would be harmless; a file that
# names them is not a checkpoint gone astray but an attack, and is refused as one.
_RUNS_CODE = _words(
    "os posix nt sys subprocess importlib runpy socket shutil ctypes pty code codeop commands webbrowser pickle _pickle "
    "cloudpickle dill marshal pip urllib timeit bdb pdb cProfile profile imp zipimport"
)
_BUILTINS = ("builtins", "__builtin__")
_HARMLESS_BUILTINS = _words(
    "set frozenset object getattr slice range complex bytearray bytes str int float bool list dict tuple type print "
    "property super staticmethod classmethod Exception ValueError"
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

_LITERALS = _words(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING BINBYTES "
    "SHORT_BINBYTES BINBYTES8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8"
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
_PUTS = _words("PUT BINPUT LONG_BINPUT MEMOIZE")
_GETS = _words("GET BINGET LONG_BINGET")
_ARGUMENTS = _words("GLOBAL PROTO FRAME")
_MACHINE = _words(
    "STACK_GLOBAL MARK POP POP_MARK DUP TUPLE TUPLE1 TUPLE2 TUPLE3 LIST FROZENSET APPEND APPENDS ADDITEMS SETITEM "
    "SETITEMS DICT BUILD NEWOBJ NEWOBJ_EX REDUCE BINPERSID"
)


@dataclass(frozen=True, slots=True)
class Name:
    """A class or function the file names. Never looked up."""

    path: str


@dataclass(slots=True, eq=False)
class Object:
    """An instance of something named. `state` is what its pickle would have restored."""

    kind: str
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    key: str
    dtype: torch.dtype | None  # None = bytes without a type of their own
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """A tensor as the file describes it; checked against its storage before anything is made of it."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


class _Mark:
    """Where a list of arguments begins on the stack."""


class BadPickle(Exception):
    """Not what torch.save writes; the sentence for a person is made at the door."""


class Machine:
    """Replays a pickle's instructions on plain data. Every instruction it does not know ends the reading."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        try:
            for count, (code, argument, _) in enumerate(pickletools.genops(io.BytesIO(data))):
                if count > MAX_INSTRUCTIONS:
                    raise BadPickle("its object tree is larger than a model's can be")
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
            raise BadPickle("its object tree cannot be read") from error
        raise BadPickle("its object tree has no end")

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
            raise BadPickle(f"it holds the instruction {code}, which torch never writes")

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
        if len(path) > MAX_NAME:
            raise ValueError("a name too long to be one")
        self.names.add(path)
        self._stack.append(Name(path))

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
        """Parameters have names. What lies under another key is kept too, under a name that no parameter has."""
        target = self._stack[-1]
        place = target.state if isinstance(target, Object) else target
        if isinstance(place, dict):
            place.update((_key(key), value) for key, value in _pairs(pairs))

    def _dict(self) -> None:
        pairs = self._since_mark()
        self._stack.append({_key(key): value for key, value in _pairs(pairs)})

    def _build(self) -> None:
        state = self._pop()
        target = self._stack[-1]
        if isinstance(state, tuple) and len(state) == 2:
            state = state[0] if isinstance(state[0], dict) else state[1]  # (attributes, slots)
        if isinstance(target, Object) and isinstance(state, dict):
            target.state.update(state)

    def _newobj(self) -> None:
        self._pop()
        self._stack.append(Object(_kind(self._pop())))

    def _newobj_ex(self) -> None:
        self._pop(), self._pop()
        self._stack.append(Object(_kind(self._pop())))

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


def _key(key: Any) -> str:
    """A text for every key: hashing the others could be made to take forever (equal hashes, tuples of tuples)."""
    if isinstance(key, str):
        return key
    if isinstance(key, int) and -MOST_KEY < key < MOST_KEY:
        return f"key {int(key)}"
    return "key of another kind"


def _kind(called: Any) -> str:
    return called.path if isinstance(called, Name) else ""


def _made(kind: str, arguments: tuple[Any, ...]) -> Any:
    """What a call would have made, for the few calls that carry data; a tag for every other."""
    if kind == "collections.OrderedDict":
        pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
        return {_key(pair[0]): pair[1] for pair in pairs if isinstance(pair, tuple | list) and len(pair) == 2}
    if kind in ("builtins.set", "__builtin__.set", "builtins.frozenset", "__builtin__.frozenset"):
        return arguments[0] if arguments and isinstance(arguments[0], list) else []
    if kind == "torch._utils._rebuild_tensor_v2":
        return _claim(arguments, arguments[0].dtype if arguments else None)
    if kind == "torch._utils._rebuild_tensor_v3":
        return _claim(arguments, arguments[6] if len(arguments) > 6 else None)
    if kind in ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"):
        return arguments[0]
    if kind.startswith("torch._utils._rebuild"):
        raise BadPickle(f"it holds a tensor of a kind this reader does not know ({kind})")
    return Object(kind)


def _storage(persistent: Any) -> Storage:
    tag, kind, key, _, count = persistent
    if tag != "storage" or not isinstance(key, str) or not _is_count(count):
        raise ValueError("not a storage")
    module, _, name = _kind(kind).rpartition(".")
    if module in ("torch", "torch.storage") and name == "UntypedStorage":
        return Storage(key, None, count)
    if module != "torch" or name not in _STORAGES:
        raise BadPickle(f"it holds numbers of a kind this reader does not know ({_kind(kind)})")
    return Storage(key, _STORAGES[name], count)


def _claim(arguments: tuple[Any, ...], dtype: Any) -> Claim:
    storage, offset, size, stride = arguments[:4]
    if isinstance(dtype, Name):
        known = _DTYPES.get(dtype.path.removeprefix("torch."))
        if known is None:
            raise BadPickle(f"it holds numbers of a kind this reader does not know ({dtype.path[:40]})")
        dtype = known
    sizes = (*size, *stride, offset)
    if not (
        isinstance(storage, Storage)
        and isinstance(dtype, torch.dtype)
        and isinstance(size, tuple)
        and isinstance(stride, tuple)
        and len(size) == len(stride) <= MAX_AXES
        and all(_is_count(value) for value in sizes)
    ):
        raise ValueError("not a tensor")
    return Claim(storage, offset, size, stride, dtype)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < sys.maxsize


def runs_code(name: str) -> bool:
    """Is this the name of something that takes over a machine when called?"""
    module, _, attribute = name.rpartition(".")
    if module in _BUILTINS:
        return attribute not in _HARMLESS_BUILTINS
    return module.split(".")[0] in _RUNS_CODE
