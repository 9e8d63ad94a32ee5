"""Loads a checkpoint exactly or refuses it with a report. There is no lenient way in.

Every tensor of the file has a place in the family's model and every place gets a tensor, with the right shape and
finite values; anything else raises a CheckpointError whose report names each tensor. Runs in the engine process (the
report alone also in `main.py checkpoint`). Never executes anything that a file holds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from jepa_core import companion, registry, sidecar, weight_folder
from jepa_core import device as devices
from jepa_core.clock import CancelToken
from jepa_core.design import Choices, Design, Stored
from jepa_core.errors import CheckpointError, ConfigDiffers, UnreadableCheckpoint, WeightsNotFinite
from jepa_core.families.base import JepaModel, Progress
from jepa_core.matching import design_of, known
from jepa_core.types import CheckpointInfo, LoadReport
from jepa_core.weight_files import open_weights

HASH_SHARE = 0.4  # of the progress bar; reading from disk is the slow part, done twice


def load(
    path: str | Path,
    *,
    config: str | Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    clip_frames: int = 16,
    size: int = 0,
    choices: Choices | None = None,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> JepaModel:
    """Load a checkpoint onto a device, ready to look.

    path         an official .pt / .pth.tar, a .safetensors file or a Hugging Face folder
    config       params.yaml or config.json; found by itself when it lies beside the file
    clip_frames  longest clip that will be shown, for the memory forecast
    size         side of the pictures that will be shown, pixels, likewise; 0 = the checkpoint's own
    Raises a CheckpointError kind with `.report`, OutOfMemory, DeviceError, or Cancelled.
    """
    examined = _examine(Path(path), config, device, dtype, (clip_frames, size), choices, progress, cancel)
    devices.be_exact()
    modules: dict[str, nn.Module] = {}
    done, total = 0, sum(len(examined.design.sources[part]) for part in examined.design.modules)
    with devices.device_errors("loading the model", devices.what_it_needs(examined.report)):
        for part, module in examined.design.modules.items():
            state: dict[str, Tensor] = {}
            for name, stored in examined.design.sources[part].items():
                _check(cancel)
                state[name] = _copied(examined, part, name, stored)
                done += 1
                _say(
                    progress,
                    HASH_SHARE + (1 - HASH_SHARE) * done / total,
                    f"reading {part.replace('_', ' ')}",
                )
            module.load_state_dict(state, strict=True, assign=True)
            modules[part] = module.requires_grad_(False).eval()
    return registry.family(examined.family).assemble(examined.design, modules, examined.info, examined.report)


def examine(
    path: str | Path,
    *,
    config: str | Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    clip_frames: int = 16,
    size: int = 0,
    choices: Choices | None = None,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> tuple[CheckpointInfo, LoadReport]:
    """What `load` would do, without putting a weight onto a device: identity, report, memory forecast.

    Refuses whatever `load` refuses, with the same errors.
    """
    examined = _examine(Path(path), config, device, dtype, (clip_frames, size), choices, progress, cancel)
    done, total = 0, sum(len(examined.design.sources[part]) for part in examined.design.modules)
    for part in examined.design.modules:
        for name, stored in examined.design.sources[part].items():
            _check(cancel)
            for piece in stored.pieces or (stored,):
                _finite(examined, part, name, piece)
                piece.let_go()
            done += 1
            _say(progress, HASH_SHARE + (1 - HASH_SHARE) * done / total, f"checking {part.replace('_', ' ')}")
    return examined.info, examined.report


# --- from file to design -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Examined:
    family: str
    design: Design
    info: CheckpointInfo
    report: LoadReport
    device: torch.device
    dtype: torch.dtype


def _examine(
    path: Path,
    config: str | Path | None,
    device: str,
    dtype: str,
    shown: tuple[int, int],
    choices: Choices | None,
    progress: Progress | None,
    cancel: CancelToken | None,
) -> _Examined:
    report = LoadReport(path=str(path), family="", variant="", matched=0)
    try:
        weights = weight_folder.files_of(path)
        settings = sidecar.find_config(path, Path(config) if config else None)
        card = sidecar.read_card(weights[0])
        encoder = companion.named_in(card, weights[0].parent)
        weights = weights if encoder is None else (*weights, encoder)
        before = weight_folder.seen(weights)
        file = replace(open_weights(path, settings), card=card)
        if encoder is not None:
            file = companion.joined(file, open_weights(encoder, sidecar.find_config(encoder)))
        sha256 = weight_folder.fingerprint(weights, progress, cancel, HASH_SHARE)
        report = replace(report, file_bytes=sum(size for size, _ in before), sha256=sha256)
        if weight_folder.seen(weights) != before:
            raise UnreadableCheckpoint(
                f"{path.name} changed while it was read.", "Wait until it is complete."
            )
        family, design, report = design_of(file, choices or Choices(), report)
        if len(weights) > 1:
            said = {"sha256": f"of its {len(weights)} files of weights, one after another"}
            if encoder is not None:
                said["slot encoder"] = f"{encoder.name} (the card beside it, {companion.KEY})"
            report = replace(report, assumed={**report.assumed, **said})
    except OSError as error:
        raise UnreadableCheckpoint(
            f"{path.name} cannot be read.", "Check the disk.", str(error), report
        ) from error
    except CheckpointError as error:
        error.report = known(error.report, report)
        raise
    where, precision = devices.pick(device, dtype)
    parameters = sum(p.numel() for module in design.modules.values() for p in module.parameters())
    notes = design.notes + tuple(str(note) for note in _list(card.get("notes")))
    info = CheckpointInfo(
        id=f"{report.sha256[:16]}:{devices.dtype_name(precision)}",
        family=design.family,
        variant=design.variant,
        path=str(path),
        sha256=report.sha256,
        input=design.input,
        action=design.action,
        abilities=design.abilities,
        device=str(where),
        dtype=devices.dtype_name(precision),
        parameters=parameters,
        embed_dim=design.embed_dim,
        notes=notes,
        multiblock=design.multiblock,
        layout=design.layout,
        levels=design.levels,
        sizes=design.sizes,
        slots=design.slots,
        metric=design.metric,
        cannot_see=design.cannot_see,
    )
    report = devices.with_forecast(report, design, info, *shown)
    return _Examined(family, design, info, report, where, precision)


def _copied(examined: _Examined, part: str, name: str, stored: Stored) -> Tensor:
    """A tensor of the file on its device, in its precision, and nothing else: every page of the file is let go at once.

    A copy, because the file may change or vanish while its mapping is in use. It is made first and filled piece by
    piece: a joined tensor made on the way would leave holes in the heap, a quarter of the model's size in all.
    """
    own, at = torch.empty(0), 0
    for number, piece in enumerate(stored.pieces or (stored,)):
        tensor = _finite(examined, part, name, piece)
        if number == 0:
            precision = examined.dtype if tensor.is_floating_point() else tensor.dtype  # counters stay whole
            own = torch.empty(stored.shape, dtype=precision, device=examined.device)
        place = own[at : at + len(tensor)] if stored.pieces else own
        place.copy_(tensor)
        at += len(tensor) if stored.pieces else 0
        del tensor
        piece.let_go()
    return own


def _finite(examined: _Examined, part: str, name: str, stored: Stored) -> Tensor:
    """The file's numbers, none of them NaN or infinite, and none that the wanted precision would make infinite."""
    try:
        tensor = stored.read()
    except CheckpointError as error:
        error.report = known(error.report, examined.report)
        raise
    except OSError as error:
        raise UnreadableCheckpoint(
            f"{Path(examined.info.path).name} changed while it was read.",
            "Wait until it is complete.",
            str(error),
            examined.report,
        ) from error
    if tensor.numel() == 0 or not tensor.is_floating_point():
        return tensor
    # Least and greatest carry both, at a seventeenth of the time of isfinite().all().
    largest = max(abs(float(value)) if torch.isfinite(value) else math.inf for value in torch.aminmax(tensor))
    file = Path(examined.info.path).name
    if largest == math.inf:
        raise WeightsNotFinite(
            f"{file} holds values that are not numbers, first in {part}/{name}.",
            "The file was damaged or its training failed. Choose an earlier checkpoint.",
            report=examined.report,
        )
    if largest > torch.finfo(examined.dtype).max:
        raise WeightsNotFinite(
            f"{file} holds a weight of {largest:.3g} in {part}/{name}, more than {examined.info.dtype} can say.",
            "Load it in float32 or bfloat16.",
            report=examined.report,
        )
    return tensor


def _list(value: object) -> list[object]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple):
        return list(value)
    raise ConfigDiffers(
        "The card beside the checkpoint has notes that are not text.", "Mend <name>.card.json."
    )


def _check(cancel: CancelToken | None) -> None:
    if cancel is not None:
        cancel.check()


def _say(progress: Progress | None, fraction: float, text: str) -> None:
    if progress is not None:
        progress(fraction, text)
