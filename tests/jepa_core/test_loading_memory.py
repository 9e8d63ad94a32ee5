"""What loading costs in memory: the weights that are used and hardly more; the optimizer never."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from jepa_core import checkpoint, pickled_objects
from jepa_core.mapped import MappedFile
from jepa_core.torch_archive import TorchArchive
from tests.helpers import checkpoints as made
from tests.helpers import memory

ENCODER = made.VitSpec(384, 12, 6, 1536, patch=16, tubelet=2)  # 86 MB each in float32
PREDICTOR = made.PredictorSpec(384, 384, 2, 12, 1536, mask_tokens=2)
MOST = 1.2  # times the weights that are used
FAULT_AROUND = 16  # pages the kernel maps around one that is asked for

needs_linux = pytest.mark.skipif(not memory.IS_MEASURABLE, reason="peak memory is measured on Linux")


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Encoder, target encoder and predictor of 190 MB, and an optimizer twice as large: 570 MB."""
    folder = tmp_path_factory.mktemp("official")
    settings = made.params(ENCODER, PREDICTOR, size=64, frames=8)
    settings["data"]["patch_size"] = 16
    moments = {i: {name: torch.ones(1 << 20) for name in ("exp_avg", "exp_avg_sq")} for i in range(46)}
    return made.write(
        folder,
        made.content(ENCODER, PREDICTOR),
        settings,
        change=lambda saved: saved.update(opt={"state": moments, "param_groups": []}),
    )


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as transformers saves it: query, key and value apart, to be joined while loading."""
    folder = tmp_path_factory.mktemp("hugging-face")
    width, hidden, depth = ENCODER.width, ENCODER.hidden, ENCODER.depth
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.embeddings.patch_embeddings.proj.weight": (width, 3, 2, 16, 16),
        "encoder.embeddings.patch_embeddings.proj.bias": (width,),
        "encoder.layernorm.weight": (width,),
        "encoder.layernorm.bias": (width,),
    }
    for i in range(depth):
        layer = f"encoder.layer.{i}."
        linears = {f"attention.{third}": (width, width) for third in ("query", "key", "value", "proj")}
        linears |= {"mlp.fc1": (hidden, width), "mlp.fc2": (width, hidden)}
        shapes |= {f"{layer}{name}.weight": shape for name, shape in linears.items()}
        shapes |= {f"{layer}{name}.bias": shape[:1] for name, shape in linears.items()}
        shapes |= {
            f"{layer}{norm}.{kind}": (width,) for norm in ("norm1", "norm2") for kind in ("weight", "bias")
        }
    save_file({name: torch.ones(shape) for name, shape in shapes.items()}, folder / "model.safetensors")
    config = {
        "model_type": "vjepa2",
        "patch_size": 16,
        "crop_size": 64,
        "frames_per_clip": 8,
        "tubelet_size": 2,
        "hidden_size": width,
        "num_attention_heads": ENCODER.heads,
        "num_hidden_layers": depth,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def measured(path: Path, *options: str) -> dict[str, float]:
    """What a fresh process says of loading this file."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.load_child", str(path), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_linux
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_loading_takes_hardly_more_memory_than_the_weights_that_are_used(official, dtype):
    taken = measured(official, "--dtype", dtype, "--examine")

    used = taken["weights_bytes"]
    assert used == pytest.approx(190e6 / (1 if dtype == "float32" else 2), rel=0.05)
    assert taken["load_peak_bytes"] <= MOST * used
    assert taken["held_bytes"] >= used  # the measure sees the weights at all
    assert taken["examine_peak_bytes"] <= 0.2 * used  # hash and check every weight, hold none


@needs_linux
@pytest.mark.slow
def test_loading_a_hugging_face_folder_takes_hardly_more_either(hugging_face):
    taken = measured(hugging_face, "--examine")

    assert taken["load_peak_bytes"] <= MOST * taken["weights_bytes"]
    assert taken["examine_peak_bytes"] <= 0.2 * taken["weights_bytes"]


@needs_linux
@pytest.mark.slow
def test_optimizer_state_is_never_read_into_memory(official, monkeypatch):
    opened: list[TorchArchive] = []
    begin = TorchArchive.__init__

    def kept(self: TorchArchive, file: Path) -> None:
        begin(self, file)
        opened.append(self)

    monkeypatch.setattr(TorchArchive, "__init__", kept)
    monkeypatch.setattr(MappedFile, "let_go", lambda self, start, size: None)  # what was read is still there

    checkpoint.load(official, device="cpu")

    (archive,) = opened
    content = pickled_objects.Machine().run(archive.pickle())
    moments = [archive.place(t.storage) for state in content["opt"]["state"].values() for t in state.values()]
    used = [
        archive.place(content["encoder"][f"module.backbone.blocks.{i}.mlp.fc1.weight"].storage)
        for i in range(12)
    ]
    read = sum(len(pages_of(archive, *place)) for place in moments)
    whole = sum(size for _, size in moments) // memory.PAGE
    assert all(len(pages_of(archive, *place)) >= place[1] // memory.PAGE - 1 for place in used)
    assert read <= 2 * FAULT_AROUND, f"{read} pages of {whole} were read"


def pages_of(archive: TorchArchive, start: int, size: int) -> list[int]:
    view = torch.frombuffer(archive.file.view(start, size), dtype=torch.uint8)
    return memory.present_pages(view.data_ptr(), size)


@needs_linux
def test_pages_that_were_let_go_are_read_again_from_the_file(tmp_path):
    wanted = torch.arange(100_000, dtype=torch.float32)
    torch.save({"a": wanted}, tmp_path / "a.pt")
    stored = pickled_objects.read(tmp_path / "a.pt").tensors["a"]
    tensor = stored.read()
    assert torch.equal(tensor, wanted)
    assert len(memory.present_pages(tensor.data_ptr(), tensor.nbytes)) > 90

    stored.let_go()

    assert len(memory.present_pages(tensor.data_ptr(), tensor.nbytes)) == 0
    assert torch.equal(tensor, wanted)
    assert torch.equal(stored.read(), wanted)


def test_numbers_a_reader_had_to_copy_are_not_let_go(tmp_path):
    wanted = torch.arange(5000, dtype=torch.float32)
    stored = pickled_objects.read(_misplaced(tmp_path, wanted)).tensors["a"]
    tensor = stored.read()

    stored.let_go()

    assert torch.equal(tensor, wanted)


@needs_linux
def test_checking_a_storage_leaves_none_of_it_in_memory(tmp_path):
    torch.save({"a": torch.ones(1 << 20)}, tmp_path / "a.pt")
    archive = TorchArchive(tmp_path / "a.pt")
    claim = pickled_objects.Machine().run(archive.pickle())["a"].storage

    archive.check(claim.key)

    assert pages_of(archive, *archive.place(claim)) == []


def _misplaced(folder: Path, tensor: torch.Tensor) -> Path:
    """A torch file whose numbers begin at an odd byte, as a tool that packed it again may write it."""
    torch.save({"a": tensor}, folder / "a.pt")
    for filler in range(4):
        with zipfile.ZipFile(folder / "a.pt") as source, zipfile.ZipFile(folder / "odd.pt", "w") as target:
            target.writestr("a/filler", bytes(filler))
            for entry in source.infolist():
                target.writestr(entry.filename, source.read(entry.filename))
            begins = target.getinfo("a/data/0").header_offset + 30 + len("a/data/0")
        if begins % 4 == 1:
            return folder / "odd.pt"
    raise AssertionError("four fillers, and none made it odd")
