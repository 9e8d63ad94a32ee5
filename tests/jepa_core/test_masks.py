"""Masks: in range, sorted, disjoint where they must be, the same for the same seed, as in training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jepa_core.errors import NotAble
from jepa_core.masks import (
    GENERATORS,
    block_size,
    make_masks,
    masks_from_roles,
    picture_block_size,
    restored,
    roles_of,
    rule_for,
)
from jepa_core.types import CheckpointInfo, InputSpec, MaskRule, MaskSet, TokenLayout

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


# --- I-JEPA's blocks, and what a checkpoint makes of a rule ---------------------------------------------------------


def picture(rows: int = 16, columns: int = 16) -> TokenLayout:
    return TokenLayout("grid", (1, rows, columns), 1, CROP)


PICTURE = MaskRule("multiblock", generator="picture")


def info(*, abilities: set[str], multiblock: str = "clips") -> CheckpointInfo:
    spec = InputSpec(size=224, frames=1, fps=0.0, tubelet=1, patch=14)
    return CheckpointInfo("x", "", "", "", "", spec, None, frozenset(abilities), multiblock=multiblock)


@given(st.integers(2, 30), st.integers(2, 30), st.integers(0, 50))
def test_picture_masks_are_four_blocks_of_one_size_and_a_context_without_them(rows, columns, look):
    masks = make_masks(PICTURE, picture(rows, columns), look)

    assert len(masks.targets) == 4
    assert len({len(target) for target in masks.targets}) == 1
    assert len(masks.context) > 0
    for tokens in (masks.context, *masks.targets):
        assert (np.diff(tokens) > 0).all()
        assert tokens[-1] < rows * columns
        assert not tokens.flags.writeable
    for target in masks.targets:
        is_target = np.zeros(rows * columns, bool)
        is_target[target] = True
        by_row = is_target.reshape(rows, columns)
        high, wide = by_row.any(1).sum(), by_row.any(0).sum()
        assert len(target) == high * wide
        assert high < rows
        assert wide < columns


@pytest.mark.parametrize(
    ("side", "context", "block", "union", "sizes"),
    [
        (16, 110.9, 44.2, 114.1, {(5, 7), (6, 6), (6, 7), (7, 6), (8, 6), (9, 6)}),
        (28, 361.3, 136.4, 354.2, {(9, 12), (10, 12), (11, 11), (11, 12), (12, 11), (13, 11), (14, 10), (14, 11), (15, 10)}),
        (14, 82.6, 33.3, 86.4, {(5, 6), (6, 5), (6, 6), (7, 5), (8, 5)}),
    ],
)  # fmt: skip
def test_picture_masks_have_the_published_statistics(side, context, block, union, sizes):
    """Section 8.4, I-JEPA: 1000 draws, no truncation."""
    drawn = [make_masks(PICTURE, picture(side, side), look) for look in range(1000)]

    assert np.mean([len(m.context) for m in drawn]) == pytest.approx(context, rel=0.03)
    assert np.mean([len(m.targets[0]) for m in drawn]) == pytest.approx(block, rel=0.02)
    unions = [len(set(np.concatenate(m.targets).tolist())) for m in drawn]
    assert np.mean(unions) == pytest.approx(union, rel=0.02)
    random = np.random.default_rng(0)
    seen = {picture_block_size((0.15, 0.2), (0.75, 1.5), side, side, random) for _ in range(1000)}
    assert seen == sizes
    assert all(not set(m.context.tolist()) & set(np.concatenate(m.targets).tolist()) for m in drawn)


def test_picture_masks_never_use_the_last_place():
    """Section 8.1: the upper end of a position is exclusive, so the last row and column are never hidden."""
    drawn = [make_masks(PICTURE, picture(), look) for look in range(300)]
    hidden = np.unique(np.concatenate([target for masks in drawn for target in masks.targets]))

    assert hidden.max() < 15 * 16
    assert (hidden % 16).max() == 14


def test_picture_masks_need_a_picture():
    with pytest.raises(NotAble, match="4 time steps"):
        make_masks(PICTURE, layout((4, 8, 8)), 0)


def test_picture_model_told_to_predict_the_future_hides_blocks_instead():
    rule = MaskRule("future", seed=7)

    assert rule_for(rule, info(abilities={"masked", "temporal"})) == rule
    assert rule_for(rule, info(abilities={"masked"})) == MaskRule("multiblock", seed=7)
    fitted = rule_for(rule, info(abilities={"masked"}, multiblock="pictures"))
    assert fitted == MaskRule("multiblock", generator="picture", seed=7)


def test_generator_a_checkpoint_was_not_trained_with_gives_way_to_its_own():
    asked = MaskRule("multiblock", generator="long")

    assert rule_for(asked, info(abilities={"temporal"})) == asked
    assert rule_for(asked, info(abilities=set(), multiblock="pictures")).generator == "picture"
    assert rule_for(PICTURE, info(abilities={"temporal"})).generator == "short"


@pytest.mark.parametrize(
    ("generator", "multiblock", "shape"),
    [("picture", "pictures", (1, 6, 6)), ("short", "clips", (4, 8, 8)), ("long", "clips", (4, 8, 8))],
)
@given(seed=st.integers(0, 1000))
def test_recorded_multiblock_masks_are_restored_as_they_were_drawn(generator, multiblock, shape, seed):
    grid = TokenLayout("grid", shape, 1, CROP)
    drawn = make_masks(MaskRule("multiblock", generator=generator, seed=seed), grid, 0)
    recorded = masks_from_roles(roles_of(drawn, grid), drawn.seed)

    again = restored(recorded, grid, info(abilities=set(), multiblock=multiblock))

    assert again.generator == generator
    assert all(np.array_equal(a, b) for a, b in zip(again.targets, drawn.targets, strict=True))
    assert np.array_equal(again.context, drawn.context)


def test_masks_that_their_seed_does_not_give_stay_as_recorded():
    grid = picture(6, 6)
    future = make_masks(MaskRule("future"), layout((4, 8, 8)), 3)
    region = MaskSet(np.arange(30, dtype=np.int32), (np.arange(30, 36, dtype=np.int32),), -1)
    odd = MaskSet(np.arange(30, dtype=np.int32), (np.arange(30, 36, dtype=np.int32),), 5)

    assert restored(future, layout((4, 8, 8)), info(abilities=set())) is future
    assert restored(region, grid, info(abilities=set(), multiblock="pictures")) is region
    assert restored(odd, grid, info(abilities=set(), multiblock="pictures")) is odd
