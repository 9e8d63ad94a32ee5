"""Every reference case again, on a device and in a precision: float32 to its own tolerance, half precision to its own.

The tolerances of the cases were set between CPU programs that add in nearly the same order. A GPU adds in another, so
float32 may differ there by SLACK times as much. In half precision a value has 8 bits: an array counts as the same where
the root mean square of the difference is a small share of the array's own. Arrays that a discrete choice decides
(elites, assignments, signs) are left out of that, by name and with a count.
"""

from __future__ import annotations

import re
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.golden import runner
from tests.gpu.elsewhere import elsewhere

PRECISIONS = ("float32", "bfloat16")
SLACK = {"cpu": 1.0, "cuda": 4.0}  # times a case's own tolerance, in float32
HALF_MOST = 0.08  # share of the root mean square; a wrong algorithm has 1 or more, rounding has 0.01 to 0.06
CHOSEN = re.compile(r"cem_\w+|mppi_\w+|predicted_\w*embed\w*|pca_\w+")
CASTING = (
    "cjepa-predictor",
    "cjepa-pusht",
    "vjepa2ac-",
)  # checks that call pieces which leave casting to the caller
WITHOUT_MODEL = ("preprocess-",)


@dataclass(frozen=True)
class Parity:
    """What came of one case."""

    case: str
    dtype: str
    passed: bool
    arrays: int = 0
    left_out: int = 0  # decided by a discrete choice
    largest: float = 0.0  # difference
    nearest: str = ""  # array nearest to its limit
    share: float = 0.0  # of that limit
    problem: str = ""

    def line(self) -> str:
        said = (
            self.problem
            or f"{self.arrays} arrays, largest difference {self.largest:.2e}, {self.nearest} at {self.share:.0%}"
        )
        return f"{self.case:<28} {self.dtype:<9} {'passed' if self.passed else 'FAILED'}  {said}"


def cases() -> list[Path]:
    """Every case that has a model in it."""
    return [folder for folder in runner.find_cases() if not folder.name.startswith(WITHOUT_MODEL)]


def run(folder: Path, device: str, dtype: str) -> Parity:
    """Check one case there. A check that breaks off is a failed case, not the end of the run."""
    kind = next((kind for prefix, kind in runner.KINDS.items() if folder.name.startswith(prefix)), None)
    if kind is None:
        return Parity(folder.name, dtype, False, problem="no family is known for this folder's name")
    is_half = dtype != "float32"
    arrays = runner._read(folder)
    casts = is_half and folder.name.startswith(CASTING)
    try:
        with elsewhere(device, dtype, casts_inputs=casts):
            computed = kind.check(folder, arrays)
    except Exception as failure:  # noqa: BLE001 - one case that breaks off must not hide the others
        where = traceback.extract_tb(failure.__traceback__)[-1]
        problem = f"{type(failure).__name__}: {failure} ({Path(where.filename).name}:{where.lineno})"
        return Parity(folder.name, dtype, False, problem=problem)
    shares: dict[str, float] = {}
    largest, left_out = 0.0, 0
    for name, ours in computed.items():
        theirs = arrays[name]
        if ours.shape != theirs.shape:
            return Parity(
                folder.name, dtype, False, problem=f"{name}: shape {ours.shape}, not {theirs.shape}"
            )
        if is_half and CHOSEN.fullmatch(name):
            left_out += 1
            continue
        difference = np.abs(ours.astype(np.float64) - theirs)
        largest = max(largest, float(difference.max(initial=0.0)))
        if is_half:
            shares[name] = _rms(difference) / (HALF_MOST * max(_rms(theirs), 1e-12))
        else:
            slack = SLACK[device.partition(":")[0]]
            allowed = slack * (kind.tolerance(name) + kind.relative(name) * np.abs(theirs))
            shares[name] = float(_ratio(difference, allowed))
    if not shares:
        return Parity(folder.name, dtype, False, problem="nothing was checked")
    nearest = max(shares, key=lambda name: shares[name])
    return Parity(
        folder.name, dtype, shares[nearest] <= 1.0, len(shares), left_out, largest, nearest, shares[nearest],
        "" if shares[nearest] <= 1.0 else f"{nearest} differs by {shares[nearest]:.2f} times what is allowed",
    )  # fmt: skip


def report(device: str) -> list[dict[str, Any]]:
    """All cases in all precisions."""
    found = []
    for dtype in PRECISIONS:
        for folder in cases():
            found.append(run(folder, device, dtype))
            print(found[-1].line(), flush=True)
    return [asdict(one) for one in found]


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values.astype(np.float64))))) if values.size else 0.0


def _ratio(difference: np.ndarray, allowed: np.ndarray) -> float:
    """The largest share; where nothing is allowed, any difference is too much."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(difference == 0, 0.0, difference / allowed)
    return float(shares.max(initial=0.0))
