"""What is given up when the device runs out of memory: one thing at a time, in a stated order, never back by itself.

The order is: candidates rolled out at once, then resolution, then frames of the clip, then the precision of the
numbers. What a checkpoint cannot change is passed over; at the end of the ladder the fault is told as it is. Pure:
the engine takes the steps (`engine_host`), the controller records each one, a person alone goes back up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

ORDER = ("candidates", "resolution", "frames", "precision")
SIDES = (
    1024,
    768,
    512,
    384,
    256,
    192,
    128,
    96,
    64,
    48,
    32,
)  # pixels: each has about half the tokens of the one before
LEAST_SHARE = 0.5  # of the side it was built for: below it a picture shows other things
LEAST_CANDIDATES = 8  # rolled out at once; fewer save little beside the weights
LEAST_STEPS = 2  # latent time steps: one to predict from, one to predict
COARSER = {"float32": "bfloat16", "float64": "bfloat16"}


@dataclass(frozen=True, slots=True)
class Rung:
    """How much a look takes on."""

    size: int  # side of the input, pixels
    frames: int  # of the clip
    dtype: str
    candidates: int = 0  # rolled out at once; 0 = nothing is being planned


@dataclass(frozen=True, slots=True)
class Limits:
    """What one checkpoint can change."""

    sizes: tuple[int, ...] = ()  # sides it can be shown, largest first; () = only the one it has
    least_frames: int = 0  # of its clip; 0 = it cannot be shorter
    step_frames: int = 1  # a clip is a multiple of these


@dataclass(frozen=True, slots=True)
class Step:
    """One step down, in words a person reads: "resolution: 384 px → 256 px"."""

    what: str  # of ORDER
    before: str
    after: str
    rung: Rung  # where it leads

    @property
    def text(self) -> str:
        return f"{self.what}: {self.before} → {self.after}"


def sizes_below(native: int, patch: int) -> tuple[int, ...]:
    """Sides a checkpoint that takes any resolution is stepped through, its own first: whole patches, half at least."""
    smaller = [side for side in SIDES if LEAST_SHARE * native <= side < native and side % patch == 0]
    return (native, *smaller)


def limits_of(sizes: tuple[int, ...], frames: int, tubelet: int) -> Limits:
    """`frames` of the clip a checkpoint was built for: a picture model's single one cannot be halved."""
    least = LEAST_STEPS * tubelet
    return Limits(sizes, least if frames > least else 0, tubelet)


def step_down(now: Rung, limits: Limits) -> Step | None:
    """The next thing to give up, None where nothing is left."""
    if now.candidates > LEAST_CANDIDATES:
        fewer = max(now.candidates // 2, LEAST_CANDIDATES)
        return _step("candidates", f"{now.candidates} at once", f"{fewer} at once", now, candidates=fewer)
    smaller = [side for side in limits.sizes if side < now.size]
    if smaller:
        return _step("resolution", f"{now.size} px", f"{smaller[0]} px", now, size=smaller[0])
    if limits.least_frames and now.frames > limits.least_frames:
        half = max(now.frames // 2 // limits.step_frames * limits.step_frames, limits.least_frames)
        return _step("frames", f"{now.frames} frames", f"{half} frames", now, frames=half)
    return precision_down(now)


def precision_down(now: Rung) -> Step | None:
    """The only step that makes the weights themselves smaller: all that helps while a model is being loaded."""
    if now.dtype not in COARSER:
        return None
    return _step("precision", now.dtype, COARSER[now.dtype], now, dtype=COARSER[now.dtype])


def way_down(now: Rung, limits: Limits) -> Iterator[Rung]:
    """Every rung from here to the end of the ladder, this one first."""
    yield now
    while (step := step_down(now, limits)) is not None:
        now = step.rung
        yield now


def _step(what: str, before: str, after: str, now: Rung, **changed: int | str) -> Step:
    return Step(what, before, after, replace(now, **changed))  # type: ignore[arg-type]
