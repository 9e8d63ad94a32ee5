"""From what a person dropped or typed to what the loader takes: a file or a folder, and the config meant with it.

A folder of a hub, LeWorldModel's folder of `weights.pt` and `config.json`, a config file that stands for the folder it
lies in. Decides by names alone, as a person would; whether a file is what its name says is for the loader to find out.
Standard library only: the window's process asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WEIGHTS = (".pt", ".pth", ".pth.tar", ".ckpt", ".safetensors")
"""Endings of the released files."""

OTHER_MODELS = {  # endings of files that hold a model of some other kind → what they are
    ".bin": "a file of another program",
    ".gguf": "a GGUF file of a language model",
    ".keras": "a Keras model",
    ".mlmodel": "a Core ML model",
    ".msgpack": "a Flax checkpoint",
    ".onnx": "an ONNX graph",
    ".pb": "a TensorFlow graph",
    ".pickle": "a plain pickle",
    ".pkl": "a plain pickle",
    ".pt2": "an exported torch program",
    ".tar": "a tar archive",
    ".tflite": "a TensorFlow Lite model",
    ".zip": "a zip archive",
}
CONFIGS = (".yaml", ".yml")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
_HUB = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_WEIGHTS_OF_FOLDER = ("weights.pt", "model.pt", "latest.pt")  # tried in this order


@dataclass(frozen=True, slots=True)
class Meant:
    """What the loader is to be given."""

    path: Path
    config: Path | None = None  # None: what lies beside it


def is_weights(name: str) -> bool:
    """Is it named like a released checkpoint file?"""
    return name.lower().endswith(WEIGHTS) or name in _HUB


def is_config(name: str) -> bool:
    """Is it named like what lies beside a checkpoint: config.json, params.yaml, vitl.params.yaml?"""
    lower = name.lower()
    return lower == "config.json" or lower.endswith(CONFIGS)


def other_model(name: str) -> str:
    """What a file of that ending is, where it is a model of another kind; else empty."""
    return "" if is_weights(name) else OTHER_MODELS.get(Path(name).suffix.lower(), "")


def is_meant_as_checkpoint(path: Path) -> bool:
    """Would a person call this a checkpoint: a weights file, its config, a folder that holds either?"""
    if is_weights(path.name) or is_config(path.name) or other_model(path.name):
        return True
    if not path.is_dir():
        return False
    return (path / "config.json").is_file() or (not _has_pictures(path) and bool(weights_in(path)))


def meant_by(path: Path) -> Meant:
    """The file or folder to load. What cannot be decided is handed on as it is: the loader says what is wrong."""
    if path.is_dir():
        return Meant(_of_folder(path) or path)
    if is_config(path.name) and not path.is_dir():
        found = _named_by(path) or _of_folder(path.parent)
        if found is not None:
            is_own = path.name == "config.json" and found in (path.parent, path.parent / "weights.pt")
            return Meant(found, None if is_own else path)
    return Meant(path)


def _named_by(config: Path) -> Path | None:
    """The weights that a config belongs to by its name: vitl.params.yaml to vitl.pt."""
    stem = config.name.split(".")[0]
    found = [path for path in weights_in(config.parent) if path.name.split(".")[0] == stem]
    return found[0] if len(found) == 1 else None


def _of_folder(folder: Path) -> Path | None:
    """A hub's folder as a whole, else the only file of weights in it, else the one that is usually meant."""
    if any((folder / name).is_file() for name in _HUB):
        return folder
    found = weights_in(folder)
    if len(found) == 1:
        return found[0]
    return next((path for name in _WEIGHTS_OF_FOLDER for path in found if path.name == name), None)


def _has_pictures(folder: Path) -> bool:
    """A folder of pictures is a source, whatever else lies in it."""
    return any(path.suffix.lower() in PICTURES for path in folder.iterdir())


def weights_in(folder: Path) -> list[Path]:
    """The files of a folder that are named like weights, in the order of their names; empty where it cannot be read."""
    try:
        found = (path for path in folder.iterdir() if is_weights(path.name) and path.suffix != ".json")
        return sorted(path for path in found if path.is_file())
    except OSError:
        return []  # the loader says why it cannot be read
