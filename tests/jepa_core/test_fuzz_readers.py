"""Every reader, fed with files changed at random: read or refused, never a crash, a hang or a silent wrong number.

200 files in an ordinary run; `FUZZ=5000 pytest tests/jepa_core/test_fuzz_readers.py -s` for the long one, `FUZZ_SEED` for
other files. Each is opened in a child process with a limit on memory and time (tests/helpers/reading.py).
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.mutations import KINDS, Kind
from tests.helpers.reading import Opened, Reader

FILES = int(os.environ.get("FUZZ", "200"))
SEED = os.environ.get("FUZZ_SEED", "0")
MOST_BYTES = 150_000_000  # of memory for one file; all of them are smaller than a megabyte
LONGEST = 600  # characters of a refusal
TABLE: dict[str, Counter[str]] = {}
pytestmark = pytest.mark.timeout(120 + FILES // 5)


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as opened:
        yield opened


@pytest.fixture(scope="module", autouse=True)
def said() -> Iterator[None]:
    """The numbers of the whole run, for whoever asked for them with -s."""
    yield
    total = sum(TABLE.values(), Counter())
    for kind, counts in {**TABLE, "all": total}.items():
        numbers = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
        print(f"\n{kind:<30}{sum(counts.values()):>6}: {numbers}", end="")  # noqa: T201


@pytest.mark.parametrize("name", KINDS)
def test_changed_files_are_read_or_refused_and_nothing_else(name, reader, tmp_path):
    kind, share = KINDS[name], FILES // len(KINDS) + 1
    (tmp_path / "whole").mkdir()
    opened_file = kind.make(tmp_path / "whole")
    whole = reader.open(opened_file, kind.config)
    assert whole.kind == ("refused" if name == "torch before 1.6" else "loaded"), whole
    counts = TABLE.setdefault(name, Counter())
    for number in range(share):
        faults = _try(kind, name, number, reader, tmp_path, whole, counts)
        assert not faults, f"{name}, file {number} of seed {SEED} ({tmp_path / 'changed'}): {faults}"


def _try(
    kind: Kind, name: str, number: int, reader: Reader, tmp_path: Path, whole: Opened, counts: Counter[str]
) -> str:
    """Change one file, open it, count what came of it; what is wrong with that, in words."""
    draw = random.Random(f"{SEED}/{name}/{number}")
    folder = tmp_path / "changed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = kind.make(folder)
    file = path
    if kind.damaged:
        file = (path if path.is_dir() else path.parent) / kind.damaged
    before = file.read_bytes()
    after = kind.change(before, draw)
    file.write_bytes(after)
    opened = reader.open(path, kind.config)
    if opened.kind not in ("loaded", "refused"):
        counts[opened.kind] += 1
        return f"{opened.kind}: {opened.what}"
    if opened.peak_bytes > MOST_BYTES:
        return f"took {opened.peak_bytes} bytes of memory"
    if opened.kind == "refused":
        counts["refused"] += 1
        fits = opened.what.endswith(".") and len(opened.what) <= LONGEST and opened.what.isprintable()
        return "" if fits else f"no sentence: {opened.what!r}"
    if opened.digest == whole.digest:
        counts["loaded as it was"] += 1
        return ""
    if kind.may_differ(before, after):
        counts["loaded as another file"] += 1  # whose own signs are all in order: nothing could tell
        return ""
    counts["silently wrong"] += 1
    return "loaded with other weights, and nothing was said"


def test_a_changed_weight_of_a_torch_file_is_never_loaded(reader, tmp_path):
    """Not one bit of the numbers: the zip's own CRC-32 tells. (.safetensors has none; the report says so.)"""
    kind = KINDS["torch zip"]
    (tmp_path / "whole").mkdir()
    path = kind.make(tmp_path / "whole")
    content = path.read_bytes()
    whole = reader.open(path)
    draw = random.Random(SEED)
    for _ in range(max(FILES // 10, 20)):
        flipped = bytearray(content)
        flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        opened = reader.open(path)
        assert opened.kind == "refused" or opened.digest == whole.digest, opened
