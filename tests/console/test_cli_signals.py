"""Ctrl+C and SIGTERM at every stage: an ordered end, exit 130, the session kept, no process and no memory left."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.cli import CELL, ENDLESS, Running, Said, main_py, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals"),
]

BOTH = [signal.SIGINT, signal.SIGTERM]
LIVE = ("live", ENDLESS, "--checkpoint", CELL, "--threads", "1", "--headless")


@pytest.fixture(autouse=True)
def no_shared_memory_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """By the segments of the runs of this test alone: other programs may use shared memory meanwhile."""
    seen: set[str] = set()
    meet = Running.meet

    def meet_and_look(self: Running) -> None:
        meet(self)
        for child in [*self.relatives.values()]:
            seen.update(_mapped(child.pid))
        seen.update(_mapped(self.process.pid))

    monkeypatch.setattr(Running, "meet", meet_and_look)
    yield
    assert [name for name in seen if os.path.exists(name)] == []


def _mapped(pid: int) -> set[str]:
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return set()
    fields = (line.split(maxsplit=5) for line in lines)
    return {field[5] for field in fields if len(field) == 6 and field[5].startswith("/dev/shm/psm")}


def stopped(run: Running, number: signal.Signals) -> Said:
    done = run.stop(number)
    assert done.code == 130, done
    assert "Traceback" not in done.err
    assert run.left_alive() == []
    return done


def journal_is_growing(out: Path) -> bool:
    return any(path.stat().st_size > 100_000 for path in out.glob("*.wmj"))


def test_score_is_stopped_with_its_session_folded(tmp_path: Path) -> None:
    with running(
        "score", ENDLESS, "--checkpoint", CELL, "--threads", "1", "--out", tmp_path, "--json"
    ) as run:
        run.wait_until(lambda: journal_is_growing(tmp_path))
        done = stopped(run, signal.SIGINT)

    assert done.json["is_complete"] is False
    assert done.json["frames"] > 0
    assert main_py("verify", done.json["session"]).code == 0


@pytest.mark.parametrize("number", BOTH)
def test_live_headless_is_stopped_with_its_session_folded(number: signal.Signals, tmp_path: Path) -> None:
    with running(*LIVE, "--record", tmp_path) as run:
        run.wait_until(lambda: journal_is_growing(tmp_path))
        done = stopped(run, number)

    session = next(tmp_path.glob("*.h5"))
    assert done.out.startswith(str(session))
    assert done.err == ""
    assert main_py("verify", session).code == 0


@pytest.mark.parametrize("number", BOTH)
def test_stopping_while_the_engine_is_still_starting_is_quiet(number: signal.Signals, tmp_path: Path) -> None:
    """The engine's process has just been born and imports its packages."""
    with running(*LIVE, "--record", tmp_path / "out") as run:
        run.wait_until(lambda: len(run.relatives) >= 2)
        done = stopped(run, number)

    assert done.err == "Stopped.\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", BOTH)
def test_stopping_at_the_moment_a_recording_begins_never_hangs(
    number: signal.Signals, tmp_path: Path
) -> None:
    with running(*LIVE, "--record", tmp_path / "out") as run:
        run.wait_until((tmp_path / "out").exists)
        done = stopped(run, number)

    journals, sessions = list(tmp_path.rglob("*.wmj")), list(tmp_path.rglob("*.h5"))
    assert len(journals) == len(sessions)
    assert done.err in ("", "Stopped.\n")


def test_a_recomputation_is_stopped(tmp_path: Path) -> None:
    scored = main_py(
        "score", f"{ENDLESS}&frames=400", "--checkpoint", CELL, "--threads", "1", "--out", tmp_path, "--json"
    )
    command = ("replay", scored.json["session"], "--recompute", "--threads", "1", "--progress-lines")
    with running(*command) as run:
        line = run.process.stderr
        assert line is not None
        while '"look ' not in (said := line.readline()):
            assert said, "it ended before it looked"
        done = stopped(run, signal.SIGTERM)

    assert done.out == ""
    assert done.err.splitlines()[-1] == "Stopped."


def test_the_hash_of_a_big_checkpoint_is_stopped(tmp_path: Path) -> None:
    """768 MB of optimiser state, which are hashed but not loaded."""
    import torch

    content = torch.load(CELL, map_location="cpu", weights_only=True)
    content["opt"] = {"exp_avg": torch.zeros(192_000_000)}
    big = tmp_path / "cell.pt"
    torch.save(content, big)
    (tmp_path / "cell.params.yaml").write_bytes(CELL.with_suffix(".params.yaml").read_bytes())
    try:
        with running("checkpoint", big) as run:
            run.wait_until(lambda: run.bytes_read > 150_000_000)
            done = stopped(run, signal.SIGINT)
    finally:
        big.unlink()

    assert (done.out, done.err) == ("", "Stopped.\n")


def test_two_ctrl_c_at_the_same_instant_are_one(tmp_path: Path) -> None:
    with running(*LIVE, "--record", tmp_path) as run:
        run.wait_until(lambda: journal_is_growing(tmp_path))
        journal = next(tmp_path.glob("*.wmj"))
        os.kill(run.process.pid, signal.SIGSTOP)  # so that both arrive before it can act on the first
        for _ in range(2):
            os.kill(run.process.pid, signal.SIGINT)
        os.kill(run.process.pid, signal.SIGCONT)
        out, err = run.process.communicate(timeout=60)

    assert run.process.returncode == 130, "two at the same instant are one: `timeout` sends it twice"
    assert err == ""
    assert out.startswith(str(journal.with_suffix(".h5")))
