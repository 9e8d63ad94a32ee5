"""The program's own source files, parsed once: what the architecture tests look at."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("jepa_core", "sessions", "widgets", "console")


@functools.cache
def product_files() -> tuple[Path, ...]:
    """Every Python file a person runs: the four rooms, main.py and run.py; relative to the root."""
    found = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    found += [ROOT / "main.py", ROOT / "run.py"]
    return tuple(sorted(path.relative_to(ROOT) for path in found))


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))


def calls(path: Path) -> Iterator[tuple[int, str, ast.Call]]:
    """Every call in the file: line, dotted name as written ("torch.load", "print"), node."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call):
            yield node.lineno, dotted(node.func), node


def dotted(node: ast.expr) -> str:
    """`a.b.c` as written; `.c` where it starts with a call or an index."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every module the file imports, anywhere in it: line and dotted name."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


def run_child(code: str, *, timeout_s: float = 100) -> str:
    """What a fresh interpreter prints when it runs `code` from the root; fails with its stderr otherwise."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
