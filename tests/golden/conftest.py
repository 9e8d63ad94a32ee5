"""Prints the table of reference cases at the end of a test run that touched them."""

from __future__ import annotations

import pytest

from tests.golden.runner import Outcome, table

OUTCOMES = pytest.StashKey[list[Outcome]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = []


@pytest.fixture
def outcomes(pytestconfig: pytest.Config) -> list[Outcome]:
    """Where a case leaves what came of it."""
    return pytestconfig.stash.setdefault(OUTCOMES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    outcomes = config.stash.get(OUTCOMES, [])
    if outcomes:
        terminalreporter.section("reference arrays")
        terminalreporter.write_line(table(outcomes))
