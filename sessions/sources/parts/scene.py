"""The embedded world's physics: a few discs and squares that slide over a table, seen from above, and the impossible events.

Lengths are in units of 1/64 of the picture's short side, so that sizes and speeds are those of specs/demo-world.md whatever
the picture's size. Everything follows from the seed: random draws are made per body and per event number, never from a
running generator, so a saved state goes on exactly as it did the first time. Standard library and numpy's seeding only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

SHORT_SIDE = 64.0  # units
RIM = 2.6  # width of the raised border, units
TICKS_PER_SECOND = 120  # the physics' own step; nothing moves further than 0.5 units in one
SPEEDS = (18.0, 51.0)  # units/s: 1.2 to 3.4 px per frame at 15 frames/s, demo-world section 1
RADII = (4.2, 6.0)  # units, demo-world section 1
RESTING = 0.12  # share of bodies that start at rest
N_COLORS = 6
KINDS = ("none", "vanish", "appear", "teleport", "color", "reversal")  # number = code in Grab.truth
SCHEDULED = ("vanish", "teleport", "color", "reversal")  # "appear" ends a vanishing
GONE_S = 2.0  # how long a vanished body stays away
JITTER_S = 1.0  # an event comes up to this much before or after its turn

_BODY, _EVENT, _ORDER, _PLACE = 1, 2, 3, 4  # what a random draw is for: keeps the streams apart


@dataclass(frozen=True, slots=True)
class Body:
    shape: str  # "disc" | "square"
    radius: float  # of the disc; a square has the same area
    color: int  # 0 … N_COLORS - 1
    x: float
    y: float
    vx: float  # units/s
    vy: float
    angle: float  # radians
    spin: float  # radians/s
    back_at: int = -1  # frame at which it comes back; -1: it is there

    @property
    def is_there(self) -> bool:
        return self.back_at < 0

    @property
    def speed(self) -> float:
        return math.hypot(self.vx, self.vy)


@dataclass(frozen=True, slots=True)
class WorldEvent:
    """Something that cannot happen, and did: the ground truth of surprise."""

    index: int  # first frame that shows it
    kind: str  # one of KINDS
    body: int
    before: tuple[float, float]  # where the body was (x, y), units
    after: tuple[float, float]  # where it is now
    radius: float


@dataclass(frozen=True, slots=True)
class SceneState:
    """All that decides what comes next."""

    index: int
    bodies: tuple[Body, ...]
    events_done: int  # of the schedule
    last: WorldEvent | None


@dataclass(frozen=True, slots=True)
class Layout:
    """What never moves."""

    width: float  # units
    height: float
    band: tuple[float, float] | None  # x from, x to of the grey cover that bodies pass under; None: none

    def is_open(self, x: float, radius: float) -> bool:
        """Whether a body there is in full view."""
        return self.band is None or x + radius < self.band[0] or x - radius > self.band[1]


class Scene:
    """Steps from one frame's state to the next. Holds no state of its own."""

    def __init__(
        self,
        *,
        seed: int,
        fps: float,
        width: float,
        height: float,
        bodies: int | None = None,
        has_band: bool | None = None,
        event_every_s: float = 6.0,
    ) -> None:
        self.seed = seed
        self.fps = fps
        self.event_every_s = event_every_s
        draw = self._draw(_BODY, 0)
        wants_band = bool(draw.random() < 0.65) if has_band is None else has_band  # demo-world section 1
        band_width, band_at = float(draw.uniform(13.0, 18.0)), float(draw.uniform(0.38, 0.62))
        middle = width * band_at
        self.layout = Layout(
            width, height, (middle - band_width / 2, middle + band_width / 2) if wants_band else None
        )
        self._n_bodies = int(draw.integers(3, 5)) if bodies is None else bodies

    def start(self) -> SceneState:
        """Frame 0."""
        placed: list[Body] = []
        first_color = int(self._draw(_BODY, 1).integers(N_COLORS))
        for number in range(self._n_bodies):
            draw = self._draw(_BODY, 2 + number)
            shape = "square" if (number + self.seed) % 2 else "disc"
            radius = float(draw.uniform(*RADII))
            x, y = self._free_place(draw, radius, placed, away_from=None)
            speed = 0.0 if number and draw.random() < RESTING else float(draw.uniform(*SPEEDS))
            heading, spin = float(draw.uniform(0, 2 * math.pi)), float(draw.uniform(-1.2, 1.2))
            color = (first_color + number * 2 + number // 3) % N_COLORS
            placed.append(
                Body(
                    shape=shape,
                    radius=radius,
                    color=color,
                    x=x,
                    y=y,
                    vx=speed * math.cos(heading),
                    vy=speed * math.sin(heading),
                    angle=float(draw.uniform(0, math.pi)),
                    spin=spin if shape == "square" and speed else 0.0,
                )
            )
        return SceneState(0, tuple(placed), 0, None)

    def after(self, state: SceneState) -> SceneState:
        """The next frame."""
        index = state.index + 1
        done = round(index * TICKS_PER_SECOND / self.fps) - round(state.index * TICKS_PER_SECOND / self.fps)
        bodies = list(state.bodies)
        for _ in range(max(1, done)):
            self._tick(bodies, min(1.0 / TICKS_PER_SECOND, 1.0 / self.fps))
        moved = replace(state, index=index, bodies=tuple(bodies))
        return self._impossible(moved)

    # -- physics ----------------------------------------------------------------------------------------------------

    def _tick(self, bodies: list[Body], dt: float) -> None:
        """Slide, bounce off the rim, bounce off each other; elastic, in place."""
        for i, body in enumerate(bodies):
            if body.is_there and body.speed > 0:
                bodies[i] = self._slid(body, dt)
        for i in range(len(bodies)):
            for j in range(i + 1, len(bodies)):
                if bodies[i].is_there and bodies[j].is_there:
                    bodies[i], bodies[j] = _collided(bodies[i], bodies[j])

    def _slid(self, body: Body, dt: float) -> Body:
        x, vx = _bounced(
            body.x + body.vx * dt, body.vx, RIM + body.radius, self.layout.width - RIM - body.radius
        )
        y, vy = _bounced(
            body.y + body.vy * dt, body.vy, RIM + body.radius, self.layout.height - RIM - body.radius
        )
        return replace(body, x=x, y=y, vx=vx, vy=vy, angle=body.angle + body.spin * dt)

    # -- what cannot happen -----------------------------------------------------------------------------------------

    def _impossible(self, state: SceneState) -> SceneState:
        """Apply at most one event: a return that is due, or the next of the schedule once a body is in full view."""
        for number, body in enumerate(state.bodies):
            if 0 <= body.back_at <= state.index:
                return self._returned(state, number)
        if self.event_every_s <= 0 or state.index < self._due(state.events_done):
            return state
        kind = self._kind(state.events_done)
        draw = self._draw(_EVENT, state.events_done)
        fit = [n for n, body in enumerate(state.bodies) if self._can_suffer(kind, n, state.bodies)]
        if not fit:
            return state  # nobody is in full view: the event waits for somebody
        number = fit[int(draw.integers(len(fit)))]
        body = state.bodies[number]
        others = [b for n, b in enumerate(state.bodies) if n != number and b.is_there]
        if kind == "vanish":
            changed = replace(body, back_at=state.index + round(GONE_S * self.fps))
        elif kind == "teleport":
            x, y = self._free_place(
                self._draw(_PLACE, state.events_done), body.radius, others, (body.x, body.y)
            )
            changed = replace(body, x=x, y=y)
        elif kind == "color":
            taken = {b.color for b in state.bodies}
            free = [c for c in range(N_COLORS) if c not in taken]
            changed = replace(body, color=free[int(draw.integers(len(free)))])
        else:
            changed = replace(body, vx=-body.vx, vy=-body.vy)
        return self._with_event(state, kind, number, changed, state.events_done + 1)

    def _returned(self, state: SceneState, number: int) -> SceneState:
        body = state.bodies[number]
        others = [b for n, b in enumerate(state.bodies) if n != number and b.is_there]
        draw = self._draw(_PLACE, 1_000_000 + state.index)
        x, y = self._free_place(draw, body.radius, others, (body.x, body.y))
        return self._with_event(
            state, "appear", number, replace(body, x=x, y=y, back_at=-1), state.events_done
        )

    def _with_event(self, state: SceneState, kind: str, number: int, changed: Body, done: int) -> SceneState:
        was = state.bodies[number]
        event = WorldEvent(state.index, kind, number, (was.x, was.y), (changed.x, changed.y), was.radius)
        bodies = (*state.bodies[:number], changed, *state.bodies[number + 1 :])
        return SceneState(state.index, bodies, done, event)

    def _can_suffer(self, kind: str, number: int, bodies: tuple[Body, ...]) -> bool:
        """Only a body in full view, away from anything that could explain the change."""
        body = bodies[number]
        if not body.is_there or not self.layout.is_open(body.x, body.radius + 1.0):
            return False
        if kind == "color":
            return len({b.color for b in bodies}) < N_COLORS
        if kind != "vanish" and body.speed < SPEEDS[0] / 3:
            return False
        if sum(b.is_there for b in bodies) < 2 and kind == "vanish" and len(bodies) > 1:
            return False  # an empty table is no picture
        reach = body.radius + 3.0
        at_rim = min(body.x, body.y, self.layout.width - body.x, self.layout.height - body.y) < RIM + reach
        near = any(
            math.hypot(b.x - body.x, b.y - body.y) < reach + b.radius
            for n, b in enumerate(bodies)
            if n != number and b.is_there
        )
        return not at_rim and not near

    def _due(self, event: int) -> float:
        """Frame from which this event of the schedule may happen."""
        jitter = float(self._draw(_EVENT, event).uniform(-JITTER_S, JITTER_S))
        return self.fps * (self.event_every_s * (event + 1) + jitter * min(1.0, self.event_every_s / 6.0))

    def _kind(self, event: int) -> str:
        """Every four events each kind once, in an order of the seed's."""
        turn, place = divmod(event, len(SCHEDULED))
        return SCHEDULED[int(self._draw(_ORDER, turn).permutation(len(SCHEDULED))[place])]

    # -- draws ------------------------------------------------------------------------------------------------------

    def _draw(self, what: int, number: int) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64([self.seed, what, number]))

    def _free_place(
        self,
        draw: np.random.Generator,
        radius: float,
        others: list[Body],
        away_from: tuple[float, float] | None,
    ) -> tuple[float, float]:
        """A place in full view that touches nothing, and far from `away_from`; the best of 60 if none is free."""
        margin = RIM + radius + 1.0
        best, best_score = (self.layout.width / 2, self.layout.height / 2), -math.inf
        for _ in range(60):
            x = float(draw.uniform(margin, self.layout.width - margin))
            y = float(draw.uniform(margin, self.layout.height - margin))
            room = min((math.hypot(b.x - x, b.y - y) - b.radius - radius for b in others), default=20.0)
            far = 20.0 if away_from is None else math.hypot(x - away_from[0], y - away_from[1])
            score = min(room - 1.5, 0.0) + min(far - 18.0, 0.0)
            score -= 0.0 if self.layout.is_open(x, radius + 1.0) else 10.0
            if score >= 0:
                return x, y
            if score > best_score:
                best, best_score = (x, y), score
        return best


def _bounced(at: float, speed: float, low: float, high: float) -> tuple[float, float]:
    """Mirror at the border, so that no energy is lost."""
    if at < low:
        return 2 * low - at, abs(speed)
    if at > high:
        return 2 * high - at, -abs(speed)
    return at, speed


def _collided(a: Body, b: Body) -> tuple[Body, Body]:
    """Elastic collision of two discs (squares count as discs of their area), mass as area; untouched when apart."""
    dx, dy = b.x - a.x, b.y - a.y
    distance = math.hypot(dx, dy)
    overlap = a.radius + b.radius - distance
    if overlap <= 0 or distance == 0:
        return a, b
    nx, ny = dx / distance, dy / distance
    closing = (a.vx - b.vx) * nx + (a.vy - b.vy) * ny
    if closing <= 0:  # parting already
        return a, b
    mass_a, mass_b = a.radius**2, b.radius**2
    push = 2 * closing / (mass_a + mass_b)
    return (
        replace(a, vx=a.vx - push * mass_b * nx, vy=a.vy - push * mass_b * ny),
        replace(b, vx=b.vx + push * mass_a * nx, vy=b.vy + push * mass_a * ny),
    )
