"""Settings that no recorded case has: each written as a case folder by a plain reading of the specs, and run as one.

Every folder goes through the same runner as the recorded cases, so runner, loader and family are all held against it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.plain import ebjepa, jepawm
from tests.golden.runner import Outcome, run_case, table


def check(folder: Path, outcomes: list[Outcome], name: str) -> None:
    outcome = run_case(folder)
    outcomes.append(Outcome(f"{name} (plain)", outcome.status, *_rest(outcome)))
    assert outcome.status == "passed", "\n" + table([outcome])


def _rest(outcome: Outcome) -> tuple[int, float, str, str, tuple[str, ...]]:
    return outcome.checked, outcome.largest, outcome.tolerance, outcome.closest, outcome.problems


JEPA_WM = {
    "proprio-off": jepawm.Size(P=0, seed=1),
    "alpha-0": jepawm.Size(alpha=0.0, seed=2),
    "alpha-1": jepawm.Size(alpha=1.0, seed=3),
    "head-25": jepawm.Size(E=36, embed=42, P=8, heads=2, seed=4),
    "one-head-odd": jepawm.Size(E=16, embed=20, P=5, heads=1, seed=5),
    "window-3-deep": jepawm.Size(window=3, depth=4, side=3, steps=6, seed=6),
    "window-1": jepawm.Size(window=1, side=5, act=2, seed=7),
    "narrow-projection": jepawm.Size(E=30, embed=18, P=6, heads=3, hidden=72, seed=8),
    "dino-wm": jepawm.Size(kind="dino_wm", seed=9),
    "dino-wm-no-proprio": jepawm.Size(kind="dino_wm", P=0, frames=3, heads=3, seed=10),
    "dino-wm-window-3": jepawm.Size(
        kind="dino_wm", window=3, frames=3, side=3, depth=3, appended=10, seed=11
    ),
}


@pytest.mark.parametrize("name", JEPA_WM)
def test_jepa_wms_agree_with_a_plain_reading(name, tmp_path, outcomes):
    check(jepawm.write(tmp_path / f"jepawm-{name}", JEPA_WM[name]), outcomes, f"jepawm-{name}")


EB_JEPA = {
    "wide": ebjepa.Size(stacks=(6, 4, 10), width=32, side=66, seed=1),
    "small-picture": ebjepa.Size(side=40, width=20, steps=3, seed=2),
    "two-stacks": ebjepa.Size(stacks=(5, 7), side=33, blocks=1, seed=3),
    "four-stacks-three-blocks": ebjepa.Size(stacks=(3, 4, 5, 6), blocks=3, side=33, seed=4),
    "three-actions-one-sample": ebjepa.Size(action=3, batch=1, side=33, seed=5),
    "compiled": ebjepa.Size(compiled=True, side=33, seed=6),
    "one-channel": ebjepa.Size(channels=1, side=33, seed=7),
}


@pytest.mark.parametrize("name", EB_JEPA)
def test_eb_jepa_agrees_with_a_plain_reading(name, tmp_path, outcomes):
    check(ebjepa.write(tmp_path / f"ebjepa-{name}", EB_JEPA[name]), outcomes, f"ebjepa-{name}")
