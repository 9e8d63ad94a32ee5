"""A checkpoint's report as lines for a terminal and as one JSON object: what the load sheet shows, said without a window.

The sentences are those of `widgets/checkpoint_words.py`, so that sheet, terminal and file never disagree. Knows no Qt.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from console.verbs_output import plain
from jepa_core import catalogue
from jepa_core.catalogue import Identity
from jepa_core.types import JSON, CheckpointInfo, LoadReport
from widgets import checkpoint_words
from widgets.words import grouped, size

WIDTH = 18  # of the first column on a terminal
MOST_NAMES = 12  # tensors of one kind on a terminal: one block of a transformer


def facts(info: CheckpointInfo | None, report: LoadReport) -> dict[str, JSON]:
    """The one object of `main.py checkpoint --json`, also written by the sheet's Save."""
    words: dict[str, JSON] = {
        "match": checkpoint_words.match(report),
        "taken": [asdict(item) for item in checkpoint_words.taken(report)],
        "released": released(report).text,
    }
    if info is None:
        return {"report": plain(report), "words": words}
    words["abilities"] = [asdict(item) for item in checkpoint_words.abilities(info)]
    words["memory"] = look_words(info, report)
    words["absent"] = checkpoint_words.absent(report)
    return {"checkpoint": plain(info), "report": plain(report), "words": words}


def lines(info: CheckpointInfo | None, report: LoadReport) -> list[str]:
    """For a person: a name, what is said of it, one below the other."""
    rows = [("file", report.path), ("system", report.family or "not recognised"), ("variant", report.variant)]
    rows += _rows("known by", report.marks)
    rows += [("released as", released(report).text)]
    rows += [("size", size(report.file_bytes)), ("sha256", report.sha256)]
    if report.variant:  # else it was refused before a tensor was compared
        rows += [("tensors", checkpoint_words.match(report))]
    for name, names in (
        ("missing", report.missing),
        ("unexpected", report.unexpected),
        ("of another shape", report.reshaped),
        ("ignored by design", report.ignored),
    ):
        rows += _rows(name, _shortened(names))
    rows += [("absent", checkpoint_words.absent(report) if info is not None else "")]
    rows += _rows(
        "not in the file",
        [
            f"{item.what}: {item.value}" + (f" ({item.source})" if item.source else "")
            for item in checkpoint_words.taken(report)
        ],
    )
    if info is not None:
        rows += [("parameters", grouped(info.parameters)), ("input", checkpoint_words.input_words(info))]
        rows += [("actions", checkpoint_words.action_words(info))]
        rows += [
            ("can" if able.is_able else "cannot", f"{able.name}: {able.text}")
            for able in checkpoint_words.abilities(info)
        ]
        rows += [("memory", look_words(info, report))]
        rows += _rows("other choices", [_choice(report, item) for item in checkpoint_words.forecasts(report)])
        rows += [("note", note) for note in info.notes]
    return [f"{name:<{WIDTH}}{words}" for name, words in rows if words]


def look_words(info: CheckpointInfo, report: LoadReport) -> str:
    """ "256 px, float32 needs about 2.4 GB; 22.1 GB are free on cpu: it fits"."""
    return f"one look at {info.input.size} px in {info.dtype} {checkpoint_words.memory(report, info.device)}"


def released(report: LoadReport) -> Identity:
    """Which released checkpoint this file is or seems to be, as far as its name, size and sha256 tell."""
    path = Path(report.path)
    return catalogue.released().entry_for(path.name, report.file_bytes, report.sha256, path.parent.name)


def _rows(name: str, said: tuple[str, ...] | list[str]) -> list[tuple[str, str]]:
    """The name stands once."""
    return [(name if n == 0 else "", words) for n, words in enumerate(said)]


def _shortened(names: tuple[str, ...]) -> list[str]:
    """A lost half of a predictor is 144 names: on a terminal the first are enough, in the JSON stand all."""
    more = len(names) - MOST_NAMES
    if more <= 1:
        return list(names)
    return [*names[:MOST_NAMES], f"… and {more} more, all named by --json"]


def _choice(report: LoadReport, item: checkpoint_words.Forecast) -> str:
    verdict = checkpoint_words.fit(item.n_bytes, report.device_free_bytes)
    fits = f": {checkpoint_words.FITS[verdict]}" if verdict else ""
    return f"{item.words()} needs about {size(item.n_bytes)}{fits}"
