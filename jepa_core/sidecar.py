"""Finds and reads what lies beside a checkpoint: its training parameters and its card. Data only, never code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jepa_core.design import Config
from jepa_core.errors import ConfigDiffers
from jepa_core.plain_text import MAX_JSON_BYTES, MAX_YAML_BYTES, BadText, read_json, read_yaml


def find_config(checkpoint: Path, explicit: Path | None = None) -> Config:
    """The config of a checkpoint file or folder: the one asked for, else the one beside it, else none.

    Order: explicit; `<stem>.params.yaml`, `<stem>.yaml`; the only `params*.yaml` of the folder, or of several the one
    the official launcher writes; `config.json`; `config.yaml`. Raises ConfigDiffers where it cannot be read or chosen.
    """
    path = explicit if explicit is not None else _beside(checkpoint)
    if path is None:
        return Config()
    return Config(values=_read_mapping(path), source=path.name)


def read_card(checkpoint: Path) -> Mapping[str, Any]:
    """`<stem>.card.json` beside a checkpoint, or an empty mapping."""
    path = checkpoint.with_name(checkpoint.stem + ".card.json")
    return _read_mapping(path) if path.is_file() else {}


def _beside(checkpoint: Path) -> Path | None:
    if checkpoint.is_dir():
        found = checkpoint / "config.json"
        return found if found.is_file() else None
    folder, stem = checkpoint.parent, checkpoint.name.split(".")[0]
    named = [
        f"{checkpoint.stem}.params.yaml",
        f"{stem}.params.yaml",
        f"{checkpoint.stem}.yaml",
        f"{stem}.yaml",
    ]
    for name in named:
        if (folder / name).is_file():
            return folder / name
    general = sorted(p for p in folder.glob("params*") if p.suffix in (".yaml", ".yml") and p.is_file())
    for preferred in ("params-pretrain.yaml", "params.yaml"):
        if folder / preferred in general:
            return folder / preferred
    if len(general) > 1:
        raise ConfigDiffers(
            f"{checkpoint.name}: {len(general)} configs lie beside it ({', '.join(p.name for p in general)}).",
            "Choose one with --config.",
        )
    if general:
        return general[0]
    last = (folder / name for name in ("config.json", "config.yaml"))
    return next((path for path in last if path.is_file()), None)


def _read_mapping(path: Path) -> Mapping[str, Any]:
    is_json = path.suffix == ".json"
    try:
        values = _read_text(path, is_json=is_json)
    except OSError as error:
        raise ConfigDiffers(f"The config {path} cannot be read.", "Check the path.", str(error)) from error
    except BadText as error:
        where = f", line {error.line}," if error.line else ""
        raise ConfigDiffers(
            f"{path.name}{where} {error.what}.",
            "Mend the file or choose another with --config.",
            error.detail,
        ) from error
    if not isinstance(values, Mapping):
        raise ConfigDiffers(
            f"{path.name} holds no settings.", "Mend the file or choose another with --config."
        )
    return values


def _read_text(path: Path, *, is_json: bool) -> Any:
    """The file's value. A pipe or a device is no file: it could be endless. Raises BadText or OSError."""
    if not path.is_file() and path.exists():
        raise BadText("is not a file")
    most = MAX_JSON_BYTES if is_json else MAX_YAML_BYTES
    with path.open("rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise BadText("is larger than settings can be")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadText("is not text", 0, str(error)) from error
    return read_json(text) if is_json else read_yaml(text)
