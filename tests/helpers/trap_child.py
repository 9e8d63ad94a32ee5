"""`python -m tests.helpers.trap_child`: runs every trap's named test with the trap fallen into; says what came of each.

One JSON object on the last line of stdout: trap → pytest's exit code and words. Exit code 1 is what is hoped for: the
test ran and failed.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from typing import Any

import pytest


def main() -> int:
    from tests.jepa_core.test_traps import TESTED

    with tempfile.TemporaryDirectory() as cache:
        out = {name: _fallen(trap, cache) for name, trap in TESTED.items()}
    sys.stdout.write(json.dumps(out) + "\n")
    return 0


def _fallen(trap: Any, cache: str) -> dict[str, object]:
    """The test that holds a trap, run while the code is in it."""
    from tests.helpers.mutants import fallen
    from tests.jepa_core.test_traps import ROOT

    file, _, test = trap.held.partition("::")
    node = f"{ROOT / 'tests' / 'jepa_core' / file}::{test}"
    words = io.StringIO()
    try:
        with contextlib.redirect_stdout(words), contextlib.redirect_stderr(words), fallen(trap.mutant):
            code = int(
                pytest.main(
                    ["-x", "-q", "--no-header", "-o", f"cache_dir={cache}", f"--basetemp={cache}/run", node]
                )
            )
    except AssertionError as error:  # the code has moved on; the trap's line in the table must follow
        code = -1
        words.write(str(error))
    return {"code": code, "said": words.getvalue()[-1500:]}


if __name__ == "__main__":
    sys.exit(main())
