"""A downloading program killed with -9 at random instants: the next one goes on, and the bytes are right."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jepa_core.part_file import arrived
from tests.helpers.downloading import REPO, content_of
from tests.helpers.hub_server import Fault, HubServer, hub_server

pytestmark = [pytest.mark.kill, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
WEIGHTS = content_of(2_000_000)
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
KEY = f"/{REPO}/weights.pt"
PATIENCE_S = 60


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub_server() as made:
        made.put(REPO, "config.json", b"{}", is_large=False)
        made.put(REPO, "weights.pt", WEIGHTS)
        yield made


def started(server: HubServer, cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.kill.downloading_child", server.hub, str(cache)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def killed(server: HubServer, cache: Path, after: int, *, when_more_than: int) -> None:
    """One that is killed after the server sent so many bytes more, and more than so many are on the disk."""
    server.stalled.clear()
    server.fail(KEY, Fault(stall_after=after))
    child = started(server, cache)
    assert server.stalled.wait(PATIENCE_S)
    tick = threading.Event()
    for _ in range(PATIENCE_S * 100):
        if here(cache) > when_more_than:
            break
        tick.wait(0.01)
    child.kill()
    child.communicate()


def here(cache: Path) -> int:
    """Bytes of the weights that are surely there."""
    return arrived(cache / "lewm-pusht", "weights.pt").synced


def test_killed_again_and_again_it_ends_with_the_right_bytes(server: HubServer, tmp_path: Path, kills: int):
    rng = random.Random(20261125)
    for number in range(min(kills, 8)):
        reached = here(tmp_path)
        after = rng.randint(100_000, (len(WEIGHTS) - reached) // 2)
        killed(server, tmp_path, after, when_more_than=-1 if number % 3 == 2 else reached)
        assert not (tmp_path / "lewm-pusht" / "weights.pt").exists()
    reached = here(tmp_path)

    said, _ = started(server, tmp_path).communicate(timeout=PATIENCE_S)

    assert said.strip() == SHA256
    assert (tmp_path / "lewm-pusht" / "weights.pt").read_bytes() == WEIGHTS
    assert reached > 0
    assert server.asked("GET", KEY)[-1].headers["range"] == f"bytes={reached}-"


def test_of_two_programs_one_downloads_and_the_other_says_so(server: HubServer, tmp_path: Path):
    server.fail(KEY, Fault(stall_after=500_000))
    first = started(server, tmp_path)
    assert server.stalled.wait(PATIENCE_S)

    said, _ = started(server, tmp_path).communicate(timeout=PATIENCE_S)
    assert said.strip() == "already_downloading"

    first.kill()
    first.communicate()
    said, _ = started(server, tmp_path).communicate(timeout=PATIENCE_S)
    assert said.strip() == SHA256
