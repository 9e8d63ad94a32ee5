"""Rules of the house that a reader would have to remember otherwise: sizes, prints, colours, unsafe loading, waiting."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, calls, parsed, product_files

LONGEST = 400
LONGER_WITH_REASON = {
    "run.py": "one file, because it runs before anything is installed",
}
TALKS_TO_A_TERMINAL = ("run.py", "main.py", "console/verbs_")
COLOUR = re.compile(r"#[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3}(?:[0-9a-fA-F]{2})?)?\b|\b(?:rgb|hsl)a?\(", re.ASCII)
PAINTS = {"widgets/theme.py", "widgets/colormaps.py"}  # tokens; scientific colour maps, one per meaning


def names(found: list[str]) -> str:
    return "\n".join(found)


def test_a_file_is_one_idea_and_stays_under_400_lines():
    lengths = {
        str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in product_files()
    }
    too_long = [f"{name}: {lines}" for name, lines in lengths.items() if lines > LONGEST]
    assert [line for line in too_long if line.split(":")[0] not in LONGER_WITH_REASON] == []
    assert {line.split(":")[0] for line in too_long} == set(LONGER_WITH_REASON), (
        "an exception nobody needs any more"
    )


def test_every_file_says_what_it_is_for():
    silent = [
        str(path)
        for path in product_files()
        if path.name != "__init__.py" and not ast.get_docstring(parsed(path))
    ]
    assert silent == []


def test_only_the_command_line_prints():
    found = [
        f"{path}:{line}"
        for path in product_files()
        if not str(path).startswith(TALKS_TO_A_TERMINAL)
        for line, name, _ in calls(path)
        if name == "print"
    ]
    assert found == [], names(found)


def test_colours_come_from_the_theme():
    found = []
    for path in product_files():
        if str(path) in PAINTS or path.parts[0] not in ("widgets", "console"):
            continue
        docstrings = {id(node.body[0].value) for node in ast.walk(parsed(path)) if _starts_with_text(node)}
        for node in ast.walk(parsed(path)):
            is_text = (
                isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
            )
            if is_text and COLOUR.search(node.value):
                found.append(f"{path}:{node.lineno}: {node.value!r}")
        for line, name, call in calls(path):
            is_literal = bool(call.args) and all(isinstance(argument, ast.Constant) for argument in call.args)
            if name.rpartition(".")[2] in ("QColor", "mkColor", "mkPen", "mkBrush") and is_literal:
                found.append(f"{path}:{line}: {name}(...)")
        found += [f"{path}:{n.lineno}: a colour of Qt's" for n in ast.walk(parsed(path)) if _is_qt_colour(n)]
    assert found == [], names(found)


def _starts_with_text(node: ast.AST) -> bool:
    body = getattr(node, "body", None)
    return isinstance(body, list) and bool(body) and isinstance(body[0], ast.Expr)


def _is_qt_colour(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "GlobalColor" and node.attr != "transparent"  # fmt: skip


def test_nothing_loads_code_or_half_a_model():
    """Law 9 and `UnsafeFile`: no pickle, no torch.load without weights_only, no strict=False."""
    found = []
    for path in product_files():
        for line, name, call in calls(path):
            keywords = {word.arg: word.value for word in call.keywords}
            is_false = {
                arg
                for arg, value in keywords.items()
                if isinstance(value, ast.Constant) and value.value is False
            }
            is_true = {
                arg
                for arg, value in keywords.items()
                if isinstance(value, ast.Constant) and value.value is True
            }
            if "strict" in is_false and name.endswith("load_state_dict"):
                found.append(f"{path}:{line}: strict=False")
            if name == "torch.load" and "weights_only" not in is_true:
                found.append(f"{path}:{line}: torch.load without weights_only=True")
            if name in (
                "pickle.load",
                "pickle.loads",
                "joblib.load",
                "eval",
                "exec",
                "yaml.load",
                "yaml.unsafe_load",
            ):
                found.append(f"{path}:{line}: {name}")
            if "allow_pickle" in is_true:
                found.append(f"{path}:{line}: allow_pickle=True")
    assert found == [], names(found)


def test_nobody_sleeps_or_spins_the_event_loop():
    """Threads wait on conditions with a cancel token; the GUI thread never re-enters its loop."""
    forbidden = {"time.sleep", "sleep", "QThread.sleep", "QThread.msleep", "QTest.qWait"}
    found = [
        f"{path}:{line}: {name}"
        for path in product_files()
        for line, name, _ in calls(path)
        if name in forbidden or name.endswith("processEvents")
    ]
    assert found == [], names(found)


def test_no_error_is_swallowed_silently():
    found = []
    for path in product_files():
        for node in ast.walk(parsed(path)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            is_wide = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            )
            if is_wide and all(isinstance(line, ast.Pass) for line in node.body):
                found.append(f"{path}:{node.lineno}")
    assert found == [], names(found)


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX", "raise NotImplementedError"])
def test_nothing_is_promised_in_the_source(word: str):
    pattern = re.compile(rf"\b{word}\b")
    found = [
        str(path) for path in product_files() if pattern.search((ROOT / path).read_text(encoding="utf-8"))
    ]
    assert found == []


def test_a_number_in_nanoseconds_never_crosses_as_a_32_bit_signal():
    """Signal(int) mangles a nanosecond stamp; what carries time is Signal(object)."""
    found = []
    for path in product_files():
        for node in ast.walk(parsed(path)):
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
                continue
            is_signal = isinstance(node.value.func, ast.Name) and node.value.func.id == "Signal"
            has_int = any(
                isinstance(argument, ast.Name) and argument.id == "int" for argument in node.value.args
            )
            text = (ROOT / path).read_text(encoding="utf-8").splitlines()[node.lineno - 1]
            if is_signal and has_int and re.search(r"ns\b|time|index|seq", text, re.IGNORECASE):
                found.append(f"{path}:{node.lineno}: {text.strip()}")
    assert found == [], names(found)


def test_every_dock_and_room_has_its_folder():
    assert all(
        (ROOT / room / "__init__.py").exists() for room in ("jepa_core", "sessions", "widgets", "console")
    )
    assert Path(ROOT / "main.py").exists()
