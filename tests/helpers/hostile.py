"""Files made to harm: each tiny, each wrong in one stated way, with what a person should be told of it.

`tests/jepa_core/test_hostile_files.py` opens them in a child with a limit on memory and time.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.golden.runner import CASES
from tests.helpers import checkpoints as made

Make = Callable[[Path], Path]
PREFIX = made.PREFIX
PROOF = "it-ran"  # the file that code inside a hostile file would leave


class Runs:
    """Pickles as a call."""

    def __init__(self, called: Any, *arguments: Any) -> None:
        self.call = called, arguments

    def __reduce__(self) -> Any:
        return self.call


# --- pickles -----------------------------------------------------------------------------------------------------


def running(called: Any) -> Make:
    """An official file with a call in it that would leave a proof."""

    def make(folder: Path) -> Path:
        proof = folder / PROOF
        words = f"touch {proof}" if called is os.system else f"open({str(proof)!r}, 'w')"
        return made.write(folder, change=lambda saved: saved.update(extra=Runs(called, words)))

    return make


def plain_pickle(folder: Path) -> Path:
    path = folder / "plain.pt"
    path.write_bytes(pickle.dumps({"encoder": Runs(os.system, f"touch {folder / PROOF}")}))
    return path


def old_torch(folder: Path) -> Path:
    torch.save(
        {"encoder": Runs(os.system, f"touch {folder / PROOF}")},
        folder / "old.pt",
        _use_new_zipfile_serialization=False,
    )
    return folder / "old.pt"


def named(module: str, name: str) -> Make:
    """An official file whose pickle names something without calling it in a harmless way."""

    def make(folder: Path) -> Path:
        path = made.write(folder)
        code = f"c{module}\n{name}\n(X\x02\x00\x00\x00idtR".encode()
        return _with_tree(path, lambda tree: tree.replace(b"}", b"}X\x01\x00\x00\x00z" + code + b"s", 1))

    return make


def shared_dictionaries(folder: Path) -> Path:
    """Two names in each of sixty levels for the level below: 2^60 names in two thousand bytes."""
    tree = b"\x80\x02}q\x00"
    for level in range(60):
        tree += b"}(" + b"".join(b"X\x01\x00\x00\x00" + key + b"h" + bytes([level]) for key in (b"a", b"b"))
        tree += b"uq" + bytes([level + 1])
    return torch_zip(folder, tree + b".")


def shared_modules(folder: Path) -> Path:
    """The same with modules inside modules."""

    def text(value: bytes) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value

    tree = b"\x80\x02ca\nM\n)\x81}b" + b"q\x00"
    for level in range(60):
        inside = b"}(" + b"".join(text(key) + b"h" + bytes([level]) for key in (b"a", b"b")) + b"u"
        tree += b"ca\nM\n)\x81}" + text(b"_modules") + inside + b"sb" + b"q" + bytes([level + 1])
    return torch_zip(folder, tree + b".")


def torch_zip(folder: Path, tree: bytes, storages: Mapping[str, bytes] | None = None, **options: Any) -> Path:
    """A torch zip file around a hand-made pickle."""
    path = folder / "made.pt"
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("a/data.pkl", tree)
        archive.writestr("a/byteorder", "little")
        for key, numbers in (storages or {}).items():
            archive.writestr(f"a/data/{key}", numbers)
    return path


def _entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


def rewritten(path: Path, entries: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def _with_tree(path: Path, change: Callable[[bytes], bytes]) -> Path:
    entries = _entries(path)
    tree = next(name for name in entries if name.endswith("data.pkl"))
    return rewritten(path, {**entries, tree: change(entries[tree])})


# --- zips --------------------------------------------------------------------------------------------------------


def compressed(folder: Path) -> Path:
    """50 MB of zeros in 50 kB."""
    return torch_zip(folder, b"\x80\x02}.", {"0": bytes(50_000_000)}, compression=zipfile.ZIP_DEFLATED)


def bomb_in_the_tree(folder: Path) -> Path:
    """The pickle itself is what swells."""
    path = folder / "made.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}." + bytes(200_000_000))
    return path


def many_entries(folder: Path) -> Path:
    path = folder / "made.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        for number in range(50_000):
            archive.writestr(f"a/data/{number}", b"")
    return path


def table_of_contents(folder: Path) -> Path:
    """A file that is nothing but a table of contents of 40 MB: one entry with a long comment, again and again."""
    name = b"a/data.pkl"
    body = b"PK\x03\x04" + struct.pack("<5H3L2H", 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0) + name
    entry = (
        b"PK\x01\x02"
        + struct.pack("<6H3L5H2L", 20, 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0, 60_000, 0, 0, 0, 0)
        + name
    )
    table = (entry + bytes(60_000)) * 700
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 700, 700, len(table), len(body), 0)
    path = folder / "made.pt"
    path.write_bytes(body + table + end)
    return path


def lying_entry(folder: Path) -> Path:
    """An entry that says it is 40 GB."""
    path = made.write(folder)
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 20 : at + 28] = struct.pack("<LL", 0xF0000000, 0xF0000000)
    path.write_bytes(content)
    return path


def other_names_inside(folder: Path) -> Path:
    """The table of contents and the entries themselves tell of different files: what two readers take for two."""
    path = made.write(folder)
    content = path.read_bytes()
    at = content.index(b"latest/data/1")
    path.write_bytes(content[:at] + b"latest/data/7" + content[at + 13 :])
    return path


def same_name_twice(folder: Path) -> Path:
    path = made.write(folder)
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        archive.writestr("latest/data/0", b"other numbers")
    return path


def big_endian(folder: Path) -> Path:
    path = made.write(folder)
    return rewritten(path, {**_entries(path), "latest/byteorder": b"big"})


# --- tensors -----------------------------------------------------------------------------------------------------


def claims(**tensor: Any) -> Make:
    """A file whose one tensor claims what is not there; see tests/jepa_core/test_pickled_objects.py."""
    from tests.jepa_core.test_pickled_objects import claim, tree_of

    return lambda folder: torch_zip(
        folder, tree_of(**{"blocks.0.attn.qkv.weight": claim(**tensor)}), {"0": bytes(16)}
    )


def repeated(folder: Path) -> Path:
    """One number, described as 40 GB of them."""
    path = folder / "made.pt"
    torch.save({"encoder": {f"{PREFIX}norm.weight": torch.zeros(1).expand(10_000_000_000)}}, path)
    return path


def overlapping(folder: Path) -> Path:
    """Two parts that are windows into one stretch of numbers."""

    def share(saved: made.Content) -> None:
        both = torch.randn(36)
        saved["encoder"][f"{PREFIX}norm.weight"], saved["encoder"][f"{PREFIX}norm.bias"] = (
            both[:24],
            both[12:],
        )

    return made.write(folder, change=share)


def changed(part: str, name: str, value: Callable[[torch.Tensor], Any]) -> Make:
    """An official file with one tensor made other."""

    def make(folder: Path) -> Path:
        key = PREFIX + name
        return made.write(folder, change=lambda saved: saved[part].update({key: value(saved[part][key])}))

    return make


def put(part: str, name: str, value: Any) -> Make:
    return lambda folder: made.write(folder, change=lambda saved: saved[part].update({name: value}))


def many_tensors(name: str, count: int) -> Make:
    """As many tiny tensors with numbered names."""

    def make(folder: Path) -> Path:
        saved = {name.format(number): torch.zeros(1) for number in range(count)}
        saved |= {key.removeprefix(PREFIX): tensor for key, tensor in made.content()["encoder"].items()}
        path = folder / "made.pt"
        torch.save(saved, path)
        return path

    return make


# --- safetensors -------------------------------------------------------------------------------------------------


def table(entries: Any, numbers: bytes = bytes(16), length: int | None = None) -> Make:
    """A .safetensors file around a hand-made table; `length` lies about the table's own."""

    def make(folder: Path) -> Path:
        text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
        size = len(text) if length is None else length
        path = folder / "made.safetensors"
        path.write_bytes(size.to_bytes(8, "little") + text + numbers)
        return path

    return make


def one(**other: Any) -> dict[str, Any]:
    """A table of one tensor of four numbers, right but for what is given."""
    return {"norm.weight": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **other}}


def hugging_face(change: Callable[[Path], None]) -> Make:
    """The reference folder of VJEPA2Model, changed."""

    def make(folder: Path) -> Path:
        shutil.copytree(CASES / "hf-vjepa2-a", folder / "hf")
        change(folder / "hf")
        return folder / "hf"

    return make


def sharded(change: Callable[[dict[str, Any]], None] = lambda listed: None, *, lose: str = "") -> Make:
    """The same folder in two files with a list, which may be changed; `lose` is a file that is not there."""

    def make(folder: Path) -> Path:
        shutil.copytree(CASES / "hf-vjepa2-a", folder / "hf")
        whole = folder / "hf" / "model.safetensors"
        tensors = load_file(whole)
        whole.unlink()
        names = sorted(tensors)
        shards = {
            f"model-0000{number}-of-00002.safetensors": {
                name: tensors[name] for name in names[number - 1 :: 2]
            }
            for number in (1, 2)
        }
        for file, own in shards.items():
            if file != lose:
                save_file(own, folder / "hf" / file)
        listed = {"metadata": {}, "weight_map": {name: file for file, own in shards.items() for name in own}}
        change(listed)
        (folder / "hf" / "model.safetensors.index.json").write_text(json.dumps(listed))
        return folder / "hf"

    return make


# --- things that are no files ------------------------------------------------------------------------------------


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.pt")
    return folder / "pipe.pt"


def device(folder: Path) -> Path:
    (folder / "endless.pt").symlink_to("/dev/zero")
    return folder / "endless.pt"


def circle(folder: Path) -> Path:
    (folder / "circle.pt").symlink_to(folder / "circle.pt")
    return folder / "circle.pt"


def empty_folder(folder: Path) -> Path:
    (folder / "folder.pt").mkdir()
    return folder / "folder.pt"


def bytes_of(content: bytes, name: str = "made.pt") -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()
