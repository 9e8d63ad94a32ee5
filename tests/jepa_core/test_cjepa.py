"""C-JEPA: every trap its specification lists, in each of its three released files."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from jepa_core import checkpoint
from jepa_core.assignment import _hungarian, match, matched_error, reorder
from jepa_core.cjepa_design import empty_modules
from jepa_core.design import Choices
from jepa_core.errors import ActionOutOfRange, ConfigDiffers, KeysDiffer, NotAble
from jepa_core.families.cjepa import CJepa
from jepa_core.nn.cls_vit import ClsVit, ClsVitSpec
from jepa_core.nn.slot_predictor import SlotPredictor, SlotPredictorSpec
from jepa_core.nn.slots import SteepAttention
from tests.helpers import cjepa_checkpoints as made

S, D, SIZE = made.SLOTS, made.D, made.SIZE


@pytest.fixture
def model(tmp_path) -> CJepa:
    return checkpoint.load(made.write(tmp_path))


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def clip_of(frames: int, seed: int = 0) -> torch.Tensor:
    return draw(1, 3, frames, SIZE, SIZE, seed=seed)


def body_of(frames: int, seed: int = 3) -> torch.Tensor:
    return draw(1, frames, 4, seed=seed)


# --- the three files ------------------------------------------------------------------------------------------------


def test_whole_file_encodes_and_acts_and_has_no_decoder(model):
    assert model.info.abilities == {"temporal", "slots", "actions"}
    assert model.info.layout == "slots"
    assert model.report.absent_parts == ("decoder",)
    assert len(model.info.action.state) == 4
    with pytest.raises(NotAble, match="no decoder"):
        model.decode(draw(1, 1, S, D))


def test_predictor_alone_takes_slots_and_no_pictures(tmp_path):
    model = checkpoint.load(made.write_predictor(tmp_path))

    assert model.info.abilities == {"temporal", "slots"}
    assert model.predictor(draw(2, 3, S, D)).shape == (2, 1, S, D)
    for ask in (lambda: model.encode(clip_of(2)), lambda: model.begin(clip_of(1), body_of(1), 2)):
        with pytest.raises(NotAble):
            ask()
    assert any("not pictures" in note for note in model.info.notes)


def test_slot_encoder_alone_takes_pictures_and_predicts_nothing(tmp_path):
    model = checkpoint.load(made.write_videosaur(tmp_path))

    assert model.encode(clip_of(3)).shape == (1, 3 * S, D)
    reconstruction, masks = model.decode(draw(1, 2, S, D))
    assert reconstruction.shape == (1, 2, 16, 40)
    assert torch.allclose(masks.sum(2), torch.ones(1, 2, 16))
    with pytest.raises(NotAble, match="no predictor"):
        model.predictor(draw(1, 3, S, D))


def as_object(saved: made.Content) -> nn.Module:
    """The same tensors as one pickled module in which attention knows its heads, as the Push-T wrapper has them."""
    root = nn.Module()
    for name, tensor in saved.items():
        *path, last = name.split(".")
        module = root
        for step in path:
            if step not in module._modules:
                module.add_module(step, nn.Module())
            module = module._modules[step]
        module.register_parameter(last, nn.Parameter(tensor))
        if last == "in_proj_weight":
            module.num_heads = 4
        if path[-2:] == ["attention", "query"]:
            root.get_submodule(".".join(path[:-1])).num_attention_heads = 2
    root.forward = root.state_dict  # a bound method: the pickle calls getattr for it
    return root


def test_pickled_wrapper_of_push_t_is_the_same_model_and_says_its_heads(model, tmp_path):
    folder = tmp_path / "object"
    stated = {"num_slots": S, "image_size": SIZE}
    torch.save(as_object(made.content()), made.write(folder, settings=stated, name="pusht_object.ckpt"))

    taken = checkpoint.load(folder / "pusht_object.ckpt")

    assert torch.equal(model.encode(clip_of(2)), taken.encode(clip_of(2)))
    assert taken.report.assumed["predictor heads"] == "4 (the pickled object itself)"
    assert taken.report.assumed["DINOv2 heads"] == "2 (the pickled object itself)"
    assert taken.report.matched == model.report.matched


def test_own_mask_token_of_the_backbone_is_listed_as_ignored(tmp_path):
    name = "model.encoder.module.backbone.embeddings.mask_token"

    model = checkpoint.load(
        made.write(tmp_path, change=lambda saved: saved.update({name: torch.zeros(1, 24)}))
    )

    assert model.report.ignored == (name,)


def test_missing_tensor_is_named_as_the_file_spells_it(tmp_path):
    lost = "model.encoder.module.backbone.encoder.layer.1.layer_scale2.lambda1"

    with pytest.raises(KeysDiffer) as refused:
        checkpoint.load(made.write(tmp_path, change=lambda saved: saved.pop(lost)))
    assert refused.value.report.missing == (f"backbone/blocks.1.scale2.lambda1 ({lost})",)


@pytest.mark.parametrize("part", ["model.proprio_encoder.", "model.initializer.", "model.slot_attention."])
def test_file_that_lost_a_part_is_refused(part, tmp_path):
    def drop(saved: made.Content) -> None:
        for name in [name for name in saved if name.startswith(part)]:
            del saved[name]

    with pytest.raises(KeysDiffer):
        checkpoint.load(made.write(tmp_path, change=drop))


def test_older_variant_with_actions_inside_every_slot_is_refused_by_name(tmp_path):
    wide = replace(made.WHOLE, predictor=replace(made.WHOLE.predictor, width=D + 8), action=0, proprio=0)

    with pytest.raises(ConfigDiffers, match="older variant"):
        checkpoint.load(made.write(tmp_path, made.content(wide)))


def test_released_sizes_have_the_published_counts():
    clevrer = SlotPredictorSpec(128, 6, 10, 6, 16, 2048)
    for spec, parameters in ((clevrer, 3_592_064), (replace(clevrer, history=3, future=1), 3_590_528)):
        with torch.device("meta"):
            predictor = SlotPredictor(spec)
        assert sum(p.numel() for p in predictor.parameters()) == parameters
        assert len(predictor.state_dict()) == 68
    with torch.device("meta"):
        dinov2 = ClsVit(ClsVitSpec(384, 12, 6, 1536, 14, 1370, 1e-6, has_layer_scale=True))
    assert round(sum(p.numel() for p in dinov2.parameters()) / 1e6, 2) == 22.06


# --- what the tensors do not say -----------------------------------------------------------------------------------


def test_released_file_needs_no_config(tmp_path):
    released = replace(
        made.PREDICTOR, width=128, n_slots=7, predictor=SlotPredictorSpec(128, 6, 10, 1, 16, 32), masked=4
    )
    path = made.write(tmp_path, made.content(released), name="clevrer_videosaur_4_epoch_30_object.ckpt")
    (tmp_path / "config.json").unlink()

    model = checkpoint.load(path)

    assert (model.reading.n_slots, model.reading.masked, model.reading.frameskip) == (7, 4, 2)
    assert model.predictor.spec == released.predictor
    assert "released" in model.report.assumed["predictor heads"]
    assert "released" in model.report.assumed["slots"]


@pytest.mark.parametrize("gone", ["num_slots", "heads", "num_attention_heads"])
def test_what_nothing_says_is_asked_for(gone, tmp_path):
    settings = made.config()
    del settings[gone]
    saved = made.content()
    if gone == "num_slots":
        settings |= {"num_attention_heads": 2}
        saved = made.content(replace(made.WHOLE, action=0, proprio=0))

    with pytest.raises(ConfigDiffers, match="does not say"):
        checkpoint.load(made.write(tmp_path, saved, settings))


def test_choices_come_before_the_config(tmp_path):
    model = checkpoint.load(made.write(tmp_path), choices=Choices(encoder_heads=4, predictor_heads=8))

    assert model.report.assumed["DINOv2 heads"] == "4 (chosen explicitly)"
    assert model.predictor.transformer.layers[0][0].heads == 8


@pytest.mark.parametrize(
    "wrong",
    [
        {"history_frames": 2},
        {"heads": 5},
        {"depth": 6},
        {"slot_dim": 128},
        {"mlp_dim": 2048},
        {"num_slots": 0},
    ],
)
def test_config_that_contradicts_the_tensors_is_refused(wrong, tmp_path):
    with pytest.raises(ConfigDiffers):
        checkpoint.load(made.write(tmp_path, settings=made.config() | wrong))


def test_configured_head_width_is_ignored(tmp_path):
    model = checkpoint.load(made.write(tmp_path, settings=made.config() | {"dim_head": 64}))

    assert model.predictor.transformer.layers[0][0].head_dim == D // 4


# --- the predictor ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slots", "masked", "hidden"),
    [(7, 1, [0]), (7, 2, [0, 1]), (7, 3, [0, 1, 5]), (7, 4, [0, 1, 5, 2]), (4, 1, [1]), (4, 2, [1, 3])],
)
def test_training_always_hid_the_same_slots(slots, masked, hidden, model):
    model.reading = replace(model.reading, n_slots=slots, masked=masked)

    assert model.hidden_slots().tolist() == hidden
    assert model.hidden_slots().tolist() == hidden


def test_masked_mode_without_hidden_slots_is_inference(model):
    history = draw(2, 3, S + 2, D)
    nothing = torch.zeros(0, dtype=torch.long)

    assert torch.allclose(model.predict_masked(history, nothing)[:, 3:], model.predictor(history), atol=1e-6)


def test_hidden_slot_is_known_by_its_first_frame_only(model):
    history, changed = draw(1, 3, S + 2, D), draw(1, 3, S + 2, D)
    changed[:, 1:, 1] += 5

    hidden = torch.tensor([1])
    same = model.predict_masked(history, hidden), model.predict_masked(changed, hidden)
    changed[:, 0, 1] += 5

    assert torch.equal(*same)
    assert not torch.allclose(same[0], model.predict_masked(changed, hidden), atol=1e-3)


def test_short_history_takes_the_last_rows_of_the_time_table(model):
    predictor, last = model.predictor, draw(1, 1, S, D)
    table = predictor.time_pos_embed[:, -2:]
    tokens = torch.cat((last + table[:, :1], predictor.queries(last[:, 0], table[:, 1:])), dim=1)

    assert torch.allclose(predictor(last), predictor.fill(tokens)[:, 1:], atol=1e-6)
    for frames in (0, 4):
        with pytest.raises(ValueError, match="time table"):
            predictor(draw(1, frames, S, D))


def test_attention_rows_sum_to_one(model):
    weights = model.predictor.last_attention(model.masked_tokens(draw(1, 3, S + 2, D)))

    assert torch.allclose(weights.sum(-1), torch.ones(1, 4 * (S + 2)), atol=1e-5)


def test_clevrer_rollout_is_one_sequence_per_offset(model):
    model.reading = replace(model.reading, frameskip=2)
    observed = draw(12, S, D)

    rolled = model.roll_slots(observed, 5)

    even, odd = (model.predictor(observed[offset::2][-3:][None])[0, 0] for offset in (0, 1))
    assert torch.allclose(rolled[0], even, atol=1e-6)
    assert torch.allclose(rolled[1], odd, atol=1e-6)
    assert rolled.shape == (5, S, D)


# --- slots -----------------------------------------------------------------------------------------------------------


def test_masks_are_shared_out_among_the_slots(model):
    video = model.slot_video(clip_of(2), model.seeded_start(1))

    assert torch.allclose(video.masks.sum(2), torch.ones(1, 2, 16), atol=1e-5)


def test_first_frame_of_a_call_takes_three_iterations_and_later_ones_two(model):
    features, start = model.features(clip_of(2)), model.seeded_start(1)
    processor = model._modules["slots"]
    first, _ = processor.corrector(start, features[:, 0], 3)
    second, mask = processor.corrector(processor.predictor(first), features[:, 1], 2)

    video = model.slots_of(features, start)

    assert torch.allclose(video.slots[:, 0], first, atol=1e-6)
    assert torch.allclose(video.slots[:, 1], second, atol=1e-6)
    assert torch.allclose(video.masks[:, 1], mask, atol=1e-6)


def test_other_start_gives_other_slots_and_the_seeded_one_always_the_same(model):
    clip = clip_of(2)
    other = model.slot_video(clip, model.start(draw(1, S, D, seed=8))).slots

    assert torch.equal(model.encode(clip), model.encode(clip))
    assert not torch.allclose(model.encode(clip), other.flatten(1, 2), atol=1e-2)
    assert "seed 0" in model.report.assumed["slot start"]


def test_steep_attention_multiplies_by_the_root_of_the_head_width():
    attention = SteepAttention(8, 2)
    x = draw(1, 3, 8)
    q, k, v = (t.unflatten(-1, (2, 4)).transpose(1, 2) for t in attention.qkv(x).chunk(3, -1))

    steep = (2 * q @ k.transpose(-1, -2)).softmax(-1) @ v
    usual = (q @ k.transpose(-1, -2) / 2).softmax(-1) @ v

    assert torch.allclose(attention(x), attention.out_proj(steep.transpose(1, 2).flatten(2)), atol=1e-6)
    assert not torch.allclose(attention(x), attention.out_proj(usual.transpose(1, 2).flatten(2)), atol=1e-4)


def test_memory_passes_the_same_fused_matrix():
    attention, x = SteepAttention(8, 2), draw(1, 3, 8)

    assert torch.allclose(attention(x), attention(x, x), atol=1e-6)


# --- rollouts --------------------------------------------------------------------------------------------------------


def test_action_node_of_a_kept_frame_is_the_given_block(model):
    memory = model.begin(clip_of(1), body_of(1), 2)
    block = draw(2, 10, seed=4)

    after = model.step(memory, block)

    wanted = model._modules["action_encoder"](block[:, None])[:, 0]
    assert torch.allclose(after.tokens[:, 0, -1], wanted, atol=1e-6)
    assert after.tokens.shape == (2, 2, S + 2, D)
    assert after.latent.shape == (2, S, D)
    assert torch.equal(memory.tokens[:, 0, -1], model.begin(clip_of(1), body_of(1), 2).tokens[:, 0, -1])


def test_predicted_slots_keep_the_order_of_the_frame_before_and_nodes_stay(model):
    reference = draw(1, S, D)
    shuffled = torch.cat((reference[:, [2, 0, 3, 1]] + 0.01, draw(1, 2, D, seed=5)), dim=1)[:, None]

    ordered = model.reordered(shuffled, reference)

    assert torch.allclose(ordered[:, 0, :S], reference + 0.01, atol=1e-6)
    assert torch.equal(ordered[:, 0, S:], shuffled[:, 0, S:])


def test_several_frames_of_one_call_are_stepped_through_before_the_next_call(tmp_path):
    two = replace(made.WHOLE, predictor=replace(made.WHOLE.predictor, future=2))
    model = checkpoint.load(made.write(tmp_path, made.content(two), made.config(two)))
    first = model.step(model.begin(clip_of(1), body_of(1), 1), draw(1, 10))

    second = model.step(first, draw(1, 10, seed=6))

    assert (first.pending.shape[1], second.pending.shape[1]) == (1, 0)
    assert torch.equal(second.latent, first.pending[:, 0, :S])


def test_energy_does_not_depend_on_the_order_of_the_slots(model):
    memory = model.step(model.begin(clip_of(1), body_of(1), 2), draw(2, 10))
    goal = model.goal(clip_of(1, seed=7), body_of(1, seed=8), memory.last_slots)
    turned = torch.cat((goal[[3, 1, 0, 2]], goal[S:]))

    energies = model.energy(memory, goal)

    assert torch.allclose(energies, model.energy(memory, turned), atol=1e-6)
    body = (memory.tokens[:, -1, S] - goal[S]).square().mean(-1)
    assert torch.allclose(
        energies - body, matched_error(memory.latent, goal[:S].expand(2, -1, -1)), atol=1e-5
    )


def test_rollout_needs_the_body_at_every_frame(model):
    for state in (None, torch.zeros(2, 4), torch.zeros(1, 3)):
        with pytest.raises(NotAble):
            model.begin(clip_of(1), state, 2)


@pytest.mark.parametrize(
    "action", [torch.full((2, 10), float("nan")), torch.full((2, 10), 512.0), torch.zeros(2, 3)]
)
def test_actions_in_other_units_or_shapes_are_refused(action, model):
    with pytest.raises(ActionOutOfRange):
        model.step(model.begin(clip_of(1), body_of(1), 2), action)


# --- assignment --------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 7), st.integers(0, 10_000))
def test_both_ways_of_matching_cost_the_same(n, seed):
    predicted, wanted = draw(3, n, 4, seed=seed), draw(3, n, 4, seed=seed + 1)
    cost = (wanted[:, :, None] - predicted[:, None]).square().sum(-1).double()

    tried = match(predicted, wanted)
    exact = torch.stack([torch.from_numpy(_hungarian(one.numpy())) for one in cost])

    assert torch.allclose(cost.gather(2, tried[..., None]).sum(), cost.gather(2, exact[..., None]).sum())


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 11), st.randoms())
def test_matching_finds_a_shuffle_again(n, random):
    wanted, order = draw(1, n, 16, seed=n), list(range(n))
    random.shuffle(order)

    found = reorder(wanted[:, order], match(wanted[:, order], wanted))

    assert torch.equal(found, wanted)


def test_every_part_of_a_file_has_a_module():
    assert set(empty_modules(made.VIDEOSAUR)) == {"backbone", "features", "slots", "start", "decoder"}
