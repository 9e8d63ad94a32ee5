"""V-JEPA 2 against the spec's formulas and traps, written independently of the code under test."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from jepa_core import checkpoint
from jepa_core.design import Choices
from jepa_core.errors import NotAble
from jepa_core.families.vjepa2 import VJepa2
from jepa_core.latents import normalise_target
from jepa_core.nn.attention import Block
from jepa_core.nn.positions import rotary_axis_width, rotary_table, sincos_2d, sincos_3d
from jepa_core.nn.predictor import Predictor
from jepa_core.nn.vit import PatchEmbed, VisionTransformer, VitSpec
from jepa_core.types import MaskSet
from jepa_core.vjepa2_facts import MODELS
from tests.helpers import checkpoints as made

N = 4 * 4 * 4


@pytest.fixture
def model(tmp_path) -> VJepa2:
    return checkpoint.load(made.write(tmp_path))


def clip(frames: int = 8, height: int = 32, width: int = 32, batch: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, 3, frames, height, width, generator=torch.Generator().manual_seed(seed))


def future_masks() -> MaskSet:
    return MaskSet(np.arange(48, dtype=np.int32), (np.arange(48, N, dtype=np.int32),), 0)


# --- released configurations -------------------------------------------------------------------------------------


def test_giant_has_22_heads_and_its_predictor_12():
    """Traps 3 and 4: I-JEPA's giant has 16, and other families' predictors follow the encoder."""
    assert MODELS["vit_giant_xformers"][2] == 22
    assert MODELS["vit_giant"][2] == 16


def test_gigantic_models_have_mlp_ratio_4():
    """Trap 14: the official factories misspell the argument."""
    assert MODELS["vit_gigantic"][3] == MODELS["vit_gigantic_xformers"][3] == 4.0


# --- positions ---------------------------------------------------------------------------------------------------


def slow_rotary(x: np.ndarray, position: tuple[int, int, int]) -> np.ndarray:
    """Section 4.4 for one head vector, channel by channel."""
    head_dim = len(x)
    axis = 2 * ((head_dim // 3) // 2)
    out = x.copy()
    for number, place in enumerate(position):
        for k in range(axis):
            m = axis // 2
            angle = place * 10000.0 ** (-(k % m) / m)
            here = number * axis + k
            partner = -x[here + 1] if k % 2 == 0 else x[here - 1]
            out[here] = x[here] * math.cos(angle) + partner * math.sin(angle)
    return out


@given(st.integers(6, 104), st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 30))
def test_rotary_follows_the_published_layout_for_every_head_width(head_dim, index, rows, columns):
    """Trap 2: tiled angles with adjacent partners, leftover channels untouched, integer positions."""
    x = torch.randn(
        1, 1, 2, 1, head_dim, dtype=torch.float64, generator=torch.Generator().manual_seed(head_dim)
    )
    position = index // (rows * columns), index % (rows * columns) // columns, index % columns
    wanted = slow_rotary(x[0, 0, 0, 0].numpy(), position)

    table = rotary_table(torch.tensor([index]), rows, columns, head_dim, torch.float64)
    turned = table.apply_(x.clone())[0, 0, 0, 0].numpy()

    np.testing.assert_allclose(turned, wanted, atol=1e-9)


@pytest.mark.parametrize(
    ("head_dim", "axis"), [(64, 20), (80, 26), (88, 28), (32, 10), (24, 8), (104, 34), (5, 0)]
)
def test_axis_widths_are_the_specs(head_dim, axis):
    assert rotary_axis_width(head_dim) == axis


def test_rotary_is_not_a_true_rotation():
    """Whoever 'repairs' the quirk preserves norms, and loses every released weight."""
    x = torch.randn(1, 1, 2, 1, 12, generator=torch.Generator().manual_seed(1))
    turned = rotary_table(torch.tensor([7]), 1, 3, 12).apply_(x.clone())

    assert not torch.allclose(turned.norm(dim=-1), x.norm(dim=-1), rtol=1e-3)


def test_values_are_never_rotated():
    block = Block(24, 2, 48).eval()
    rotary = rotary_table(torch.tensor([5]), 2, 2, 12)
    x = torch.randn(1, 1, 24)

    with torch.no_grad():
        assert torch.allclose(
            block(x, rotary), block(x, None), atol=1e-6
        )  # one token attends to itself alone


def sincos(x: float, width: int) -> list[float]:
    half = width // 2
    angles = [x * 10000.0 ** (-j / half) for j in range(half)]
    return [math.sin(a) for a in angles] + [math.cos(a) for a in angles]


@pytest.mark.parametrize("uniform", [False, True])
@pytest.mark.parametrize("width", [24, 40, 64])
def test_clip_table_is_time_row_column(uniform, width):
    share = 2 * math.ceil(width / 6)
    widths = (share, share, share) if uniform else (width // 2, width // 4, width // 4)
    t, r, c = 2, 1, 3
    wanted = [v for place, w in zip((t, r, c), widths) for v in sincos(place, w)][:width]

    table = sincos_3d((3, 4, 5), width, uniform_power=uniform)

    assert table.shape == (1, 60, width)
    np.testing.assert_allclose(table[0, t * 20 + r * 5 + c].numpy(), wanted, atol=1e-6)


def test_picture_table_puts_the_row_first_and_i_jepas_the_column():
    """Trap 1."""
    row_first, column_first = sincos_2d(3, 3, 8), sincos_2d(3, 3, 8, column_first=True)
    n = 2 * 3 + 1  # row 2, column 1

    np.testing.assert_allclose(row_first[0, n].numpy(), sincos(2, 4) + sincos(1, 4), atol=1e-6)
    np.testing.assert_allclose(column_first[0, n].numpy(), sincos(1, 4) + sincos(2, 4), atol=1e-6)


# --- the encoder -------------------------------------------------------------------------------------------------


def test_hidden_pixels_never_reach_the_context(model):
    """Trap 8: whatever lies under the mask, the context latents and the prediction are bit for bit the same."""
    one = clip()
    other = one.clone()
    other[:, :, 6:] = 100.0  # the last time step, which is hidden

    with torch.no_grad():
        a, b = model.predict(one, future_masks()), model.predict(other, future_masks())

    assert torch.equal(a.context, b.context)
    assert torch.equal(a.predicted, b.predicted)
    assert not torch.equal(a.target, b.target)


def test_masked_tokens_are_not_computed(model):
    """Not in any block of the context encoder: every layer sees the kept tokens only."""
    seen: list[int] = []
    for block in model.context_encoder.blocks:
        block.register_forward_hook(lambda module, args, output: seen.append(output.shape[1]))

    with torch.no_grad():
        model.features(clip(), torch.arange(10))

    assert seen == [10] * len(model.context_encoder.blocks)


def test_gathering_from_the_full_encoding_would_be_something_else(model):
    keep = torch.arange(20)
    with torch.no_grad():
        assert not torch.allclose(model.features(clip(), keep), model.features(clip())[:, keep], atol=1e-3)


@given(st.permutations(list(range(12))))
def test_order_of_kept_indices_is_the_order_of_the_output(order):
    encoder = VisionTransformer(VitSpec(12, 1, 2, 24, patch=8, tubelet=2)).eval()
    pixels = clip(frames=2, height=24, width=32)
    with torch.no_grad():
        straight = encoder(pixels, torch.arange(12))
        mixed = encoder(pixels, torch.tensor(order))

    assert torch.allclose(mixed, straight[:, order], atol=1e-5)


def test_all_indices_are_the_same_as_no_mask(model):
    with torch.no_grad():
        assert torch.allclose(model.features(clip(), torch.arange(N)), model.features(clip()), atol=1e-6)


def test_batched_and_shared_indices_agree(model):
    keep = torch.tensor([3, 60, 7, 21])
    with torch.no_grad():
        shared = model.features(clip(batch=2), keep)
        batched = model.features(clip(batch=2), keep.expand(2, -1))

    assert torch.allclose(shared, batched, atol=1e-6)


def test_remainder_pixels_and_frames_are_dropped(model):
    """Trap 12: 35x44 pixels and 7 frames give 3 x 4 x 5 tokens."""
    with torch.no_grad():
        ragged = model.features(clip(7, 35, 44))
        even = model.features(clip(7, 35, 44)[:, :, :6, :32, :40])

    assert ragged.shape[1] == 3 * 4 * 5
    assert torch.equal(ragged, even)


@pytest.mark.parametrize("tubelet", [0, 2])
def test_patches_are_embedded_alike_on_every_device(tubelet):
    embed = PatchEmbed(24, 8, tubelet)
    patches, _ = embed.patches(clip(frames=2) if tubelet else clip(frames=1)[:, :, 0])
    whole = embed.proj(clip(frames=2) if tubelet else clip(frames=1)[:, :, 0]).flatten(2).transpose(1, 2)

    with torch.no_grad():
        assert torch.allclose(embed._as_convolution(patches), whole, atol=1e-5)
        assert torch.allclose(embed._as_product(patches), whole, atol=1e-5)


def test_single_frame_is_repeated_to_one_tubelet(model):
    still = clip(frames=1)
    with torch.no_grad():
        assert torch.equal(model.features(still), model.features(still.repeat(1, 1, 2, 1, 1)))


def test_non_square_clip_uses_its_own_rows_and_columns(model):
    """As a square model would, were the rows read as columns: the positions must differ from the square split."""
    wide = clip(4, 16, 64)
    with torch.no_grad():
        assert not torch.allclose(model.features(wide), model.features(wide, split=(4, 4)), atol=1e-4)


def test_two_norm_epsilons_are_kept_apart(model):
    """Trap 6: 1e-6 in the networks, 1e-5 for the targets."""
    assert {m.eps for m in model.context_encoder.modules() if isinstance(m, torch.nn.LayerNorm)} == {1e-6}
    small = torch.randn(1, 2, 24) * 1e-3
    assert torch.equal(normalise_target(small), F.layer_norm(small, (24,), eps=1e-5))
    assert not torch.allclose(normalise_target(small), F.layer_norm(small, (24,), eps=1e-6), atol=1e-3)


def test_targets_are_layer_normed(model):
    """Trap 7: Hugging Face does not do it."""
    with torch.no_grad():
        target = model.encode(clip())

    assert torch.allclose(target.mean(-1), torch.zeros(1, N), atol=1e-5)
    assert torch.allclose(target.var(-1, unbiased=False), torch.ones(1, N), atol=1e-3)


def test_targets_come_from_the_target_encoder(model):
    """Trap 16."""
    with torch.no_grad():
        assert torch.equal(model.encode(clip()), normalise_target(model.target_encoder(clip())))
        assert not torch.allclose(
            model.encode(clip()), normalise_target(model.context_encoder(clip())), atol=1e-2
        )


def test_gate_partner_is_not_the_output_layer(tmp_path):
    """Trap 11: y = fc3(silu(fc1 x) · fc2 x)."""
    encoder = replace(made.ENCODER, is_gated=True, hidden=40)
    model = checkpoint.load(made.write(tmp_path, made.content(encoder), made.params(encoder)))
    mlp = model.context_encoder.blocks[0].mlp
    x = torch.randn(1, 3, 24)

    with torch.no_grad():
        wanted = mlp.fc3(F.silu(mlp.fc1(x)) * mlp.fc2(x))
        assert torch.allclose(mlp(x), wanted, atol=1e-6)


@pytest.mark.parametrize(("width", "hidden"), [(1408, 6144), (40, 174), (48, 209)])
def test_giant_ratio_is_cut_not_rounded(width, hidden):
    """Trap 15."""
    assert int(width * MODELS["vit_giant_xformers"][3]) == hidden


# --- the predictor -----------------------------------------------------------------------------------------------


def sorted_predictor(
    predictor: Predictor,
    z: torch.Tensor,
    context: torch.Tensor,
    targets: torch.Tensor,
    grid: tuple[int, int, int],
) -> torch.Tensor:
    """Section 5 as the official code does it: sorted by place before the blocks, unsorted after."""
    x = torch.cat(
        (predictor.predictor_embed(z), predictor.mask_tokens[0].expand(len(z), len(targets), -1)), dim=1
    )
    places = torch.cat((context, targets))
    order = places.argsort(stable=True)
    x, places = x[:, order], places[order]
    rotary = rotary_table(places, grid[1], grid[2], predictor.spec.width // predictor.spec.heads)
    for block in predictor.predictor_blocks:
        x = block(x, rotary)
    x = predictor.predictor_norm(x)[:, order.argsort()]
    return predictor.predictor_proj(x[:, len(context) :])


@given(st.integers(0, 1000))
def test_leaving_out_the_official_sorting_changes_nothing(seed):
    generator = torch.Generator().manual_seed(seed)
    predictor = Predictor(made.PREDICTOR).eval()
    places = torch.randperm(N, generator=generator)
    context, targets = places[:20], places[15:30]  # they may overlap
    z = torch.randn(2, 20, 24, generator=generator)

    with torch.no_grad():
        ours = predictor(z, context, targets, grid=(4, 4, 4))
        theirs = sorted_predictor(predictor, z, context, targets, (4, 4, 4))

    assert torch.allclose(ours, theirs, atol=1e-5)


def test_mask_token_number_wraps_round(model):
    """Trap 5: callers' default is 1, whatever the file holds."""
    with torch.no_grad():
        context = model.features(clip(), torch.arange(8))
        ask = torch.arange(8, 12)

        def predict(number: int) -> torch.Tensor:
            return model.predict_tokens(context, torch.arange(8), ask, (4, 4, 4), mask_token=number)

        assert torch.equal(predict(0), predict(2))
        assert not torch.allclose(predict(0), predict(1), atol=1e-4)


def test_chosen_mask_token_is_the_one_used(tmp_path):
    path = made.write(tmp_path)
    first, second = (checkpoint.load(path, choices=Choices(mask_token=i)) for i in (0, 1))

    with torch.no_grad():
        assert not torch.allclose(
            first.predict(clip(), future_masks()).predicted,
            second.predict(clip(), future_masks()).predicted,
            atol=1e-4,
        )


def test_targets_may_lie_beyond_the_clip(model):
    """Future prediction: the official table of mask tokens ends at N, ours does not."""
    with torch.no_grad():
        context = model.features(clip(), torch.arange(N))
        predicted = model.predict_tokens(context, torch.arange(N), torch.arange(N, N + 16))

    assert predicted.shape == (1, 16, 24)
    assert torch.isfinite(predicted).all()


def test_square_split_is_a_switch_that_matters_only_off_the_square(tmp_path):
    """Trap 13: the official predictor always splits positions by the configured square."""
    path = made.write(tmp_path)
    ours, official = checkpoint.load(path), checkpoint.load(path, choices=Choices(square_split=True))
    masks = MaskSet(np.arange(16, dtype=np.int32), (np.arange(16, 32, dtype=np.int32),), 0)

    with torch.no_grad():
        square = [m.predict(clip(4), masks).predicted for m in (ours, official)]
        wide = [m.predict(clip(4, 16, 64), masks).predicted for m in (ours, official)]

        context = ours.features(clip(4, 16, 64), torch.arange(16))
        by_square = ours.predictor(context, torch.arange(16), torch.arange(16, 32), grid=(2, 4, 4))

    assert torch.equal(*square)
    assert not torch.allclose(*wide, atol=1e-5)
    assert torch.allclose(wide[1], by_square, atol=1e-6)


def test_prediction_is_not_normed_again(model):
    with torch.no_grad():
        predicted = model.predict(clip(), future_masks()).predicted

    assert not torch.allclose(predicted.var(-1, unbiased=False), torch.ones(1, 16), atol=0.1)


def test_several_target_masks_are_predicted_one_by_one(model):
    """Targets of one mask must not help those of another."""
    first, second = np.arange(48, 56, dtype=np.int32), np.arange(56, N, dtype=np.int32)
    context = np.arange(48, dtype=np.int32)
    with torch.no_grad():
        both = model.predict(clip(), MaskSet(context, (first, second), 0))
        alone = model.predict(clip(), MaskSet(context, (second,), 0))

    assert torch.allclose(both.predicted[:, 8:], alone.predicted, atol=1e-6)
    assert both.target.shape == both.predicted.shape == (1, 16, 24)


def test_file_without_predictor_is_not_able_to_predict(tmp_path):
    model = checkpoint.load(made.write(tmp_path, change=lambda c: c.pop("predictor")))

    with pytest.raises(NotAble, match="no predictor"):
        model.predict(clip(), future_masks())


# --- tables ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uniform", [False, True])
def test_table_checkpoint_adds_its_table_to_the_kept_tokens(tmp_path, uniform):
    model = checkpoint.load(made.write_with_tables(tmp_path, uniform_power=uniform))
    encoder = model.context_encoder
    keep = torch.tensor([5, 40, 3])

    with torch.no_grad():
        patches, _ = encoder.patch_embed.patches(clip())
        x = (encoder.patch_embed.project(patches) + sincos_3d((4, 4, 4), 24, uniform_power=uniform))[:, keep]
        for block in encoder.blocks:
            x = block(x, None)

        assert torch.allclose(model.features(clip(), keep), encoder.norm(x), atol=1e-5)


def test_stored_table_wins_over_the_formula(tmp_path):
    """Trap 10, for table models."""
    path = made.write_with_tables(tmp_path)
    saved = torch.load(path, weights_only=True)
    odd = torch.randn(1, N, 24)
    saved["encoder"][made.PREFIX + "pos_embed"] = odd
    torch.save(saved, path)

    model = checkpoint.load(path)

    assert torch.equal(model.context_encoder.pos_embed, odd)
    assert not model.context_encoder.spec.has_rope


def test_shorter_clip_takes_the_first_rows_of_the_table(tmp_path):
    """V-JEPA 2 does not interpolate where only time is shorter; V-JEPA would."""
    encoder = checkpoint.load(made.write_with_tables(tmp_path)).context_encoder

    assert torch.equal(encoder.fit_table(encoder.pos_embed, (2, 4, 4)), encoder.pos_embed[:, :32])


def test_other_sizes_interpolate_the_encoders_table(tmp_path):
    encoder = checkpoint.load(made.write_with_tables(tmp_path)).context_encoder
    volume = encoder.pos_embed.reshape(1, 4, 4, 4, 24).permute(0, 4, 1, 2, 3)
    wanted = F.interpolate(volume, size=(5, 3, 6), mode="trilinear").flatten(2).transpose(1, 2)

    assert torch.allclose(encoder.fit_table(encoder.pos_embed, (5, 3, 6)), wanted)


def test_predictors_table_is_rebuilt_never_interpolated(tmp_path):
    """Trap 13, for table models."""
    predictor = checkpoint.load(made.write_with_tables(tmp_path)).predictor

    fitted = predictor.fit_table(predictor.predictor_pos_embed, (4, 2, 6))

    assert torch.equal(fitted, sincos_3d((4, 2, 6), 16, uniform_power=True))


def test_picture_model_reads_pictures_and_predicts(tmp_path):
    model = checkpoint.load(made.write_with_tables(tmp_path, tubelet=0))
    masks = MaskSet(np.arange(8, dtype=np.int32), (np.arange(8, 16, dtype=np.int32),), 0)

    with torch.no_grad():
        from_clip = model.predict(clip(frames=3), masks)
        from_picture = model.predict(clip(frames=3)[:, :, -1], masks)

    assert model.grid(5) == (1, 4, 4)
    assert torch.equal(from_clip.predicted, from_picture.predicted)


def test_bfloat16_look_stays_near_the_float32_one(tmp_path):
    path = made.write(tmp_path)
    exact, coarse = checkpoint.load(path), checkpoint.load(path, dtype="bfloat16")

    with torch.no_grad():
        a, b = exact.predict(clip(), future_masks()), coarse.predict(clip(), future_masks())

    assert b.target.dtype == torch.float32
    assert torch.allclose(a.target, b.target, atol=0.2)
    assert torch.allclose(a.predicted, b.predicted.float(), atol=0.2)
