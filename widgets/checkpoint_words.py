"""What is said of a checkpoint before it is loaded: what it can do, how it matched, whether its memory fits.

The load sheet and `main.py checkpoint` take their sentences from here, so that both say the same. Plain functions over
the frozen nouns; no Qt. Judges nothing by itself: every word rests on a field of the report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from jepa_core.types import CheckpointInfo, LoadReport
from widgets.words import grouped, plural, size

MOST_NAMES = 8  # of an action's numbers, before only the first and the last are named
FORECAST_SHARE = 0.85  # of what is free: a forecast may be 15 % too low (UX, section 2, row 17)

ABILITIES = (  # ability, its name, what it gives, what is not there without it
    (
        "masked",
        "Masked prediction",
        "Predicts what was hidden from it, so there is a prediction error and a surprise.",
        "It cannot predict what was hidden from it: no prediction error, no surprise.",
    ),
    (
        "temporal",
        "Video",
        "Sees a clip of several frames and what changes in it.",
        "Sees pictures one by one, not what changes between them.",
    ),
    (
        "actions",
        "Actions",
        "Predicts what follows from an action: roll-outs and their energies.",
        "Takes no actions: no roll-outs.",
    ),
)
FROM_ACTIONS = (
    "Nothing is hidden from it: its prediction error is how far the next frame is from what it expected."
)
LAYOUTS = {  # CheckpointInfo.layout → name, what is drawn of it
    "grid": ("Patches", "One latent per patch: what is measured of them is a map over the picture."),
    "slots": (
        "Object slots",
        "One latent per object: what is measured is one number per slot, on its region.",
    ),
    "global": (
        "One vector per frame",
        "One latent per frame: what is measured is a curve. There is no map to draw.",
    ),
}
OPTIONS = (  # of a hint, as errors say it for the command line → as the load sheet says it
    ("with --config", "as Config below"),
    (" (--clip-frames)", " (Frames below)"),
    ("--dtype ", "the precision "),
    ("--device ", "the device "),
)
FITS = {
    "fits": "it fits",
    "tight": "it may just fit, a forecast can be 15 % too low",
    "too large": "it does not fit",
}


@dataclass(frozen=True, slots=True)
class Able:
    """One line of what a checkpoint can do or cannot."""

    name: str
    text: str
    is_able: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """Something the tensors do not say: its value, and where it was taken from."""

    what: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """Memory of one look with other choices."""

    size: int  # side of the input in pixels, 0 = the checkpoint's own
    frames: int  # of the clip, 1 = a picture
    dtype: str
    n_bytes: int

    def words(self) -> str:
        """ "256 px, 16 frames, bfloat16"."""
        parts = (f"{self.size} px" if self.size else "", plural(self.frames, "frame"), self.dtype)
        return ", ".join(part for part in parts if part)


def abilities(info: CheckpointInfo) -> tuple[Able, ...]:
    """What it can do, what it cannot, and what its latents are."""
    lines = [
        Able(name, can if key in info.abilities else cannot, key in info.abilities)
        for key, name, can, cannot in ABILITIES
    ]
    if "actions" in info.abilities and not lines[0].is_able:
        lines[0] = replace(lines[0], text=FROM_ACTIONS)
    if info.cannot_see:
        return (Able("Pictures", info.cannot_see, False), *lines)
    name, text = LAYOUTS.get(info.layout, LAYOUTS["grid"])
    return (*lines, Able(name, text, True))


def identity(report: LoadReport) -> str:
    """ "V-JEPA 2 · ViT-L/16"; empty while neither is known."""
    return " · ".join(word for word in (report.family, report.variant) if word)


def counts(report: LoadReport) -> tuple[tuple[str, int], ...]:
    """Of every kind of tensor how many there are: the kinds that refuse a file first."""
    return (
        ("matched", report.matched),
        ("missing", len(report.missing)),
        ("unexpected", len(report.unexpected)),
        ("of another shape", len(report.reshaped)),
        ("ignored by design", len(report.ignored)),
    )


def match(report: LoadReport) -> str:
    """ "588 of 588 tensors matched", "300 of 312 tensors matched, 12 missing"."""
    total = report.matched + len(report.missing) + len(report.reshaped)
    parts = [f"{grouped(report.matched)} of {plural(total, 'tensor')} matched"]
    parts += [f"{grouped(number)} {word}" for word, number in counts(report)[1:4] if number]
    return ", ".join(parts)


def absent(report: LoadReport) -> str:
    """Whole parts that this file lacks by design, in one sentence; empty where none does."""
    if not report.absent_parts:
        return ""
    parts = " and ".join(part.replace("_", " ") for part in report.absent_parts)
    is_blind = "visual encoder" in report.absent_parts
    return f"The file holds no {parts}: it " + (
        "cannot be shown a picture." if is_blind else "loads with fewer abilities."
    )


def taken(report: LoadReport) -> tuple[Taken, ...]:
    """What cannot be known from the tensors, and where it was taken from instead."""
    return tuple(Taken(what, *_split(words)) for what, words in report.assumed.items())


def forecasts(report: LoadReport) -> tuple[Forecast, ...]:
    """The forecasts for other choices, in the order of the report; what cannot be read is left out."""
    return tuple(_forecasts(report.forecasts))


def fit(needed: int, free: int) -> str:
    """ "fits", "tight" (within the error of a forecast), "too large", or "" where nobody knows what is free."""
    if free < 0 or needed <= 0:
        return ""
    if needed <= FORECAST_SHARE * free:
        return "fits"
    return "tight" if needed <= free else "too large"


def memory(report: LoadReport, device: str) -> str:
    """ "needs about 2.4 GB; 22.1 GB are free on cpu: it fits"."""
    words = f"needs about {size(report.memory_bytes)}"
    if report.device_free_bytes < 0:
        return f"{words}; what is free on {device} is not known"
    verdict = FITS.get(fit(report.memory_bytes, report.device_free_bytes), "")
    words = f"{words}; {size(report.device_free_bytes)} are free on {device}"
    return f"{words}: {verdict}" if verdict else words


def fitting(report: LoadReport) -> Forecast | None:
    """The first other choice that fits: the report names those that give up least first."""
    free = report.device_free_bytes
    fits = (item for item in forecasts(report) if fit(item.n_bytes, free) in ("fits", "tight"))
    return next(fits, None)


def hint_on_screen(hint: str) -> str:
    """A hint in the words of the load sheet: what is an option on the command line is a control there."""
    for option, words in OPTIONS:
        hint = hint.replace(option, words)
    return hint


def input_words(info: CheckpointInfo) -> str:
    """ "256 × 256 px, 16 frames at 4 fps, tubelet 2, patch 16"."""
    spec = info.input
    frames = plural(spec.frames, "frame") + (f" at {spec.fps:g} fps" if spec.frames > 1 else "")
    return f"{spec.size} × {spec.size} px, {frames}, tubelet {spec.tubelet}, patch {spec.patch}"


def action_words(info: CheckpointInfo) -> str:
    """ "x, y, z, gripper in m"; of many numbers the first and the last; empty without actions."""
    if info.action is None:
        return ""
    names, units = info.action.names, dict.fromkeys(info.action.units)
    if len(units) > 1:
        said = [
            f"{name} ({unit})" if unit else name for name, unit in zip(names, info.action.units, strict=True)
        ]
        return ", ".join(said)
    listed = (
        ", ".join(names) if len(names) <= MOST_NAMES else f"{len(names)} numbers, {names[0]} … {names[-1]}"
    )
    unit = next(iter(units), "")
    return f"{listed}, in {unit}" if unit else listed


def _forecasts(said: Mapping[str, int]) -> Iterator[Forecast]:
    for words, n_bytes in said.items():
        found = re.fullmatch(r"(?:(\d+) px, )?(?:(\d+) frames?, )?(b?float\d+)", words)
        if found is not None:
            yield Forecast(int(found.group(1) or 0), int(found.group(2) or 1), found.group(3), n_bytes)


def _split(words: str) -> tuple[str, str]:
    """ "64 px (cell.params.yaml, data.crop_size)" → its value and its source: what follows the first bracket or colon."""
    bracket, colon = words.find(" ("), words.find(": ")
    if bracket > 0 and words.endswith(")") and not 0 < colon < bracket:
        return words[:bracket], words[bracket + 2 : -1]
    return (words[:colon], words[colon + 2 :]) if colon > 0 else (words, "")
