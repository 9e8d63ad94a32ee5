"""What the health strip says is counted, across restarts of the engine too."""

from __future__ import annotations

from console.vitals import Vitals
from jepa_core.clock import FakeClock


def test_looks_let_go_add_up_across_a_restart_of_the_engine() -> None:
    vitals = Vitals(FakeClock())

    for told in (3, 7, 0, 2):  # the engine counts from zero again after a restart
        vitals.let_go(told)

    assert vitals.looks_let_go == 9


def test_a_new_source_begins_at_zero() -> None:
    vitals = Vitals(FakeClock())
    vitals.let_go(5)
    vitals.clear()
    vitals.let_go(6)

    assert vitals.looks_let_go == 1
