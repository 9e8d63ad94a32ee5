"""Writes a torch checkpoint of any size tensor by tensor, so that making gigabytes takes the memory of one tensor.

The same zip that `torch.save` writes: one pickle that names the storages, then their bytes, stored, aligned, with
checksums. Values are drawn from a seed and the tensor's own name, so any one of them can be made again alone.
"""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jepa_core import released

ALIGNMENT = 64  # torch's own; a mapped tensor must lie on its numbers' boundaries
SPREAD = 0.02  # of weights, as the official initialisation


@dataclass(frozen=True)
class Drawn:
    """A float32 tensor still to be written."""

    name: str  # decides its values
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def values(self, seed: int) -> np.ndarray:
        """Norm weights around 1, everything else around 0; never zero, so that a tensor left out is noticed."""
        random = np.random.default_rng([seed, zlib.crc32(self.name.encode())])
        values = random.standard_normal(self.count, dtype=np.float32) * np.float32(SPREAD)
        if "norm" in self.name and self.name.endswith("weight"):
            values += 1
        return values.reshape(self.shape)


def official(name: str) -> dict[str, Any]:
    """What the official training loop saves of a released configuration: all parts, and Adam's two moments of what it
    trains (encoder and predictor)."""
    parts: dict[str, Any] = {
        part: {full: Drawn(f"{part}/{full}", shape) for full, shape in own.items()}
        for part, own in released.shapes(name).items()
    }
    trained = [drawn for part in ("encoder", "predictor") for drawn in parts[part].values()]
    state = {
        number: {
            moment: Drawn(f"opt/{moment}/{drawn.name}", drawn.shape) for moment in ("exp_avg", "exp_avg_sq")
        }
        for number, drawn in enumerate(trained)
    }
    groups = [{"params": list(range(len(trained))), "lr": 1e-4}]
    return {
        "encoder": parts["encoder"],
        "predictor": parts["predictor"],
        "opt": {"state": state, "param_groups": groups},
        "scaler": None,
        "target_encoder": parts["target_encoder"],
        "epoch": 1, "loss": 0.5, "batch_size": 1, "world_size": 1, "lr": 1e-4,
    }  # fmt: skip


def write(path: Path, content: Mapping[str, Any], seed: int = 0) -> int:
    """Write `content`, whose tensors are `Drawn`, and return the file's size in bytes."""
    drawn: list[Drawn] = []
    tree = io.BytesIO()
    _Pickler(tree, drawn).dump(content)
    root = path.stem
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        _add(archive, f"{root}/data.pkl", tree.getvalue())
        _add(archive, f"{root}/byteorder", sys.byteorder.encode())
        for key, one in enumerate(drawn):
            _add(archive, f"{root}/data/{key}", memoryview(one.values(seed)).cast("B"))
        _add(archive, f"{root}/version", b"3\n")
    return path.stat().st_size


@dataclass(frozen=True)
class _Storage:
    key: int
    count: int


class _Tensor:
    """Pickles as a tensor does: the function that rebuilds it, and where its numbers lie."""

    def __init__(self, storage: _Storage, shape: tuple[int, ...]) -> None:
        self._storage, self._shape = storage, shape

    def __reduce__(self) -> tuple[Any, ...]:
        steps = [1]
        for size in reversed(self._shape[1:]):
            steps.append(steps[-1] * size)
        stride = tuple(reversed(steps)) if self._shape else ()
        rebuild = torch._utils._rebuild_tensor_v2
        return rebuild, (self._storage, 0, self._shape, stride, False, OrderedDict())


class _Pickler(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, drawn: list[Drawn]) -> None:
        super().__init__(stream, protocol=2)
        self._drawn = drawn

    def persistent_id(self, value: object) -> Any:
        if isinstance(value, _Storage):
            return ("storage", torch.FloatStorage, str(value.key), "cpu", value.count)
        return None

    def reducer_override(self, value: object) -> Any:
        if not isinstance(value, Drawn):
            return NotImplemented
        self._drawn.append(value)
        return _Tensor(_Storage(len(self._drawn) - 1, value.count), value.shape).__reduce__()


def _add(archive: zipfile.ZipFile, name: str, content: bytes | memoryview) -> None:
    assert archive.fp is not None
    info = zipfile.ZipInfo(name)
    info.file_size = len(content)
    begins = archive.fp.tell() + 30 + len(name) + 4  # a local header, and the head of its one extra field
    fill = -begins % ALIGNMENT
    info.extra = b"FB" + fill.to_bytes(2, "little") + bytes(fill)
    with archive.open(info, "w") as stream:
        stream.write(content)
