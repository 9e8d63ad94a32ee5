"""Runs the reference cases: finds every folder, sends it to its family's check, compares every output array.

Cases lie in tests/golden/cases and in $GOLDEN_DIR. A name nobody knows fails, and so do an output array that no check
computes and a check that breaks off: each as a line of its own case, so that the others are still run.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.golden import (
    cjepa_cases,
    ebjepa_cases,
    ijepa_cases,
    jepawm_cases,
    lewm_cases,
    preprocess_case,
    vjepa2_cases,
    vjepa2ac_cases,
    vjepa21_cases,
    vjepa_cases,
)

Arrays = Mapping[str, np.ndarray]
Computed = dict[str, np.ndarray]

CASES = Path(__file__).parent / "cases"
ENCODER_TOLERANCE = 1e-5  # stated in every case's README
PREDICTOR_TOLERANCE = 2e-5
ROLLED = re.compile(  # roll-outs of random weights amplify rounding: how far, each case says of itself
    r"(predicted|roll|rollout|unroll)\w*|\w*_(plan|candidates|std)"
)
PREDICTOR_OUTPUTS = (
    "pred",
    "l1_token",
    "loss",
    "out_steps",
    "full_predictor_last",
    "masked_predictor_last",
    "smoothl1_token",
    "surprise",
    "plan",
)


@dataclass(frozen=True)
class Kind:
    """How the cases of one folder prefix are run and judged."""

    check: Callable[[Path, Arrays], Computed]  # everything it computes
    inputs: Callable[[Arrays], frozenset[str]]  # the arrays that are given
    tolerance: Callable[[str], float]  # absolute, of one array
    relative: Callable[[str], float] = lambda array: 0.0  # of an array's values, on top of that


def _masked_tolerance(array: str) -> float:
    return PREDICTOR_TOLERANCE if array.startswith(PREDICTOR_OUTPUTS) else ENCODER_TOLERANCE


KINDS: dict[str, Kind] = {  # folder prefix → how; the first that fits
    "ijepa-": Kind(ijepa_cases.official, ijepa_cases.inputs_among, _masked_tolerance),
    "hf-ijepa-": Kind(ijepa_cases.hugging_face, ijepa_cases.inputs_among, _masked_tolerance),
    "vjepa-": Kind(vjepa_cases.official, vjepa_cases.inputs_among, _masked_tolerance),
    "hf-vjepa2-": Kind(vjepa2_cases.hugging_face, vjepa2_cases.inputs_among, _masked_tolerance),
    "vjepa21-": Kind(vjepa21_cases.official, vjepa21_cases.inputs_among, vjepa21_cases.tolerance_of),
    "vjepa2ac-": Kind(vjepa2ac_cases.official, vjepa2ac_cases.inputs_among, vjepa2ac_cases.tolerance_of),
    "vjepa2-": Kind(vjepa2_cases.official, vjepa2_cases.inputs_among, _masked_tolerance),
    "cjepa-": Kind(
        cjepa_cases.official, cjepa_cases.inputs_among, cjepa_cases.tolerance_of, cjepa_cases.relative_of
    ),
    "lewm-": Kind(
        lewm_cases.official, lewm_cases.inputs_among, lewm_cases.tolerance_of, lewm_cases.relative_of
    ),
    "ebjepa-": Kind(
        ebjepa_cases.official, ebjepa_cases.inputs_among, ebjepa_cases.tolerance_of, ebjepa_cases.relative_of
    ),
    "jepawm-": Kind(
        jepawm_cases.official, jepawm_cases.inputs_among, jepawm_cases.tolerance_of, jepawm_cases.relative_of
    ),
    "preprocess-": Kind(preprocess_case.routes, preprocess_case.inputs_among, preprocess_case.tolerance_of),
}


@dataclass(frozen=True)
class Outcome:
    """What came of one case."""

    case: str
    status: str  # "passed" | "failed"
    checked: int = 0
    largest: float = 0.0  # plain difference, of all arrays
    tolerance: str = ""
    closest: str = ""  # the array that comes nearest to its tolerance, and which share of it
    problems: tuple[str, ...] = field(default=())


def find_cases() -> list[Path]:
    """Every case folder, ours and those under $GOLDEN_DIR; of two with one name, $GOLDEN_DIR's."""
    elsewhere = os.environ.get("GOLDEN_DIR")
    found: dict[str, Path] = {}
    for root in (CASES, *([Path(elsewhere)] if elsewhere else [])):
        found |= {folder.name: folder for folder in root.iterdir() if folder.is_dir()}
    return [found[name] for name in sorted(found)]


def run_case(folder: Path) -> Outcome:
    """Check every output array of a case against its tolerance."""
    kind = next((kind for prefix, kind in KINDS.items() if folder.name.startswith(prefix)), None)
    if kind is None:
        return Outcome(folder.name, "failed", problems=("no family is known for this folder's name",))
    try:
        arrays = _read(folder)
        computed = kind.check(folder, arrays)
    except Exception as error:  # noqa: BLE001  whatever breaks off belongs to this case; the others are still run
        broke = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(broke.filename).name}, line {broke.lineno}"
        return Outcome(folder.name, "failed", problems=(f"broke off in {where}: {_in_words(error)}",))
    largest, closest, problems, tolerances = 0.0, (0.0, ""), [], set()
    stated = _stated_tolerance(folder)
    for name, ours in computed.items():
        theirs = arrays[name]
        tolerance = kind.tolerance(name)
        if tolerance and ROLLED.fullmatch(name):
            tolerance = max(tolerance, stated)
        tolerances.add(tolerance)
        if ours.shape != theirs.shape:
            problems.append(f"{name}: shape {ours.shape}, reference {theirs.shape}")
            continue
        differences = np.abs(ours.astype(np.float64) - theirs)
        allowed = tolerance + kind.relative(name) * np.abs(theirs)
        difference = float(differences.max()) if ours.size else 0.0
        largest = max(largest, difference)
        if tolerance and ours.size:
            closest = max(closest, (float((differences / allowed).max()), name))
        if not (differences <= allowed).all():
            problems.append(f"{name}: differs by {difference:.2e}, tolerance {tolerance:.0e}")
    inputs = kind.inputs(arrays)
    problems += [
        f"{name}: no check computes this array"
        for name in arrays
        if name not in computed and name not in inputs
    ]
    if not computed:
        problems.append("nothing was checked")
    return Outcome(
        folder.name,
        "failed" if problems else "passed",
        len(computed),
        largest,
        " / ".join(f"{t:.1g}" for t in sorted(tolerances)),
        f"{closest[1]} at {closest[0]:.0%}" if closest[1] else "",
        tuple(problems),
    )


def _stated_tolerance(folder: Path) -> float:
    """What a case's README suggests, 0 where it suggests nothing for all arrays alike."""
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    found = re.search(r"Suggested tolerance: absolute (\d[\d.e-]*\d)", text)
    return float(found[1]) if found else 0.0


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {getattr(error, 'what', None) or error}"


def _read(folder: Path) -> dict[str, np.ndarray]:
    """io.npz, and further recordings beside it, such as plan.npz."""
    arrays: dict[str, np.ndarray] = {}
    for path in (folder / "io.npz", *sorted(p for p in folder.glob("*.npz") if p.name != "io.npz")):
        with np.load(path) as file:
            arrays.update((name, file[name]) for name in file.files)
    return arrays


def table(outcomes: list[Outcome]) -> str:
    """One line per case: arrays checked, largest difference, tolerance, and the array that comes nearest to its own."""
    width = max([len(o.case) for o in outcomes] + [4])
    spans = max([len(o.tolerance) for o in outcomes] + [9])
    head = f"{'case':<{width}}  {'status':<6} {'arrays':>6}  {'largest diff':>12}  {'tolerance':<{spans}}  nearest to its tolerance"
    lines = [head]
    for o in outcomes:
        lines.append(
            f"{o.case:<{width}}  {o.status:<6} {o.checked:>6}  {o.largest:>12.2e}  {o.tolerance:<{spans}}  {o.closest}".rstrip()
        )
        lines += [f"{'':<{width}}    {problem}" for problem in o.problems]
    failed = sum(o.status == "failed" for o in outcomes)
    lines.append(
        f"{len(outcomes)} cases: {len(outcomes) - failed} passed, {failed} failed; {sum(o.checked for o in outcomes)} arrays"
    )
    return "\n".join(lines)
