"""run.py: a sentence instead of a traceback, an environment made once, nothing replaced that fits.

Every test works on a copy of run.py in a folder of its own with pip standing in as a recorded command: the network,
the real .venv and the system's packages are never touched.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import urllib.request
from contextlib import closing
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """run.py as a module of its own in an empty checkout."""
    for name in ("run.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    spec = importlib.util.spec_from_file_location("run_in_a_new_place", tmp_path / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "apt_install", lambda packages: False)
    return module


class Commands:
    """Stands in for subprocess.run: records each command, answers from a table of its first telling word."""

    def __init__(self, answers: dict[str, tuple[int, str]] | None = None) -> None:
        self.seen: list[list[str]] = []
        self.answers = answers or {}

    def __call__(self, command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        self.seen.append(command)
        if "venv" in command:
            folder = Path(command[-1])
            (folder / "bin").mkdir(parents=True, exist_ok=True)
            (folder / "bin/python").touch()
            (folder / "pyvenv.cfg").touch()
        code, log = next((answer for word, answer in self.answers.items() if word in command), (0, ""))
        if "--log" in command and log:
            Path(command[command.index("--log") + 1]).write_text(log, encoding="utf-8")
        return subprocess.CompletedProcess(command, code, stdout=log, stderr="")

    def installs(self) -> list[list[str]]:
        return [command for command in self.seen if "install" in command]


@pytest.fixture
def commands(place: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Commands:
    stand_in = Commands()
    monkeypatch.setattr(place.subprocess, "run", stand_in)
    monkeypatch.setattr(place, "torch_index", list)
    monkeypatch.setattr(place, "PYTHON", place.VENV / "bin/python")
    return stand_in


def test_an_unknown_verb_names_the_ones_there_are(place: ModuleType, capsys: pytest.CaptureFixture[str]):
    assert place.main(["dmeo"]) == 2
    assert "demo" in capsys.readouterr().err


def test_without_a_verb_every_verb_is_explained(place: ModuleType, capsys: pytest.CaptureFixture[str]):
    assert place.main([]) == 2
    text = capsys.readouterr().out
    assert [verb for verb in place.VERBS if f"run.py {verb}" not in text] == []


def test_an_old_python_is_told_in_a_sentence(
    place: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(place.sys, "version_info", (3, 10, 12))
    assert place.main(["setup"]) == 3
    assert "Python 3.11 or newer; this is 3.10.12" in capsys.readouterr().err
    assert not place.VENV.exists()


def test_packages_are_installed_once_and_with_the_pins(place: ModuleType, commands: Commands):
    place.ensure_packages("runtime")
    place.ensure_packages("runtime")
    (install,) = commands.installs()
    assert install[install.index("-c") + 1].endswith("constraints.txt")
    assert any(word.startswith("torch") for word in install)


def test_changed_pins_are_installed_again(place: ModuleType, commands: Commands):
    place.ensure_packages("runtime")
    with (place.ROOT / "constraints.txt").open("a") as file:
        file.write("# changed\n")
    place.ensure_packages("runtime")
    assert len(commands.installs()) == 2


def test_the_tests_packages_come_only_with_test(place: ModuleType, commands: Commands):
    place.ensure_packages("runtime")
    assert not any(word.startswith("pytest >=") for command in commands.installs() for word in command)
    place.ensure_packages("test")
    assert any(word.startswith("pytest >=") for word in commands.installs()[-1])


def test_an_environment_left_half_made_is_made_again(
    place: ModuleType, commands: Commands, capsys: pytest.CaptureFixture[str]
):
    place.ensure_packages("runtime")
    place.UNFINISHED.touch()  # what a killed installation leaves
    (place.VENV / "half").touch()
    place.ensure_packages("runtime")
    assert "half made" in capsys.readouterr().out
    assert not (place.VENV / "half").exists()
    assert len(commands.installs()) == 2


def test_a_folder_that_is_no_environment_is_never_deleted(place: ModuleType):
    place.VENV.mkdir()
    (place.VENV / "thesis.tex").touch()
    with pytest.raises(place.Stop, match="not a Python environment"):
        place.ensure_venv()
    assert (place.VENV / "thesis.tex").exists()


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        ("NewConnectionError: Connection refused", "does not answer"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: No matching distribution found for torch==2.13.0", "no ready-made packages"),
        ("something else", "could not be installed"),
    ],
)
def test_a_failed_installation_is_one_sentence_and_a_hint(
    place: ModuleType, commands: Commands, log: str, sentence: str
):
    commands.answers = {"install": (1, log)}
    with pytest.raises(place.Stop, match=sentence) as stop:
        place.ensure_packages("runtime")
    assert stop.value.hint
    assert stop.value.code == 3
    assert not place.is_stamped("runtime")
    assert not place.UNFINISHED.exists()  # pip gave up before it changed anything


def test_an_installation_that_broke_in_the_middle_is_not_trusted(place: ModuleType, commands: Commands):
    commands.answers = {"install": (1, "Installing collected packages: torch\nKilled")}
    with pytest.raises(place.Stop):
        place.ensure_packages("runtime")
    assert place.UNFINISHED.exists()


def test_missing_libraries_are_named_with_the_one_command_to_type(
    place: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    place.VENV.mkdir()
    monkeypatch.setattr(place, "absent", lambda table: [name for name in table if name == "libEGL.so.1"])
    monkeypatch.setattr(place.sys, "platform", "linux")
    monkeypatch.setattr(place.shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
    with pytest.raises(place.Stop, match=r"libEGL\.so\.1") as stop:
        place.ensure_libraries()
    assert stop.value.hint.endswith("sudo apt-get install -y libegl1")


def test_a_library_only_windows_need_does_not_stop_a_machine_without_a_screen(
    place: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    place.VENV.mkdir()
    monkeypatch.setattr(place, "absent", lambda table: [name for name in table if "xcb-cursor" in name])
    monkeypatch.setattr(place.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    place.ensure_libraries()
    assert not place.is_stamped("system")  # looked at again the next time


def test_torch_of_a_configured_index_is_left_to_the_configuration(
    place: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    commands = Commands({"config": (0, "global.find-links='/opt/wheels'")})
    monkeypatch.setattr(place.subprocess, "run", commands)
    monkeypatch.setattr(place.sys, "platform", "linux")
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: pytest.fail("asked the network"))
    assert place.torch_index() == []


def test_another_pythons_paths_do_not_reach_the_program(place: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", "/opt/ros/lib/python3/site-packages")
    assert "PYTHONPATH" not in place.clean_environment()


JUDGE = """
import subprocess, sys
from pathlib import Path
from tests import leftovers
home = Path(sys.argv[1])
leftovers._GRACE_S = 0.2
leftovers.adopt_orphans()
before = leftovers.traces(home)
{run}
print(*leftovers.since(before, home, home), sep="; ")
"""
ORPHAN = "import os; os.fork() or os.execvp('sleep', ['sleep', '60'])"

# Exits with 4 as soon as its ended grandchild is gone from the process table, with 5 if that never happens.
ORPHANED_AND_ENDED = """
import os, time
ends, begins = os.pipe()
if os.fork() == 0:
    grandchild = os.fork()
    if grandchild:
        os.write(begins, str(grandchild).encode())
    os._exit(0)
os.wait()
entry = '/proc/' + os.read(ends, 20).decode()
deadline = time.monotonic() + 10
while os.path.exists(entry) and time.monotonic() < deadline:
    time.sleep(0.01)
raise SystemExit(5 if os.path.exists(entry) else 4)
"""


def judged(home: Path, run: str) -> str:
    """What leftovers says after `run`; in a child, because it ends every orphan of its process."""
    command = [sys.executable, "-c", JUDGE.format(run=run), str(home)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="orphans are looked for on Linux only")
def test_a_process_a_run_left_behind_is_found_and_ended(tmp_path: Path):
    assert "(sleep)" in judged(tmp_path, f"subprocess.run([sys.executable, '-c', {ORPHAN!r}])")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="orphans are adopted on Linux only")
def test_an_orphan_that_ends_by_itself_does_not_stay_as_a_zombie(tmp_path: Path):
    run = (
        f"code = leftovers.wait_for(subprocess.Popen([sys.executable, '-c', {ORPHANED_AND_ENDED!r}]))\n"
        "print('ended with', code)"
    )
    assert judged(tmp_path, run) == "ended with 4"


def test_a_file_a_run_left_behind_is_found(tmp_path: Path):
    assert judged(tmp_path, "(home / 'forgotten').touch()") == "temporary file forgotten"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no /dev/shm here")
def test_forgotten_shared_memory_is_found_and_that_of_a_living_program_is_not(tmp_path: Path):
    code = (
        "from multiprocessing import resource_tracker, shared_memory\n"
        "forgotten = shared_memory.SharedMemory(create=True, size=64)\n"
        "resource_tracker.unregister(forgotten._name, 'shared_memory')\n"
        "print(forgotten.name)"
    )
    run = f"print(subprocess.run([sys.executable, '-c', {code!r}], capture_output=True, text=True).stdout.strip())"
    with closing(SharedMemory(create=True, size=64)) as alive:  # of another program, begun meanwhile
        begin = (
            f"alive = {alive.name!r}; before = leftovers.Traces(before.segments - {{alive}}, before.changes)"
        )
        forgotten, _, words = judged(tmp_path, f"{begin}\n{run}").partition("\n")
        alive.unlink()
    Path("/dev/shm", forgotten).unlink()
    assert words == f"shared memory {forgotten}"


def test_a_clean_run_leaves_nothing(tmp_path: Path):
    assert judged(tmp_path, "pass") == ""
