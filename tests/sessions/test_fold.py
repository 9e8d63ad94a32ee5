"""Folding: the file is complete, follows the rules of HDF5 in section 3, and is never half there."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from jepa_core.clock import CancelToken, FakeClock
from jepa_core.errors import Cancelled, Damaged, DiskFull, NotASession, WriteFailed
from sessions import fold, verify
from sessions.disk import Disk
from sessions.journal import JournalWriter
from sessions.schema import NOTICE, RECORD_SECTIONS, RecordType
from sessions.schema_tables import TABLES
from tests.helpers.recordings import SMALL, make_header, make_recorder, make_row, record, record_and_fold

GROUPS = ["header", "record", "streams", "rollouts", "events", "changes", "reviews", "privacy", "integrity"]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return record_and_fold(tmp_path_factory.mktemp("session"), n_frames=40, n_events=4)


def datasets(file: h5py.File) -> list[h5py.Dataset]:
    found: list[h5py.Dataset] = []
    file.visititems(lambda name, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return found


def test_every_group_and_table_exists_in_every_file(session):
    with h5py.File(session) as file:
        assert [name for name in GROUPS if name not in file] == []
        assert set(file["streams"]) == {"camera", "model", "monitor"}
        for path, columns in TABLES.items():
            lengths = {file[path][column.name].shape[0] for column in columns}
            assert len(lengths) == 1, path
        assert file["reviews/review_id"].shape == (0,)
        assert file["rollouts/plans/plan_id"].shape == (0,)


def test_the_root_says_what_the_file_is(session):
    with h5py.File(session) as file:
        attributes = dict(file.attrs)
        assert (attributes["format"], attributes["schema_version"], attributes["state"]) == (
            "wm-session",
            "1.0.0",
            "sealed",
        )
        assert attributes["notice"] == NOTICE
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", attributes["created_utc"])
        assert file["header"].attrs["end_reason"] == "operator"
        assert file["header"].attrs["operator_id"] == "ada"
        assert file["header"].attrs["end_mono_ns"] > file["header"].attrs["start_mono_ns"]
        assert json.loads(file["header/environment_json"][()])["packages"]["h5py"] == h5py.__version__


def test_every_dataset_has_units_and_a_name(session):
    with h5py.File(session) as file:
        assert [
            d.name for d in datasets(file) if not d.attrs.get("units") or not d.attrs.get("long_name")
        ] == []


def test_only_allowed_types_and_filters_are_used(session):
    allowed = {np.dtype(kind) for kind in ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"]}
    with h5py.File(session) as file:
        for dataset in datasets(file):
            if h5py.check_string_dtype(dataset.dtype):
                assert h5py.check_string_dtype(dataset.dtype).encoding == "utf-8"
                assert not dataset.fletcher32
                continue
            assert dataset.dtype in allowed, dataset.name
            assert dataset.compression in (None, "gzip"), dataset.name
            assert dataset.compression_opts in (None, 1)
            if dataset.chunks:
                assert dataset.fletcher32, dataset.name


def test_chunks_hold_between_4_kib_and_1_mib(session):
    with h5py.File(session) as file:
        for dataset in datasets(file):
            if dataset.chunks and not h5py.check_string_dtype(dataset.dtype):
                size = dataset.dtype.itemsize * int(np.prod(dataset.chunks))
                assert 4096 <= size <= 1 << 20, dataset.name


def test_the_file_keeps_the_library_bounds_of_1_10(session):
    with h5py.File(session) as file:
        superblock = file.id.get_create_plist().get_version()[0]
        assert superblock == 3  # the one of HDF5 1.10


def test_wide_arrays_have_their_dimension_scales(session):
    with h5py.File(session) as file:
        model = file["streams/model"]
        error = model["token_error"]
        assert [error.dims[axis][0].name for axis in (1, 2, 3)] == [
            "/streams/model/grid_t", "/streams/model/grid_h", "/streams/model/grid_w",
        ]  # fmt: skip
        assert model["grid_h"][:].tolist() == [12.0, 36.0]  # crop 8, 0, 48, 48: two rows of 24 pixels
        assert model["grid_w"][:].tolist() == [20.0, 44.0]
        assert model["pooled_target"].dims[1][0].name == "/streams/model/embed_dim"


def test_a_frame_is_a_complete_picture_file_at_its_offset(session):
    with h5py.File(session) as file:
        camera = file["streams/camera"]
        for row in range(camera["seq"].shape[0]):
            offset, length = camera["data_offset"][row], camera["data_length"][row]
            picture = camera["data"][offset : offset + length].tobytes()
            assert picture[:2] == b"\xff\xd8"
            assert picture[-2:] == b"\xff\xd9"


def test_short_first_clips_are_padded_and_say_so(session):
    with h5py.File(session) as file:
        model = file["streams/model"]
        missing = 2**64 - 1
        assert model["clip_seq"].shape[1] == 8
        assert (model["clip_seq"][0] == missing).sum() == 4
        assert np.isnan(model["token_error"][0, 2:]).all()
        assert (model["token_role"][0, 2:] == 0).all()
        assert model["clip"][0, :4].tolist() == [0, 1, 2, 3]
        assert (model["frame_first"][0], model["frame_last"][0]) == (0, 1)
        assert (model["target_first"][0], model["target_last"][0]) == (2, 3)


def test_the_system_record_has_every_field_of_every_section(session):
    with h5py.File(session) as file:
        fields = file["record/fields"]
        pairs = set(zip(fields["section"].asstr()[:], fields["field"].asstr()[:]))
        assert pairs == {(section, field) for section, names in RECORD_SECTIONS.items() for field in names}
        meanings = fields["status"].attrs["flag_meanings"].split()
        assert meanings[fields["status"][list(fields["field"].asstr()[:]).index("licences")]] == "unknown"


def test_the_seal_states_the_file_it_lies_beside(session):
    seal = json.loads(fold.seal_path(session).read_text())
    assert seal["file_sha256"] == fold.sha256_of(session)
    assert seal["file_bytes"] == session.stat().st_size
    with h5py.File(session) as file:
        assert seal["chain_head"] == bytes(file["integrity"].attrs["head"]).hex()
        assert seal["record_count"] == file["integrity/chain/seq"].shape[0]
    assert set(seal) >= {"format", "schema_version", "session_id", "file_name", "counts_per_stream", "first_wall",
                         "last_wall", "state", "key_id", "signature"}  # fmt: skip


def test_a_journal_without_an_end_gives_the_same_file_but_recovered(tmp_path):
    journal = record(tmp_path)
    whole = journal.read_bytes()
    closed = fold.fold(journal)
    other = tmp_path / "cut" / journal.name
    other.parent.mkdir()
    end = whole.rfind(b"WMR1")
    other.write_bytes(whole[:end] + whole[end : end + 20])
    recovered = fold.fold(other)
    with h5py.File(closed) as a, h5py.File(recovered) as b:
        assert b.attrs["state"] == "recovered"
        assert b["header"].attrs["end_reason"] == "recovered"
        assert b["integrity/damage/cause"].asstr()[:].tolist() == ["torn_tail"]
        for name in ("streams/camera/data", "streams/model/signals", "events/json"):
            assert a[name][:].tolist() == b[name][:].tolist()
        assert b["integrity/chain/seq"].shape[0] == a["integrity/chain/seq"].shape[0] - 1
    assert verify.verify(recovered).is_valid


def test_an_empty_recording_and_one_without_a_model_are_whole_files(tmp_path):
    clock = FakeClock()
    recorder = make_recorder(tmp_path, clock, header=make_header(clock, has_model=False))
    recorder.start()
    session = fold.fold(recorder.stop())
    with h5py.File(session) as file:
        assert file["streams/camera/seq"].shape == (0,)
        assert file["streams/model"].attrs["kind"] == "model"
    assert verify.verify(session).is_valid


def test_records_of_a_kind_nobody_knows_yet_are_kept(tmp_path):
    clock, path = FakeClock(), tmp_path / "20231114T221321Z-00000000.wmj"
    journal = JournalWriter(path, make_header(clock).to_bytes(), clock=clock, disk=Disk())
    journal.append(7, RecordType.PLAN, b"\x00\x01 of a later version")
    journal.append(1, RecordType.FRAME, b"too short to be a frame")
    journal.append(0, RecordType.DOCUMENT, b'{"document":"horoscope"}')
    journal.append(0, RecordType.DOCUMENT, b"\xff not even text")
    journal.end("operator")
    journal.sync()
    journal.close()
    session = fold.fold(path)
    with h5py.File(session) as file:
        assert file["integrity/other/chain_seq"][:].tolist() == [0, 1, 3]
        assert file["integrity/documents/json"].asstr()[0] == '{"document":"horoscope"}'
    assert verify.verify(session).is_valid


def test_nothing_has_its_final_name_when_the_disk_fills_up(tmp_path):
    class Full(Disk):
        def sync_file(self, path: Path) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    journal = record(tmp_path)
    with pytest.raises(DiskFull):
        fold.fold(journal, disk=Full())
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".wmj"]
    assert fold.fold(journal).exists()


def test_a_fold_that_was_called_off_leaves_only_the_journal(tmp_path):
    journal, cancel = record(tmp_path), CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        fold.fold(journal, cancel=cancel)
    assert [path.name for path in tmp_path.iterdir()] == [journal.name]


def test_a_killed_fold_is_finished_by_the_next(tmp_path):
    journal = record(tmp_path)
    session = fold.fold(journal)
    fold.seal_path(session).unlink()  # killed between the rename and the seal
    (tmp_path / f"{session.name}.partial").write_bytes(b"half a file of an earlier try")
    before = session.read_bytes()
    assert [item.path for item in fold.find_unfinished(tmp_path)] == [journal]
    assert fold.fold(journal) == session
    assert session.read_bytes() == before
    assert verify.verify(session).seal == "agrees"


def test_a_foreign_session_of_the_same_name_is_never_written_over(tmp_path):
    journal = record(tmp_path / "a")
    other = record_and_fold(tmp_path / "b", n_frames=3)
    session = fold.session_path(journal)
    session.write_bytes(other.read_bytes())
    with pytest.raises(Damaged):
        fold.fold(journal)
    assert session.read_bytes() == other.read_bytes()


def test_a_journal_that_is_being_written_is_neither_offered_nor_folded(tmp_path):
    clock = FakeClock()
    recorder = make_recorder(tmp_path, clock)
    journal = recorder.start()
    assert fold.find_unfinished(tmp_path) == []
    with pytest.raises(fold.InUse):
        fold.fold(journal)
    recorder.frame(make_row(0, clock))
    recorder.stop()
    (found,) = fold.find_unfinished(tmp_path)
    assert (found.path, found.has_end, found.title) == (journal, True, "a test")


def test_a_part_can_be_folded_while_the_next_records_and_the_reserve_stays(tmp_path):
    clock = FakeClock()
    recorder = make_recorder(tmp_path, clock, settings=replace(SMALL, reserve_bytes=4096))
    recorder.start()
    recorder.reconfigure(model=None)
    recorder.frame(make_row(0, clock))
    while len(recorder.parts) < 2:
        clock.wait_until(clock.now_ns() - 1, CancelToken())
    fold.fold(recorder.parts[0])
    assert len(list(tmp_path.glob("*.reserve"))) == 1
    recorder.stop()
    session = fold.fold(recorder.parts[1])
    assert session.name.endswith(".p2.h5")
    assert list(tmp_path.glob("*.reserve")) == []
    with h5py.File(session) as file:
        assert file["header"].attrs["previous_journal"] == recorder.parts[0].name


def test_the_start_screen_hears_of_a_journal_that_cannot_be_read(tmp_path):
    (tmp_path / "20231114T221321Z-00000000.wmj").write_bytes(b"WMJ1\r\n\x1a\nrubbish")
    (found,) = fold.find_unfinished(tmp_path)
    assert "header" in found.problem
    assert fold.find_unfinished(tmp_path / "nowhere") == []


def test_what_is_no_journal_is_refused(tmp_path):
    with pytest.raises(NotASession):
        fold.fold(tmp_path / "absent.wmj")
    (tmp_path / "a.wmj").write_bytes(b"text")
    with pytest.raises(NotASession):
        fold.fold(tmp_path / "a.wmj")


def test_folding_in_a_child_reports_progress_and_gives_the_same_file(tmp_path):
    journal, heard = record(tmp_path), []
    session = fold.fold_in_child(journal, progress=heard.append)
    assert heard[-1] == 1.0
    assert verify.verify_in_child(session).is_valid
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".h5", ".json", ".wmj"]


def test_a_refusal_of_the_child_arrives_as_the_same_error(tmp_path):
    (tmp_path / "a.wmj").write_bytes(b"text")
    with pytest.raises(NotASession):
        fold.fold_in_child(tmp_path / "a.wmj")


def test_a_child_that_takes_too_long_is_ended_and_can_be_run_again(tmp_path):
    journal = record(tmp_path)
    with pytest.raises(fold.ConsoleError, match="stopped"):
        fold.fold_in_child(journal, timeout=0.0)
    assert [path.name for path in tmp_path.iterdir()] == [journal.name]
    assert fold.recover(journal).exists()


def test_the_journal_is_deleted_only_when_asked_and_only_at_the_end(tmp_path):
    journal = record(tmp_path)
    session = fold.fold(journal, keep_journal=False)
    assert not journal.exists()
    assert verify.verify(session).is_valid


def test_a_file_that_does_not_say_what_the_journal_says_gets_no_name(tmp_path, monkeypatch):
    journal = record(tmp_path)
    monkeypatch.setattr(
        verify, "verify_file", lambda path, **how: verify.Verdict("valid, unsigned", "", path, head="00")
    )
    with pytest.raises(WriteFailed):
        fold.fold(journal)
    assert [path.name for path in tmp_path.iterdir()] == [journal.name]


def test_recording_and_asking_for_a_fold_load_neither_hdf5_nor_torch():
    """The window opens in a second, and HDF5 can crash a process only where it is loaded."""
    check = "import sys, sessions.recorder, sessions.fold, sessions.header; print([m for m in ('h5py', 'torch') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
