"""Loads a checkpoint exactly or refuses it with a report. There is no lenient way in.

Every tensor of the file has a place in the family's model and every place gets a tensor, with the right shape and
finite values; anything else raises a CheckpointError whose report names each tensor. Runs in the engine process (the
report alone also in `main.py checkpoint`). Never executes anything that a file holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from jepa_core import device as devices
from jepa_core import registry, sidecar
from jepa_core.clock import CancelToken
from jepa_core.design import Choices, Design, Stored, WeightFile
from jepa_core.errors import (
    CheckpointError,
    ConfigDiffers,
    KeysDiffer,
    ShapesDiffer,
    UnknownFamily,
    UnreadableCheckpoint,
    WeightsNotFinite,
)
from jepa_core.families.base import JepaModel, Progress
from jepa_core.types import CheckpointInfo, LoadReport
from jepa_core.weight_files import open_weights, weights_path

HASH_CHUNK = 1 << 22  # bytes between two looks at the cancel token
HASH_SHARE = 0.4  # of the progress bar; reading from disk is the slow part, done twice


def load(
    path: str | Path,
    *,
    config: str | Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    clip_frames: int = 16,
    choices: Choices | None = None,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> JepaModel:
    """Load a checkpoint onto a device, ready to look.

    path         an official .pt / .pth.tar, a .safetensors file or a Hugging Face folder
    config       params.yaml or config.json; found by itself when it lies beside the file
    clip_frames  longest clip that will be shown, for the memory forecast
    Raises a CheckpointError kind with `.report`, OutOfMemory, DeviceError, or Cancelled.
    """
    examined = _examine(Path(path), config, device, dtype, clip_frames, choices, progress, cancel)
    modules: dict[str, nn.Module] = {}
    done, total = 0, sum(len(examined.design.sources[part]) for part in examined.design.modules)
    with devices.device_errors("loading the model"):
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
    choices: Choices | None = None,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> tuple[CheckpointInfo, LoadReport]:
    """What `load` would do, without putting a weight onto a device: identity, report, memory forecast.

    Refuses whatever `load` refuses, with the same errors.
    """
    examined = _examine(Path(path), config, device, dtype, clip_frames, choices, progress, cancel)
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


def hash_file(path: Path, progress: Progress | None = None, cancel: CancelToken | None = None) -> str:
    """sha256 of a file, hex, read in pieces."""
    digest, size, done = hashlib.sha256(), max(path.stat().st_size, 1), 0
    piece = memoryview(bytearray(HASH_CHUNK))  # read into again and again: the file never stands in memory
    with path.open("rb", buffering=0) as stream:
        while count := stream.readinto(piece):
            _check(cancel)
            digest.update(piece[:count])
            done += count
            _say(progress, HASH_SHARE * done / size, "checking the file's fingerprint")
    return digest.hexdigest()


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
    clip_frames: int,
    choices: Choices | None,
    progress: Progress | None,
    cancel: CancelToken | None,
) -> _Examined:
    report = LoadReport(path=str(path), family="", variant="", matched=0)
    try:
        weights = weights_path(path)
        before = weights.stat()
        settings = sidecar.find_config(path, Path(config) if config else None)
        card = sidecar.read_card(weights)
        file = replace(open_weights(path, settings), card=card)
        report = replace(report, file_bytes=before.st_size, sha256=hash_file(weights, progress, cancel))
        after = weights.stat()
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise UnreadableCheckpoint(
                f"{path.name} changed while it was read.", "Wait until it is complete."
            )
        family, design, report = design_of(file, choices or Choices(), report)
    except OSError as error:
        raise UnreadableCheckpoint(
            f"{path.name} cannot be read.", "Check the disk.", str(error), report
        ) from error
    except CheckpointError as error:
        if error.report is None:
            error.report = report
        elif not error.report.sha256:  # the family's own report: add what is known of the file
            error.report = replace(
                error.report, path=report.path, sha256=report.sha256, file_bytes=report.file_bytes
            )
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
    report = devices.with_forecast(report, design, info, clip_frames)
    return _Examined(family, design, info, report, where, precision)


def design_of(
    file: WeightFile, choices: Choices, report: LoadReport | None = None
) -> tuple[str, Design, LoadReport]:
    """Family name, design and report of an opened file. Raises CheckpointError kinds where it is not exactly one.

    report  what is known of the file so far
    """
    family = _recognise(file)
    design = registry.family(family).design(file, choices)
    return family, design, _compare(file, design, report or LoadReport(file.name, "", "", 0))


def _recognise(file: WeightFile) -> str:
    keys = file.keys()
    config: Mapping[str, Any] = {
        **file.config.values,
        "checkpoint_file": file.name,
        "checkpoint_wrappers": sorted(file.wrappers),
        "checkpoint_patch_shape": _patch_shape(file),
    }
    for name in registry.FAMILIES:
        if registry.family(name).recognises(keys, config):
            return name
    guess = registry.looks_like(keys, config)
    what = (
        f"looks like {guess}, which this version cannot load"
        if guess
        else "holds no system this console knows"
    )
    raise UnknownFamily(
        f"{file.name} {what}.",
        f"It loads the published layouts of {', '.join(registry.systems())};"
        f" beside them {' and '.join(registry.extras())}.",
        "first names: " + ", ".join(sorted(keys)[:8]),
        LoadReport(path=file.name, family=guess, variant="", matched=0, unexpected=tuple(sorted(keys))),
    )


def _patch_shape(file: WeightFile) -> tuple[int, ...]:
    """Shape of the first patch embedding, () where there is none: part of what tells systems apart."""
    for tensors in file.parts.values():
        if "patch_embed.proj.weight" in tensors:
            return tensors["patch_embed.proj.weight"].shape
    return ()


def _compare(file: WeightFile, design: Design, report: LoadReport) -> LoadReport:
    """Hold every tensor of the file against the model; raise with the full list where one does not fit."""
    matched = 0
    missing, reshaped = [], []
    unexpected = list(file.leftover)
    unexpected += [
        f"{part}/{name}" for part in file.parts if part not in design.sources for name in file.parts[part]
    ]
    twins = ((twin, design.modules[of]) for twin, of in design.twins.items())
    for part, module in (*design.modules.items(), *twins):
        wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        found = design.sources[part]
        missing += [_named(file, part, name) for name in wanted if name not in found]
        unexpected += [_named(file, part, name) for name in found if name not in wanted]
        for name in wanted.keys() & found.keys():
            if wanted[name] == found[name].shape:
                matched += 1
            else:
                reshaped.append(
                    f"{_named(file, part, name)}: expected {wanted[name]}, file has {found[name].shape}"
                )
    report = replace(
        report,
        family=design.family,
        variant=design.variant,
        matched=matched,
        missing=tuple(missing),
        unexpected=tuple(unexpected),
        reshaped=tuple(sorted(reshaped)),
        ignored=design.ignored,
        absent_parts=design.absent_parts,
        assumed={**design.assumed, **_reading(file)},
    )
    if missing or unexpected:
        raise KeysDiffer(
            f"{file.name} is not exactly a {design.family} {design.variant}: "
            + _counted(("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped)),
            "Nothing was loaded. The report names every tensor; ask for the complete file or the config it was made with.",
            report=report,
        )
    if reshaped:
        raise ShapesDiffer(
            f"{file.name} does not fit {design.family} {design.variant}: {_counted(('of another shape', reshaped))}",
            "Nothing was loaded. Choose the config this file was trained with, or ask for the complete file.",
            report=report,
        )
    return report


def _named(file: WeightFile, part: str, name: str) -> str:
    """The official name, and how the file would spell it where it spells otherwise."""
    own = file.spelling(part, name) if file.spelling is not None else ()
    return f"{part}/{name} ({', '.join(own)})" if own else f"{part}/{name}"


def _reading(file: WeightFile) -> dict[str, str]:
    """How a pickled object was read and what tells a changed weight, for the report."""
    out = {"check sums": file.checksums} if file.checksums else {}
    if file.foreign:
        out["pickled object"] = (
            f"its tensors were taken out; none of the {len(file.foreign)} names of code in it was run"
        )
    return out


def _counted(*kinds: tuple[str, list[str]]) -> str:
    """ "1 missing (predictor/norm.bias), 2 unexpected (a, b)." """
    said = [
        f"{len(names)} {kind} ({names[0]}{', …' if len(names) > 1 else ''})" for kind, names in kinds if names
    ]
    return ", ".join(said) + "."


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
    tensor = stored.read()
    if not _is_finite(tensor):
        raise WeightsNotFinite(
            f"{Path(examined.info.path).name} holds values that are not numbers, first in {part}/{name}.",
            "The file was damaged or its training failed. Choose an earlier checkpoint.",
            report=examined.report,
        )
    return tensor


def _is_finite(tensor: Tensor) -> bool:
    """No NaN, no infinity. Least and greatest carry both, at a seventeenth of the time of isfinite().all()."""
    if tensor.numel() == 0 or not tensor.is_floating_point():
        return True
    return all(bool(torch.isfinite(value)) for value in torch.aminmax(tensor))


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
