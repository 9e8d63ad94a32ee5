"""Opens checkpoint files without trusting them. Nothing in a file is ever executed.

Torch zip files are read with `weights_only` and mapped into memory, so the optimizer (the larger half) is never
materialised; safetensors are read by name. Anything that would need code to open is refused.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from jepa_core import (
    cjepa_file,
    ebjepa_file,
    hugging_face,
    hugging_face_ijepa,
    lewm_file,
    mapped,
    pickled_objects,
)
from jepa_core.design import Config, Stored, WeightFile
from jepa_core.errors import UnreadableCheckpoint, UnsafeFile

PARTS = ("encoder", "target_encoder", "ema_encoder", "predictor")
UNUSED = {"opt", "optimizer", "scaler", "epoch", "loss", "batch_size", "world_size", "lr", "itr", "step"}
MAX_SHARING = 4  # times the file's size that its tensors may claim together: some share theirs by right
OLD_PARTS = {"state_encoder": "proprio_encoder"}  # of JEPA-WMs
PREFIXES = ("module.", "backbone.", "_orig_mod.")  # data-parallel, multi-mask and compile wrappers

LetGo = Callable[[Tensor], None]
"""Gives back the memory that reading a tensor took; only the reader that mapped it knows how."""

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def weights_path(path: Path) -> Path:
    """The file that holds the tensors: the path itself, or `model.safetensors` of a Hugging Face folder."""
    if not path.exists():
        raise UnreadableCheckpoint(f"{path} does not exist.", "Check the path.")
    if not path.is_dir():
        return path
    found = path / "model.safetensors"
    if found.is_file():
        return found
    if (path / "model.safetensors.index.json").is_file():
        raise UnreadableCheckpoint(
            f"{path.name} is split into several files, which this version does not read.",
            "Save the model with a larger max_shard_size, as one model.safetensors.",
        )
    raise UnreadableCheckpoint(
        f"{path.name} is a folder without model.safetensors.",
        "Choose the checkpoint file itself, or a Hugging Face folder with config.json and model.safetensors.",
    )


def open_weights(path: Path, config: Config) -> WeightFile:
    """Open a file or Hugging Face folder. Raises UnsafeFile or UnreadableCheckpoint; reads no weight."""
    file = weights_path(path)
    if file.suffix == ".safetensors":
        return _sort_flat(path.name, _open_safetensors(file), config)
    content = _open_torch(file)
    if isinstance(content, pickled_objects.PickledModel):
        opened = sort_content(path.name, content.tensors, config, content.let_go)
        return replace(opened, stated=content.stated, foreign=content.names)
    return sort_content(path.name, content, config, mapped.let_go)


def sort_content(
    name: str, content: Mapping[str, Any], config: Config, let_go: LetGo = lambda tensor: None
) -> WeightFile:
    """Parts and tensors of what a file of that name holds. Raises UnreadableCheckpoint where it holds no tensor."""
    if any(part in content and isinstance(content[part], Mapping) for part in PARTS):
        return _sort_parts(name, content, config, let_go)
    model = content.get(ebjepa_file.MODEL)
    if isinstance(model, Mapping) and ebjepa_file.is_ebjepa(model):
        stored = {key: _stored(value, let_go) for key, value in model.items() if isinstance(value, Tensor)}
        beside = [key for key in content if key != ebjepa_file.MODEL]
        return ebjepa_file.to_parts(name, stored, config, beside)
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        for inner in content.values():  # one dictionary deep: "state_dict", "model_state_dict", …
            if isinstance(inner, Mapping):
                tensors.update((key, value) for key, value in inner.items() if isinstance(value, Tensor))
    if not tensors:
        raise UnreadableCheckpoint(f"{name} holds no tensors.", "Choose a checkpoint file.")
    return _sort_flat(name, {key: _stored(value, let_go) for key, value in tensors.items()}, config)


def strip_prefixes(name: str) -> str:
    """A parameter's own name, without the wrappers the training loop put around it."""
    stripped = True
    while stripped:
        stripped = False
        for prefix in PREFIXES:
            if name.startswith(prefix):
                name, stripped = name[len(prefix) :], True
    return name


# --- readers -----------------------------------------------------------------------------------------------------


def _open_torch(file: Path) -> Mapping[str, Any] | pickled_objects.PickledModel:
    try:
        with file.open("rb") as stream:
            head = stream.read(4)
    except OSError as error:
        raise UnreadableCheckpoint(
            f"{file.name} cannot be read.", "Check the path and permissions.", str(error)
        ) from error
    if head[:1] == b"\x80" and not zipfile.is_zipfile(file):
        raise UnsafeFile(
            f"{file.name} is a plain pickle, which can run code when opened. It was not opened.",
            "Ask for the file saved by torch.save (1.6 or newer) as a dictionary of tensors.",
        )
    if not zipfile.is_zipfile(file):
        is_cut = head == b"PK\x03\x04"
        raise UnreadableCheckpoint(
            f"{file.name} is {'cut off: its end is missing' if is_cut else 'not a checkpoint file'}.",
            "Copy or download it again." if is_cut else "Choose a .pt, .pth.tar or .safetensors file.",
        )
    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        taken = pickled_objects.read(file)
        if taken.is_module or "state_dict" in taken.tensors:  # the two layouts that are released this way
            return taken
        raise UnsafeFile(
            f"{file.name} holds pickled code besides tensors. It was not run.",
            "Ask for the file as a state dict: a dictionary of tensors.",
            _named_globals(file) or str(error),
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UnreadableCheckpoint(
            f"{file.name} is damaged or not a torch checkpoint.", "Copy or download it again.", str(error)
        ) from error
    if not isinstance(content, Mapping):
        raise UnreadableCheckpoint(
            f"{file.name} holds no dictionary of tensors.", "Choose a checkpoint file."
        )
    _check_claims(content, file)
    return content


def _check_claims(content: Mapping[str, Any], file: Path) -> None:
    """A few bytes can be described as a tensor of any size, and named any number of times: refuse before it is copied."""
    claimed, most = 0, MAX_SHARING * file.stat().st_size
    layers: list[Any] = [content, *(value for value in content.values() if isinstance(value, Mapping))]
    for tensor in (value for layer in layers for value in layer.values() if isinstance(value, Tensor)):
        size = tensor.numel() * tensor.element_size()
        claimed += size
        if size > tensor.untyped_storage().nbytes() or claimed > most:
            raise UnsafeFile(
                f"{file.name} claims more numbers than it holds: its tensors lie over each other.",
                "Get the checkpoint from its authors.",
            )


def _named_globals(file: Path) -> str:
    """The names the pickle asks for, read from its opcodes without running them."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(str(file))
    except (AttributeError, RuntimeError, ValueError, pickle.UnpicklingError, OSError):
        return ""  # only a detail for the log; the refusal stands without it
    return "asks for " + ", ".join(names)


def _open_safetensors(file: Path) -> dict[str, Stored]:
    try:
        with safe_open(file, framework="pt") as opened:
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118  not a dict
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            dtypes = {name: part.get_dtype() for name, part in slices.items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise UnreadableCheckpoint(
            f"{file.name} is damaged, cut off or not a safetensors file.",
            "Copy or download it again.",
            str(error),
        ) from error

    def reader(name: str) -> Any:
        def read() -> Tensor:
            with safe_open(file, framework="pt") as opened:
                return opened.get_tensor(name)

        return read

    return {
        name: Stored(shape, _DTYPES.get(dtypes[name], torch.float32), reader(name))
        for name, shape in shapes.items()
    }


def _stored(tensor: Tensor, let_go: LetGo) -> Stored:
    """A tensor of a mapped torch file."""
    return Stored(tuple(tensor.shape), tensor.dtype, lambda: tensor, lambda: let_go(tensor))


# --- sorting -----------------------------------------------------------------------------------------------------


def _sort_parts(name: str, content: Mapping[str, Any], config: Config, let_go: LetGo) -> WeightFile:
    """The official layout: one dictionary of tensors per part."""
    parts: dict[str, dict[str, Stored]] = {}
    ignored, leftover = [], []
    wrappers: set[str] = set()
    for key, value in content.items():
        if key in UNUSED:
            ignored.append(key)
        elif isinstance(value, Mapping) and any(isinstance(v, Tensor) for v in value.values()):
            tensors: dict[str, Stored] = {}
            for full, tensor in value.items():
                short = strip_prefixes(full)
                if not isinstance(tensor, Tensor) or short in tensors:
                    leftover.append(f"{key}/{full}")
                else:
                    tensors[short] = _stored(tensor, let_go)
            wrappers.update(prefix for prefix in PREFIXES for full in value if prefix in full)
            parts[OLD_PARTS.get(key, key)] = tensors
        elif isinstance(value, Tensor):
            leftover.append(key)
        else:
            ignored.append(key)
    return WeightFile(name, "official", parts, tuple(ignored), tuple(leftover), config, frozenset(wrappers))


def _sort_flat(name: str, tensors: Mapping[str, Stored], config: Config) -> WeightFile:
    """One flat dictionary: a Hugging Face model, a whole world model, or a bare encoder's state dict."""
    if ebjepa_file.is_ebjepa(tensors):
        return ebjepa_file.to_parts(name, tensors, config)
    if lewm_file.is_lewm(tensors):
        return lewm_file.to_parts(name, tensors, config)
    if cjepa_file.is_cjepa(tensors):
        return cjepa_file.to_parts(name, tensors, config)
    if hugging_face.is_vjepa2(tensors):
        return hugging_face.to_official(name, tensors, config)
    if hugging_face_ijepa.is_ijepa(tensors, config):
        return hugging_face_ijepa.to_official(name, tensors, config)
    stripped: dict[str, Stored] = {}
    twice = []
    for key, value in tensors.items():
        if strip_prefixes(key) in stripped:
            twice.append(key)
        stripped.setdefault(strip_prefixes(key), value)
    is_encoder = any(key.startswith("patch_embed.") for key in stripped)
    parts = {"encoder": stripped} if is_encoder else {"": dict(tensors)}
    wrappers = frozenset(prefix for prefix in PREFIXES for key in tensors if prefix in key)
    return WeightFile(name, "flat", parts, (), tuple(twice) if is_encoder else (), config, wrappers)
