"""The program itself, killed while it records: what was confirmed is found, and nothing of it stays behind."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.kill.test_kill import check_recovered, run_and_kill

pytestmark = [
    pytest.mark.kill,
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/dev/shm").is_dir(), reason="looks for shared memory in /dev/shm, which only Linux has"
    ),
]

SEGMENTS = Path("/dev/shm")
GONE_WITHIN_S = 10.0


@pytest.mark.timeout(3600)
def test_a_killed_program_loses_no_confirmed_event_and_leaves_no_engine_and_no_memory(
    tmp_path: Path, kills: int
) -> None:
    noise = random.Random(99)
    promised = {"events": 0, "records": 0, "sessions": 0}
    rounds = max(3, kills // 5)
    for number in range(rounds):
        before = set(SEGMENTS.glob("psm_*"))
        folder = tmp_path / str(number)
        said = run_and_kill(
            "tests.kill.program_child", str(folder), str(number),
            lines=noise.randrange(2, 60), jitter_s=noise.uniform(0, 0.05),
        )  # fmt: skip
        engine = next(int(line.split()[1]) for line in said if line.startswith("E "))
        assert is_gone(lambda engine=engine: not psutil.pid_exists(engine) or is_zombie(engine)), (
            "the engine lives on"
        )
        assert is_gone(lambda before=before: set(SEGMENTS.glob("psm_*")) <= before), (
            "shared memory was left behind"
        )
        check_recovered(folder / "out", said, promised, in_child=number % 3 == 0)
    sys.stdout.write(f"{rounds} kills of the program: {promised['events']} confirmed events, none lost\n")
    assert promised["events"] > rounds


def is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def is_gone(condition: object) -> bool:
    """The engine ends when its pipe closes, the tracker unlinks when its parent is gone: soon, not at once."""
    import threading

    assert callable(condition)
    tick, end = threading.Event(), time.monotonic() + GONE_WITHIN_S
    while time.monotonic() < end:
        if condition():
            return True
        tick.wait(0.05)
    return bool(condition())
