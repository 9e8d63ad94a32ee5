"""Colours of latents: fixed axes that do not depend on how, or in which portions, the latents came."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.projection import LEAST_TOKENS, MOST_TOKENS, BasisFit, cosine_to, fit_basis


def scene(seed: int, n: int = 300, width: int = 12) -> np.ndarray:
    """(n, width) float32 latents that vary most along three directions, clearly apart, of no special direction."""
    random = np.random.default_rng(seed)
    directions = np.linalg.qr(random.standard_normal((width, width)))[0]
    spread = np.concatenate([[6.0, 3.0, 1.5], np.full(width - 3, 0.1)])
    return (
        random.standard_normal((n, width)) * spread @ directions.T + random.standard_normal(width)
    ).astype(np.float32)


def rotation(seed: int, width: int = 12) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))[0].astype(np.float32)


seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds)
def test_each_axis_has_unit_length_and_its_largest_loading_is_positive(seed: int):
    axes = fit_basis(scene(seed)).axes
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-5)
    assert (axes[np.abs(axes).argmax(axis=0), range(3)] > 0).all()


@given(seed=seeds)
def test_mirrored_latents_are_seen_in_the_same_axes(seed: int):
    latents = scene(seed)
    np.testing.assert_allclose(fit_basis(-latents).axes, fit_basis(latents).axes, atol=1e-4)


@given(seed=seeds)
def test_the_order_of_the_tokens_decides_nothing(seed: int):
    latents = scene(seed)
    order = np.random.default_rng(seed).permutation(len(latents))
    basis, shuffled = fit_basis(latents), fit_basis(latents[order])
    np.testing.assert_allclose(shuffled.axes, basis.axes, atol=1e-4)
    apart = shuffled.colors(latents[order]).astype(int) - basis.colors(latents)[order].astype(int)
    assert np.abs(apart).max() <= 1


@given(seed=seeds, turn=seeds)
def test_turned_latents_have_the_same_colours_up_to_the_sign_of_an_axis(seed: int, turn: int):
    latents = scene(seed)
    turned = latents @ rotation(turn).T
    placed, again = fit_basis(latents).place(latents), fit_basis(turned).place(turned)
    for axis in range(3):
        same = np.abs(again[:, axis] - placed[:, axis]).max()
        mirrored = np.abs(1 - again[:, axis] - placed[:, axis]).max()
        assert min(same, mirrored) < 2e-3


@given(seed=seeds, cuts=st.lists(st.integers(1, 299), max_size=6))
def test_the_same_tokens_in_any_portions_give_the_same_axes_to_the_last_bit(seed: int, cuts: list[int]):
    latents = scene(seed)
    whole, portions = BasisFit(-1), BasisFit(-1)
    whole.add(latents, 7)
    for n, part in enumerate(np.split(latents, sorted(set(cuts)))):
        portions.add(part, n)
    assert portions.tokens == len(latents)
    assert portions.basis().facts.id == whole.basis().facts.id
    assert portions.basis().facts.explained == whole.basis().facts.explained
    np.testing.assert_array_equal(portions.basis().axes, whole.basis().axes)


@given(seed=seeds, shift=st.floats(-3, 3), stretch=st.floats(0.2, 5))
def test_what_explains_the_variance_does_not_depend_on_place_or_size(seed: int, shift: float, stretch: float):
    latents = scene(seed)
    explained = fit_basis(latents).facts.explained
    assert explained[0] > explained[1] > explained[2] > 0
    assert sum(explained) < 1 + 1e-9
    assert fit_basis(latents * stretch + shift).facts.explained == pytest.approx(explained, abs=1e-4)


def test_explained_variance_is_that_of_the_axes():
    latents = scene(3).astype(np.float64)
    basis = fit_basis(latents)
    along = (latents - latents.mean(0)) @ basis.axes
    shares = np.square(along).sum(0) / np.square(latents - latents.mean(0)).sum()
    assert basis.facts.explained == pytest.approx(tuple(shares), abs=1e-6)


def test_more_features_than_tokens_give_the_axes_of_the_singular_vectors():
    latents = scene(5, n=40, width=90)
    basis = fit_basis(latents)
    _, _, right = np.linalg.svd((latents - latents.mean(0)).astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(np.abs(np.diag(right[:3] @ basis.axes)), 1, atol=1e-6)


def test_percentiles_of_the_fit_are_the_ends_of_the_colours():
    latents = scene(11)
    basis = fit_basis(latents)
    placed = basis.place(latents)
    np.testing.assert_allclose(np.percentile(placed, (2, 98), axis=0), [[0] * 3, [1] * 3], atol=1e-4)
    colors = basis.colors(latents)
    assert colors.dtype == np.uint8
    assert not colors.flags.writeable
    assert (colors[placed <= 0] == 0).all()
    assert (colors[placed >= 1] == 255).all()
    np.testing.assert_array_equal(colors, np.rint(np.clip(placed, 0, 1) * 255))


def test_a_latent_keeps_its_colour_whatever_is_looked_at_beside_it():
    basis = fit_basis(scene(1))
    one, crowd = scene(2)[:1], scene(9, n=500) * 40
    np.testing.assert_array_equal(basis.colors(one), basis.colors(np.concatenate([one, crowd]))[:1])


def test_latents_that_vary_in_one_direction_only_are_neutral_in_the_others():
    level = np.linspace(-1, 1, 300, dtype=np.float32)[:, None]
    basis = fit_basis(np.repeat(level, 5, axis=1))
    assert basis.facts.explained == pytest.approx((1.0, 0.0, 0.0))
    colors = basis.colors(np.repeat(level, 5, axis=1))
    assert colors[0, 0] < 5
    assert colors[-1, 0] > 250
    assert (colors[:, 1:] == 128).all()


def test_latents_that_do_not_vary_are_grey_and_explain_nothing():
    same = np.full((300, 4), 0.25, np.float32)
    basis = fit_basis(same)
    assert basis.facts.explained == (0.0, 0.0, 0.0)
    assert (basis.colors(same) == 128).all()


def test_the_id_is_that_of_the_arrays():
    one, same, other = fit_basis(scene(1)), fit_basis(scene(1)), fit_basis(scene(2))
    assert one.facts.id == same.facts.id
    assert one.facts.id != other.facts.id
    assert len(one.facts.id) == 12
    int(one.facts.id, 16)


def test_a_fit_waits_for_enough_tokens_and_knows_where_they_came_from():
    fit = BasisFit(2)
    fit.add(scene(1)[: LEAST_TOKENS // 2], 30)
    assert not fit.is_enough
    fit.add(scene(1)[LEAST_TOKENS // 2 : LEAST_TOKENS], 34)
    assert fit.is_enough
    facts = fit.basis().facts
    assert (facts.fitted_on, facts.level, facts.frames) == (LEAST_TOKENS, 2, (30, 34))


def test_a_look_that_is_made_again_does_not_count_twice():
    fit = BasisFit(-1)
    fit.add(scene(1)[:100], 30)
    fit.add(scene(1)[:100], 30)
    assert fit.tokens == 100


@pytest.mark.parametrize("side", [16, 24, 27, 32])
def test_of_a_large_look_tokens_of_every_row_and_column_are_taken(side: int):
    """Every n-th token of a grid may always be of the same few columns."""
    n = 8 * side * side
    column, row = (np.arange(n) % side)[:, None], (np.arange(n) // side % side)[:, None]
    one_hot = np.concatenate([column == np.arange(side), row == np.arange(side)], axis=1)
    latents = one_hot.astype(np.float32) * 8 + scene(1, n=n, width=2 * side)
    basis = fit_basis(latents)
    assert basis.facts.fitted_on == MOST_TOKENS
    seen = (basis.mean - fit_basis(scene(1, n=n, width=2 * side)).mean) / 8  # share of each row and column
    assert (seen > 0.4 / side).all()


@given(seed=seeds, stretch=st.floats(0.01, 100))
def test_likeness_is_the_cosine_and_does_not_depend_on_length(seed: int, stretch: float):
    latents = scene(seed, n=20)
    likeness = cosine_to(latents, latents[4])
    assert likeness.dtype == np.float32
    assert likeness[4] == pytest.approx(1)
    assert (np.abs(likeness) <= 1).all()
    np.testing.assert_allclose(cosine_to(latents * np.float32(stretch), latents[4]), likeness, atol=1e-6)
    np.testing.assert_allclose(cosine_to(-latents, latents[4]), -likeness, atol=1e-6)
    by_hand = [np.dot(row, latents[4]) / np.linalg.norm(row) / np.linalg.norm(latents[4]) for row in latents]
    np.testing.assert_allclose(likeness, by_hand, atol=1e-5)


@given(seed=seeds, turn=seeds)
def test_likeness_survives_a_turn_of_the_latent_space(seed: int, turn: int):
    latents = scene(seed, n=20)
    turned = latents @ rotation(turn).T
    np.testing.assert_allclose(cosine_to(turned, turned[0]), cosine_to(latents, latents[0]), atol=1e-5)


def test_a_latent_without_length_is_like_nothing():
    latents = np.array([[0, 0], [3, 4]], np.float32)
    assert np.isnan(cosine_to(latents, latents[1])[0])
    assert np.isnan(cosine_to(latents, latents[0])).all()
