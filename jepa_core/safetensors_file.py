"""A .safetensors file opened as data: a table of names, kinds, shapes and places, then the numbers, mapped in place.

Everything the table claims is held against the file before a number is looked at. The format has no check sums: a
weight that was changed on the way cannot be told from the file itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from jepa_core.design import Stored
from jepa_core.errors import UnreadableCheckpoint
from jepa_core.mapped import MappedFile
from jepa_core.plain_text import BadText, read_json

MAX_TABLE_BYTES = 8_000_000  # the largest released model's has 0.2 MB
MAX_AXES = 8
CHECKSUMS = "none: this format has none, so only the sha256 can tell whether a weight was changed"

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int  # bytes behind the table
    end: int


def read(file: Path) -> dict[str, Stored]:
    """Every tensor by its name; none is read yet. Raises UnreadableCheckpoint, in one sentence."""
    try:
        mapped = MappedFile(file)
        table, begin = _table(mapped)
        entries = [_entry(name, claim) for name, claim in table.items() if name != "__metadata__"]
        _check_places(entries, mapped.size - begin)
    except _Bad as error:
        raise UnreadableCheckpoint(
            f"{file.name} is damaged or not a safetensors file: {error}.", "Copy or download it again."
        ) from error
    except (OSError, ValueError) as error:
        raise UnreadableCheckpoint(
            f"{file.name} is damaged, cut off or not a safetensors file.",
            "Copy or download it again.",
            str(error),
        ) from error
    return {
        entry.name: Stored(
            entry.shape,
            entry.dtype,
            partial(mapped.tensor, begin + entry.start, entry.dtype, entry.shape),
            partial(mapped.let_go, begin + entry.start, entry.end - entry.start),
        )
        for entry in entries
    }


class _Bad(Exception):
    """What is wrong, as the end of a sentence."""


def _table(mapped: MappedFile) -> tuple[Mapping[str, Any], int]:
    """The table, and the byte at which the numbers begin."""
    if mapped.size < 8:
        raise _Bad("it is cut off")
    length = int.from_bytes(mapped.view(0, 8), "little")
    if length > mapped.size - 8:
        raise _Bad(f"its table claims {length} bytes, the file has {mapped.size}")
    if length > MAX_TABLE_BYTES:
        raise _Bad("its table is larger than a model's can be")
    try:
        table = read_json(bytes(mapped.view(8, length)).decode("utf-8"), MAX_TABLE_BYTES)
    except UnicodeDecodeError as error:
        raise _Bad("its table is not text") from error
    except BadText as error:
        raise _Bad(f"its table {error.what}") from error
    if not isinstance(table, Mapping):
        raise _Bad("its table holds no tensors")
    return table, 8 + length


def _entry(name: str, claim: Any) -> _Entry:
    shown = repr(name[:80])
    if not isinstance(claim, Mapping) or set(claim) != {"dtype", "shape", "data_offsets"}:
        raise _Bad(f"its table says of {shown} what no tensor is")
    kind, shape, places = claim["dtype"], claim["shape"], claim["data_offsets"]
    if not isinstance(kind, str) or kind not in _DTYPES:
        raise _Bad(f"{shown} holds numbers of a kind this reader does not know ({str(kind)[:20]!r})")
    if not (_are_counts(shape) and len(shape) <= MAX_AXES and _are_counts(places) and len(places) == 2):
        raise _Bad(f"its table gives {shown} a shape or a place that is none")
    start, end = places
    bytes_claimed = math.prod(shape) * _DTYPES[kind].itemsize
    if end - start != bytes_claimed:
        raise _Bad(f"{shown} claims {bytes_claimed} bytes and has {end - start}")
    return _Entry(name, _DTYPES[kind], tuple(shape), start, end)


def _check_places(entries: list[_Entry], size: int) -> None:
    """One behind another, without holes and without lying over each other, to the end of the file."""
    at = 0
    for entry in sorted(entries, key=lambda entry: (entry.start, entry.end)):
        if entry.start < at:
            raise _Bad(f"{entry.name[:80]!r} lies over another tensor")
        if entry.start > at:
            raise _Bad(f"{entry.start - at} bytes before {entry.name[:80]!r} belong to no tensor")
        at = entry.end
    if at > size:
        raise _Bad(f"it is cut off: {at - size} bytes are missing")
    if at < size:
        raise _Bad(f"{size - at} bytes at its end belong to no tensor")


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62 for value in values
    )
