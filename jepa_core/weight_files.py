"""Opens checkpoint files without trusting them. Nothing in a file is ever executed.

Torch zip files and safetensors are read as data and mapped into memory, tensor by tensor; the optimizer (the larger
half) is never looked at. Anything that would need code to open is refused.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jepa_core import (
    checkpoint_paths,
    cjepa_file,
    ebjepa_file,
    hugging_face,
    hugging_face_ijepa,
    lewm_file,
    pickled_objects,
    safetensors_file,
    weight_folder,
)
from jepa_core.design import Config, Stored, WeightFile
from jepa_core.errors import UnreadableCheckpoint, UnsafeFile

PARTS = ("encoder", "target_encoder", "ema_encoder", "predictor")
UNUSED = {"opt", "optimizer", "scaler", "epoch", "loss", "batch_size", "world_size", "lr", "itr", "step"}
OLD_PARTS = {"state_encoder": "proprio_encoder"}  # of JEPA-WMs
MAX_NAME = 200  # characters of a tensor's name; the longest released one has 92
MAX_AXES = 5  # of a tensor; a clip's patch embedding has most
SEVERAL = "; it is taken of the files one behind another"  # the sha256 of a model in several
PREFIXES = ("module.", "backbone.", "_orig_mod.")  # data-parallel, multi-mask and compile wrappers


def open_weights(path: Path, config: Config) -> WeightFile:
    """Open a file or Hugging Face folder. Raises UnsafeFile or UnreadableCheckpoint; reads no weight."""
    files = weight_folder.files_of(path)
    if len(files) > 1:
        opened = _joined(path, files, config)
    elif files[0].suffix == ".safetensors":
        opened = _sort_flat(path.name, safetensors_file.read(files[0]), config)
        opened = replace(opened, checksums=safetensors_file.CHECKSUMS)
    else:
        taken = _open_torch(files[0])
        opened = sort_content(path.name, taken.tensors, config)
        stated = {**opened.stated, **taken.stated}
        opened = replace(opened, stated=stated, foreign=taken.foreign, checksums=taken.checksums)
    _check_tensors(opened)
    return opened


def _joined(folder: Path, files: tuple[Path, ...], config: Config) -> WeightFile:
    """A model that lies in several files. Raises UnreadableCheckpoint where two hold the same tensor."""
    tensors: dict[str, Stored] = {}
    places: dict[str, str] = {}
    checksums = safetensors_file.CHECKSUMS
    for file in files:
        if file.suffix == ".safetensors":
            found = safetensors_file.read(file)
        else:
            taken = _open_torch(file)
            found, checksums = (
                {k: v for k, v in taken.tensors.items() if isinstance(v, Stored)},
                taken.checksums,
            )
        twice = sorted(found.keys() & tensors.keys())
        if twice:
            raise UnreadableCheckpoint(
                f"{folder.name} holds {twice[0][:80]!r} in two of its files.",
                "Its files belong to different models. Copy or download the folder again.",
            )
        tensors.update(found)
        places.update(dict.fromkeys(found, file.name))
    weight_folder.check_places(folder, places)
    return replace(_sort_flat(folder.name, tensors, config), checksums=checksums + SEVERAL)


def _check_tensors(file: WeightFile) -> None:
    """Names are shown on screens and terminals, shapes decide what is built: both must be what a model can have."""
    tensors = [(name, tensor) for part in file.parts.values() for name, tensor in part.items()]
    for name in (*file.parts, *(name for name, _ in tensors), *file.leftover, *file.ignored):
        if not name.isprintable() or len(name) > MAX_NAME:
            raise UnreadableCheckpoint(
                f"{file.name} holds a tensor whose name is no name: {name[:MAX_NAME]!r}.",
                "Get it from its authors.",
            )
    for name, tensor in tensors:
        if 0 in tensor.shape or len(tensor.shape) > MAX_AXES:
            raise UnreadableCheckpoint(
                f"{file.name} holds a tensor that no model has: {name} of shape {tensor.shape}.",
                "Copy or download it again.",
            )


def sort_content(name: str, content: Mapping[str, Any], config: Config) -> WeightFile:
    """Parts and tensors of what a file of that name holds. Raises UnreadableCheckpoint where it holds no tensor."""
    if any(part in content and isinstance(content[part], Mapping) for part in PARTS):
        return _sort_parts(name, content, config)
    model = content.get(ebjepa_file.MODEL)
    if isinstance(model, Mapping) and ebjepa_file.is_ebjepa(model):
        stored = {key: value for key, value in model.items() if isinstance(value, Stored)}
        beside = [key for key in content if key != ebjepa_file.MODEL]
        return ebjepa_file.to_parts(name, stored, config, beside)
    tensors = {key: value for key, value in content.items() if isinstance(value, Stored)}
    if not tensors:
        for inner in content.values():  # one dictionary deep: "state_dict", "model_state_dict", …
            if isinstance(inner, Mapping):
                tensors.update((key, value) for key, value in inner.items() if isinstance(value, Stored))
    if not tensors:
        raise UnreadableCheckpoint(f"{name} holds no tensors.", "Choose a checkpoint file.")
    return _sort_flat(name, tensors, config)


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


def _open_torch(file: Path) -> pickled_objects.PickledModel:
    """A torch zip file of tensors, or one of the two layouts that are released with foreign objects in them."""
    try:
        with file.open("rb") as stream:
            head = stream.read(4)
        is_zip = zipfile.is_zipfile(file)
    except OSError as error:
        raise UnreadableCheckpoint(
            f"{file.name} cannot be read.", "Check the path and permissions.", str(error)
        ) from error
    if head[:1] == b"\x80" and not is_zip:
        raise UnsafeFile(
            f"{file.name} is a plain pickle, which can run code when opened. It was not opened.",
            "Ask for the file saved by torch.save (1.6 or newer) as a dictionary of tensors.",
        )
    if not is_zip:
        is_cut = head == b"PK\x03\x04"
        other = checkpoint_paths.other_model(file.name)
        kind = f"{other}, not a checkpoint of this kind" if other else "not a checkpoint file"
        raise UnreadableCheckpoint(
            f"{file.name} is {'cut off: its end is missing' if is_cut else kind}.",
            "Copy or download it again." if is_cut else "Choose a .pt, .pth.tar or .safetensors file.",
        )
    taken = pickled_objects.read(file, skip=UNUSED)
    if taken.foreign and not taken.is_module and "state_dict" not in taken.tensors:
        raise UnsafeFile(
            f"{file.name} holds pickled code besides tensors. It was not run.",
            "Ask for the file as a state dict: a dictionary of tensors.",
            "asks for " + ", ".join(taken.foreign),
        )
    return taken


# --- sorting -----------------------------------------------------------------------------------------------------


def _sort_parts(name: str, content: Mapping[str, Any], config: Config) -> WeightFile:
    """The official layout: one dictionary of tensors per part."""
    parts: dict[str, dict[str, Stored]] = {}
    ignored, leftover = [], []
    wrappers: set[str] = set()
    for key, value in content.items():
        if key in UNUSED:
            ignored.append(key)
        elif isinstance(value, Mapping) and any(isinstance(v, Stored) for v in value.values()):
            tensors: dict[str, Stored] = {}
            for full, tensor in value.items():
                short = strip_prefixes(full)
                if not isinstance(tensor, Stored) or short in tensors:
                    leftover.append(f"{key}/{full}")
                else:
                    tensors[short] = tensor
            wrappers.update(prefix for prefix in PREFIXES for full in value if prefix in full)
            parts[OLD_PARTS.get(key, key)] = tensors
        elif isinstance(value, Stored):
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
