"""Where a model runs and in which precision; how much memory is free there and how much is needed; device faults in plain words.

Nothing here owns a device: the engine does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psutil
import torch

from jepa_core import forecast
from jepa_core.design import Design
from jepa_core.errors import DeviceError, DeviceLost, OutOfMemory
from jepa_core.ladder import COARSER, Rung, limits_of, way_down
from jepa_core.masks import rule_for
from jepa_core.types import CheckpointInfo, LoadReport, MaskRule

# How a CPU that has no memory left says so: torch's allocator, the system, oneDNN (which says no more than this).
_NO_MEMORY = (
    "can't allocate memory",
    "cannot allocate memory",
    "out of memory",
    "could not create a primitive",
    "could not create a memory",
)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick(device: str = "auto", dtype: str = "auto") -> tuple[torch.device, torch.dtype]:
    """The device and dtype asked for, or the best there is.

    auto: the first CUDA device in bfloat16 (float32 where it has none), else the CPU in float32, whose results are the
    reference. Raises DeviceError for a device that is not there.
    """
    if device == "auto":
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise DeviceError(f"{device} is not a device.", "Use auto, cpu or cuda:N.", str(error)) from error
    if chosen.type not in ("cpu", "cuda"):
        raise DeviceError(f"{device} is not supported.", "Use auto, cpu or cuda:N.")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise DeviceError(f"{device} is not there: {count} CUDA devices found.", "Use --device cpu.")
    if dtype == "auto":
        is_fast = chosen.type == "cuda" and torch.cuda.is_bf16_supported()
        return chosen, torch.bfloat16 if is_fast else torch.float32
    if dtype not in DTYPES:
        raise DeviceError(f"{dtype} is not a known precision.", f"Use auto, {', '.join(DTYPES)}.")
    return chosen, DTYPES[dtype]


def be_exact() -> None:
    """float32 means float32 in this process: on CUDA, torch rounds convolutions to TF32 (10 bits) unless it is told not to."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def free_bytes(device: torch.device) -> int:
    """Memory that is free now on the device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def with_forecast(
    report: LoadReport, design: Design, info: CheckpointInfo, clip_frames: int, size: int = 0
) -> LoadReport:
    """The report with what this choice needs, what the longest clip and every rung of the ladder would, what is free."""
    spec = info.input
    frames = min(clip_frames, spec.frames)
    asked = Rung(size or spec.size, max(frames - frames % spec.tubelet, spec.tubelet), info.dtype)
    rule = rule_for(MaskRule(), info)

    def need(rung: Rung) -> int:
        look = design.look(rung.frames, rung.size)
        return forecast.forecast_bytes(info.parameters, rung.dtype, look, rule, device=info.device)

    others = [replace(asked, frames=spec.frames - spec.frames % spec.tubelet), asked]
    others += way_down(asked, limits_of(design.sizes, spec.frames, spec.tubelet))
    others += [replace(asked, dtype=COARSER.get(asked.dtype, asked.dtype))]
    return replace(
        report,
        memory_bytes=need(asked),
        forecasts={forecast.rung_words(rung): need(rung) for rung in others},
        device_free_bytes=free_bytes(torch.device(info.device)),
    )


def what_it_needs(report: LoadReport) -> str:
    """The forecast as a hint, for when there was no room after all."""
    return f"It {forecast.advice(report.memory_bytes, report.device_free_bytes, report.forecasts)}."


@contextmanager
def device_errors(doing: str, hint: str = "") -> Iterator[None]:
    """Turn torch's device exceptions into OutOfMemory and DeviceLost; `doing` names the work, "loading the model".

    hint  what to do where memory ran out; "" = the general advice
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(
            f"The device ran out of memory while {doing}.",
            hint or "Use a shorter clip (--clip-frames), --dtype bfloat16, or --device cpu.",
            str(error),
        ) from error
    except (RuntimeError, MemoryError) as error:
        text = str(error)
        if isinstance(error, MemoryError) or any(mark in text.lower() for mark in _NO_MEMORY):
            raise OutOfMemory(
                f"This machine ran out of memory while {doing}.",
                hint or "Use a shorter clip (--clip-frames), a smaller checkpoint, or close other programs.",
                text,
            ) from error
        if "CUDA error" in text or "device-side assert" in text:
            raise DeviceLost(
                f"The GPU failed while {doing}.",
                "The engine is started again; if it repeats, use --device cpu.",
                text,
            ) from error
        raise
