"""Matched pairs differ in one piece and in nothing else, and only where they are cut is anything impossible."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from sessions.sources.parts.event_pairs import AFTER, BEFORE, FAR, KINDS, EventPair, event_pairs

WIDTH, HEIGHT, FPS = 64 * 4 / 3, 64.0, 15.0
VIEW = (14.7, 4.0, 56.0, 56.0)


def pairs(kind: str, count: int = 3, seed: int = 4) -> list[EventPair]:
    return list(event_pairs(kind, count, seed, VIEW, width=WIDTH, height=HEIGHT, fps=FPS))


@pytest.mark.parametrize("kind", KINDS)
def test_both_movies_are_whole_and_differ_in_one_piece_only(kind: str):
    for pair in pairs(kind):
        assert len(pair.a) == len(pair.b) == BEFORE + AFTER
        for a, b in zip(pair.a, pair.b, strict=True):
            others = [n for n in range(len(a.bodies)) if n != pair.body]
            assert a.index == b.index
            assert all(a.bodies[n] == b.bodies[n] for n in others)
            assert kind == "reversal" or a.bodies[pair.body] != b.bodies[pair.body]


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_the_same_pairs_and_another_seed_others(kind: str):
    assert pairs(kind) == pairs(kind)
    assert pairs(kind) != pairs(kind, seed=5)


@pytest.mark.parametrize("kind", ["teleport", "reversal", "color"])
def test_the_piece_slides_at_one_speed_in_both_movies(kind: str):
    for pair in pairs(kind):
        for movie in (pair.a, pair.b):
            path = [state.bodies[pair.body] for state in movie]
            steps = [math.hypot(q.x - p.x, q.y - p.y) for p, q in pairwise(path)]
            assert max(steps) - min(steps) < 0.1


def test_a_reversal_is_continuous_in_place_and_turns_the_motion_round():
    for pair in pairs("reversal"):
        a, b = (movie[BEFORE].bodies[pair.body] for movie in (pair.a, pair.b))
        assert (a.x, a.y) == pytest.approx((b.x, b.y))
        assert (a.vx, a.vy) == pytest.approx((-b.vx, -b.vy))


def test_a_teleport_goes_far():
    for pair in pairs("teleport"):
        a, b = (movie[BEFORE].bodies[pair.body] for movie in (pair.a, pair.b))
        assert math.hypot(a.x - b.x, a.y - b.y) >= FAR - 1e-6


def test_what_vanishes_has_a_path_in_one_movie_only():
    for pair in pairs("vanish"):
        there, gone = pair.paths()
        assert len(there) == AFTER
        assert gone == ()


@pytest.mark.parametrize("kind", KINDS)
def test_the_piece_stays_in_view_through_the_whole_movie(kind: str):
    x, y, w, h = VIEW
    for pair in pairs(kind):
        for movie in (pair.a, pair.b):
            for state in movie:
                body = state.bodies[pair.body]
                if body.is_there:
                    assert x < body.x - body.radius
                    assert body.x + body.radius < x + w
                    assert y < body.y - body.radius
                    assert body.y + body.radius < y + h
