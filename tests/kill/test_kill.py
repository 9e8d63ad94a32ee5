"""Nothing that was confirmed is ever lost, whenever the program is killed."""

from __future__ import annotations

import random
import selectors
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from sessions import fold, verify
from sessions.reader import open_session
from sessions.scan import JournalScan
from tests.helpers.recordings import record

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.kill,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL"),
]


def run_and_kill(module: str, *arguments: str, lines: int, jitter_s: float) -> list[str]:
    """Start a program, kill it a moment after its n-th line; every line it wrote, to the last."""
    program = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        bufsize=0,  # communicate() reads the pipe itself and would miss what a buffer had taken
    )  # fmt: skip
    assert program.stdout is not None
    assert program.stderr is not None
    said = [line for _ in range(lines) if (line := program.stdout.readline())]
    with selectors.DefaultSelector() as nothing:
        nothing.select(
            jitter_s
        )  # waits for no file at all: just a moment, so that the kill falls between lines too
    program.send_signal(signal.SIGKILL)
    rest, errors = program.communicate()
    assert program.returncode in (-signal.SIGKILL, 0), errors.decode()
    return [line.strip() for line in b"".join([*said, rest]).decode().splitlines()]


@pytest.mark.timeout(3600)
def test_what_was_confirmed_before_a_kill_is_found_after_recovery(tmp_path, kills, record_property):
    noise = random.Random(20240)
    promised = {"events": 0, "records": 0, "sessions": 0}
    for number in range(kills):
        directory = tmp_path / str(number)
        said = run_and_kill(
            "tests.kill.recording_child", str(directory), str(number),
            lines=noise.randrange(1, 60), jitter_s=noise.uniform(0, 0.05),
        )  # fmt: skip
        check_recovered(directory, said, promised, in_child=number % 8 == 0)
    for name, count in promised.items():
        record_property(name, count)
    print(f"{kills} kills: {promised['events']} confirmed events, {promised['records']} written records, none lost")  # fmt: skip
    assert promised["events"] > kills
    assert promised["records"] > 10 * kills


def check_recovered(directory: Path, said: list[str], promised: dict[str, int], *, in_child: bool) -> None:
    confirmed = {line.split()[1] for line in said if line.startswith("A ")}
    written = [int(line.split()[1]) for line in said if line.startswith("W ")]
    journals = sorted(directory.glob("*.wmj"), key=lambda path: (len(path.name), path.name))
    unfinished = {item.path for item in fold.find_unfinished(directory) if not item.problem}
    sound = [path for path in journals if path in unfinished]
    if not sound:  # killed before the header was whole: nothing can have been promised
        assert (confirmed, written) == (set(), [])
        return
    sessions = [(fold.recover if in_child else fold.fold)(path) for path in sound]
    found_events: set[str] = set()
    found_records: list[int] = []
    for path in sessions:
        assert verify.verify(path).is_valid
        with h5py.File(path) as file:
            found_events |= set(file["events/event_id"].asstr()[:])
            found_records.extend(file["integrity/chain/seq"][:].tolist())
            assert file.attrs["state"] in ("recovered", "sealed")
    assert confirmed <= found_events
    # parts count from 0 again: what was written must be the beginning of what is found, part by part
    assert found_records[: len(written)] == written
    with open_session(sessions[-1]) as session:
        assert confirmed <= {event.id for event in session.events()}
        if session.n_frames:
            session.frame_rgb(session.n_frames - 1)
    assert not list(directory.glob("*.partial"))
    assert not list(directory.glob("*.reserve"))
    promised["events"] += len(confirmed)
    promised["records"] += len(written)
    promised["sessions"] += len(sessions)


def check_names(directory: Path) -> None:
    """Whatever has its final name is whole."""
    for session in directory.glob("*.h5"):
        assert verify.verify(session).is_valid
    for seal in directory.glob("*.seal.json"):
        assert verify.verify(seal.with_name(seal.name.replace(".seal.json", ".h5"))).seal == "agrees"


def head_of(journal: Path) -> str:
    with JournalScan(journal) as scan:
        for _ in scan.records():
            pass
        return scan.head.hex()


@pytest.mark.timeout(3600)
def test_a_fold_killed_at_any_moment_can_be_run_again(tmp_path, kills):
    noise = random.Random(7)
    journal = record(tmp_path, n_frames=300, n_events=20)
    for _ in range(max(3, kills // 5)):
        run_and_kill(
            "tests.kill.folding_child",
            str(journal),
            "-1",
            lines=noise.randrange(1, 12),
            jitter_s=noise.uniform(0, 0.05),
        )
        check_names(tmp_path)
        if fold.seal_path(journal).exists() and noise.random() < 0.7:
            fold.seal_path(journal).unlink()
            fold.session_path(journal).unlink()
    session = fold.fold(journal)
    assert verify.verify(session).head == head_of(journal)


@pytest.mark.timeout(600)
def test_a_fold_killed_before_each_single_step_leaves_nothing_half_done(tmp_path):
    source = record(tmp_path, n_frames=12)
    reached_the_end = False
    for fatal in range(40):
        journal = tmp_path / str(fatal) / source.name
        journal.parent.mkdir()
        journal.write_bytes(source.read_bytes())
        said = run_and_kill("tests.kill.folding_child", str(journal), str(fatal), lines=10**6, jitter_s=0.0)
        check_names(journal.parent)
        session = fold.fold(journal)
        check_names(journal.parent)
        assert verify.verify(session).head == head_of(source)
        assert not list(journal.parent.glob("*.partial"))
        if said[-1] == "done":
            reached_the_end = True
            break
    assert reached_the_end
