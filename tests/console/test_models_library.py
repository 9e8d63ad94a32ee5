"""The controller of the Models screen, against real folders and a real server."""

from __future__ import annotations

import hashlib
import itertools
import threading
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from console import config as settings
from console.config import Config
from console.errands import Errands
from console.models_library import ModelsLibrary, download_settings
from console.notices_models import (
    DownloadChanged,
    DownloadState,
    LibraryEntryChanged,
    LibraryFailed,
    LibraryScanned,
    LibraryScanning,
    RoomMeasured,
)
from jepa_core.clock import SystemClock
from jepa_core.downloads import Settings
from jepa_core.errors import ConfigError, ConsoleError, ShapesDiffer
from jepa_core.types import CheckpointInfo, InputSpec, LoadReport
from tests.architecture.tree import run_child
from tests.helpers.downloading import REPO, content_of
from tests.helpers.hub_server import Fault, HubServer, bytes_of, hub_server

WEIGHTS = content_of(600_000)
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
KEY = f"/{REPO}/weights.pt"
ID = "lewm-pusht"
PATIENCE_S = 30


class Heard:
    """Every notice, and a way to wait for one."""

    def __init__(self) -> None:
        self.all: list[object] = []
        self._changed = threading.Condition()

    def __call__(self, notice: object) -> None:
        with self._changed:
            self.all.append(notice)
            self._changed.notify_all()

    def wait_for(self, is_it: Callable[[object], object], after: int = 0) -> object:
        """The first notice from the `after`-th on that is it."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: next((each for each in self.all[after:] if is_it(each)), None), PATIENCE_S
            )
        assert found is not None, self.all[-5:]
        return found

    def state(self, name: str, entry_id: str = ID, after: int = 0) -> DownloadState:
        found = self.wait_for(
            lambda n: (
                isinstance(n, DownloadChanged) and n.state.state == name and n.state.entry_id == entry_id
            ),
            after,
        )
        assert isinstance(found, DownloadChanged)
        return found.state

    def scanned(self, after: int = 0) -> LibraryScanned:
        found = self.wait_for(lambda n: isinstance(n, LibraryScanned), after)
        assert isinstance(found, LibraryScanned)
        return found


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub_server() as made:
        made.put(REPO, "config.json", b"{}", is_large=False)
        made.put(REPO, "weights.pt", WEIGHTS)
        yield made


@pytest.fixture
def config(tmp_path: Path) -> Config:
    values = {"models.folders": (str(tmp_path / "mine"),), "models.downloads": str(tmp_path / "cache")}
    return settings.load(values, user_file=tmp_path / "none.toml")


@pytest.fixture
def heard() -> Heard:
    return Heard()


class Hurrying(SystemClock):
    """A second passes between any two looks at it, so that no progress is left unsaid."""

    def __init__(self) -> None:
        self._looks = itertools.count()

    def now_ns(self) -> int:
        return next(self._looks) * 1_000_000_000


@pytest.fixture
def library(config: Config, server: HubServer, heard: Heard) -> Iterator[ModelsLibrary]:
    hurried = Settings(
        hub=server.hub, spare_bytes=0, sync_bytes=64 << 10, wait=lambda _: False, clock=Hurrying()
    )
    made = ModelsLibrary(config, download=hurried)
    made.listen(heard)
    yield made
    made.stop(PATIENCE_S)


# --- looking through folders ----------------------------------------------------------------------------------------


def test_a_look_tells_what_is_here_and_of_every_released_checkpoint_whether_it_is(
    library, heard, config, tmp_path
):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "vitl.pt").write_bytes(b"x")

    library.scan()
    scanned = heard.scanned()

    assert [entry.name for entry in scanned.entries] == ["vitl.pt"]
    assert scanned.folders == config.models.library
    assert scanned.cache == tmp_path / "cache"
    assert isinstance(heard.all[0], LibraryScanning)
    done = heard.state("done", "vjepa2-vitl")
    assert done.path == str(tmp_path / "mine" / "vitl.pt")
    assert "nothing proves it" in done.text
    assert library.downloads["vjepa2-vith"] == DownloadState("vjepa2-vith")
    room = heard.wait_for(lambda n: isinstance(n, RoomMeasured))
    assert room.free_bytes > 0


def test_a_look_with_nothing_there_says_so(library, heard):
    library.scan()

    assert heard.scanned().entries == ()
    assert library.entries == ()


def test_a_folder_of_ones_own_is_looked_through_from_now_on(library, heard, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "vith.pt").write_bytes(b"x")

    library.add_folder(other)
    scanned = heard.wait_for(lambda n: isinstance(n, LibraryScanned) and n.entries)

    assert [entry.name for entry in scanned.entries] == ["vith.pt"]
    saved = tomllib.loads(settings.user_path().read_text("utf-8"))
    assert saved["models"]["folders"] == [str(tmp_path / "mine"), str(other)]
    after = len(heard.all)
    library.drop_folder(other)
    assert heard.scanned(after).entries == ()


def test_a_verdict_is_remembered_and_told(library, heard, config, tmp_path):
    path = tmp_path / "mine" / "vitl.pt"
    path.parent.mkdir()
    path.write_bytes(b"x")
    info = CheckpointInfo("i", "V-JEPA 2", "ViT-L/16", str(path), "ee" * 32, InputSpec(256, 64, 4.0, 2, 16), None, frozenset({"masked"}))  # fmt: skip
    report = LoadReport(str(path), "V-JEPA 2", "ViT-L/16", 452, sha256="ee" * 32, file_bytes=1)

    library.judged(path, (info, report))
    changed = heard.wait_for(lambda n: isinstance(n, LibraryEntryChanged))

    assert (changed.entry.verdict.system, changed.entry.verdict.is_exact) == ("V-JEPA 2", True)
    again = ModelsLibrary(config, download=Settings())
    again.listen(heard)
    after = len(heard.all)
    again.scan()
    assert heard.scanned(after).entries[0].verdict == changed.entry.verdict
    again.stop(PATIENCE_S)


def test_a_refusal_is_a_verdict_with_its_sentence(library, heard, tmp_path):
    path = tmp_path / "mine" / "vitl.pt"
    path.parent.mkdir()
    path.write_bytes(b"x")

    library.judged(path, ShapesDiffer("vitl.pt does not fit.", "Choose another."))
    changed = heard.wait_for(lambda n: isinstance(n, LibraryEntryChanged))

    assert (changed.entry.verdict.is_exact, changed.entry.verdict.text) == (False, "vitl.pt does not fit.")


def test_a_verdict_of_a_file_that_changed_meanwhile_is_not_kept(library, heard, tmp_path):
    path = tmp_path / "mine" / "vitl.pt"
    path.parent.mkdir()
    path.write_bytes(b"xx")
    error = ShapesDiffer("no", report=LoadReport(str(path), "V-JEPA 2", "", 0, file_bytes=1))

    library.judged(path, error)
    library.scan()

    assert heard.scanned().entries[0].verdict is None


# --- downloads -------------------------------------------------------------------------------------------------------


def test_a_download_is_told_from_queue_to_end_and_is_in_the_library_then(library, heard, tmp_path):
    library.download(ID)
    done = heard.state("done")

    states = [n.state.state for n in heard.all if isinstance(n, DownloadChanged)]
    assert states[0] == "queued"
    assert "running" in states
    assert done.path == str(tmp_path / "cache" / ID / "weights.pt")
    assert done.text.startswith("Its sha256 is the one that was announced.")
    assert "may have replaced it" in done.text  # the catalogue knows another sha256, as reported
    scanned = heard.wait_for(lambda n: isinstance(n, LibraryScanned) and n.entries)
    (entry,) = scanned.entries
    assert (entry.sha256, entry.known.checked) == (SHA256, "sha256")
    assert entry.identity.proof == "differs"
    assert library.downloads[ID] == done  # the look afterwards does not take it back


def test_a_proved_download_is_here_after_a_restart_without_hashing(
    library, heard, config, server, monkeypatch
):
    monkeypatch.setattr("jepa_core.catalogue.released", lambda: library.catalogue)
    library.download(ID)
    heard.state("done")
    heard.wait_for(lambda n: isinstance(n, LibraryScanned) and n.entries)

    again = ModelsLibrary(config, download=Settings(hub=server.hub))
    again.listen(heard)
    after = len(heard.all)
    again.scan()
    entry = heard.scanned(after).entries[0]
    again.stop(PATIENCE_S)

    assert entry.sha256 == SHA256
    assert entry.known.origin.startswith(server.hub)


def test_a_file_that_its_authors_replaced_is_still_the_download(library, heard, config, server):
    """The catalogue's sha256 is what somebody once reported; the hub's own word is what was checked."""
    library.download(ID)
    heard.state("done")
    library.stop(PATIENCE_S)

    again = ModelsLibrary(config, download=Settings(hub=server.hub))
    again.listen(heard)
    after = len(heard.all)
    again.scan()
    done = heard.state("done", after=after)
    again.stop(PATIENCE_S)

    assert "its sha256 is the one that was announced" in done.text
    assert "another file" in done.text


def test_a_paused_download_keeps_what_arrived_and_goes_on(library, heard, server, tmp_path):
    server.fail(KEY, Fault(stall_after=300_000))
    library.download(ID)
    assert server.stalled.wait(PATIENCE_S)
    heard.wait_for(lambda n: isinstance(n, DownloadChanged) and n.state.done_bytes > 200_000)

    library.pause(ID)
    paused = heard.state("paused")
    assert paused.done_bytes > 200_000
    assert paused.total_bytes == len(WEIGHTS) + 2

    library.download(ID)
    heard.state("done")
    assert (tmp_path / "cache" / ID / "weights.pt").read_bytes() == WEIGHTS
    assert server.asked("GET", KEY)[-1].headers["range"].startswith("bytes=")


def test_a_half_download_is_there_again_after_a_restart(library, heard, config, server):
    server.fail(KEY, Fault(stall_after=300_000))
    library.download(ID)
    heard.wait_for(lambda n: isinstance(n, DownloadChanged) and n.state.done_bytes > 200_000)
    library.stop(PATIENCE_S)

    again = ModelsLibrary(config, download=Settings(hub=server.hub))
    again.listen(heard)
    after = len(heard.all)
    again.scan()
    paused = heard.state("paused", after=after)
    again.stop(PATIENCE_S)

    assert paused.done_bytes > 200_000


def test_a_cancelled_download_leaves_nothing(library, heard, server, tmp_path):
    server.fail(KEY, Fault(stall_after=300_000))
    library.download(ID)
    heard.wait_for(lambda n: isinstance(n, DownloadChanged) and n.state.done_bytes > 200_000)

    after = len(heard.all)
    library.cancel(ID)
    heard.state("none", after=after)

    assert "weights.pt" not in bytes_of(tmp_path / "cache" / ID)
    assert not list((tmp_path / "cache" / ID / ".download").glob("*.part*"))


def test_a_paused_download_can_be_thrown_away_later(library, heard, server, tmp_path):
    server.fail(KEY, Fault(stall_after=300_000))
    library.download(ID)
    heard.wait_for(lambda n: isinstance(n, DownloadChanged) and n.state.done_bytes > 200_000)
    library.pause(ID)
    heard.state("paused")

    after = len(heard.all)
    library.cancel(ID)

    heard.state("none", after=after)
    assert not list((tmp_path / "cache" / ID / ".download").glob("*.part*"))


def test_one_comes_after_the_other_and_a_queued_one_can_be_called_off(library, heard, server):
    server.fail(KEY, Fault(stall_after=300_000))
    server.put("quentinll/lewm-cube", "config.json", b"{}", is_large=False)
    server.put("quentinll/lewm-cube", "weights.pt", WEIGHTS)
    library.download(ID)
    assert server.stalled.wait(PATIENCE_S)
    library.download("lewm-cube")
    library.download("lewm-reacher")
    heard.state("queued", "lewm-cube")

    library.pause("lewm-reacher")
    library.pause(ID)

    heard.state("done", "lewm-cube")
    heard.wait_for(lambda n: isinstance(n, DownloadChanged) and n.state == DownloadState("lewm-reacher"))
    assert server.asked("HEAD", "lewm-reacher") == []


def test_no_connection_is_a_state_and_not_a_failure(config, heard, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    library = ModelsLibrary(config)
    library.listen(heard)

    library.download(ID)
    offline = heard.state("offline")
    library.stop(PATIENCE_S)

    assert "HF_HUB_OFFLINE" in offline.text
    assert "works without" in offline.hint
    assert not any(isinstance(n, LibraryFailed) for n in heard.all)


def test_a_failure_says_what_and_what_to_do_and_stays_after_a_look(library, heard, server):
    del server.files[KEY]
    library.download(ID)
    failed = heard.state("failed")

    library.scan()
    heard.scanned()

    assert "has no weights.pt" in failed.text
    assert "models.folders" in failed.hint
    assert library.downloads[ID] == failed


def test_an_unknown_id_is_refused_at_once(library):
    with pytest.raises(ConfigError, match="no checkpoint 'nonsense'"):
        library.download("nonsense")


def test_the_end_of_the_program_pauses_and_waits_for_nobody(library, server):
    server.fail(KEY, Fault(stall_after=300_000))
    library.download(ID)
    assert server.stalled.wait(PATIENCE_S)

    library.stop(PATIENCE_S)

    assert not [thread for thread in threading.enumerate() if thread.name in ("download", "library")]


# --- removing ----------------------------------------------------------------------------------------------------------


def test_a_download_can_be_removed_and_what_a_person_put_beside_it_stays(library, heard, tmp_path):
    library.download(ID)
    done = heard.state("done")
    folder = tmp_path / "cache" / ID
    (folder / "my notes.txt").write_text("keep", "utf-8")
    heard.wait_for(lambda n: isinstance(n, LibraryScanned) and n.entries)

    after = len(heard.all)
    library.remove(done.path)
    heard.state("none", after=after)

    assert bytes_of(tmp_path / "cache") == {f"{ID}/my notes.txt": b"keep"}
    assert heard.scanned(after).entries == ()


@pytest.mark.parametrize(
    "inside", ["mine/vitl.pt", "cache/other/vitl.pt", "cache/lewm-pusht/../../mine/vitl.pt"]
)
def test_only_a_download_of_its_own_is_removed(library, heard, tmp_path, inside):
    path = tmp_path / inside
    path.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "mine").mkdir(exist_ok=True)
    path.write_bytes(b"x")

    library.remove(path)
    failed = heard.wait_for(lambda n: isinstance(n, LibraryFailed))

    assert "no download of this console" in failed.error.what
    assert path.exists()


# --- the thread it runs on ------------------------------------------------------------------------------------------------


def test_errands_are_done_in_order_and_a_failing_one_is_told():
    done, faults = [], []
    all_done = threading.Event()
    errands = Errands("errands-test", faults.append)

    errands.ask(lambda: done.append(1))
    errands.ask(lambda: 1 / 0)
    errands.ask(lambda: done.append(2))
    errands.ask(all_done.set)
    assert all_done.wait(PATIENCE_S)

    assert errands.stop(PATIENCE_S)
    assert done == [1, 2]
    assert [type(fault) for fault in faults] == [ConsoleError]
    assert not errands.ask(lambda: None)


def test_errands_that_hang_are_left_behind():
    hung, gate = threading.Event(), threading.Event()
    errands = Errands("errands-test", lambda _: None)
    errands.ask(lambda: (hung.set(), gate.wait(PATIENCE_S)))
    assert hung.wait(PATIENCE_S)

    assert not errands.stop(0.05)
    gate.set()
    assert errands.stop(PATIENCE_S)


def test_the_settings_say_where_the_hub_is_and_how_patient_to_be(config, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example.org")
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    found = download_settings(replace(config, models=replace(config.models, stall_s=12.0)))

    assert (found.hub, found.token, found.stall_s) == ("https://mirror.example.org", "hf_x", 12.0)
    with pytest.raises(ConfigError):
        download_settings(replace(config, models=replace(config.models, hub="ftp://x")))


def test_the_library_brings_neither_torch_nor_qt():
    code = (
        "import sys\nimport console.models_library, console.notices_models\n"
        "print(*sorted({'torch', 'safetensors', 'PySide6', 'cv2', 'h5py'} & set(sys.modules)))"
    )
    assert run_child(code).split() == []
