"""What the papers promise is what the program does: README, pins, dependencies, size of the tree."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tomllib
from importlib import metadata

import pytest

import main
import run
from tests.architecture.tree import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
LARGEST_TREE = 55 * 1024**2  # bytes of tracked files: a clone stays a matter of seconds


def code_blocks() -> list[str]:
    return [
        line
        for block in re.findall(r"```(?:sh|console)?\n(.*?)```", README, re.S)
        for line in block.splitlines()
    ]


def test_the_two_commands_open_the_readme():
    commands = [line.strip() for line in code_blocks() if line.strip()]
    assert [line.split("  #")[0].strip() for line in commands[:2]] == [
        "python3 run.py demo",
        "python3 run.py test",
    ]


def test_ci_runs_the_command_of_the_readme_and_nothing_else():
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["python3 run.py test"]


def test_the_readme_lists_exactly_the_verbs_there_are():
    section = README.partition("## Verbs")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z-]+)[ `]", section, re.M)
    assert set(rows) == {verb for verb in main.VERBS if verb}


def test_the_readme_names_every_verb_of_run():
    named = set(re.findall(r"run\.py ([a-z-]+)", README))
    assert named == set(run.VERBS)


def test_every_picture_and_page_the_readme_shows_is_there():
    targets = re.findall(r"\]\(([^)#]+)\)", README) + re.findall(r'src="([^"]+)"', README)
    missing = [target for target in targets if "://" not in target and not (ROOT / target).exists()]
    assert missing == []


def test_the_bundle_carries_every_asset():
    spec = (ROOT / "assets/packaging/console.spec").read_text(encoding="utf-8")
    assets = {path.name for path in (ROOT / "assets").iterdir()} - {"packaging", "__pycache__", "__init__.py"}
    assert [name for name in sorted(assets) if f'"{name}"' not in spec] == []


def test_every_dependency_says_why():
    block = PYPROJECT.partition("dependencies = [")[2].partition("[tool.")[0]
    rows = [line for line in block.splitlines() if re.match(r'\s+"[A-Za-z]', line)]
    assert len(rows) >= 15
    assert [row for row in rows if not re.search(r"#\s+\S+(\s+\S+)+", row)] == []


def wanted_names() -> list[str]:
    project = tomllib.loads(PYPROJECT)["project"]
    rows = project["dependencies"] + [
        row for group in project["optional-dependencies"].values() for row in group
    ]
    return [re.match(r"[A-Za-z0-9_.-]+", row)[0] for row in rows]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonical(name): version for name, version in pairs}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", wanted_names())
def test_every_dependency_is_pinned(name: str):
    assert canonical(name) in pins()


def test_the_tests_run_with_the_pinned_versions():
    differs = []
    for name, version in pins().items():
        try:
            installed = metadata.version(name).partition("+")[0]  # 2.13.0+cpu is 2.13.0
        except metadata.PackageNotFoundError:
            continue  # of a group that is not installed here
        if installed != version:
            differs.append(f"{name}: {installed} is installed, {version} is pinned")
    assert differs == []


def test_qt_stays_below_the_version_that_loses_references():
    assert "PySide6-Essentials >= 6.10, < 6.12" in PYPROJECT


def test_the_tracked_tree_stays_small():
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    assert sum(file.stat().st_size for file in files) < LARGEST_TREE


def test_run_needs_nothing_but_the_standard_library():
    import sys

    from tests.architecture.tree import imported

    for path in (ROOT / "run.py", ROOT / "tests/leftovers.py"):
        foreign = [
            name
            for _, name in imported(path.relative_to(ROOT))
            if name.partition(".")[0] not in sys.stdlib_module_names | {"tests", "__future__"}
        ]
        assert foreign == []
    assert importlib.util.find_spec("tests.leftovers") is not None
