"""Settings as TOML text: parsed with an error that helps, found by line, changed in place, written.

Knows text, not settings. Standard library only.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from jepa_core.errors import ConfigError


def parse(text: str, path: Path) -> dict[str, Any]:
    """The tables of a TOML text. Raises ConfigError with the file, the line and what is wrong."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path}: not valid TOML: {error}.", "Correct that line; texts stand in quotes."
        ) from error


def line_of(text: str, section: str, name: str) -> int:
    """Where a key stands in TOML text, 1-based; 0 when it is written in a way not searched for."""
    inside = ""
    for number, line in enumerate(text.splitlines(), start=1):
        heading = re.match(r"\s*\[\s*([\w.\-]+)\s*\]", line)
        if heading:
            inside = heading.group(1)
        elif inside == section and re.match(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=", line):
            return number
    return 0


def with_value(lines: list[str], key: str, value: str) -> list[str]:
    """The lines with "section.key" set to a written value; other lines and comments stay."""
    section, name = key.split(".")
    number = line_of("\n".join(lines), section, name)
    if number:
        return [*lines[: number - 1], f"{name} = {value}", *lines[number:]]
    for index, line in enumerate(lines):
        if re.match(rf"\s*\[\s*{re.escape(section)}\s*\]", line):
            return [*lines[: index + 1], f"{name} = {value}", *lines[index + 1 :]]
    return [*lines, *([""] if lines else []), f"[{section}]", f"{name} = {value}"]


def written(value: Any) -> str:
    """A bool, number, text or tuple of texts as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # a TOML basic string escapes as JSON does
    if isinstance(value, tuple):
        return "[" + ", ".join(written(item) for item in value) + "]"
    return repr(value)
