"""The library of checkpoints on this machine: found by name and size, opened by nobody, remembered as long as it holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.catalogue import released
from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled, ShapesDiffer, UnreadableCheckpoint
from jepa_core.file_lock import FileLock, Locked
from jepa_core.library import FolderProblem, LibraryEntry, entry_at, is_of, scan
from jepa_core.library_index import Known, LibraryIndex, Verdict, parse, verdict_of
from jepa_core.types import CheckpointInfo, InputSpec, LoadReport

PUSHT = released().entry("lewm-pusht").main_file.sha256


def put(folder: Path, *names: str, size: int = 3) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    return folder


def entries(*folders: Path, index: LibraryIndex | None = None) -> list[LibraryEntry]:
    return [
        found for found in scan(folders, catalogue=released(), index=index) if isinstance(found, LibraryEntry)
    ]


def shown(folder: Path) -> list[str]:
    return [entry.path.relative_to(folder).as_posix() for entry in entries(folder)]


# --- finding ---------------------------------------------------------------------------------------------------------


def test_every_layout_is_found_once_and_nothing_else(tmp_path: Path):
    put(tmp_path, "vitl.pt", "a/vitl16.pth.tar", "b/lewm_object.ckpt", "b/clevrer_savi_model.pth")
    put(tmp_path, "hub/config.json", "hub/model.safetensors")
    put(
        tmp_path,
        "shards/config.json",
        "shards/model.safetensors.index.json",
        "shards/model-00001-of-00002.safetensors",
    )
    put(tmp_path, "lewm-pusht/config.json", "lewm-pusht/weights.pt")
    put(tmp_path, "lone.safetensors", "notes.txt", "video.mp4", "vitl.pt.part", ".hidden/vitg.pt", ".vith.pt")

    assert shown(tmp_path) == [
        "lone.safetensors", "vitl.pt", "a/vitl16.pth.tar", "b/clevrer_savi_model.pth", "b/lewm_object.ckpt",
        "hub", "lewm-pusht/weights.pt", "shards",
    ]  # fmt: skip


def test_a_folder_of_shards_weighs_what_all_its_shards_weigh(tmp_path: Path):
    put(tmp_path, "m/config.json", "m/model.safetensors.index.json", size=10)
    put(tmp_path, "m/model-00001-of-00002.safetensors", "m/model-00002-of-00002.safetensors", size=1000)

    (found,) = entries(tmp_path)

    assert (found.kind, found.bytes, found.name) == ("folder", 2010, "m")


def test_a_file_is_compared_with_the_catalogue_by_name_folder_and_size(tmp_path: Path):
    put(tmp_path, "vitl.pt", "vjepa2_1_vitb_dist_vitG_384.pt", "mine.pt", "lewm-cube/weights.pt")

    found = {entry.name: entry for entry in entries(tmp_path)}

    assert {name: entry.identity.proof for name, entry in found.items()} == {
        "vitl.pt": "name",
        "vjepa2_1_vitb_dist_vitG_384.pt": "differs",
        "mine.pt": "",
        "lewm-cube/weights.pt": "name",
    }
    assert is_of(found["vitl.pt"], released().entry("vjepa2-vitl"))
    assert not is_of(found["vjepa2_1_vitb_dist_vitG_384.pt"], released().entry("vjepa21-vitb-384"))


def test_the_cache_of_the_hubs_own_tools_is_understood(tmp_path: Path):
    """Links in snapshots/<commit> to blobs that are named by their hash."""
    repository = tmp_path / "models--facebook--vjepa2-vitl-fpc64-256"
    put(repository, "blobs/aa", "blobs/bb")
    snapshot = repository / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").symlink_to("../../blobs/aa")
    (snapshot / "model.safetensors").symlink_to("../../blobs/bb")

    (found,) = entries(tmp_path)

    assert found.path == snapshot
    assert found.identity.entry.id == "vjepa2-hf-vitl"


def test_links_in_a_circle_end_and_a_link_to_nowhere_is_left_out(tmp_path: Path):
    put(tmp_path, "a/vitl.pt")
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "self").symlink_to("self")
    (tmp_path / "a" / "gone.pt").symlink_to(tmp_path / "nowhere.pt")
    (tmp_path / "a" / "copy.pt").symlink_to("vitl.pt")

    assert [entry.path.resolve().name for entry in entries(tmp_path)] == ["vitl.pt"]


def test_links_that_lead_back_in_many_ways_do_not_multiply(tmp_path: Path):
    """Six times ten ways would be a million folders."""
    put(tmp_path, "a/vitl.pt")
    for name in "klmnopqrst":
        (tmp_path / "a" / name).symlink_to(tmp_path, target_is_directory=True)

    found = list(scan([tmp_path], catalogue=released()))

    assert [type(item) for item in found] == [LibraryEntry]


def test_two_folders_that_overlap_give_each_file_once(tmp_path: Path):
    put(tmp_path, "a/vitl.pt", "a/b/vith.pt")

    assert len(entries(tmp_path, tmp_path / "a", tmp_path / "a" / "b")) == 2


def test_a_folder_that_is_not_there_is_no_problem(tmp_path: Path):
    assert list(scan([tmp_path / "later"], catalogue=released())) == []


def test_a_file_in_place_of_a_folder_is_told_and_the_rest_goes_on(tmp_path: Path):
    put(tmp_path, "notes", "good/vitl.pt")

    found = list(scan([tmp_path / "notes", tmp_path / "good"], catalogue=released()))

    assert isinstance(found[0], FolderProblem)
    assert "cannot be looked through" in found[0].text
    assert isinstance(found[1], LibraryEntry)


def scanned_by_nobody(folder: Path) -> list[str]:
    """What a user without rights meets. A fork, because this one may not even start Python from where it is."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            kinds = [type(item).__name__ for item in scan([folder], catalogue=released())]
            os.write(writing, json.dumps(kinds).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as said:
        answer = said.read()
    os.waitpid(child, 0)
    return json.loads(answer)


def test_a_folder_without_rights_is_told_and_the_rest_goes_on(tmp_path: Path):
    put(tmp_path, "closed/vitl.pt", "open/vith.pt")
    closed = tmp_path / "closed"
    closed.chmod(0)
    try:
        if os.access(closed, os.R_OK):  # root reads everything: look with another user's eyes
            for folder in (tmp_path, *tmp_path.parents[:3]):
                if folder.owner() == "root" and str(folder) not in ("/", "/tmp"):
                    folder.chmod(0o755)
            released()  # read before the fork
            kinds = scanned_by_nobody(tmp_path)
        else:
            kinds = [type(item).__name__ for item in scan([tmp_path], catalogue=released())]
    finally:
        closed.chmod(0o755)

    assert kinds == ["FolderProblem", "LibraryEntry"]


def test_thousands_of_files_are_given_one_at_a_time_and_a_cancel_stops_at_once(tmp_path: Path):
    put(tmp_path, *(f"{n % 40}/file{n}.pt" for n in range(3000)))
    cancel = CancelToken()
    walk = scan([tmp_path], catalogue=released(), cancel=cancel)

    first = next(walk)
    assert isinstance(first, LibraryEntry)
    assert sum(1 for _ in scan([tmp_path], catalogue=released())) == 3000
    cancel.cancel()
    with pytest.raises(Cancelled):
        for _ in walk:
            pass


def test_a_deep_tree_ends(tmp_path: Path):
    deep = tmp_path.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    (deep / "vitl.pt").write_bytes(b"x")

    assert entries(tmp_path) == []


def test_a_name_that_is_no_text_is_found_too(tmp_path: Path):
    try:
        (tmp_path / os.fsdecode(b"\xff\xfe.pt")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes text only")

    assert len(entries(tmp_path)) == 1


def test_scanning_opens_no_file_and_brings_no_torch(tmp_path: Path):
    put(tmp_path, "evil.pt")
    fifo = tmp_path / "pipe.pt"
    os.mkfifo(fifo)  # opening it for reading would hang
    code = (
        "import sys\nfrom pathlib import Path\nfrom jepa_core.catalogue import released\n"
        "from jepa_core.library import scan\n"
        f"print(len(list(scan([Path({str(tmp_path)!r})], catalogue=released()))))\n"
        "assert not {'torch', 'safetensors', 'PySide6', 'pickle5'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip

    assert done.stdout.split() == ["1"]


# --- remembering --------------------------------------------------------------------------------------------------------


def index_at(tmp_path: Path) -> LibraryIndex:
    return LibraryIndex(tmp_path / "data" / "library.json")


EXACT = Verdict(
    True, "V-JEPA 2", "ViT-L/16, 256 px, 64 frames", "", "ab" * 32, ("masked", "temporal"), 303_885_312, 7
)


def test_a_verdict_is_there_again_after_a_restart(tmp_path: Path):
    put(tmp_path, "m/vitl.pt")
    (found,) = entries(tmp_path / "m")
    index_at(tmp_path).judge(found.path, EXACT, found.stamp)

    (again,) = entries(tmp_path / "m", index=index_at(tmp_path))

    assert again.verdict == EXACT
    assert again.sha256 == "ab" * 32


def test_a_file_that_changed_has_no_verdict_any_more(tmp_path: Path):
    path = put(tmp_path, "m/vitl.pt") / "m/vitl.pt"
    index = index_at(tmp_path)
    index.judge(path, EXACT, entry_at(path, catalogue=released()).stamp)

    path.write_bytes(b"another")

    assert entry_at(path, catalogue=released(), index=index).verdict is None


def test_a_remembered_sha256_proves_the_file_without_reading_it(tmp_path: Path):
    path = put(tmp_path, "m/renamed.pt") / "m/renamed.pt"
    index = index_at(tmp_path)
    stamp = entry_at(path, catalogue=released()).stamp
    index.remember(path, Known(*stamp, sha256=PUSHT, checked="sha256"))

    found = entry_at(path, catalogue=released(), index=index)

    assert found.identity.is_proved
    assert found.identity.entry.id == "lewm-pusht"


def test_a_verdict_keeps_what_a_download_said(tmp_path: Path):
    path = put(tmp_path, "m/vitl.pt") / "m/vitl.pt"
    index = index_at(tmp_path)
    stamp = entry_at(path, catalogue=released()).stamp
    index.remember(
        path, Known(*stamp, sha256="cd" * 32, checked="sha256", origin="https://example.org/vitl.pt")
    )
    index.judge(path, Verdict(False, "V-JEPA 2", "", "vitl.pt is not exactly …"), stamp)

    known = index.known(path, *stamp)

    assert (known.origin, known.sha256, known.verdict.is_exact) == (
        "https://example.org/vitl.pt",
        "cd" * 32,
        False,
    )
    index.forget(path)
    assert index.known(path, *stamp) is None


def test_a_file_reached_by_a_link_is_the_same_file(tmp_path: Path):
    path = put(tmp_path, "m/vitl.pt") / "m/vitl.pt"
    (tmp_path / "link").symlink_to(tmp_path / "m", target_is_directory=True)
    index = index_at(tmp_path)
    index.judge(tmp_path / "link" / "vitl.pt", EXACT, entry_at(path, catalogue=released()).stamp)

    assert entry_at(path, catalogue=released(), index=index).verdict == EXACT


def test_two_programs_add_to_one_index_without_losing_each_others_lines(tmp_path: Path):
    one, other = index_at(tmp_path), index_at(tmp_path)
    one.remember(Path("/a"), Known(1, 1))
    other.remember(Path("/b"), Known(2, 2))
    one.remember(Path("/c"), Known(3, 3))

    assert {path for path in "abc" if index_at(tmp_path).known(Path(f"/{path}"), "abc".index(path) + 1, "abc".index(path) + 1)} == set("abc")  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe\x00", b"[1, 2]", b'{"schema": 9, "files": {}}', b'{"schema": 1}', b"[" * 100_000],
)
def test_a_damaged_index_is_put_aside_and_begun_anew(tmp_path: Path, content: bytes):
    path = tmp_path / "data" / "library.json"
    path.parent.mkdir()
    path.write_bytes(content)

    index = LibraryIndex(path)
    index.remember(Path("/a"), Known(1, 1))

    assert index_at(tmp_path).known(Path("/a"), 1, 1) == Known(1, 1)
    assert path.with_name("library.json.damaged").read_bytes() == content


def test_an_index_that_cannot_be_written_stays_in_memory(tmp_path: Path):
    blocker = tmp_path / "data"
    blocker.write_bytes(b"a file where the folder should be")
    index = index_at(tmp_path)

    index.remember(Path("/a"), Known(1, 1))

    assert index.known(Path("/a"), 1, 1) == Known(1, 1)
    assert blocker.read_bytes() == b"a file where the folder should be"


def test_what_the_loader_says_becomes_a_verdict():
    info = CheckpointInfo(
        "i",
        "V-JEPA 2",
        "ViT-L/16",
        "/x",
        "ee" * 32,
        InputSpec(256, 64, 4.0, 2, 16),
        None,
        frozenset({"temporal", "masked"}),
        parameters=5,
    )
    report = LoadReport("/x", "V-JEPA 2", "ViT-L/16", 452, sha256="ee" * 32)

    good = verdict_of((info, report), wall_ns=3)
    bad = verdict_of(ShapesDiffer("it does not fit", "take another", report=report))
    unread = verdict_of(UnreadableCheckpoint("it cannot be read"))

    assert good == Verdict(True, "V-JEPA 2", "ViT-L/16", "", "ee" * 32, ("masked", "temporal"), 5, 3)
    assert (bad.is_exact, bad.system, bad.text, bad.sha256) == (
        False,
        "V-JEPA 2",
        "it does not fit",
        "ee" * 32,
    )
    assert (unread.is_exact, unread.system, unread.text) == (False, "", "it cannot be read")


@given(st.data())
def test_no_content_of_an_index_makes_the_reader_fail_otherwise(data: st.DataObject):
    whole = json.dumps({"schema": 1, "files": {"/a": {"bytes": 1, "modified_ns": 2, "sha256": "x", "verdict": {"is_exact": True, "system": "V-JEPA", "abilities": ["masked"]}}}})  # fmt: skip
    text = whole
    for _ in range(data.draw(st.integers(0, 3))):
        start, cut = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 20))
        text = text[:start] + data.draw(st.text(max_size=10)) + text[start + cut :]
    try:
        lines = parse(text)
    except (ValueError, RecursionError):
        return
    assert all(isinstance(known, Known) for known in lines.values())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["bytes", "modified_ns", "sha256", "verdict", "is_exact", "abilities"]), inner, max_size=6),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
def test_a_line_of_any_kind_is_taken_or_left_out(value):
    lines = parse(json.dumps({"schema": 1, "files": {"/a": value, "/b": {"bytes": 1, "modified_ns": 2}}}))

    assert lines["/b"] == Known(1, 2)


# --- the lock ------------------------------------------------------------------------------------------------------------


def test_a_lock_is_had_by_one_and_free_again_when_let_go(tmp_path: Path):
    path = tmp_path / "x.lock"
    with FileLock(path):
        with pytest.raises(Locked), FileLock(path):
            pass
    with FileLock(path):
        pass


def test_a_killed_program_holds_no_lock(tmp_path: Path):
    path = tmp_path / "x.lock"
    code = (
        "import sys\nfrom pathlib import Path\nfrom jepa_core.file_lock import FileLock\n"
        f"with FileLock(Path({str(path)!r})):\n    print('mine', flush=True)\n    sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout.readline() == b"mine\n"
    with pytest.raises(Locked), FileLock(path):
        pass

    child.kill()
    child.communicate()

    with FileLock(path):
        pass
