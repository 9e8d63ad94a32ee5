"""How often the kill tests kill: `--kills N` (with tests/kill on the command line) or KILLS=N; 25 unless asked."""

from __future__ import annotations

import os

import pytest

DEFAULT_KILLS = 25


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=None, help="how many times to kill the recording program")


@pytest.fixture(scope="session")
def kills(request: pytest.FixtureRequest) -> int:
    asked = request.config.getoption("--kills", default=None)
    return int(asked if asked is not None else os.environ.get("KILLS", DEFAULT_KILLS))
