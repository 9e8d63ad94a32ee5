"""`python -m tests.golden.table`: every reference case, one line each; exit 1 where one differs. Honours $GOLDEN_DIR."""

from __future__ import annotations

import sys

import torch

from tests.golden.runner import find_cases, run_case, table


def main() -> int:
    torch.set_num_threads(1)
    outcomes = [run_case(folder) for folder in find_cases()]
    sys.stdout.write(table(outcomes) + "\n")
    return 1 if any(o.status == "failed" for o in outcomes) or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
