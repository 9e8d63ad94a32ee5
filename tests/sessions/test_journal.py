"""The journal: byte for byte as written down, readable after any accident."""

from __future__ import annotations

import errno
import hashlib
import random
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.clock import FakeClock
from jepa_core.errors import Damaged, NewerSchema, NotASession
from sessions import canonical
from sessions.disk import Disk, is_in_use
from sessions.journal import RECORD_OVERHEAD, JournalWriter
from sessions.scan import JournalScan
from sessions.schema import RecordType
from tests.helpers.recordings import TroubledDisk

HEADER = canonical.encode({"schema_version": "1.0.0", "session_id": "x"})


def write(path: Path, payloads: list[bytes], *, is_ended: bool = True, disk: Disk | None = None) -> bytes:
    path.unlink(missing_ok=True)
    clock = FakeClock()
    journal = JournalWriter(path, HEADER, clock=clock, disk=disk or Disk())
    for payload in payloads:
        clock.advance(1000)
        journal.append(1, RecordType.SAMPLE, payload)
    if is_ended:
        journal.end("operator")
    journal.sync()
    journal.close()
    return path.read_bytes()


def scan(path: Path) -> tuple[list[bytes], JournalScan]:
    with JournalScan(path) as journal:
        return [record.payload for record in journal.records() if record.type == RecordType.SAMPLE], journal


def test_the_bytes_are_the_ones_the_format_states(tmp_path):
    data = write(tmp_path / "a.wmj", [b"payload"], is_ended=False)
    assert data[:8] == b"WMJ1\r\n\x1a\n"
    (length,) = struct.unpack_from("<I", data, 8)
    header = data[12 : 12 + length]
    assert header == HEADER
    assert struct.unpack_from("<I", data, 12 + length)[0] == zlib.crc32(header)
    record = data[16 + length :]
    magic, size, seq, stream, type_, mono, wall, salt, digest, link, head_crc = struct.unpack_from(
        "<4sIQHHqq16s32s32sI", record
    )
    payload, payload_crc = record[120:127], struct.unpack_from("<I", record, 127)[0]
    assert (magic, size, seq, stream, type_) == (b"WMR1", 7, 0, 1, 3)
    assert digest == hashlib.sha256(b"wmr1" + salt + payload).digest()
    core = struct.pack("<QHHqqI32s", seq, stream, type_, mono, wall, size, digest)
    genesis = hashlib.sha256(b"wmj1-genesis" + header).digest()
    assert link == hashlib.sha256(genesis + core).digest()
    assert (head_crc, payload_crc) == (zlib.crc32(record[:116]), zlib.crc32(payload))
    assert len(record) == RECORD_OVERHEAD + 7


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_what_was_appended_is_read_back_in_order(tmp_path_factory, payloads):
    path = tmp_path_factory.mktemp("journal") / "a.wmj"
    write(path, payloads)
    read, journal = scan(path)
    assert read == payloads
    assert journal.damage == []
    assert journal.has_end


@given(st.integers(0, 600))
def test_a_file_cut_anywhere_keeps_every_whole_record(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("journal") / "a.wmj"
    payloads = [b"one" * 20, b"two" * 30, b"three" * 10]
    data = write(path, payloads, is_ended=False)
    start = 16 + len(HEADER)
    path.write_bytes(data[: min(len(data), start + cut)])
    ends, position = [], start
    for payload in payloads:
        position += RECORD_OVERHEAD + len(payload)
        ends.append(position)
    whole = sum(end <= start + cut for end in ends)
    read, journal = scan(path)
    assert read == payloads[:whole]
    is_clean = start + cut in [start, *ends] or start + cut >= len(data)
    assert [item.cause for item in journal.damage] == ([] if is_clean else ["torn_tail"])


@given(st.integers(0, 10**9), st.integers(0, 7))
def test_one_flipped_bit_costs_at_most_its_own_record_and_is_reported(tmp_path_factory, place, bit):
    path = tmp_path_factory.mktemp("journal") / "a.wmj"
    payloads = [bytes([number]) * 50 for number in range(5)]
    data = bytearray(write(path, payloads))
    start = 16 + len(HEADER)
    at = start + place % (len(data) - start)
    data[at] ^= 1 << bit
    path.write_bytes(bytes(data))
    read, journal = scan(path)
    assert journal.damage
    lost = [payload for payload in payloads if payload not in read]
    assert len(lost) <= 1
    assert [payload for payload in payloads if payload in read] == read


def test_an_exchanged_payload_with_right_checksums_is_found_by_the_digest(tmp_path):
    path = tmp_path / "a.wmj"
    data = bytearray(write(path, [b"true" * 9], is_ended=False))
    at = 16 + len(HEADER) + 120
    data[at : at + 36] = b"lies" * 9
    data[at + 36 : at + 40] = struct.pack("<I", zlib.crc32(b"lies" * 9))
    path.write_bytes(bytes(data))
    _, journal = scan(path)
    assert [item.cause for item in journal.damage] == ["digest_differs"]


def test_a_record_cut_out_of_the_middle_is_reported_and_the_rest_kept(tmp_path):
    path = tmp_path / "a.wmj"
    data = write(path, [b"a" * 40, b"b" * 40, b"c" * 40])
    start = 16 + len(HEADER) + RECORD_OVERHEAD + 40
    path.write_bytes(data[:start] + data[start + RECORD_OVERHEAD + 40 :])
    read, journal = scan(path)
    assert read == [b"a" * 40, b"c" * 40]
    assert (journal.damage[0].cause, journal.damage[0].seq_first, journal.damage[0].seq_count) == (
        "damaged",
        1,
        1,
    )


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_read_without_a_crash(tmp_path, seed):
    path = tmp_path / "a.wmj"
    noise = random.Random(seed)
    data = bytearray(write(path, [b"x" * 100] * 20))
    for _ in range(noise.randrange(1, 60)):
        data[noise.randrange(len(data))] = noise.randrange(256)
    path.write_bytes(bytes(data[: noise.randrange(len(data))]))
    try:
        scan(path)
    except (NotASession, Damaged, NewerSchema):
        pass


def test_a_file_full_of_false_starts_ends_soon(tmp_path):
    path = tmp_path / "a.wmj"
    data = write(path, [b"x"], is_ended=False)
    path.write_bytes(data + b"WMR1" * 2_000_000)
    read, journal = scan(path)
    assert read == [b"x"]
    assert journal.damage[0].cause == "torn_tail"


def test_a_length_beyond_the_file_is_not_believed(tmp_path):
    path = tmp_path / "a.wmj"
    data = write(path, [], is_ended=False)
    head = struct.pack("<4sIQHHqq16s32s32s", b"WMR1", 60 << 20, 0, 1, 3, 0, 0, b"", b"", b"")
    path.write_bytes(data + head + struct.pack("<I", zlib.crc32(head)))
    read, journal = scan(path)
    assert read == []
    assert journal.damage[0].cause == "torn_tail"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", NotASession),
        (b"not a journal at all", NotASession),
        (b"WMJ1\r\n\x1a\n", Damaged),
        (b"WMJ1\r\n\x1a\n" + b"\xff" * 4, Damaged),
        (b"WMJ1\r\n\x1a\n" + struct.pack("<I", 2) + b"{}" + b"\0\0\0\0", Damaged),
        (b"WMJ1\r\n\x1a\n" + struct.pack("<I", 2) + b"[]" + struct.pack("<I", zlib.crc32(b"[]")), Damaged),
    ],
)
def test_what_is_no_journal_is_refused_in_words(tmp_path, data, kind):
    path = tmp_path / "a.wmj"
    path.write_bytes(data)
    with pytest.raises(kind) as caught:
        JournalScan(path)
    assert path.name in caught.value.what


def test_a_newer_major_version_is_refused_by_its_name(tmp_path):
    clock, path = FakeClock(), tmp_path / "a.wmj"
    JournalWriter(path, canonical.encode({"schema_version": "2.0.0"}), clock=clock, disk=Disk()).close()
    with pytest.raises(NewerSchema, match=r"2\.0\.0"):
        JournalScan(path)


def test_a_full_disk_leaves_the_file_at_its_last_good_length(tmp_path):
    disk, path = TroubledDisk(), tmp_path / "a.wmj"
    journal = JournalWriter(path, HEADER, clock=FakeClock(), disk=disk)
    journal.append(1, RecordType.SAMPLE, b"fits")
    size = journal.size
    disk.room = 50
    with pytest.raises(OSError) as caught:
        journal.append(1, RecordType.SAMPLE, b"does not fit")
    assert caught.value.errno == errno.ENOSPC
    assert path.stat().st_size == size == journal.size
    disk.room = 10_000
    journal.append(1, RecordType.SAMPLE, b"fits again")
    journal.close()
    read, reread = scan(path)
    assert read == [b"fits", b"fits again"]
    assert reread.damage == []


def test_after_a_failed_sync_nothing_is_written_or_claimed_any_more(tmp_path):
    disk = TroubledDisk()
    journal = JournalWriter(tmp_path / "a.wmj", HEADER, clock=FakeClock(), disk=disk)
    journal.append(1, RecordType.SAMPLE, b"x")
    disk.sync_error = OSError(errno.EIO, "Input/output error")
    with pytest.raises(OSError):
        journal.sync()
    synced = len(disk.synced_fds)
    for again in (journal.sync, lambda: journal.append(1, RecordType.SAMPLE, b"y")):
        with pytest.raises(OSError):
            again()
    assert len(disk.synced_fds) == synced
    journal.close()


def test_an_open_journal_is_seen_to_be_in_use(tmp_path):
    path = tmp_path / "a.wmj"
    journal = JournalWriter(path, HEADER, clock=FakeClock(), disk=Disk())
    assert is_in_use(path)
    journal.close()
    assert not is_in_use(path)


def test_an_existing_file_is_never_written_over(tmp_path):
    path = tmp_path / "a.wmj"
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        JournalWriter(path, HEADER, clock=FakeClock(), disk=Disk())
    assert path.read_bytes() == b"precious"
