"""Masks: in range, sorted, disjoint where they must be, the same for the same seed, as in training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jepa_core.errors import NotAble
from jepa_core.masks import GENERATORS, block_size, make_masks, masks_from_roles, roles_of
from jepa_core.types import MaskRule, TokenLayout

CROP = (40.0, 10.0, 160.0, 160.0)

shapes = st.tuples(st.integers(2, 8), st.integers(4, 24), st.integers(4, 24))
rules = st.one_of(
    st.builds(MaskRule, kind=st.just("future"), predict_steps=st.integers(-1, 12), seed=st.integers(0, 9)),
    st.builds(
        MaskRule,
        kind=st.just("multiblock"),
        generator=st.sampled_from(sorted(GENERATORS)),
        seed=st.integers(0, 9),
    ),
    st.builds(
        MaskRule,
        kind=st.just("region"),
        region=st.tuples(st.floats(0, 250), st.floats(0, 250), st.floats(1, 100), st.floats(1, 100)),
    ),
)


def layout(shape: tuple[int, int, int] = (4, 8, 8), kind: str = "grid") -> TokenLayout:
    return TokenLayout(kind, shape, 2, CROP)


@given(rules, shapes, st.integers(0, 50))
def test_masks_partition_the_tokens_in_order(rule, shape, look):
    try:
        masks = make_masks(rule, layout(shape), look)
    except NotAble:
        assume(False)

    (target,) = masks.targets
    both = np.concatenate((masks.context, target))

    assert len(masks.context) > 0
    assert len(target) > 0
    assert masks.context.dtype == target.dtype == np.int32
    assert (np.diff(masks.context) > 0).all()
    assert (np.diff(target) > 0).all()
    assert sorted(both.tolist()) == list(range(int(np.prod(shape))))
    assert not masks.context.flags.writeable


@given(rules, shapes, st.integers(0, 50))
def test_same_seed_gives_the_same_masks(rule, shape, look):
    try:
        one = make_masks(rule, layout(shape), look)
    except NotAble:
        assume(False)
    other = make_masks(rule, layout(shape), look)

    assert one.seed == other.seed == (-1 if rule.kind == "region" else rule.seed + look)
    assert np.array_equal(one.context, other.context)
    assert np.array_equal(one.targets[0], other.targets[0])


@given(rules, shapes)
def test_roles_carry_masks_there_and_back(rule, shape):
    try:
        masks = make_masks(rule, layout(shape), 0)
    except NotAble:
        assume(False)
    roles = roles_of(masks, layout(shape))

    again = masks_from_roles(roles)

    assert roles.shape == shape
    assert np.array_equal(again.context, masks.context)
    assert np.array_equal(again.targets[0], masks.targets[0])


def test_token_that_is_both_keeps_both_roles():
    roles = np.array([[[0, 1, 2, 3]]], dtype=np.uint8)

    masks = masks_from_roles(roles)

    assert masks.context.tolist() == [1, 3]
    assert masks.targets[0].tolist() == [2, 3]
    assert np.array_equal(roles_of(masks, layout((1, 1, 4))), roles)


@pytest.mark.parametrize(("asked", "predicted"), [(1, 1), (2, 2), (3, 3), (4, 3), (99, 3), (0, 1), (-5, 1)])
def test_future_keeps_at_least_one_step_of_each(asked, predicted):
    masks = make_masks(MaskRule("future", predict_steps=asked), layout(), 0)

    assert masks.targets[0].tolist() == list(range((4 - predicted) * 64, 256))


def test_future_needs_two_time_steps():
    with pytest.raises(NotAble, match="no future"):
        make_masks(MaskRule("future"), layout((1, 8, 8)), 0)


def test_future_works_without_a_patch_grid():
    masks = make_masks(MaskRule("future", predict_steps=1), layout((4, 5, 1), "slots"), 0)

    assert masks.targets[0].tolist() == [15, 16, 17, 18, 19]


@pytest.mark.parametrize("kind", ["multiblock", "region"])
def test_spatial_rules_refuse_tokens_that_are_no_patches(kind):
    with pytest.raises(NotAble, match="patch grid"):
        make_masks(MaskRule(kind, region=(50, 50, 9, 9)), layout((4, 5, 1), "slots"), 0)


@pytest.mark.parametrize("rule", [MaskRule("sideways"), MaskRule("multiblock", generator="tall")])
def test_unknown_rule_is_refused_in_words(rule):
    with pytest.raises(NotAble, match="There is no mask"):
        make_masks(rule, layout(), 0)


def test_multiblock_masks_are_tubes_and_change_with_the_look():
    rule = MaskRule("multiblock", seed=3)
    roles = [roles_of(make_masks(rule, layout((4, 16, 16)), look), layout((4, 16, 16))) for look in range(5)]

    for role in roles:
        assert (role == role[0]).all()
    assert len({role.tobytes() for role in roles}) == 5


# spec 8.4, 16 frames at 224, 1000 draws of the official sampler: mean context, 5 % and 95 %
OFFICIAL = {"short": (586.8, 392, 792), "long": (293.6, 112, 448)}


@pytest.mark.parametrize("generator", OFFICIAL)
def test_multiblock_contexts_are_as_large_as_the_official_samplers(generator):
    shape = (8, 14, 14)
    rule = MaskRule("multiblock", generator=generator)
    sizes = [len(make_masks(rule, layout(shape), look).context) for look in range(1000)]
    mean, low, high = OFFICIAL[generator]

    assert np.mean(sizes) == pytest.approx(mean, rel=0.03)
    assert np.percentile(sizes, 5) == pytest.approx(low, rel=0.1)
    assert np.percentile(sizes, 95) == pytest.approx(
        high, rel=0.15
    )  # sizes are coarse: 448 and 512 are neighbours


@pytest.mark.parametrize(
    ("generator", "seen"),
    [
        ("short", "5x5 5x6 6x4 6x5 7x4"),
        ("long", "10x13 10x14 11x12 11x13 12x11 12x12 13x10 13x11 14x10"),
    ],
)
def test_block_sizes_are_those_seen_in_training(generator, seen):
    random = np.random.default_rng(0)

    drawn = {block_size(GENERATORS[generator], (8, 14, 14), random) for _ in range(2000)}

    assert {f"{h}x{w}" for _, h, w in drawn} == set(seen.split())
    assert {t for t, _, _ in drawn} == {8}


def test_region_hides_every_token_it_touches_at_every_step():
    # tokens are 20 px; the rectangle covers columns 1..2 and row 0..1 of the crop at (40, 10)
    masks = make_masks(MaskRule("region", region=(65.0, 25.0, 30.0, 10.0)), layout((2, 8, 8)), 0)

    roles = roles_of(masks, layout((2, 8, 8)))

    assert np.argwhere(roles[0] == 2).tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert (roles[0] == roles[1]).all()
    assert masks.seed == -1


def test_region_edge_that_only_meets_a_token_does_not_touch_it():
    masks = make_masks(MaskRule("region", region=(60.0, 30.0, 20.0, 20.0)), layout((1, 8, 8)), 0)

    assert masks.targets[0].tolist() == [9]


def test_region_drawn_backwards_is_the_same_region():
    forth = make_masks(MaskRule("region", region=(65.0, 25.0, 30.0, 10.0)), layout(), 0)
    back = make_masks(MaskRule("region", region=(95.0, 35.0, -30.0, -10.0)), layout(), 0)

    assert np.array_equal(forth.targets[0], back.targets[0])


@pytest.mark.parametrize(
    ("region", "said"),
    [(None, "No region"), ((0.0, 0.0, 30.0, 5.0), "outside"), ((0.0, 0.0, 400.0, 400.0), "covers all")],
)
def test_region_that_leaves_nothing_to_do_is_refused_in_words(region, said):
    with pytest.raises(NotAble, match=said):
        make_masks(MaskRule("region", region=region), layout(), 0)
