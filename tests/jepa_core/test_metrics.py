"""Distances between latents: known values and their laws."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.metrics import METRICS, surprise, surprise_top, token_error


def test_known_distances():
    predicted = torch.tensor([[[1.0, 0.0, 3.0, 0.0]]])
    target = torch.tensor([[[0.0, 0.0, 0.0, 0.5]]])

    assert token_error(predicted, target, "l1").item() == pytest.approx(4.5 / 4)
    assert token_error(predicted, target, "l2").item() == pytest.approx((1 + 9 + 0.25) / 4)
    assert token_error(predicted, target, "smooth_l1").item() == pytest.approx((0.5 + 2.5 + 0.125) / 4)
    assert token_error(predicted, target, "cosine").item() == pytest.approx(1.0)


@given(st.sampled_from(METRICS), st.integers(0, 100))
def test_error_is_zero_only_for_equal_latents(metric, seed):
    latents = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(seed))

    same = token_error(latents, latents, metric)
    other = token_error(latents, -latents, metric)

    assert same.shape == (2, 5)
    assert same.abs().max() < 1e-6
    assert (other > 0).all()


@pytest.mark.parametrize("metric", METRICS)
def test_error_is_float32_whatever_the_model_computes_in(metric):
    latents = torch.randn(1, 3, 8).bfloat16()

    assert token_error(latents, latents.float(), metric).dtype == torch.float32


def test_predicting_nothing_costs_what_a_gaussian_says():
    """Section 6: E|x| of a unit Gaussian, the reason a locked colour scale 0 … 1 means something."""
    target = torch.randn(1, 2000, 64, generator=torch.Generator().manual_seed(0))

    error = token_error(torch.zeros_like(target), target, "l1")

    assert error.mean().item() == pytest.approx(math.sqrt(2 / math.pi), abs=0.01)


def test_unknown_metric_is_named():
    with pytest.raises(ValueError, match="'l3' is not one of"):
        token_error(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1), "l3")


def test_surprise_is_the_mean_and_its_top_the_largest_twentieth():
    error = torch.cat((torch.ones(95), torch.full((5,), 3.0)))[None]

    assert surprise(error).item() == pytest.approx(1.1)
    assert surprise_top(error).item() == pytest.approx(3.0)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_top_of_few_tokens_is_the_largest(count):
    error = torch.arange(count, dtype=torch.float32)[None]

    assert surprise_top(error).item() == count - 1


def test_surprise_of_nothing_is_not_a_number():
    assert torch.isnan(surprise(torch.zeros(1, 0))).all()
    assert torch.isnan(surprise_top(torch.zeros(1, 0))).all()
