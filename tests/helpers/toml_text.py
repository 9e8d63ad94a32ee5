"""Plain values as TOML text, enough of it to write a changed copy of a file that tomllib read."""

from __future__ import annotations

import json
from typing import Any


def written(values: dict[str, Any]) -> str:
    """Every key on its own line, tables as inline tables; tomllib reads the same values back."""
    return "\n".join(f"{json.dumps(key)} = {_value(value)}" for key, value in values.items()) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
