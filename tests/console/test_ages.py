"""Ages and rates are measured, never assumed."""

from __future__ import annotations

from console.ages import AgeMeter, RateMeter


def test_percentiles_of_known_ages() -> None:
    meter = AgeMeter()
    for age_ms in range(1, 101):
        meter.note(age_ms * 1_000_000)

    p50, p95 = meter.percentiles() or (0, 0)

    assert p50 == 50_500_000
    assert p95 == 95_050_000


def test_nothing_is_said_before_the_first_age() -> None:
    assert AgeMeter().percentiles() is None


def test_only_the_newest_ages_count() -> None:
    meter = AgeMeter(keep=10)
    for age in [1_000] * 50 + [5] * 10:
        meter.note(age)

    assert meter.percentiles() == (5, 5)


def test_rate_of_a_steady_stream() -> None:
    meter = RateMeter()
    for index in range(60):
        meter.note(index * 33_333_333)

    assert abs(meter.rate(59 * 33_333_333) - 30.0) < 0.01


def test_rate_falls_to_zero_when_nothing_comes_any_more() -> None:
    meter = RateMeter(window_ns=1_000_000_000)
    meter.note(0)
    meter.note(10_000_000)

    assert meter.rate(5_000_000_000) == 0.0
