"""A look of the systems that predict from actions: their roll-out held against what happened, and why there is none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from jepa_core import checkpoint, poses
from jepa_core.assignment import match, reorder
from jepa_core.cjepa_look import _free, slot_attention
from jepa_core.errors import ConfigDiffers, NotAble
from jepa_core.families.base import Motion
from jepa_core.families.cjepa import CJepa
from jepa_core.families.vjepa2_ac import VJepa2Ac
from jepa_core.masks import future_steps, make_masks
from jepa_core.metrics import token_error
from jepa_core.types import MaskRule, MaskSet, TokenLayout
from tests.golden import lewm_cases
from tests.helpers import ac_checkpoints as made_ac
from tests.helpers import cjepa_checkpoints as made_cjepa
from tests.helpers import lewm_checkpoints as made_lewm

GOLDEN = Path(__file__).parents[1] / "golden/cases"
BOX = (0.0, 0.0, 32.0, 32.0)


def arrays_of(case: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / case / "io.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


def future(model, frames: int, steps: int) -> MaskSet:
    layout = TokenLayout(model.info.layout, model.grid(frames), 1, BOX)
    return make_masks(MaskRule("future", predict_steps=steps), layout, 0)


def draw(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def clip_of(frames: int, size: int = 32, seed: int = 0) -> Tensor:
    return draw(1, 3, frames, size, size, seed=seed)


# --- V-JEPA 2-AC -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["vjepa2ac-rope-base", "vjepa2ac-norope-silu"])
def test_arm_prediction_is_the_published_training_rollout_step_by_step(case):
    given = arrays_of(case)
    model = checkpoint.load(next((GOLDEN / case).glob("*.pt")), device="cpu", dtype="float32")
    assert isinstance(model, VJepa2Ac)
    wanted = given["train_z_ar"]  # real frame 0, then what was predicted, under the recorded states
    n = model.reading.rows * model.reading.columns
    steps = wanted.shape[1] // n
    states = (
        given["states"]
        if not model.reading.uses_camera
        else torch.cat((given["states"], given["extrinsics"]), -1)
    )

    with torch.inference_mode():
        made = model.predict(
            given["clips"][:, :, : steps + 1],
            future(model, steps + 1, steps),
            Motion(None, states[:, : steps + 1]),
        )

    assert torch.allclose(made.predicted, wanted, atol=5e-5)
    assert torch.allclose(made.target, given["h"][:, n : (steps + 1) * n], atol=5e-5)
    assert torch.allclose(made.context, given["h"][:, :n], atol=5e-5)
    assert torch.equal(made.latents, torch.cat((made.context, made.target), 1))
    loss = token_error(made.predicted, made.target, model.info.metric).mean(dtype=torch.float64)
    power = 1.0 if model.info.metric == "l1" else 2.0
    if power == 1.0 and "train_sloss" in given and case == "vjepa2ac-rope-base":
        assert float(loss) == pytest.approx(float(given["train_sloss"]), abs=1e-5)


def test_first_predicted_frame_is_the_teacher_forced_one():
    given = arrays_of("vjepa2ac-rope-base")
    model = checkpoint.load(GOLDEN / "vjepa2ac-rope-base/vjepa2-ac-tiny.pt", device="cpu", dtype="float32")
    n, T = 16, 5
    for context in range(1, T):
        with torch.inference_mode():
            made = model.predict(
                given["clips"][:, :, : context + 1],
                future(model, context + 1, 1),
                Motion(None, given["states"][:, : context + 1]),
            )
        assert torch.allclose(
            made.predicted, given["train_z_tf"][:, (context - 1) * n : context * n], atol=5e-5
        )
        error = token_error(made.predicted, made.target, "l1")
        assert torch.allclose(error, given["tok_l1"][:, (context - 1) * n : context * n], atol=5e-5)


def test_arm_prediction_agrees_with_begin_and_step_whose_poses_are_integrated(tmp_path):
    model = checkpoint.load(made_ac.write(tmp_path))
    clip, states = clip_of(4), torch.rand(1, 4, 7, generator=torch.Generator().manual_seed(1)) * 0.5
    actions = poses.actions_between(states).float()

    with torch.inference_mode():
        made = model.predict(clip, future(model, 4, 2), Motion(None, states))
        memory = model.begin(clip[:, :, :2], states[:, :2], 1)
        stepped = []
        for t in (1, 2):
            memory = model.step(memory, actions[:, t])
            stepped.append(memory.latent)

    assert torch.allclose(made.predicted, torch.cat(stepped, 1), atol=1e-4)


def test_arm_prediction_of_the_real_example_is_made_of_its_two_states(tmp_path):
    """The arm at frame 1 is where the recorded states put it; another action predicts another frame."""
    model = checkpoint.load(made_ac.write(tmp_path))
    states = torch.tensor(
        [[[0.58, 0.0, 0.25, -3.07, 0.03, -1.91, 1.0], [0.67, 0.03, 0.33, -3.05, 0.02, -1.91, 1.0]]]
    )
    other = states.clone()
    other[0, 1, 0] -= 0.2
    with torch.inference_mode():
        one, two = (model.predict(clip_of(2), future(model, 2, 1), Motion(None, s)) for s in (states, other))
    assert not torch.allclose(one.predicted, two.predicted, atol=1e-4)
    assert torch.equal(one.target, two.target)


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (None, "must know the arm's pose at every frame, and this source gives none"),
        (torch.zeros(1, 4, 3), r"4 frames need \(1, 4, 7\)"),
        (torch.full((1, 4, 7), 1.0).cumsum(1) * 300, "poses cannot be used: An action's x is 300 m"),
        (torch.full((1, 4, 7), float("nan")), "poses cannot be used"),
    ],
)
def test_arm_without_usable_poses_is_not_predicted_and_says_why(states, words, tmp_path):
    model = checkpoint.load(made_ac.write(tmp_path))
    with pytest.raises(NotAble, match=words):
        model.predict(clip_of(4), future(model, 4, 2), Motion(None, states))


# --- LeWorldModel ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("candidate", [0, 2])
def test_latent_prediction_is_the_published_rollout_step_by_step(candidate):
    given, folder = arrays_of("lewm-object"), GOLDEN / "lewm-object"
    model = lewm_cases.load(folder, folder / "lewm_object.ckpt")
    clip = torch.cat((given["roll_pixels"], given["enc_pixels"][:, 1:]), 1).transpose(
        1, 2
    )  # 3 context, 3 to come

    with torch.inference_mode():
        made = model.predict(clip, future(model, 6, 3), Motion(given["roll_actions"][:, candidate], None))

    assert torch.allclose(made.predicted, given["roll_predicted_emb"][:, candidate, 3:], atol=1e-4)
    assert torch.allclose(made.context, given["roll_predicted_emb"][:, candidate, :3], atol=1e-4)
    assert torch.allclose(made.target, model.encode(clip)[:, 3:], atol=1e-6)


def test_one_step_latent_prediction_has_the_published_error():
    given, folder = arrays_of("lewm-hub"), GOLDEN / "lewm-hub"
    model = lewm_cases.load(folder, folder / "weights.pt")
    clip, blocks = given["enc_pixels"].transpose(1, 2), given["enc_action"]
    T = clip.shape[2]
    with torch.inference_mode():
        made = model.predict(clip, future(model, T, 1), Motion(blocks[:, : T - 1], None))
    error = token_error(made.predicted, made.target, model.info.metric)
    assert model.info.metric == "l2"
    assert torch.allclose(error, given["pred_sqerr_mean"][:, -1:], atol=1e-4)


def test_stated_statistics_turn_recorded_actions_into_standard_deviations(tmp_path):
    plain = checkpoint.load(made_lewm.write(tmp_path / "plain"))
    path = made_lewm.write(tmp_path / "stated")
    mean, std = [-0.5, 2.0], [0.25, 4.0]
    (path.parent / f"{path.stem}.card.json").write_text(json.dumps({"action_mean": mean, "action_std": std}))
    stated = checkpoint.load(path)
    z = draw(1, 3, made_lewm.ACTION, seed=5)
    recorded = z * torch.tensor(std * 5) + torch.tensor(mean * 5)
    recorded[0, 0, :2] = float("nan")  # the end of an episode: the mean, as in training
    z[0, 0, :2] = 0.0

    with torch.inference_mode():
        one, two = (
            m.predict(clip_of(4), future(m, 4, 2), Motion(a, None))
            for m, a in ((plain, z), (stated, recorded))
        )

    assert torch.allclose(one.predicted, two.predicted, atol=1e-5)
    assert "card" in stated.report.assumed["action statistics"]
    assert "unknown" in plain.report.assumed["action statistics"]
    assert any("used as they come" in note for note in plain.info.notes)
    assert not any("used as they come" in note for note in stated.info.notes)


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ({"action_mean": [0.0, 0.0]}, "without its other half"),
        ({"action_mean": [0.0] * 3, "action_std": [1.0] * 3}, "has 3 numbers, which do not make up the 10"),
        ({"action_mean": [0.0], "action_std": [0.0]}, "not above 0"),
        ({"action_mean": ["a"], "action_std": [1.0]}, "not a list of numbers"),
    ],
)
def test_statistics_that_cannot_be_meant_refuse_the_checkpoint(card, words, tmp_path):
    path = made_lewm.write(tmp_path)
    (path.parent / f"{path.stem}.card.json").write_text(json.dumps(card))
    with pytest.raises(ConfigDiffers, match=words):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        (None, "This source tells no actions; LeWorldModel predicts only under actions"),
        (torch.zeros(1, 3, 7), "tells 7 numbers of action between two frames; this LeWorldModel takes 10"),
        (torch.full((1, 3, 10), 250.0), "actions reach 250; the checkpoint takes standard deviations"),
    ],
)
def test_without_usable_actions_no_latent_is_predicted_and_it_says_why(actions, words, tmp_path):
    model = checkpoint.load(made_lewm.write(tmp_path))
    with pytest.raises(NotAble, match=words):
        model.predict(clip_of(4), future(model, 4, 2), Motion(actions, None))


# --- C-JEPA ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("candidate", [0, 1])
def test_slot_prediction_is_the_published_rollout_in_another_order(candidate, monkeypatch):
    given = arrays_of("cjepa-pusht")
    model = checkpoint.load(GOLDEN / "cjepa-pusht/state_dict.pt", device="cpu", dtype="float32")
    assert isinstance(model, CJepa)
    monkeypatch.setattr(model, "seeded_start", lambda batch: given["init_slots"])
    clip = torch.cat((given["pixels"], *[given["goal"]] * 5), 1).transpose(
        1, 2
    )  # one context frame, five to come
    states = given["proprio"].expand(-1, 6, -1)

    with torch.inference_mode():
        made = model.predict(clip, future(model, 6, 5), Motion(given["actions"][:, candidate], states))

    wanted = given["predicted_embedding"][:, candidate, 1:, :4]  # (1, 5, 4, D) as the roll-out ordered them
    assert made.assignment.shape == (1, 5, 4)
    for t in range(5):
        order = made.assignment[:, t]
        assert sorted(order[0].tolist()) == [0, 1, 2, 3]
        assert torch.allclose(made.predicted[:, 4 * t : 4 * t + 4], reorder(wanted[:, t], order), atol=5e-4)
        assert torch.equal(order, match(wanted[:, t], made.target[:, 4 * t : 4 * t + 4]))


def test_what_slots_look_at_is_read_from_the_published_attention():
    given = arrays_of("cjepa-predictor")
    model = checkpoint.load(GOLDEN / "cjepa-predictor/predictor.ckpt", device="cpu", dtype="float32")
    weights = model.predictor.last_attention(given["masked_input_tokens"])
    read = slot_attention(weights, 16, 6, 7)
    by_frame = given["attention_last"].view(2, 16, 7, 16, 7)
    assert torch.allclose(read, by_frame[:, 6].sum(2), atol=1e-4)
    assert torch.allclose(read.sum(-1), torch.ones(2, 7), atol=1e-4)


def test_rollout_without_actions_is_clevrers_own():
    given = arrays_of("cjepa-predictor")
    model = checkpoint.load(GOLDEN / "cjepa-predictor/predictor.ckpt", device="cpu", dtype="float32")
    for offset in range(model.reading.frameskip):
        wanted = given["rollout_pred_slots"][offset :: model.reading.frameskip]
        predicted, looked = _free(model, given["rollout_obs_slots"][None, offset::2], len(wanted))
        assert torch.allclose(predicted[0], wanted, atol=1e-4)
        assert looked.shape == (1, 7, 7)


def body_of(frames: int, n: int = 4) -> Tensor:
    return draw(1, frames, n, seed=3)


@pytest.mark.parametrize("steps", [1, 2])
def test_slots_are_predicted_from_their_own_chain_and_compared_after_assignment(steps, tmp_path):
    model = checkpoint.load(made_cjepa.write(tmp_path))
    clip, blocks, states = clip_of(4), draw(1, 3, 10, seed=2), body_of(4)
    given = 4 - steps

    with torch.inference_mode():
        made = model.predict(clip, future(model, 4, steps), Motion(blocks, states))
        memory = model.begin(
            clip[:, :, :given], states[:, :given], 1, history=blocks[:, : given - 1]
        )  # encodes the context alone, from the same start
        latents = model.encode(clip)
        for t in range(given, 4):
            memory = model.step(memory, blocks[:, t - 1])

    S = made_cjepa.SLOTS
    newest = latents[:, -S:]
    fitted = reorder(memory.latent, match(memory.latent, newest))
    assert torch.allclose(made.predicted[:, -S:], fitted, atol=1e-5)
    assert torch.allclose(made.target[:, -S:], newest, atol=1e-6)
    assert torch.allclose(made.latents, latents, atol=1e-6)
    assert made.regions.shape == (1, S, 4, 4)
    assert torch.allclose(made.regions.sum(1), torch.ones(1, 4, 4), atol=1e-5)
    assert made.attention.shape == (1, S, S)
    rows = made.attention.sum(-1)
    assert bool(((rows > 0) & (rows < 1)).all())  # the rest went to the action and the body


def test_attention_rows_belong_to_the_real_slots_they_were_compared_with(tmp_path, monkeypatch):
    """Turn the real frame's slots: the rows turn with them, the columns (what was looked at) stay."""
    model = checkpoint.load(made_cjepa.write(tmp_path))
    clip, motion = clip_of(4), Motion(draw(1, 3, 10, seed=2), body_of(4))
    turn = torch.tensor([2, 0, 3, 1])
    real = model.slot_video

    def turned(clip, start):
        video = real(clip, start)
        slots = video.slots.clone()
        slots[:, -1] = video.slots[:, -1, turn]
        return replace(video, slots=slots)

    with torch.inference_mode():
        plain = model.predict(clip, future(model, 4, 1), motion)
        monkeypatch.setattr(model, "slot_video", turned)
        other = model.predict(clip, future(model, 4, 1), motion)

    assert torch.allclose(other.attention, plain.attention[:, turn], atol=1e-6)
    assert torch.equal(other.assignment[0, 0], plain.assignment[0, 0][turn])
    assert torch.allclose(
        token_error(other.predicted, other.target, "l2"),
        token_error(plain.predicted, plain.target, "l2")[:, turn],
        atol=1e-6,
    )


def test_file_with_encoder_and_predictor_and_no_actions_predicts_from_slots_alone(tmp_path):
    reading = replace(made_cjepa.WHOLE, action=0, proprio=0)
    model = checkpoint.load(
        made_cjepa.write(tmp_path, made_cjepa.content(reading), made_cjepa.config(reading))
    )
    with torch.inference_mode():
        made = model.predict(clip_of(4), future(model, 4, 2))
        slots = model.encode(clip_of(4)).unflatten(1, (4, -1))
        first = model.predictor(slots[:, :2])
    assert model.info.action is None
    assert made.note == ""
    fitted = reorder(first[:, 0], match(first[:, 0], slots[:, 2]))
    assert torch.allclose(made.predicted[:, : made_cjepa.SLOTS], fitted, atol=1e-5)


@pytest.mark.parametrize(
    ("motion", "words"),
    [
        (Motion(None, body_of(4)), "This source tells no actions; C-JEPA predicts only under actions."),
        (
            Motion(torch.zeros(1, 3, 4), body_of(4)),
            "tells 4 numbers of action between two frames; this C-JEPA takes 10",
        ),
        (Motion(torch.zeros(1, 3, 10), None), "gives nothing of the body"),
        (
            Motion(torch.zeros(1, 3, 10), body_of(4, 7)),
            "gives 7 numbers of the body per frame; this C-JEPA takes 4",
        ),
        (Motion(torch.zeros(1, 3, 10), body_of(4) * 500), "body readings reach"),
        (Motion(torch.full((1, 3, 10), 99.0), body_of(4)), "actions reach 99"),
    ],
)
def test_slots_are_shown_all_the_same_and_it_says_why_nothing_is_predicted(motion, words, tmp_path):
    model = checkpoint.load(made_cjepa.write(tmp_path))
    with torch.inference_mode():
        made = model.predict(clip_of(4), future(model, 4, 2), motion)
    assert words in made.note
    assert made.predicted.shape[1] == 0
    assert made.latents.shape == (1, 16, made_cjepa.D)
    assert made.regions.shape == (1, 4, 4, 4)


def test_slot_encoder_alone_shows_slots_and_says_that_it_predicts_nothing(tmp_path):
    model = checkpoint.load(made_cjepa.write_videosaur(tmp_path))
    made = model.predict(clip_of(3), future(model, 3, 1))
    assert "slot encoder alone" in made.note
    assert made.regions.shape == (1, 4, 4, 4)
    assert model.info.cannot_see == ""


def test_predictor_alone_says_before_it_looks_that_there_is_nothing_to_see(tmp_path):
    model = checkpoint.load(made_cjepa.write_predictor(tmp_path))
    assert "takes slots, not pictures" in model.info.cannot_see


# --- masks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_number_of_frames_to_come_is_read_from_the_masks(steps):
    layout = TokenLayout("grid", (4, 3, 5), 1, BOX)
    assert future_steps(make_masks(MaskRule("future", predict_steps=steps), layout, 0), layout.shape) == steps


def test_hidden_regions_are_not_frames_to_come():
    layout = TokenLayout("grid", (4, 4, 4), 1, BOX)
    for rule in (MaskRule("multiblock"), MaskRule("region", region=(0.0, 0.0, 9.0, 9.0))):
        with pytest.raises(NotAble, match="whole frames to come"):
            future_steps(make_masks(rule, layout, 0), layout.shape)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    "write", [made_ac.write, made_lewm.write, made_cjepa.write], ids=["ac", "lewm", "cjepa"]
)
def test_prediction_in_half_precision_stays_near_the_float32_one(write, dtype, tmp_path):
    path = write(tmp_path)
    errors = []
    for precision in ("float32", dtype):
        model = checkpoint.load(path, dtype=precision)
        width = 7 if model.info.family == "V-JEPA 2-AC" else 4
        motion = Motion(draw(1, 3, 10, seed=2, scale=0.5), draw(1, 4, width, seed=3, scale=0.05))
        with torch.inference_mode():
            made = model.predict(clip_of(4).to(getattr(torch, precision)), future(model, 4, 2), motion)
        assert made.note == ""
        errors.append(token_error(made.predicted, made.target, model.info.metric).mean())
    assert float(errors[1]) == pytest.approx(float(errors[0]), rel=0.1)
