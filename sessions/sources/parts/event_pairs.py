"""Matched pairs for measuring surprise: the same scene once as it can be and once as it cannot, in both directions.

A moment is looked for at which one piece slides freely and in full view for a whole movie. Its path A is what happens; B
is another path that could have happened just as well (elsewhere, another way round, in another colour, or not there at
all). The two whole movies are possible; A that goes on as B from the event's frame, and B as A, are not. Both directions
count, so that "less to see" can never pass for "less surprise". Scene states only; nothing is painted here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from sessions.sources.parts.scene import N_COLORS, RIM, SPEEDS, Body, Layout, Scene, SceneState

BEFORE = 12  # frames of a movie before the event: one whole clip of the cell checkpoint
AFTER = 10  # from the event's frame on
KINDS = ("vanish", "teleport", "color", "reversal")
FAR = 14.0  # units a teleported piece jumps at least
CLEAR = 2.5  # units between the piece and anything that could explain a change
NEVER = 1 << 40  # frame at which a piece that is not there comes back

Movie = tuple[SceneState, ...]


@dataclass(frozen=True, slots=True)
class EventPair:
    """Two possible movies of BEFORE + AFTER frames. Cut from one to the other at frame BEFORE they become impossible."""

    kind: str
    seed: int
    layout: Layout
    a: Movie
    b: Movie
    body: int  # the piece that differs

    def paths(self) -> tuple[tuple[Body, ...], ...]:
        """The piece from the event's frame on, in A and in B; empty where it is not there."""
        return tuple(
            tuple(body for state in movie[BEFORE:] if (body := state.bodies[self.body]).is_there)
            for movie in (self.a, self.b)
        )


def event_pairs(
    kind: str,
    count: int,
    seed: int,
    view: tuple[float, float, float, float],
    *,
    width: float,
    height: float,
    fps: float,
) -> Iterator[EventPair]:
    """`count` pairs of one kind. `view`: x, y, w, h of what the model sees, units; everything happens inside it."""
    found, number = 0, 0
    while found < count:
        pair = _pair_of(kind, seed * 1_000_003 + number, view, width=width, height=height, fps=fps)
        number += 1
        if pair is not None:
            found += 1
            yield pair


def _pair_of(
    kind: str, seed: int, view: tuple[float, float, float, float], *, width: float, height: float, fps: float
) -> EventPair | None:
    draw = np.random.Generator(np.random.PCG64([seed, KINDS.index(kind), 5]))
    scene = Scene(
        seed=seed, fps=fps, width=width, height=height, bodies=int(draw.integers(1, 5)), event_every_s=0.0
    )
    states = [scene.start()]
    for _ in range(90):
        states.append(scene.after(states[-1]))
    for first in range(10, len(states) - BEFORE - AFTER, 3):
        movie = tuple(states[first : first + BEFORE + AFTER])
        for body in range(len(movie[0].bodies)):
            if not _slides_freely(movie, body, scene.layout, view, fps):
                continue
            other = _other_path(kind, movie, body, scene.layout, view, fps, draw)
            if other is not None:
                return EventPair(kind, seed, scene.layout, movie, other, body)
    return None


def _other_path(
    kind: str, movie: Movie, body: int, layout: Layout, view: tuple[float, float, float, float], fps: float,
    draw: np.random.Generator,
) -> Movie | None:  # fmt: skip
    """The movie as it would have been had the piece come another way; None where there is no room for that."""
    if kind == "vanish":
        return (
            None if len(movie[0].bodies) < 2 else _with(movie, body, lambda b, at: replace(b, back_at=NEVER))
        )
    if kind == "color":
        taken = {b.color for b in movie[0].bodies}
        free = [color for color in range(N_COLORS) if color not in taken]
        color = free[int(draw.integers(len(free)))]
        return _with(movie, body, lambda b, at: replace(b, color=color))
    if kind == "reversal":
        turn = movie[BEFORE].bodies[body]

        def back(b: Body, at: int) -> Body:
            seconds = (at - BEFORE) / fps
            return replace(
                b, x=turn.x - turn.vx * seconds, y=turn.y - turn.vy * seconds, vx=-turn.vx, vy=-turn.vy,
                angle=turn.angle - turn.spin * seconds, spin=-turn.spin,
            )  # fmt: skip

        other = _with(movie, body, back)
        return other if _slides_freely(other, body, layout, view, fps) else None
    for _ in range(30):
        heading, far = float(draw.uniform(0, 2 * math.pi)), float(draw.uniform(FAR, 2.5 * FAR))
        dx, dy = far * math.cos(heading), far * math.sin(heading)
        other = _with(movie, body, lambda b, at, dx=dx, dy=dy: replace(b, x=b.x + dx, y=b.y + dy))  # type: ignore[misc]
        if _slides_freely(other, body, layout, view, fps):
            return other
    return None


def _with(movie: Movie, body: int, change: Callable[[Body, int], Body]) -> Movie:
    """The movie with one piece changed in every frame."""
    return tuple(
        replace(state, bodies=tuple(change(b, at) if n == body else b for n, b in enumerate(state.bodies)))
        for at, state in enumerate(movie)
    )


def _slides_freely(
    movie: Movie, body: int, layout: Layout, view: tuple[float, float, float, float], fps: float
) -> bool:
    """In full view, at one speed, and away from everything through the whole movie."""
    first = movie[0].bodies[body]
    if not SPEEDS[0] <= first.speed <= SPEEDS[1]:
        return False
    x0, y0, w, h = view
    for at, state in enumerate(movie):
        b = state.bodies[body]
        reach = b.radius + 0.5
        if not (x0 + reach < b.x < x0 + w - reach and y0 + reach < b.y < y0 + h - reach):
            return False
        rim = min(b.x, b.y, layout.width - b.x, layout.height - b.y)
        if rim < RIM + b.radius + CLEAR or not layout.is_open(b.x, b.radius + CLEAR):
            return False
        straight = math.hypot(b.x - first.x - first.vx * at / fps, b.y - first.y - first.vy * at / fps)
        if straight > 0.05 or math.hypot(b.vx - first.vx, b.vy - first.vy) > 1e-6:
            return False
        for n, other in enumerate(state.bodies):
            if n != body and math.hypot(other.x - b.x, other.y - b.y) < b.radius + other.radius + CLEAR:
                return False
    return True
