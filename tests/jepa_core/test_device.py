"""Where a model runs, and device faults in plain words."""

from __future__ import annotations

import pytest
import torch

from jepa_core import checkpoint, device
from jepa_core.device import device_errors, free_bytes, pick
from jepa_core.errors import DeviceError, DeviceLost, OutOfMemory
from tests.helpers import checkpoints as made


def test_cpu_computes_in_float32_unless_asked():
    assert pick("cpu") == (torch.device("cpu"), torch.float32)
    assert pick("cpu", "bfloat16") == (torch.device("cpu"), torch.bfloat16)


def test_auto_without_a_gpu_is_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    assert pick() == (torch.device("cpu"), torch.float32)


def test_auto_with_a_gpu_computes_in_bfloat16(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)

    assert pick() == (torch.device("cuda:0"), torch.bfloat16)


@pytest.mark.parametrize(
    ("device", "dtype"), [("cuda:7", "auto"), ("abacus", "auto"), ("meta", "auto"), ("cpu", "int8")]
)
def test_impossible_wish_is_refused_in_words(device, dtype, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)

    with pytest.raises(DeviceError) as refused:
        pick(device, dtype)
    assert refused.value.hint


def test_float32_is_not_rounded_to_fewer_bits_once_a_model_is_loaded(tmp_path):
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True

    checkpoint.load(made.write(tmp_path), device="cpu")

    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


def test_model_that_finds_no_room_says_what_it_needs_and_what_would_fit(tmp_path, monkeypatch):
    path = made.write(tmp_path)
    needs = checkpoint.examine(path, device="cpu")[1].forecasts
    at_least = min(needs.values())
    monkeypatch.setattr(device, "free_bytes", lambda where: at_least)
    monkeypatch.setattr(checkpoint, "_copied", no_room)

    with pytest.raises(OutOfMemory, match="loading the model") as refused:
        checkpoint.load(path, device="cpu")

    assert refused.value.hint.startswith("It needs ")
    assert refused.value.hint.endswith("; fits at 32 px, 4 frames, bfloat16.")


def no_room(*args: object, **kwargs: object) -> None:
    raise torch.OutOfMemoryError("no room")


def test_free_memory_of_this_machine_is_known():
    assert free_bytes(torch.device("cpu")) > 0


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), OutOfMemory),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"),
            OutOfMemory,
        ),
        (MemoryError(), OutOfMemory),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), DeviceLost),
    ],
)
def test_device_faults_become_sentences(raised, becomes):
    with pytest.raises(becomes, match="looking") as error:
        with device_errors("looking"):
            raise raised
    assert error.value.hint
    assert error.value.__cause__ is raised


def test_other_errors_pass_unchanged():
    with pytest.raises(RuntimeError, match="shape"):
        with device_errors("looking"):
            raise RuntimeError("shape mismatch")


def test_absurd_allocation_on_the_cpu_is_out_of_memory():
    with pytest.raises(OutOfMemory):
        with device_errors("looking"):
            torch.empty(1 << 60, dtype=torch.uint8)
