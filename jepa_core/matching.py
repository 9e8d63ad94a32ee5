"""Which system an opened file is of, and whether it is exactly that: every tensor held against the family's own model.

Nothing is loaded here and no weight is read that a family does not ask for. A refusal carries the whole report: what
the system was recognised by, which tensors are missing, which are left over, which have another shape or kind.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from jepa_core import registry
from jepa_core.design import Choices, Config, Design, WeightFile
from jepa_core.errors import (
    CheckpointError,
    KeysDiffer,
    ShapesDiffer,
    UnknownFamily,
    UnreadableCheckpoint,
)
from jepa_core.types import LoadReport


def design_of(
    file: WeightFile, choices: Choices, report: LoadReport | None = None
) -> tuple[str, Design, LoadReport]:
    """Family name, design and report of an opened file. Raises CheckpointError kinds where it is not exactly one.

    report  what is known of the file so far
    """
    report = report or LoadReport(file.name, "", "", 0)
    config = _asked(file)
    name = _recognise(file, config)
    family = registry.family(name)
    marks = family.marks(file.keys(), config)
    report = replace(report, family=_exact(name), marks=marks)
    try:
        design = family.design(file, choices)
        return name, design, _compare(file, design, report)
    except CheckpointError as error:
        error.report = known(error.report, report)
        error.hint = _otherwise(file, name, report) or error.hint
        raise
    except (RuntimeError, OverflowError, MemoryError) as error:
        raise UnreadableCheckpoint(
            f"{file.name} has tensors of a size with which no {report.family} can be built.",
            "Copy or download it again.",
            str(error),
            report,
        ) from error


def known(own: LoadReport | None, report: LoadReport) -> LoadReport:
    """A family's own report of a refusal, with what was known of the file before it was asked."""
    if own is None:
        return report
    return replace(
        own,
        path=report.path,
        family=own.family or report.family,
        sha256=report.sha256,
        file_bytes=report.file_bytes,
        marks=own.marks or report.marks,
    )


def _otherwise(file: WeightFile, name: str, report: LoadReport) -> str:
    """What to do where a config named the system and the tensors are of another: the likeliest reason of a refusal."""
    alone = replace(file, config=Config())
    try:
        other = _recognise(alone, _asked(alone))
    except UnknownFamily:
        return ""
    if not file.config.source or other == name:
        return ""
    return (
        f"{file.config.source} is of a {report.family}; by its tensors this file is a {_exact(other)}. Choose its own "
        "config with --config, or take this one away."
    )


def _exact(name: str) -> str:
    """A family's exact name."""
    return str(sys.modules[registry.family(name).__module__].NAME)


def _asked(file: WeightFile) -> dict[str, Any]:
    """What a family is told besides the names of the tensors."""
    return {
        **file.config.values,
        "checkpoint_file": file.name,
        "checkpoint_config": file.config.source,
        "checkpoint_wrappers": sorted(file.wrappers),
        "checkpoint_patch_shape": _patch_shape(file),
    }


def _recognise(file: WeightFile, config: Mapping[str, Any]) -> str:
    keys = file.keys()
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
        f"It loads the published layouts of {', '.join(registry.systems())}.",
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
        wanted = module.state_dict()
        found = design.sources[part]
        missing += [_named(file, part, name) for name in wanted if name not in found]
        unexpected += [_named(file, part, name) for name in found if name not in wanted]
        for name in wanted.keys() & found.keys():
            shape, own = tuple(wanted[name].shape), found[name]
            if shape != own.shape:
                reshaped.append(f"{_named(file, part, name)}: expected {shape}, file has {own.shape}")
            elif wanted[name].is_floating_point() != own.dtype.is_floating_point:
                reshaped.append(
                    f"{_named(file, part, name)}: expected {_kind(wanted[name].dtype)}, {_has(own.dtype)}"
                )
            else:
                matched += 1
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
    if design.refusal is not None:
        design.refusal.report = report
        raise design.refusal
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


def _kind(dtype: torch.dtype) -> str:
    return "broken numbers" if dtype.is_floating_point else "whole numbers"


def _has(dtype: torch.dtype) -> str:
    return f"file has {str(dtype).removeprefix('torch.')}"


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
