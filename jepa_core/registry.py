"""Which checkpoint families exist: name → "module:Class", as strings, so that importing this imports nothing heavy.

The order is the order of asking in `checkpoint`. `DRILL_FAMILIES` are for tests and drills: they load by name, are
never recognised in a file and never offered to a user.
"""

from __future__ import annotations

import importlib
from typing import Any

FAMILIES: dict[str, str] = {
    "vjepa2": "jepa_core.families.vjepa2:VJepa2",
}

DRILL_FAMILIES: dict[str, str] = {
    "toy": "jepa_core.families.toy:ToyModel",
}


def family(name: str) -> Any:
    """The class behind a family's name. Imports torch; call it in the engine's process only."""
    target = FAMILIES.get(name) or DRILL_FAMILIES[name]
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
