"""The restricted reader: tensors come out bit-exact, nothing in a file runs, hostile files are refused in words."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import struct
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from jepa_core import checkpoint, pickled_objects
from jepa_core.errors import CheckpointError, UnreadableCheckpoint, UnsafeFile
from tests.helpers import checkpoints as made

OBJECT = Path(__file__).parents[1] / "golden/cases/lewm-object/lewm_object.ckpt"


# --- what comes out ------------------------------------------------------------------------------------------------


def test_tensors_of_a_pickled_module_are_those_of_its_state_dict():
    taken = pickled_objects.read(OBJECT)
    wanted = torch.load(OBJECT.with_name("lewm_weight.ckpt"), weights_only=True)

    assert taken.tensors.keys() == wanted.keys()
    assert all(torch.equal(taken.tensors[name].read(), wanted[name]) for name in wanted)
    assert taken.is_module
    assert "jepa.JEPA" in taken.names


def test_object_says_its_own_heads_so_no_config_is_needed():
    model = checkpoint.load(OBJECT)

    assert model.report.assumed["predictor heads"] == "2 (the pickled object itself)"
    assert model.report.assumed["ViT heads"] == "2 (the pickled object itself)"
    assert "none of the" in model.report.assumed["pickled object"]


def test_nothing_the_file_names_is_imported():
    before = set(sys.modules)  # another test may compare with transformers in this process

    pickled_objects.read(OBJECT)

    assert not {"jepa", "module"} & set(sys.modules)
    assert not [name for name in set(sys.modules) - before if name.startswith("transformers")]


class Wrapped(nn.Module):
    """As C-JEPA's Push-T wrapper: its forward is a bound method, so the pickle calls getattr; one buffer passes."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 2)
        self.register_buffer("kept", torch.arange(4.0))
        self.register_buffer("passing", torch.zeros(3), persistent=False)
        self.shared = self.inner
        self.forward = self.run
        self.cwd = "/home/somebody/secret"

    def run(self, x):
        return self.inner(x)


def test_bound_methods_passing_buffers_and_shared_modules_are_understood(tmp_path):
    module = Wrapped()
    torch.save(module, tmp_path / "object.ckpt")

    taken = pickled_objects.read(tmp_path / "object.ckpt")

    wanted = module.state_dict()
    assert taken.tensors.keys() == wanted.keys()
    assert all(torch.equal(taken.tensors[name].read(), wanted[name]) for name in wanted)
    assert any(name.endswith(".getattr") for name in taken.names)
    assert "secret" not in str(taken.stated)


def test_dictionary_with_foreign_objects_gives_its_state_dict(tmp_path):
    saved = {"state_dict": {"a.weight": torch.ones(2)}, "hyper_parameters": Settings(3), "epoch": 2}
    torch.save(saved, tmp_path / "videosaur.ckpt")

    taken = pickled_objects.read(tmp_path / "videosaur.ckpt")

    assert torch.equal(taken.tensors["state_dict"]["a.weight"].read(), torch.ones(2))
    assert taken.tensors["epoch"] == 2
    assert not taken.is_module


def test_training_files_numbers_of_numpy_and_counters_are_no_code(tmp_path):
    """Losses and rates are often numpy's own numbers, which torch's restricted loader refuses."""
    saved = made.content() | {
        "loss": np.float64(0.5),
        "lr": np.ones(3),
        "epoch": np.int64(3),
        "history": collections.OrderedDict(a=[1.5], b=torch.Size((2, 3))),
        "device": torch.device("cpu"),
        "milestones": collections.Counter({10: 1}),
    }
    path = made.write(tmp_path, saved)

    taken = pickled_objects.read(path)

    assert taken.foreign == ()
    assert checkpoint.examine(path)[1].is_exact


class Settings:
    def __init__(self, depth: int) -> None:
        self.depth = depth


def test_views_with_strides_and_offsets_come_out_right(tmp_path):
    base = torch.arange(24.0).view(4, 6)
    holder = nn.Module()
    holder.register_buffer("turned", base.t()[1:4])
    torch.save(holder, tmp_path / "object.ckpt")

    taken = pickled_objects.read(tmp_path / "object.ckpt")
    assert torch.equal(taken.tensors["turned"].read(), base.t()[1:4])


# --- what is refused -------------------------------------------------------------------------------------------------


class Runs:
    def __init__(self, called, *arguments) -> None:
        self.call = called, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "called", [os.system, eval, exec, __import__, os.popen], ids=["system", "eval", "exec", "import", "popen"]
)
def test_file_that_asks_to_run_code_is_refused_by_the_name_of_what_it_asks_for(called, tmp_path):
    proof = tmp_path / "it-ran"
    holder = nn.Linear(2, 2)
    holder.trap = Runs(called, f"open({str(proof)!r}, 'w')" if called is not os.system else f"touch {proof}")
    torch.save(holder, tmp_path / "object.ckpt")

    for ask in (pickled_objects.read, checkpoint.load, checkpoint.examine):
        with pytest.raises(UnsafeFile, match="asks to run"):
            ask(tmp_path / "object.ckpt")
    assert not proof.exists()


def test_code_under_an_innocent_name_does_not_run_either(tmp_path):
    proof = tmp_path / "it-ran"
    holder = nn.Linear(2, 2)
    holder.trap = Runs(_touch, str(proof))
    torch.save(holder, tmp_path / "object.ckpt")

    assert pickled_objects.read(tmp_path / "object.ckpt").tensors.keys() == {"weight", "bias"}
    assert not proof.exists()


def _touch(path: str) -> None:
    Path(path).touch()


def file_of(folder: Path, tree: bytes, storages: dict[str, bytes] | None = None, **options) -> Path:
    """A torch zip file around a hand-made pickle."""
    path = folder / "object.ckpt"
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("a/data.pkl", tree)
        archive.writestr("a/byteorder", "little")
        for key, numbers in (storages or {}).items():
            archive.writestr(f"a/data/{key}", numbers)
    return path


def claim(
    key: str = "0", *, count: int = 4, offset: int = 0, size=(4,), stride=(1,), kind: str = "FloatStorage"
):
    """Opcodes of one tensor over a storage."""

    def number(value: int) -> bytes:
        return b"\x8a" + struct.pack("<B", 9) + value.to_bytes(9, "little", signed=True)

    def tuple_of(values) -> bytes:
        return b"(" + b"".join(number(value) for value in values) + b"t"

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    storage = (
        b"("
        + text("storage")
        + f"ctorch\n{kind}\n".encode()
        + text(key)
        + text("cpu")
        + number(count)
        + b"tQ"
    )
    hooks = b"ccollections\nOrderedDict\n)R"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + number(offset)
        + tuple_of(size)
        + tuple_of(stride)
        + b"\x89"
        + hooks
        + b"tR"
    )


def tree_of(**tensors: bytes) -> bytes:
    pairs = b"".join(
        b"X" + struct.pack("<I", len(name)) + name.encode() + value for name, value in tensors.items()
    )
    return b"\x80\x02}(" + pairs + b"u."


SIXTEEN = {"0": bytes(16)}


def test_hand_made_file_is_read(tmp_path):
    taken = pickled_objects.read(file_of(tmp_path, tree_of(a=claim()), SIXTEEN))

    assert torch.equal(taken.tensors["a"].read(), torch.zeros(4))


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({"a": claim(size=(10_000_000_000,))}, "beyond its storage"),
        ({"a": claim(size=(10_000_000_000,), stride=(0,))}, "claims more numbers than it holds"),
        ({"a": claim(size=(2, 4), stride=(0, 1))}, "claims more numbers than it holds"),
        ({"a": claim(size=(1 << 62, 1 << 62), stride=(0, 0))}, "claims more numbers than it holds"),
        ({"a": claim(count=10_000_000_000)}, "claims more numbers than there are"),
        ({"a": claim(offset=1)}, "beyond its storage"),
        ({"a": claim(offset=-1)}, "cannot be read"),
        ({"a": claim(size=(4,), stride=(-1,))}, "cannot be read"),
        ({"a": claim(size=(4,), stride=())}, "cannot be read"),
        ({"a": claim(size=(3,)), "b": claim(size=(2,), offset=2)}, "lie over each other"),
        ({"a": claim(), "b": claim(size=(2, 2), stride=(2, 1))}, "lie over each other"),
        ({"a": claim(), "b": claim(size=(2, 2), stride=(1, 2))}, "lie over each other"),
        ({"a": claim(size=(2, 2), stride=(1, 1))}, "claims more numbers than it holds"),
        ({"a": claim(size=(2, 2), stride=(1, 0))}, "claims more numbers than it holds"),
        ({"a": claim("7")}, "are missing"),
        ({"a": claim("../../etc/passwd")}, "are missing"),
        ({"a": claim(kind="QInt8Storage")}, "does not know"),
    ],
)
def test_tensor_that_claims_what_is_not_there_is_refused_in_words(tensors, says, tmp_path):
    path = file_of(tmp_path, tree_of(**tensors), SIXTEEN)

    with pytest.raises((UnsafeFile, UnreadableCheckpoint), match=says):
        pickled_objects.read(path)


def test_one_tensor_under_two_names_is_the_same_twice(tmp_path):
    """As a layer that a model holds at two places is written: not an attack, and read like any other."""
    taken = pickled_objects.read(file_of(tmp_path, tree_of(a=claim(), b=claim()), SIXTEEN))

    assert torch.equal(taken.tensors["a"].read(), taken.tensors["b"].read())


def test_one_tensor_under_many_names_is_refused_where_the_names_outgrow_the_file(tmp_path):
    once = claim(count=4096, size=(4096,)) + b"q\x01"
    names = {f"n{i}": b"h\x01" for i in range(200)}

    with pytest.raises(UnsafeFile, match="over and over"):
        pickled_objects.read(file_of(tmp_path, tree_of(a=once, **names), {"0": bytes(16384)}))


def test_compressed_file_is_refused_before_anything_is_unpacked(tmp_path):
    path = file_of(tmp_path, tree_of(a=claim()), {"0": bytes(50_000_000)}, compression=zipfile.ZIP_DEFLATED)

    assert path.stat().st_size < 100_000
    with pytest.raises(UnreadableCheckpoint, match="compressed"):
        pickled_objects.read(path)


def test_flipped_weight_is_noticed(tmp_path):
    content = bytearray(file_of(tmp_path, tree_of(a=claim()), {"0": b"abcdefghijklmnop"}).read_bytes())
    content[content.index(b"abcdefgh")] ^= 1
    (tmp_path / "flipped.ckpt").write_bytes(content)

    taken = pickled_objects.read(tmp_path / "flipped.ckpt")
    with pytest.raises(UnreadableCheckpoint, match=r"flipped\.ckpt.*changed since"):
        taken.tensors["a"].read()


@pytest.mark.parametrize(
    "tree",
    [
        b"\x80\x02}r\xff\xff\xff\x7f.",  # a memo place far away
        b"\x80\x05\x96" + struct.pack("<Q", 40_000_000_000) + b".",  # a byte array of 40 GB
        b"\x80\x04\x8d" + struct.pack("<Q", 40_000_000_000) + b".",  # a text of 40 GB
        b"\x80\x04\x95" + struct.pack("<Q", 40_000_000_000) + b"}.",  # a frame of 40 GB
        b"\x80\x02" + b"(" * 500_000 + b".",
        b"\x80\x02}" + b"(" * 1_000 + b"tttt.",
        b"\x80\x02"
        + b"(t"
        + b"q\x00h\x00\x86" * 400
        + b"N\x86}(h\x00Nu.",  # a tuple of 2^400 leaves as a key
        b"\x80\x02(lp0\ng0\na.",  # a list that holds itself
        b"\x80\x02I" + b"9" * 100_000 + b"\n.",
        b"\x80\x02P0\n.",
        b"\x80\x02\x82\x01.",
        b"",
        b".",
        b"}",
    ],
)
def test_hostile_object_tree_ends_soon_and_small(tree, tmp_path):
    path = file_of(tmp_path, tree)
    tracemalloc.start()
    try:
        with contextlib.suppress(
            CheckpointError
        ):  # some are harmless; none may hang, swell or fail otherwise
            pickled_objects.read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000_000


def test_modules_nested_in_themselves_are_refused(tmp_path):
    holder = nn.Linear(2, 2)
    holder._modules["again"] = holder
    torch.save(holder, tmp_path / "object.ckpt")

    with pytest.raises(CheckpointError):
        pickled_objects.read(tmp_path / "object.ckpt")


def test_stride_zero_in_a_plain_state_dict_is_refused_too(tmp_path):
    buffer = io.BytesIO()
    torch.save({"encoder": {"a": torch.zeros(1).expand(2_000_000_000)}}, buffer)
    (tmp_path / "small.pt").write_bytes(buffer.getvalue())

    with pytest.raises(UnsafeFile, match="claims more numbers"):
        checkpoint.load(tmp_path / "small.pt")
