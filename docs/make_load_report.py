"""Write docs/load-report.md: what the program says of seven files, right or wrong in one stated way.

Run from the repository's root as `.venv/bin/python docs/make_load_report.py`; `--check` writes nothing and exits 1
where the page is not what the program says now. The files are made from seeds (tests/helpers/situations.py), given to
`main.py checkpoint` as a person would, and its own words are put down. Nothing on the page is typed by hand.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.helpers.situations import SITUATIONS, Situation  # noqa: E402  the repository's own, found from its root

PAGE = ROOT / "docs" / "load-report.md"
HEAD = """\
# The load report

Before a checkpoint is loaded, the console says what it is, how it knows, which tensors fit, what the file leaves open
and where that was taken from instead, what the model can do and what it cannot, and how much memory a look will take.
A file that is not exactly what its system's model needs is refused with the same report. There is no lenient way in:
nothing is ever filled with random numbers.

`main.py checkpoint FILE` prints it (`--json` as one object, with every tensor's name); the window shows it before it
loads. A file that loads exits with 0, a refused one with 3.

The seven reports below are the program's own words about tiny files, written by `docs/make_load_report.py`.
"""
CHANGES = re.compile(  # from machine to machine: fingerprints, sizes, memory
    r"^(sha256|size|memory|other choices| {18}\d+ px).*$", re.MULTILINE
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 where the page is out of date"
    )
    text = page()
    if parser.parse_args().check:
        return 0 if unchanging(text) == unchanging(PAGE.read_text(encoding="utf-8")) else 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


def page() -> str:
    """The whole page, from seven runs of the program."""
    with tempfile.TemporaryDirectory() as folder:
        return HEAD + "".join(_section(each, Path(folder)) for each in SITUATIONS.values())


def unchanging(text: str) -> str:
    """The page without what differs from machine to machine."""
    return CHANGES.sub("", text)


def _section(situation: Situation, folder: Path) -> str:
    here = folder / re.sub(r"\W+", "-", situation.title.lower())
    here.mkdir()
    opened = situation.make(here)
    done = subprocess.run(
        [sys.executable, str(ROOT / "main.py"), "checkpoint", str(opened), "--device", "cpu"],
        env={**os.environ, "DISPLAY": "", "WAYLAND_DISPLAY": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    said = (done.stdout + done.stderr).replace(str(opened), opened.name).rstrip()
    return f"\n## {situation.title}\n\n{situation.story}\n\n```text\n{said}\n```\n\nExit code {done.returncode}.\n"


if __name__ == "__main__":
    sys.exit(main())
