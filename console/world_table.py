"""The embedded world's own table of measures: is a checkpoint surprised by what cannot be, and in the right place?

Matched pairs of the cell, both directions, unseen seeds; beside the checkpoint stand what copying the last latent and what
the difference of two pictures would have said. Numbers with intervals, chance and failures included. No Qt.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jepa_core.clock import CancelToken
from jepa_core.errors import RequestError
from sessions.sources.parts.event_pairs import BEFORE, KINDS, EventPair, event_pairs
from sessions.sources.parts.scene import SHORT_SIDE

if TYPE_CHECKING:
    from jepa_core.families.base import JepaModel

WIDTH, HEIGHT, FPS = 640, 480, 15.0  # the demo's picture
STRIDE = 2  # frames between two looks, as the console looks
TOP = 4  # tokens: a small thing vanishes in a mean
NOMINAL_QUANTILE = 0.99
Z95 = 1.959964
TITLES = {
    "vanish": "vanish / appear in the open",
    "teleport": "teleport in the open",
    "color": "colour change in the open",
    "reversal": "reversal in the open",
}
Say = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Share:
    """How often, of how many, with Wilson's 95 % interval."""

    hits: float  # a tie counts half
    of: int

    @property
    def value(self) -> float:
        return self.hits / self.of if self.of else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        if not self.of:
            return math.nan, math.nan
        n, p = self.of, self.value
        middle = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
        half = Z95 * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n)) / (1 + Z95**2 / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.2f} [{low:.2f}–{high:.2f}]"


@dataclass(frozen=True, slots=True)
class EventMeasures:
    """One kind of event: pairwise decisions of three scores, place, and alarms."""

    kind: str
    scenes: int
    pairwise: Share  # impossible scored above its possible twin, two twins per scene
    copied: Share  # the same, copying the last latent
    difference: Share  # the same, frame difference of the worst patches
    in_place: Share  # the worst token of the worst look lies where the piece is or was
    chance: float  # share of tokens that count as in place
    alarms: Share  # impossible movies above the nominal quantile of as many looks


@dataclass(frozen=True, slots=True)
class WorldTable:
    world: str
    checkpoint: str
    sha256: str
    seed: int
    nominal: int  # possible movies that set the quantile
    events: tuple[EventMeasures, ...]
    nominal_error: dict[str, float] = field(default_factory=dict)  # of single tokens: mean, p50, p99

    def to_json(self) -> dict[str, Any]:
        rows = []
        for event in self.events:
            row: dict[str, Any] = {
                "kind": event.kind,
                "scenes": event.scenes,
                "chance_in_place": event.chance,
            }
            for name in ("pairwise", "copied", "difference", "in_place", "alarms"):
                share: Share = getattr(event, name)
                row[name] = {"value": share.value, "interval95": share.interval, "of": share.of}
            rows.append(row)
        return {**{k: v for k, v in asdict(self).items() if k != "events"}, "events": rows}

    def lines(self) -> list[str]:
        """As a table for a terminal and for the documentation."""
        head = f"{'event':<28} {'this checkpoint':<18} {'copy last latent':<18} {'frame difference':<18} {'in place (chance)':<24} {'alarms at p99':<18}"
        rows = [
            f"{TITLES[e.kind]:<28} {e.pairwise!s:<18} {e.copied!s:<18} {e.difference!s:<18} "
            f"{f'{e.in_place} ({e.chance:.2f})':<24} {e.alarms!s:<18}"
            for e in self.events
        ]
        return [head, *rows]


def evaluate_cell(
    model: JepaModel,
    *,
    scenes: int = 100,
    seed: int = 9001,
    say: Say | None = None,
    cancel: CancelToken | None = None,
) -> WorldTable:
    """Measure a checkpoint on the cell. Raises RequestError where it cannot be shown clips of the cell."""
    info = model.info
    if "masked" not in info.abilities or info.layout != "grid" or info.input.frames < BEFORE:
        raise RequestError(
            f"{info.family} {info.variant} cannot be measured on the cell.",
            "It takes a checkpoint that predicts masked patches of clips of at least 12 frames.",
        )
    scored: list[tuple[EventPair, list[_Scored]]] = []
    total = scenes * len(KINDS)
    for kind in KINDS:
        for pair in event_pairs(
            kind, scenes, seed, _view(), width=_units(WIDTH), height=_units(HEIGHT), fps=FPS
        ):
            if cancel is not None:
                cancel.check()
            scored.append((pair, [_score(model, movie) for movie in _films(model, pair)]))
            if say is not None:
                say(len(scored) / total, f"{TITLES[kind]}: {len(scored)} of {total} scenes")
    events = tuple(_measures(kind, scored, info.input.size // info.input.patch) for kind in KINDS)
    tokens = np.concatenate([movie.tokens for _, movies in scored for movie in movies[:2]])
    return WorldTable(
        world="cell", checkpoint=f"{info.family} {info.variant}", sha256=info.sha256, seed=seed,
        nominal=2 * len(scored), events=events,
        nominal_error={
            "mean": float(tokens.mean()), "p50": float(np.median(tokens)), "p99": float(np.quantile(tokens, 0.99)),
        },
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Scored:
    """One movie, scored: the worst look by each of three scores."""

    error: float
    copied: float
    difference: float
    worst: tuple[int, int]  # row, column of the worst token
    tokens: NDArray[np.float32]  # error of every token of every look, flat


def _films(model: JepaModel, pair: EventPair) -> list[NDArray[np.uint8]]:
    """The four movies as the model sees them, (22, S, S, 3) each: A, B, A that goes on as B, B that goes on as A."""
    from jepa_core.preprocess import fit_frame
    from sessions.sources.parts.scene_paint import ScenePainter

    painter = ScenePainter(pair.layout, width=WIDTH, height=HEIGHT, seed=pair.seed)
    a, b = (
        np.stack([fit_frame(painter.paint(state), model.info.input.size)[0] for state in movie])
        for movie in (pair.a, pair.b)
    )
    return [a, b, np.concatenate((a[:BEFORE], b[BEFORE:])), np.concatenate((b[:BEFORE], a[BEFORE:]))]


def _score(model: JepaModel, crops: NDArray[np.uint8]) -> _Scored:
    from jepa_core.clip_scores import score_clips

    starts = range(0, len(crops) - BEFORE + 1, STRIDE)
    clips = np.stack([crops[start : start + BEFORE] for start in starts])
    scores = score_clips(model, clips)
    looks, steps, rows, columns = scores.error.shape
    top = _top(scores.error.reshape(looks, -1))
    at = int(scores.error[int(top.argmax())].reshape(-1).argmax()) % (rows * columns)
    changes = _differences(clips, steps * model.info.input.tubelet, rows)
    return _Scored(
        float(top.max()), float(_top(scores.copied.reshape(looks, -1)).max()), float(_top(changes).max()),
        (at // columns, at % columns), scores.error.reshape(-1),
    )  # fmt: skip


def _differences(clips: NDArray[np.uint8], newest: int, side: int) -> NDArray[np.float32]:
    """(looks, newest · side²): mean absolute change of each patch against the frame before, of the newest frames."""
    change = np.abs(np.diff(clips.astype(np.int16), axis=1))[:, -newest:].mean(
        axis=-1
    )  # (looks, newest, S, S)
    looks, frames, size, _ = change.shape
    patch = size // side
    tiles = change.reshape(looks, frames, side, patch, side, patch).mean(axis=(3, 5))
    return tiles.reshape(looks, -1).astype(np.float32)


def _top(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(looks, n) → (looks,): mean of the TOP largest."""
    most: NDArray[np.float32] = np.sort(values, axis=1)[:, -TOP:].mean(axis=1)
    return most


def _measures(kind: str, scored: list[tuple[EventPair, list[_Scored]]], side: int) -> EventMeasures:
    mine = [(pair, movies) for pair, movies in scored if pair.kind == kind]
    others = [movie.error for pair, movies in scored if pair.kind != kind for movie in movies[:2]]
    limit = float(np.quantile(others, NOMINAL_QUANTILE))  # nominal movies of other scenes, as many looks each
    places = [_cells(pair, side) for pair, _ in mine]
    impossible = [movie for _, movies in mine for movie in movies[2:]]
    hits = sum(
        movie.worst in cells for cells, (_, movies) in zip(places, mine, strict=True) for movie in movies[2:]
    )
    return EventMeasures(
        kind=kind,
        scenes=len(mine),
        pairwise=_decisions(mine, "error"),
        copied=_decisions(mine, "copied"),
        difference=_decisions(mine, "difference"),
        in_place=Share(hits, len(impossible)),
        chance=float(np.mean([len(cells) for cells in places])) / side**2,
        alarms=Share(sum(movie.error > limit for movie in impossible), len(impossible)),
    )


def _decisions(mine: list[tuple[EventPair, list[_Scored]]], name: str) -> Share:
    """Each impossible movie against the possible one it begins as."""
    hits = 0.0
    for _, movies in mine:
        for possible, impossible in ((movies[0], movies[2]), (movies[1], movies[3])):
            low, high = getattr(possible, name), getattr(impossible, name)
            hits += 1.0 if high > low else 0.5 if high == low else 0.0
    return Share(hits, 2 * len(mine))


def _cells(pair: EventPair, side: int) -> set[tuple[int, int]]:
    """Patches that the piece touches from the event on, where it is and where it should be."""
    x0, y0, w, h = _view()
    cells: set[tuple[int, int]] = set()
    for body in (body for path in pair.paths() for body in path):
        left, right = ((body.x + sign * body.radius - x0) / w * side for sign in (-1, 1))
        top, bottom = ((body.y + sign * body.radius - y0) / h * side for sign in (-1, 1))
        rows = range(max(0, int(top)), min(side, int(bottom) + 1))
        columns = range(max(0, int(left)), min(side, int(right) + 1))
        cells |= {(row, column) for row in rows for column in columns}
    return cells


def _units(pixels: int) -> float:
    return pixels / (HEIGHT / SHORT_SIDE)


def _view() -> tuple[float, float, float, float]:
    """What the model sees of the picture, units: the centre square of 7/8 of its height, as `fit_frame` cuts it."""
    side = SHORT_SIDE * 224 / 256
    return (_units(WIDTH) - side) / 2, (SHORT_SIDE - side) / 2, side, side
