"""One file and one line: what lies in a folder of extensions is in its registry, and its checks exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

# folder → (module with the registry, its names, files that are not extensions)
FOLDERS = {
    "jepa_core/families": ("jepa_core.registry", ("FAMILIES", "DRILL_FAMILIES"), {"base"}),
    "sessions/sources": ("sessions.sources.registry", ("SCHEMES",), {"base", "registry"}),
    "widgets/overlays": ("widgets.overlays.base", ("OVERLAYS",), {"base"}),
}
CHECKS = ("family", "source", "panel", "signal", "overlay", "action", "event_kind")


def registered(module: str, tables: tuple[str, ...]) -> dict[str, str]:
    room = importlib.import_module(module)
    return {name: target for table in tables for name, target in getattr(room, table).items()}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_of_an_extension_folder_has_its_line(folder: str):
    module, tables, others = FOLDERS[folder]
    lines = {target.partition(":")[0].rpartition(".")[2] for target in registered(module, tables).values()}
    files = {path.stem for path in (ROOT / folder).glob("*.py")} - others - {"__init__"}
    assert files == lines


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_line_of_a_registry_leads_to_something(folder: str):
    module, tables, _ = FOLDERS[folder]
    for target in registered(module, tables).values():
        place, _, name = target.partition(":")
        assert hasattr(importlib.import_module(place), name), target


@pytest.mark.parametrize("kind", CHECKS)
def test_every_extension_point_has_its_check(kind: str):
    sources = [path.read_text(encoding="utf-8") for path in Path(ROOT, "tests").rglob("test_*.py")]
    assert any(re.search(rf"def test_every_{kind}\w*\(", text) for text in sources)
