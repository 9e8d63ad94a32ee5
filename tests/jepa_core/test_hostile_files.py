"""Files made to harm: nothing in them runs, nothing hangs, nothing swells, and a person learns in one sentence why not."""

from __future__ import annotations

import json
import os
import subprocess
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from jepa_core import checkpoint, safetensors_file
from jepa_core.errors import UnreadableCheckpoint
from tests.golden.runner import CASES
from tests.helpers import checkpoints as made
from tests.helpers import hostile as bad
from tests.helpers.cli import main_py
from tests.helpers.reading import Reader

MOST_BYTES = 100_000_000  # of memory, for any of these files; the largest is 42 MB
NAN, INF = float("nan"), float("inf")
LAUGHS = "a0: &a0 [x, x, x, x]\n" + "\n".join(
    f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 9) + "]" for i in range(1, 30)
)

# what is wrong with it → how it is made, and what the sentence says
RUNS_CODE = {
    "os.system": (bad.running(os.system), "asks to run 'posix.system'"),
    "eval": (bad.running(eval), "asks to run"),
    "exec": (bad.running(exec), "asks to run"),
    "import": (bad.running(__import__), "asks to run"),
    "popen": (bad.running(subprocess.Popen), "asks to run"),
    "browser": (bad.running(webbrowser.open), "asks to run 'webbrowser.open'"),
    "torch.load": (bad.named("torch", "load"), "pickled code besides tensors"),
    "torch.hub": (bad.named("torch.hub", "load"), "pickled code besides tensors"),
    "numpy.load": (bad.named("numpy", "load"), "pickled code besides tensors"),
    "getattr": (bad.named("builtins", "getattr"), "pickled code besides tensors"),
    "attrgetter": (bad.named("operator", "attrgetter"), "pickled code besides tensors"),
    "plain pickle": (bad.plain_pickle, "plain pickle, which can run code"),
    "torch before 1.6": (bad.old_torch, "plain pickle, which can run code"),
}
ZIPS = {
    "compressed": (bad.compressed, "compressed, which torch never does"),
    "bomb in the tree": (bad.bomb_in_the_tree, "compressed, which torch never does"),
    "50,001 entries": (bad.many_entries, "50001 files in one checkpoint"),
    "table of contents of 42 MB": (bad.table_of_contents, "table of contents is larger"),
    "entry of 4 GB": (bad.lying_entry, "claims more bytes than it has"),
    "two readings": (bad.other_names_inside, "different names"),
    "a name twice": (bad.same_name_twice, "same name"),
    "big endian": (bad.big_endian, "not stored little-endian"),
    "names of 2^60 tensors": (bad.shared_dictionaries, "deeper or wider"),
    "modules in 2^60 modules": (bad.shared_modules, "deeper or wider"),
}
TENSORS = {
    "40 GB in 4 kB": (bad.repeated, "claims more numbers than it holds"),
    "beyond its storage": (bad.claims(size=(10**10,)), "beyond its storage"),
    "storage of 40 GB": (bad.claims(count=10**10), "claims more numbers than there are"),
    "2^62 by 2^62": (bad.claims(size=(1 << 62, 1 << 62), stride=(0, 0)), "claims more numbers than it holds"),
    "negative stride": (bad.claims(stride=(-1,)), "cannot be read"),
    "negative offset": (bad.claims(offset=-1), "cannot be read"),
    "nine axes": (bad.claims(size=(1,) * 9, stride=(1,) * 9), "cannot be read"),
    "no numbers, 2^40 rows": (bad.claims(size=(1 << 40, 0), stride=(1, 1)), "no model has"),
    "another folder's storage": (bad.claims(key="../../../../etc/passwd"), "are missing"),
    "quantised storage": (bad.claims(kind="QUInt8Storage"), "does not know"),
    "lying over each other": (bad.overlapping, "lie over each other"),
    "stride of nothing": (
        bad.changed("encoder", "norm.weight", lambda t: t[:1].expand(24)),
        "claims more numbers",
    ),
    "NaN": (
        bad.changed("encoder", "norm.weight", lambda t: t.clone().fill_(NAN)),
        "not numbers, first in encoder/norm",
    ),
    "infinity": (
        bad.changed("predictor", "predictor_norm.bias", lambda t: t - INF),
        "first in predictor/predictor_norm",
    ),
    "one NaN in the target": (
        bad.changed("target_encoder", "norm.bias", lambda t: torch.cat((t[1:], t.new_tensor([NAN])))),
        "first in target_encoder/norm.bias",
    ),
    "half precision infinity": (
        bad.changed("encoder", "norm.weight", lambda t: (t * 1e6).half()),
        "first in encoder/norm.weight",
    ),
    "complex": (
        bad.changed("encoder", "norm.weight", lambda t: t.to(torch.complex64)),
        "kind this reader does not know",
    ),
    "eight bits": (
        bad.changed("encoder", "norm.weight", lambda t: t.to(torch.float8_e4m3fn)),
        "does not know",
    ),
    "whole numbers": (bad.changed("encoder", "norm.weight", lambda t: t.to(torch.int64)), "does not fit"),
    "bits": (bad.changed("encoder", "norm.weight", lambda t: t > 0), "does not fit"),
    "sparse": (
        bad.changed("encoder", "norm.weight", lambda t: t.to_sparse()),
        "kind this reader does not know",
    ),
    "a text": (bad.changed("encoder", "norm.weight", lambda t: "weights"), "not exactly"),
    "a list": (bad.changed("encoder", "norm.weight", lambda t: t.tolist()), "not exactly"),
    "one axis more": (bad.changed("encoder", "norm.weight", lambda t: t[None]), "does not fit"),
    "a scalar": (bad.changed("encoder", "norm.weight", lambda t: t.sum()), "does not fit"),
}
NAMES = {
    "climbing": (bad.put("encoder", "../../etc/passwd", torch.zeros(2)), "1 unexpected (encoder/../../etc/passwd)"),
    "moves the cursor": (bad.put("encoder", "\x1b[2J\x1b[31mgood", torch.zeros(2)), "whose name is no name: '\\x1b"),
    "new line": (bad.put("encoder", "a\nsystem V-JEPA 2", torch.zeros(2)), "whose name is no name"),
    "right to left": (bad.put("encoder", "a\u202egood", torch.zeros(2)), "whose name is no name"),
    "nothing to see": (bad.put("encoder", "a\x00b", torch.zeros(2)), "whose name is no name"),
    "10,000 characters": (bad.put("encoder", "x" * 10_000, torch.zeros(2)), "whose name is no name"),
    "a number for a name": (bad.put("encoder", 7, torch.zeros(2)), "1 unexpected (encoder/key 7)"),
    "block 999,999": (bad.put("encoder", "blocks.999999.norm1.weight", torch.zeros(24)), "1 unexpected"),
    "block 10^30": (bad.put("encoder", f"blocks.{10**30}.norm1.weight", torch.zeros(24)), "1 unexpected"),
    "block in other digits": (bad.put("encoder", "blocks.٣.norm1.weight", torch.zeros(24)), "1 unexpected"),
    "mask token 10^9": (bad.put("predictor", "mask_tokens.1000000000", torch.zeros(1, 1, 16)), "1 unexpected"),
    "2,000 blocks": (bad.many_tensors("blocks.{}.norm1.weight", 2000), ""),
    "20,001 tensors": (bad.many_tensors("x{}", 20_001), "more tensors than a model has"),
}  # fmt: skip
SAFETENSORS = {
    "table of 40 GB": (bad.table(bad.one(), length=40_000_000_000), "claims 40000000000 bytes"),
    "table of 2^64": (bad.table(bad.one(), length=(1 << 64) - 1), "its table claims"),
    "40 GB of numbers": (bad.table(bad.one(shape=[10**10], data_offsets=[0, 4 * 10**10])), "cut off"),
    "shape of 2^64": (bad.table(bad.one(shape=[1 << 32, 1 << 32])), "claims 73786976294838206464 bytes"),
    "negative shape": (bad.table(bad.one(shape=[-4])), "a shape or a place that is none"),
    "shape of texts": (bad.table(bad.one(shape=["4"])), "a shape or a place that is none"),
    "shape of truths": (bad.table(bad.one(shape=[True] * 4)), "a shape or a place that is none"),
    "shape of 10^30": (bad.table(bad.one(shape=[10**30])), "a shape or a place that is none"),
    "nine axes": (bad.table(bad.one(shape=[4] + [1] * 8)), "a shape or a place that is none"),
    "place before the file": (bad.table(bad.one(data_offsets=[-16, 0])), "a shape or a place that is none"),
    "place backwards": (bad.table(bad.one(data_offsets=[16, 0])), "claims 16 bytes and has -16"),
    "three places": (bad.table(bad.one(data_offsets=[0, 8, 16])), "a shape or a place that is none"),
    "eight bits": (bad.table(bad.one(dtype="F8_E4M3", shape=[16])), "a kind this reader does not know ('F8_E4M3')"),
    "no such kind": (bad.table(bad.one(dtype=["F32"])), "a kind this reader does not know"),
    "something more": (bad.table(bad.one(reduce="os.system")), "what no tensor is"),
    "a list for a table": (bad.table([1, 2]), "its table holds no tensors"),
    "no JSON": (bad.table(b"os.system('x')"), "its table is not valid JSON"),
    "no text": (bad.table(b"\xff\xfe{}"), "its table is not text"),
    "brackets": (bad.table(b"[" * 200_000), "its table is nested deeper"),
    "a name twice": (
        bad.table(b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'),
        "says two different things of 'a'",
    ),
    "lying over each other": (
        bad.table({**bad.one(), "b": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}}), "lies over another",
    ),
    "a hole": (bad.table(bad.one(data_offsets=[16, 32]), bytes(32)), "16 bytes before"),
    "bytes at the end": (bad.table(bad.one(), bytes(20)), "4 bytes at its end"),
    "seven bytes": (bad.bytes_of(b"\x10\x00\x00", "made.safetensors"), "cut off"),
    "nothing": (bad.bytes_of(b"", "made.safetensors"), "cut off"),
}  # fmt: skip
FOLDERS = {
    "list points outside": (
        bad.sharded(lambda listed: listed["weight_map"].update({"x": "../model.safetensors"})),
        "names a file outside its folder: '../model.safetensors'",
    ),
    "list points to the root": (
        bad.sharded(lambda listed: listed["weight_map"].update({"x": "/etc/passwd"})), "names a file outside its folder: '/etc/passwd'",
    ),
    "list points below": (
        bad.sharded(lambda listed: listed["weight_map"].update({"x": "a/b.safetensors"})), "names a file outside its folder: 'a/b.safetensors'",
    ),
    "list points to another kind": (
        bad.sharded(lambda listed: listed["weight_map"].update({"x": "weights.pt"})), "lacks 1 of its 3 files of weights, first weights.pt",
    ),
    "list points to a number": (bad.sharded(lambda listed: listed["weight_map"].update({"x": 7})), "gives a tensor a file that has no name"),
    "list of nothing": (bad.sharded(lambda listed: listed["weight_map"].clear()), "lists 0 files"),
    "list without a list": (bad.sharded(lambda listed: listed.pop("weight_map")), "lists no tensors"),
    "file that is not there": (bad.sharded(lose="model-00002-of-00002.safetensors"), "lacks 1 of its 2 files of weights, first model-00002-of-00002"),
    "tensor that is not there": (
        bad.sharded(lambda listed: listed["weight_map"].update(ghost="model-00001-of-00002.safetensors")),
        "says that 'ghost' lies in model-00001-of-00002.safetensors; it lies in none",
    ),
    "tensor in no list": (bad.sharded(lambda listed: listed["weight_map"].popitem()), "lies in no file; it lies in model-0000"),
    "config of laughs": (
        bad.hugging_face(lambda folder: (folder / "config.json").write_text("[" * 100_000)), "config.json is nested deeper",
    ),
    "config that says another size": (
        bad.hugging_face(lambda folder: _config(folder, hidden_size=96)), "config.json says width 96, the tensors say 48",
    ),
    "config of a billion mask tokens": (
        bad.hugging_face(lambda folder: _config(folder, pred_num_mask_tokens=10**9)), "is 1000000000, not a number of mask",
    ),
    "config of a billion layers": (
        bad.hugging_face(lambda folder: _config(folder, num_hidden_layers=10**9)), "is 1000000000, not a depth",
    ),
}  # fmt: skip
NO_FILES = {
    "a pipe": (bad.pipe, "is not a file but a pipe or a device"),
    "a device": (bad.device, "is not a file but a pipe or a device"),
    "a link in a circle": (bad.circle, "does not exist"),
    "a folder": (bad.empty_folder, "is a folder without"),
    "nothing": (bad.bytes_of(b""), "not a checkpoint file"),
    "a picture": (bad.bytes_of(b"\x89PNG\r\n\x1a\n" + bytes(100)), "is"),
    "half a zip": (bad.bytes_of(bad.saved({"encoder": {"a": torch.zeros(2)}})[:200]), "cut off"),
    "a number": (bad.bytes_of(bad.saved(7)), "neither a model nor a dictionary"),
    "a list of tensors": (bad.bytes_of(bad.saved([torch.zeros(2)])), "neither a model nor a dictionary"),
    "numbers only": (bad.bytes_of(bad.saved({"epoch": 3, "lr": 0.1})), "holds no tensors"),
}

ALL = {
    f"{kind}: {name}": case
    for kind, cases in (
        ("runs code", RUNS_CODE), ("zip", ZIPS), ("tensor", TENSORS), ("name", NAMES), ("safetensors", SAFETENSORS),
        ("folder", FOLDERS), ("no file", NO_FILES),
    )
    for name, case in cases.items()
}  # fmt: skip


def _config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as opened:
        yield opened


@pytest.mark.parametrize("name", ALL)
def test_hostile_file_is_refused_in_one_sentence_and_neither_runs_nor_swells(name, reader, tmp_path):
    make, says = ALL[name]
    path = make(tmp_path)

    opened = reader.open(path)

    assert opened.kind == "refused", opened
    assert says in opened.what
    assert opened.what.endswith(".")
    assert opened.what.isprintable()
    assert len(opened.what) < 500
    assert opened.hint
    assert opened.peak_bytes < MOST_BYTES
    assert not list(tmp_path.rglob(bad.PROOF))


@pytest.mark.parametrize("text", [LAUGHS, "a: &a [*a]", "{" * 50_000, "a: " + "9" * 50_000])
def test_hostile_config_beside_a_good_file_is_refused_alike(text, reader, tmp_path):
    path = made.write(tmp_path)
    (tmp_path / "params.yaml").write_text(text)

    opened = reader.open(path)

    assert opened.kind == "refused"
    assert "params.yaml" in opened.what
    assert opened.peak_bytes < MOST_BYTES


@pytest.mark.parametrize("name", ["latest.pt", "model.safetensors"])
@pytest.mark.parametrize("twentieth", range(20))
def test_file_cut_anywhere_is_refused(name, twentieth, reader, tmp_path):
    if name == "latest.pt":
        path = made.write(tmp_path)
    else:
        path = bad.hugging_face(lambda folder: None)(tmp_path) / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * twentieth // 20])

    opened = reader.open(path)

    assert opened.kind == "refused", opened
    assert opened.error == "UnreadableCheckpoint"
    assert opened.peak_bytes < MOST_BYTES


# --- what looks odd and is right ---------------------------------------------------------------------------------


def test_tensors_turned_and_cut_from_others_load_with_their_own_numbers(reader, tmp_path):
    plain = reader.open(made.write(tmp_path / "plain"))

    def turn(saved: made.Content) -> None:
        for part in ("encoder", "predictor"):
            for name, tensor in list(saved[part].items()):
                wide = torch.randn(*tensor.shape[:-1], 2 * tensor.shape[-1])
                wide[..., ::2] = tensor
                saved[part][name] = wide[..., ::2] if tensor.ndim == 1 else tensor.mT.contiguous().mT

    odd = reader.open(made.write(tmp_path / "odd", change=turn))

    assert plain.kind == odd.kind == "loaded"
    assert odd.digest == plain.digest


def test_folder_in_several_files_is_the_same_model_as_in_one(reader, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    whole = reader.open(bad.hugging_face(lambda folder: None)(tmp_path / "one"))
    path = bad.sharded()(tmp_path / "two")

    split = reader.open(path)

    assert whole.kind == split.kind == "loaded"
    assert split.digest == whole.digest
    _, report = checkpoint.examine(path)
    assert "of the files one behind another" in report.assumed["check sums"]
    assert report.file_bytes == sum(p.stat().st_size for p in path.glob("*.safetensors"))


def test_file_in_the_hubs_cache_is_reached_by_its_links(reader, tmp_path):
    (tmp_path / "made").mkdir()
    folder = bad.sharded()(tmp_path / "made")
    snapshot = tmp_path / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for path in folder.iterdir():
        (snapshot / path.name).symlink_to(path)

    assert reader.open(snapshot).kind == "loaded"


@pytest.mark.parametrize("folder", ["hf-vjepa2-a", "hf-ijepa-a"])
def test_our_safetensors_reader_gives_what_the_formats_own_gives(folder):
    for path in (CASES / folder).glob("*.safetensors"):
        ours, theirs = safetensors_file.read(path), load_file(path)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name].read(), theirs[name]) for name in ours)
        assert all(ours[name].dtype == theirs[name].dtype for name in ours)


@pytest.mark.parametrize("dtype", safetensors_file._DTYPES.values(), ids=str)
def test_every_kind_of_number_the_reader_knows_comes_out_to_the_bit(dtype, tmp_path):
    wanted = {
        "a": (torch.randn(3, 5) * 50).to(dtype),
        "b": torch.zeros((), dtype=dtype),
        "c": torch.ones(2, 0, 3, dtype=dtype),
    }
    save_file(wanted, tmp_path / "x.safetensors", metadata={"format": "pt"})

    read = safetensors_file.read(tmp_path / "x.safetensors")

    assert {name: stored.shape for name, stored in read.items()} == {
        n: tuple(t.shape) for n, t in wanted.items()
    }
    assert all(torch.equal(read[name].read(), wanted[name]) for name in wanted)


@pytest.mark.parametrize("ask", [checkpoint.examine, checkpoint.load])
@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_file_that_becomes_shorter_while_it_is_read_is_refused_and_ends_no_process(kind, ask, tmp_path):
    path = made.write(tmp_path) if kind == "torch" else bad.hugging_face(lambda folder: None)(tmp_path)
    weights = path if path.is_file() else path / "model.safetensors"

    def shorten(fraction: float, text: str) -> None:
        if not text.startswith("checking the file's"):
            os.truncate(weights, 100)

    with pytest.raises(UnreadableCheckpoint, match="changed while it was read") as refused:
        ask(path, progress=shorten)
    assert refused.value.report.family == "V-JEPA 2"


@pytest.mark.slow
def test_name_of_a_file_does_not_steer_the_terminal(tmp_path):
    made.write(tmp_path, name="\x1b[2J\x1b[31m\u202eevil.pt")
    (tmp_path / "\x1b]0;owned\x07.pt").write_bytes(b"hello")

    for path in tmp_path.glob("*.pt"):
        said = main_py("checkpoint", path, "--device", "cpu")
        assert said.code in (0, 3)
        assert not {"\x1b", "\x07", "\u202e"} & set(said.out + said.err)
        assert "x1b" in said.out + said.err
