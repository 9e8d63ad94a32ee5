"""Every registered signal is finite on real data, silent (NaN, not 0) where there is nothing to say, and has a unit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jepa_core.signals import SIGNALS, EngineLook, measure
from jepa_core.types import TokenLayout


def make_look(error: np.ndarray | None = None, crops: np.ndarray | None = None) -> EngineLook:
    rng = np.random.default_rng(0)
    error = rng.random(16).astype(np.float32) if error is None else error.astype(np.float32)
    crops = rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8) if crops is None else crops
    return EngineLook(
        l1=error,
        error=error,
        pooled=np.zeros((3, 4), np.float32),
        crops=crops,
        layout=TokenLayout("grid", (4, 2, 2), 2, (0, 0, 8, 8)),
    )


@pytest.mark.parametrize("name", SIGNALS)
class TestEverySignal:
    def test_is_finite_on_data(self, name: str):
        assert math.isfinite(SIGNALS[name].function(make_look()))

    def test_tolerates_tokens_that_were_not_predicted(self, name: str):
        error = np.full(16, np.nan)
        error[3] = 0.5
        assert math.isfinite(SIGNALS[name].function(make_look(error)))

    def test_has_a_unit_and_a_title(self, name: str):
        assert SIGNALS[name].unit
        assert SIGNALS[name].title

    def test_says_nan_or_a_number_where_nothing_was_predicted(self, name: str):
        value = SIGNALS[name].function(make_look(np.full(16, np.nan)))
        assert isinstance(value, float)


def test_measure_gives_every_signal_by_its_name():
    assert list(measure(make_look())) == list(SIGNALS)


def test_surprise_is_the_mean_of_the_predicted_tokens():
    error = np.full(16, np.nan)
    error[:4] = [0.1, 0.2, 0.3, 0.4]
    assert SIGNALS["surprise"].function(make_look(error)) == pytest.approx(0.25)
    assert math.isnan(SIGNALS["surprise"].function(make_look(np.full(16, np.nan))))


def test_localised_surprise_sees_what_a_mean_hides():
    error = np.full(100, 0.1)
    error[42] = 5.0
    look = make_look(error)
    assert SIGNALS["surprise_top"].function(look) == pytest.approx((5.0 + 4 * 0.1) / 5)
    assert SIGNALS["surprise"].function(look) < 0.2


def test_frame_difference_is_a_share_of_the_full_scale():
    crops = np.zeros((3, 4, 4, 3), np.uint8)
    crops[2] = 255
    assert SIGNALS["frame_difference"].function(make_look(crops=crops)) == pytest.approx(1.0)
    assert SIGNALS["frame_difference"].function(make_look(crops=crops[:2])) == 0.0
    assert math.isnan(SIGNALS["frame_difference"].function(make_look(crops=crops[:1])))
