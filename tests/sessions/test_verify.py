"""Verification: finds every change, names the first bad record, and never cries wolf."""

from __future__ import annotations

import random
import shutil
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from sessions import fold, verify
from sessions.verify import ALTERED, DAMAGED, UNREADABLE, UNSIGNED
from tests.helpers.recordings import record, record_and_fold


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return record_and_fold(tmp_path_factory.mktemp("verify"), n_frames=30, n_events=4)


@pytest.fixture
def session(original, tmp_path):
    """A copy that may be spoilt, without its seal: the file must speak for itself."""
    return Path(shutil.copy(original, tmp_path / original.name))


def chain_seq(session: Path, path: str, row: int) -> int:
    with h5py.File(session) as file:
        return int(file[path][row])


@pytest.mark.parametrize("n_frames", [0, 1, 2, 17, 60])
def test_a_sound_session_is_valid(tmp_path, n_frames):
    verdict = verify.verify(record_and_fold(tmp_path, n_frames=n_frames))
    assert (verdict.kind, verdict.first_bad, verdict.seal) == (UNSIGNED, None, "agrees")


def test_a_sound_journal_is_valid_too(tmp_path):
    verdict = verify.verify(record(tmp_path))
    assert (verdict.kind, verdict.state) == (UNSIGNED, "journal")


def edit(session: Path, path: str, row, value) -> None:
    with h5py.File(session, "r+") as file:
        file[path][row] = value


@pytest.mark.parametrize(
    ("path", "row", "value"),
    [
        ("streams/camera/t_capture_mono_ns", 5, 12345),
        ("streams/camera/decoded_crc32", 5, 1),
        ("streams/camera/capture_index", 5, 99),
        ("streams/model/token_error", (5, 3, 0, 0), 0.001),
        ("streams/model/token_role", (5, 3, 0, 0), 0),
        ("streams/model/surprise", 5, 0.0),
        ("streams/model/signals", (5, 0), 0.0),
        ("streams/model/pooled_context", (5, 0), 0.0),
    ],
)
def test_a_changed_number_is_altered_and_its_record_named(session, path, row, value):
    edit(session, path, row, value)
    number = row[0] if isinstance(row, tuple) else row
    verdict = verify.verify(session)
    expected = chain_seq(session, f"{Path(path).parent}/chain_seq", number)
    assert (verdict.kind, verdict.first_bad) == (ALTERED, expected)
    assert f"Record {expected}" in verdict.text


def test_a_changed_pixel_is_altered_and_its_record_named(session):
    with h5py.File(session) as file:
        offset = int(file["streams/camera/data_offset"][7])
    edit(session, "streams/camera/data", offset + 300, 0)
    verdict = verify.verify(session)
    assert (verdict.kind, verdict.first_bad) == (ALTERED, chain_seq(session, "streams/camera/chain_seq", 7))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("events/json", '{"document":"event"}'),
        ("events/kind", 3),
        ("events/t_onset_wall_ns", 5),
        ("events/actor_id", "somebody else"),
        ("events/supersedes", "x"),
    ],
)
def test_a_changed_event_is_altered_whichever_column_says_it(session, path, value):
    edit(session, path, 1, value)
    verdict = verify.verify(session)
    assert (verdict.kind, verdict.first_bad) == (ALTERED, chain_seq(session, "events/chain_seq", 1))


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/", "state", "recovered"),
        ("/", "notice", "This is a safety-rated system."),
        ("header", "operator_id", "eve"),
        ("header", "end_reason", "recovered"),
        ("header", "start_wall_ns", np.int64(5)),
        ("streams/camera", "nominal_fps", 31.0),
        ("streams/model", "reproduce_tolerance", np.array([10.0, 10.0])),
        ("privacy", "profile", "events_only"),
        ("streams/model/token_error", "units", "percent"),
        ("events/kind", "long_name", "kind of joke"),
    ],
)
def test_a_changed_attribute_is_altered(session, path, name, value):
    with h5py.File(session, "r+") as file:
        file[path].attrs[name] = value
    assert verify.verify(session).kind == ALTERED


@pytest.mark.parametrize(
    ("path", "row"),
    [
        ("integrity/chain/link", (4, 0)),
        ("integrity/chain/digest", (4, 0)),
        ("integrity/chain/t_wall_ns", 4),
        ("integrity/chain/type", 4),
        ("integrity/chain/salt", (4, 0)),
    ],
)
def test_a_changed_chain_is_altered_at_that_record(session, path, row):
    with h5py.File(session, "r+") as file:
        file[path][row] = file[path][row] ^ 1
    verdict = verify.verify(session)
    assert (verdict.kind, verdict.first_bad) == (ALTERED, 4)


def test_a_record_that_was_taken_out_is_missed(session):
    with h5py.File(session, "r+") as file:
        for name in file["events"]:
            column = file[f"events/{name}"]
            column.resize(3, axis=0)
    verdict = verify.verify(session)
    assert verdict.kind == ALTERED
    assert "no redaction accounts for it" in verdict.text


def test_a_row_that_was_put_in_is_found(session):
    with h5py.File(session, "r+") as file:
        for name in file["events"]:
            column = file[f"events/{name}"]
            column.resize(5, axis=0)
            column[4] = column[3]
    assert verify.verify(session).kind == ALTERED


def test_a_rewritten_system_record_is_found_in_its_columns(session):
    edit(session, "record/fields/value_json", 3, '"a better model"')
    verdict = verify.verify(session)
    assert (verdict.kind, verdict.first_bad) == (ALTERED, 0)


def test_a_chain_that_was_cut_short_is_found(session):
    with h5py.File(session, "r+") as file:
        for name in file["integrity/chain"]:
            column = file[f"integrity/chain/{name}"]
            column.resize(column.shape[0] - 1, axis=0)
    assert verify.verify(session).kind == ALTERED


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_bit_anywhere_is_found_with_the_seal(original, tmp_path, seed):
    session = Path(shutil.copy(original, tmp_path / original.name))
    shutil.copy(fold.seal_path(original), fold.seal_path(session))
    data = bytearray(session.read_bytes())
    noise = random.Random(seed)
    data[noise.randrange(len(data))] ^= 1 << noise.randrange(8)
    session.write_bytes(bytes(data))
    assert not verify.verify_in_child(session).is_valid if seed < 4 else not verify.verify(session).is_valid


@pytest.mark.parametrize("seed", range(30))
def test_a_flipped_bit_in_recorded_data_is_found_by_the_file_alone(session, seed):
    """In the pixels, the numbers and the documents themselves, the seal is not needed, and the record is named."""
    noise = random.Random(seed)
    data = bytearray(session.read_bytes())
    with h5py.File(session) as file:
        name = noise.choice(["streams/camera/data", "streams/model/token_error", "integrity/chain/link"])
        chunk = noise.randrange(file[name].id.get_num_chunks())
        where = file[name].id.get_chunk_info(chunk)
        at = where.byte_offset + noise.randrange(min(where.size, 2000))
    data[at] ^= 1 << noise.randrange(8)
    session.write_bytes(bytes(data))
    verdict = verify.verify(session)
    assert verdict.kind in (DAMAGED, ALTERED)
    assert verdict.first_bad is not None


def test_a_bit_flipped_in_one_of_many_chunks_names_the_record_it_lies_in(tmp_path):
    session = record_and_fold(tmp_path, n_frames=60)
    with h5py.File(session) as file:
        error = file["streams/model/token_error"]
        rows = error.chunks[0]
        where = error.id.get_chunk_info(error.id.get_num_chunks() - 1)
        expected = int(file["streams/model/chain_seq"][where.chunk_offset[0]])
        assert rows
    data = bytearray(session.read_bytes())
    data[where.byte_offset + 40] ^= 4
    session.write_bytes(bytes(data))
    fold.seal_path(session).unlink()
    verdict = verify.verify(session)
    assert (verdict.kind, verdict.first_bad) == (DAMAGED, expected)


@pytest.mark.parametrize("seed", range(12))
def test_a_file_cut_or_overwritten_gives_a_verdict_and_no_crash(session, seed):
    noise = random.Random(seed)
    data = bytearray(session.read_bytes())
    if seed % 2:
        data = data[: noise.randrange(len(data))]
    else:
        for _ in range(200):
            data[noise.randrange(len(data))] = noise.randrange(256)
    session.write_bytes(bytes(data))
    assert verify.verify_in_child(session, timeout=30).kind in (DAMAGED, ALTERED, UNREADABLE)


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\x89HDF\r\n\x1a\n" + bytes(2000), b"WMJ1", b"WMJ1\r\n\x1a\n"]
)
def test_what_is_no_session_is_unreadable(tmp_path, data):
    path = tmp_path / "a.h5"
    path.write_bytes(data)
    verdict = verify.verify(path)
    assert verdict.kind == UNREADABLE
    assert verdict.text


def test_another_hdf5_file_is_unreadable_and_a_missing_one_too(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    assert verify.verify(tmp_path / "other.h5").kind == UNREADABLE
    assert verify.verify(tmp_path / "absent.h5").kind == UNREADABLE


def test_a_damaged_journal_says_where_and_so_does_its_session(tmp_path):
    journal = record(tmp_path)
    data = bytearray(journal.read_bytes())
    second = data.find(b"WMR1", data.find(b"WMR1", data.find(b"WMR1") + 4) + 4)
    data[second + 150] ^= 255
    journal.write_bytes(bytes(data))
    verdict = verify.verify(journal)
    assert (verdict.kind, verdict.first_bad) == (DAMAGED, 2)
    folded = verify.verify(fold.fold(journal))
    assert (folded.kind, folded.first_bad) == (DAMAGED, 2)


def test_a_forged_journal_record_is_altered_and_so_is_its_session(tmp_path):
    journal = record(tmp_path)
    data = bytearray(journal.read_bytes())
    at = data.find(b"WMR1", data.find(b"WMR1") + 4)
    (length,) = struct.unpack_from("<I", data, at + 4)
    data[at + 120] ^= 255
    struct.pack_into("<I", data, at + 120 + length, zlib.crc32(bytes(data[at + 120 : at + 120 + length])))
    journal.write_bytes(bytes(data))
    assert (verify.verify(journal).kind, verify.verify(journal).first_bad) == (ALTERED, 1)
    folded = verify.verify(fold.fold(journal))
    assert (folded.kind, folded.first_bad) == (ALTERED, 1)


def test_a_seal_of_another_file_is_noticed(original, tmp_path):
    session = Path(shutil.copy(original, tmp_path / original.name))
    other = record_and_fold(tmp_path / "other", n_frames=2)
    shutil.copy(fold.seal_path(other), fold.seal_path(session))
    verdict = verify.verify(session)
    assert (verdict.kind, verdict.seal) == (ALTERED, "differs")


def test_the_verdict_can_be_printed_as_json(original):
    printed = verify.verify(original).to_json()
    assert printed["verdict"] == UNSIGNED
    assert printed["first_bad"] is None
