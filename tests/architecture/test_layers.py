"""Laws 1 to 3 and the import half of law 10: rooms only look down, no Qt below, widgets paint, no torch in a window.

Statically by import-linter, whose contracts are in pyproject.toml, and in fresh interpreters, which also see what
third-party packages bring along.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOMS, ROOT, imported, product_files, run_child

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"

BREACHES = {  # a file that breaks one law → the contract that must say so
    "layers": ("jepa_core/breach.py", "import sessions"),
    "layers between siblings": ("widgets/breach.py", "import sessions.schema"),
    "no-qt-below": ("sessions/breach.py", "def late():\n    import PySide6.QtCore"),
    "widgets-paint": ("widgets/breach.py", "import jepa_core.engine"),
    "headless": ("console/pipeline.py", "import console.bridge"),
    "window-without-torch": ("console/bridge.py", "import jepa_core.engine"),
}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LINT, "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=100)


def test_every_import_contract_is_kept():
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 broken" in result.stdout


@pytest.mark.parametrize("law", BREACHES)
def test_the_contracts_notice_a_breach(law: str, tmp_path: Path):
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    name, line = BREACHES[law]
    with (tmp_path / name).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")

    result = lint_imports(tmp_path)

    assert result.returncode == 1, f"nobody noticed {line!r} in {name}"
    assert " 1 broken" in result.stdout or " 2 broken" in result.stdout, result.stdout


def test_the_core_opens_nothing_by_being_imported():
    assert not (ROOT / "jepa_core/__init__.py").read_text(encoding="utf-8").strip()
    assert run_child("import jepa_core, sys; print('numpy' in sys.modules)").strip() == "False"


def test_widgets_bring_no_torch_no_files_and_no_decoder():
    loaded = run_child(
        "import importlib, pkgutil, sys, widgets\n"
        "for module in pkgutil.walk_packages(widgets.__path__, 'widgets.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(*sorted({'torch', 'h5py', 'cv2', 'av', 'safetensors'} & set(sys.modules)))\n"
    )
    assert loaded.split() == []


def test_the_process_of_the_window_never_imports_torch():
    loaded = run_child(
        "import importlib, sys\n"
        "import console.app, console.main_window, console.pipeline, console.bridge\n"
        "print(*sorted({'torch', 'transformers', 'vispy'} & set(sys.modules)))\n"
    )
    assert loaded.split() == []


def test_the_lower_rooms_run_where_qt_and_pyav_are_not_installed():
    """jepa_core and sessions, every module, with Qt, PyAV and platformdirs made unimportable."""
    run_child(
        "import importlib, importlib.abc, pkgutil, sys\n"
        "ABSENT = {'PySide6', 'shiboken6', 'pyqtgraph', 'vispy', 'av', 'platformdirs'}\n"
        "class Absent(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name.partition('.')[0] in ABSENT:\n"
        "            raise ImportError(f'{name} is not there in this test')\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import jepa_core, sessions\n"
        "for room in (jepa_core, sessions):\n"
        "    for module in pkgutil.walk_packages(room.__path__, room.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
    )


def test_opencv_is_imported_in_one_place():
    places = {
        path for path in product_files() for _, name in imported(path) if name.partition(".")[0] == "cv2"
    }
    assert places == {Path("jepa_core/cv.py")}


def test_opencv_leaves_no_qt_paths_in_the_environment():
    names = run_child(
        "import os\nfrom jepa_core.cv import cv2\n"
        "print(*[name for name in ('QT_QPA_PLATFORM_PLUGIN_PATH', 'QT_QPA_FONTDIR') if name in os.environ])\n"
    )
    assert names.split() == []


def test_torch_lives_in_the_core_only():
    places = {
        path.parts[0]
        for path in product_files()
        for _, name in imported(path)
        if name.split(".")[0] == "torch"
    }
    assert places <= {"jepa_core"}
