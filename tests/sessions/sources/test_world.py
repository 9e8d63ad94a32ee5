"""The embedded world: the same seed gives the same pixels, its impossible events are where it says, physics holds between."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jepa_core import barcode
from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled
from sessions.sources import world as world_module
from sessions.sources.base import Grab
from sessions.sources.parts.scene import KINDS, RIM, Scene
from sessions.sources.world import TRUTH_NAMES, World

SMALL = {"width": 192, "height": 144}


def opened(**options) -> World:
    source = World(**{**SMALL, **options})
    source.open()
    return source


def at(source: World, index: int) -> Grab:
    source.seek(index)
    grab = source.read(CancelToken())
    assert grab is not None
    return grab


def scene(seed: int, *, width: float = 85.0, height: float = 64.0, **options) -> Scene:
    return Scene(seed=seed, fps=15.0, width=width, height=height, **options)


def test_the_seed_decides_every_pixel():
    one, other, different = opened(seed=5), opened(seed=5), opened(seed=6)
    for index in (0, 37, 200):
        assert np.array_equal(at(one, index).rgb, at(other, index).rgb)
        assert not np.array_equal(at(one, index).rgb, at(different, index).rgb)


def test_any_order_of_seeking_gives_the_same_pixels(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(world_module, "MOST_SNAPSHOTS", 4)  # so that forgetting snapshots is part of the test
    straight = opened(seed=2)
    wanted = {index: at(straight, index).rgb for index in (0, 63, 64, 65, 300, 700, 701)}
    jumping = opened(seed=2)
    for index in (700, 64, 0, 701, 300, 65, 63):
        assert np.array_equal(at(jumping, index).rgb, wanted[index])


def test_the_barcode_is_the_frame_number():
    source = opened(has_barcode=True)
    for index in (0, 1, 2, 150):
        assert barcode.read(at(source, index).rgb) == index
    assert barcode.read(at(opened(has_barcode=False), 1).rgb) is None


def test_it_ends_only_when_it_was_told_to():
    short, endless = opened(frames=3), opened()
    assert [grab.index for grab in iter(lambda: short.read(CancelToken()), None)] == [0, 1, 2]
    assert endless.info.frames == -1
    assert at(endless, 5_000).index == 5_000


def test_a_long_way_to_a_frame_can_be_called_off():
    source = opened()
    source.seek(10**9)

    class Soon(CancelToken):
        asked = 0

        @property
        def is_cancelled(self) -> bool:
            self.asked += 1
            return self.asked > 100

        def check(self) -> None:
            if self.is_cancelled:
                raise Cancelled

    with pytest.raises(Cancelled):
        source.read(Soon())


def test_the_truth_in_state_is_the_truth_of_the_events():
    source = opened(seed=3)
    events = source.events_until(400)
    assert {event.kind for event in events} >= {"vanish", "appear"}
    told = []
    for index in range(401):
        state = at(source, index).truth
        assert state is not None
        assert state.shape == (len(TRUTH_NAMES),)
        if state[0]:
            told.append((index, KINDS[int(state[0])], int(state[1])))
    assert told == [(event.index, event.kind, event.body) for event in events]


def test_asking_for_the_truth_does_not_move_the_source():
    source = opened(seed=3)
    at(source, 10)
    source.events_until(200)
    grab = source.read(CancelToken())
    assert grab is not None
    assert grab.index == 11


def test_each_kind_comes_and_about_every_six_seconds():
    events = [event for event in opened(seed=1).events_until(15 * 90) if event.kind != "appear"]
    assert {event.kind for event in events} == set(KINDS) - {"none", "appear"}
    waits = np.diff([event.index for event in events]) / 15.0
    assert waits.min() > 3.0
    assert waits.mean() == pytest.approx(6.0, abs=1.0)


def test_without_events_nothing_impossible_happens():
    assert opened(event_every_s=0.0).events_until(600) == []


def test_the_changed_pixels_are_in_the_box_that_the_truth_names():
    source = opened(seed=1, width=320, height=240)
    change = next(event for event in source.events_until(600) if event.kind == "color")
    before, after = at(source, change.index - 1).rgb.astype(int), at(source, change.index).rgb.astype(int)
    x, y, width, height = at(source, change.index).truth[2:6]
    inside = np.zeros(before.shape[:2], bool)
    inside[int(y) : math.ceil(y + height), int(x) : math.ceil(x + width)] = True
    difference = np.abs(after - before).mean(axis=-1)
    assert difference[inside].mean() > 6 * difference[~inside].mean()


@pytest.mark.parametrize("seed", range(6))
def test_bodies_stay_on_the_table_apart_and_keep_their_energy(seed: int):
    still = scene(seed, event_every_s=0.0)
    state = still.start()

    def energy() -> float:
        return sum(body.radius**2 * body.speed**2 for body in state.bodies)

    at_first = energy()
    for _ in range(600):
        state = still.after(state)
        for body in state.bodies:
            assert RIM + body.radius - 0.01 <= body.x <= 85.0 - RIM - body.radius + 0.01
            assert RIM + body.radius - 0.01 <= body.y <= 64.0 - RIM - body.radius + 0.01
    assert energy() == pytest.approx(at_first, rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_between_events_nothing_jumps(seed: int):
    running = scene(seed)
    state = running.start()
    for _ in range(600):
        before, state = state, running.after(state)
        changed = state.last.body if state.last is not None and state.last.index == state.index else -1
        for number, (was, now) in enumerate(zip(before.bodies, state.bodies, strict=True)):
            if number != changed:
                assert math.hypot(now.x - was.x, now.y - was.y) <= 60.0 * 3 / 15.0
                assert (now.color, now.is_there) == (was.color, was.is_there)


def test_events_happen_in_full_view_only():
    for seed in range(8):
        banded = scene(seed, has_band=True)
        state = banded.start()
        for _ in range(900):
            state = banded.after(state)
            if state.last is not None and state.last.index == state.index:
                body = state.bodies[state.last.body]
                assert banded.layout.is_open(body.x, body.radius - 0.5)
                assert banded.layout.is_open(state.last.before[0], body.radius - 0.5)


def test_a_body_under_the_cover_cannot_be_seen():
    source = opened(seed=1, width=320, height=240, has_band=True, event_every_s=0.0)
    band = source._scene.layout.band
    assert band is not None
    scale = 240 / 64
    columns = slice(int((band[0] + 1) * scale), int((band[1] - 1) * scale))
    pictures = [at(source, index).rgb[20:-20, columns].astype(float) for index in range(0, 200, 20)]
    assert np.std([picture.mean() for picture in pictures]) < 3.0, (
        "the cover looks the same whatever is beneath"
    )


@pytest.mark.parametrize(("width", "height"), [(96, 96), (640, 480), (480, 640), (1280, 720)])
def test_every_size_is_painted_to_its_edges(width: int, height: int):
    rgb = at(opened(width=width, height=height), 3).rgb
    assert rgb.shape == (height, width, 3)
    assert rgb.std() > 10, "not blank"
    for edge in (rgb[:2], rgb[-2:], rgb[:, :2], rgb[:, -2:]):
        assert 15 < edge.mean() < 70, "the dark rim runs all around"
