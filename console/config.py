"""Every setting, in three layers: assets/defaults.toml < the user's TOML < the command line.

A tree of frozen dataclasses, built once at the start and handed to whoever needs a part of it. Unknown keys and
values of the wrong kind are ConfigErrors that name the file, the line and the key. Must never import Qt.
"""

from __future__ import annotations

import difflib
import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from console.config_models import APP, ModelsConfig, documents_folder
from console.config_text import line_of, parse, with_value, written
from jepa_core.errors import ConfigError
from jepa_core.messages import EngineOptions
from jepa_core.types import JSON, MaskRule

DEFAULTS = Path(__file__).resolve().parent.parent / "assets" / "defaults.toml"
ENVIRONMENT_VARIABLE = "JEPA_CONSOLE_CONFIG"


@dataclass(frozen=True, slots=True)
class RecordingConfig:
    directory: str
    jpeg_quality: int
    roll_seconds: int
    roll_bytes: int
    budget_bytes: int
    reserve_bytes: int
    near_miss_before_s: float
    near_miss_after_s: float

    @property
    def path(self) -> Path:
        """Where sessions go."""
        return Path(self.directory).expanduser() if self.directory else documents_folder("jepa-sessions")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    device: str
    dtype: str
    clip_frames: int
    stride: int
    metric: str
    threads: int
    heartbeat_deadline_s: float


@dataclass(frozen=True, slots=True)
class MaskConfig:
    kind: str
    predict_steps: int
    generator: str
    seed: int

    @property
    def rule(self) -> MaskRule:
        return MaskRule(
            kind=self.kind, predict_steps=self.predict_steps, generator=self.generator, seed=self.seed
        )


@dataclass(frozen=True, slots=True)
class SourceConfig:
    ring_slots: int
    speed: float
    every_frame: bool


@dataclass(frozen=True, slots=True)
class LookConfig:
    theme: str
    zoom: float
    layers: tuple[str, ...]
    timeline_seconds: float
    single_letter_keys: bool


@dataclass(frozen=True, slots=True)
class PersonConfig:
    operator: str
    role: str

    @property
    def name(self) -> str:
        """Who is named in the record."""
        return self.operator or _login()


@dataclass(frozen=True, slots=True)
class LogConfig:
    directory: str
    level: str
    file_bytes: int
    files: int

    @property
    def path(self) -> Path:
        return (
            Path(self.directory).expanduser()
            if self.directory
            else Path(platformdirs.user_log_dir(APP, appauthor=False))
        )


@dataclass(frozen=True, slots=True)
class Config:
    recording: RecordingConfig
    model: ModelConfig
    models: ModelsConfig
    mask: MaskConfig
    source: SourceConfig
    look: LookConfig
    person: PersonConfig
    log: LogConfig
    origins: Mapping[str, str] = field(
        default_factory=dict, compare=False
    )  # "recording.directory" → where from

    def origin(self, key: str) -> str:
        """Where a value came from: "defaults", a file with its line, or "command line"."""
        return self.origins[key]

    def engine_options(self) -> EngineOptions:
        model = self.model
        return EngineOptions(
            device=model.device,
            dtype=model.dtype,
            clip_frames=model.clip_frames,
            stride=model.stride,
            metric=model.metric,
            mask=self.mask.rule,
            threads=model.threads,
        )

    def as_dict(self) -> dict[str, dict[str, JSON]]:
        """Section → key → value, as JSON: what a session's header keeps."""
        tree: dict[str, dict[str, JSON]] = {}
        for section in _sections():
            part = getattr(self, section)
            tree[section] = {item.name: _json(getattr(part, item.name)) for item in fields(part)}
        return tree


CHOICES: Mapping[str, tuple[str, ...]] = {
    "model.dtype": ("auto", "float32", "bfloat16", "float16"),
    "model.metric": ("auto", "l1", "l2", "smooth_l1", "cosine"),
    "mask.kind": ("future", "multiblock", "region"),
    "mask.generator": ("short", "long"),
    "look.theme": ("dark", "light"),
    "person.role": ("operator", "reviewer"),
    "log.level": ("DEBUG", "INFO", "WARNING", "ERROR"),
}
RANGES: Mapping[str, tuple[float, float]] = {
    "recording.jpeg_quality": (1, 100),
    "recording.roll_seconds": (1, 86_400 * 7),
    "recording.roll_bytes": (1 << 20, 1 << 50),
    "recording.budget_bytes": (1 << 20, 1 << 50),
    "recording.reserve_bytes": (0, 1 << 40),
    "recording.near_miss_before_s": (0, 600),
    "recording.near_miss_after_s": (0, 600),
    "model.clip_frames": (2, 1024),
    "model.stride": (0, 1024),
    "model.threads": (0, 1024),
    "model.heartbeat_deadline_s": (1, 600),
    "models.stall_s": (1, 3600),
    "mask.predict_steps": (1, 512),
    "source.ring_slots": (4, 256),
    "source.speed": (0.05, 16),
    "look.zoom": (0.8, 2.0),
    "look.timeline_seconds": (5, 86_400),
    "log.file_bytes": (1 << 12, 1 << 32),
    "log.files": (1, 100),
}


def load(
    command_line: Mapping[str, Any] | None = None,
    *,
    user_file: Path | None = None,
    defaults_file: Path = DEFAULTS,
) -> Config:
    """The three layers, merged. `command_line` maps "section.key" to a value; None values are left out.

    Raises ConfigError naming file, line and key.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    _take_file(defaults_file, values, origins, "defaults")
    missing = sorted(_known() - values.keys())
    if missing:
        raise ConfigError(f"{defaults_file}: {missing[0]} is missing.", "Restore the file from the release.")
    path = user_file if user_file is not None else user_path()
    if path.exists():
        _take_file(path, values, origins, None)
    elif os.environ.get(ENVIRONMENT_VARIABLE) and user_file is None:
        raise ConfigError(
            f"{path}: no such file, though {ENVIRONMENT_VARIABLE} names it.", "Correct or unset it."
        )
    for key, value in (command_line or {}).items():
        if value is not None:
            _check_key(key, "command line")
            values[key], origins[key] = _checked(key, value, "command line"), "command line"
    parts = {
        section: kind(**{item.name: values[f"{section}.{item.name}"] for item in fields(kind)})
        for section, kind in _sections().items()
    }
    return Config(**parts, origins=origins)


def changed(config: Config, values: Mapping[str, Any], origin: str = "preferences") -> Config:
    """The same with some "section.key" values replaced, checked as if they came from a file."""
    origins = dict(config.origins)
    for key, value in values.items():
        _check_key(key, origin)
        section, name = key.split(".")
        config = replace(
            config, **{section: replace(getattr(config, section), **{name: _checked(key, value, origin)})}
        )
        origins[key] = origin
    return replace(config, origins=origins)


def print_config(config: Config) -> str:
    """Every value and where it came from, one line each, in TOML's own writing."""
    lines = []
    for section in _sections():
        lines.append(f"[{section}]")
        part = getattr(config, section)
        pairs = [
            (f"{item.name} = {written(getattr(part, item.name))}", config.origin(f"{section}.{item.name}"))
            for item in fields(part)
        ]
        width = max(len(text) for text, _ in pairs)
        lines += [f"{text:<{width}}  # {origin}" for text, origin in pairs]
        lines.append("")
    lines.append(f"# your own file: {user_path()}")
    return "\n".join(lines)


def user_path() -> Path:
    """The user's own TOML; may not exist."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return Path(named).expanduser()
    return Path(platformdirs.user_config_dir(APP, appauthor=False)) / "config.toml"


def save_user(values: Mapping[str, Any], path: Path | None = None) -> Path:
    """Write "section.key" values into the user's TOML, leaving its other lines and comments alone.

    Raises ConfigError when the file cannot be written or the result would not read back.
    """
    path = path or user_path()
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    for key, value in values.items():
        _check_key(key, str(path))
        lines = with_value(lines, key, written(_checked(key, value, str(path))))
    text = "\n".join(lines) + "\n"
    parse(text, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_text(text, "utf-8")
        draft.replace(path)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({error.strerror}).", "Check the folder's rights."
        ) from error
    return path


def _sections() -> dict[str, Any]:
    return {
        "recording": RecordingConfig,
        "model": ModelConfig,
        "models": ModelsConfig,
        "mask": MaskConfig,
        "source": SourceConfig,
        "look": LookConfig,
        "person": PersonConfig,
        "log": LogConfig,
    }


def _known() -> set[str]:
    return {f"{section}.{item.name}" for section, kind in _sections().items() for item in fields(kind)}


def _take_file(path: Path, values: dict[str, Any], origins: dict[str, str], origin: str | None) -> None:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read.", "Check its rights and that it is UTF-8 text.", str(error)
        ) from error
    for section, table in parse(text, path).items():
        if not isinstance(table, dict):
            where = f"{path}, line {line_of(text, '', section)}"
            raise ConfigError(f"{where}: {section} stands outside a section.", "Put it under its [section].")
        for name, value in table.items():
            key = f"{section}.{name}"
            where = f"{path}, line {line_of(text, section, name)}"
            _check_key(key, where)
            values[key], origins[key] = _checked(key, value, where), origin or where


def _check_key(key: str, where: str) -> None:
    known = _known()
    if key in known:
        return
    section = key.split(".")[0]
    pool = [name for name in known if name.startswith(section + ".")] or sorted(known)
    near = difflib.get_close_matches(key, pool, 1, 0.5) or difflib.get_close_matches(key, known, 1, 0.4)
    hint = f"Did you mean {near[0]}?" if near else "`--print-config` lists every key."
    raise ConfigError(f"{where}: there is no setting {key}.", hint)


def _checked(key: str, value: Any, where: str) -> Any:
    """The value in the setting's own type, or a ConfigError."""
    section, name = key.split(".")
    kind = {item.name: str(item.type) for item in fields(_sections()[section])}[name]
    if kind == "tuple[str, ...]":
        if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ConfigError(f"{where}: {key} takes a list of texts, not {value!r}.", 'For example ["error"].')
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value).__name__ != kind:
        words = {
            "int": "a whole number",
            "float": "a number",
            "bool": "true or false",
            "str": "a text in quotes",
        }
        raise ConfigError(f"{where}: {key} takes {words[kind]}, not {value!r}.", "Correct that line.")
    if key in CHOICES and value not in CHOICES[key]:
        raise ConfigError(f"{where}: {key} cannot be {value!r}.", f"One of: {', '.join(CHOICES[key])}.")
    if key in RANGES and not RANGES[key][0] <= value <= RANGES[key][1]:
        low, high = RANGES[key]
        raise ConfigError(f"{where}: {key} = {value} is out of range.", f"From {low} to {high}.")
    return value


def _json(value: Any) -> JSON:
    if is_dataclass(value):
        raise TypeError("settings are plain values")
    return list(value) if isinstance(value, tuple) else value


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a passwd entry
        return "operator"
