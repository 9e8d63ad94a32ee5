"""test_every_family: what a family promises, asked of each one, the toy included."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from assets.demo import cell_layout, make_untrained_checkpoint
from assets.demo.train_cell import RECIPE
from jepa_core import checkpoint, registry
from jepa_core.clock import SystemClock
from jepa_core.engine import Engine
from jepa_core.errors import CheckpointError, NotAble
from jepa_core.families.base import JepaModel, Motion
from jepa_core.families.toy import ToyModel
from jepa_core.masks import make_masks, rule_for
from jepa_core.messages import EngineOptions
from jepa_core.metrics import token_error
from jepa_core.preprocess import fit_frame
from jepa_core.types import CheckpointInfo, Frame, MaskRule, MaskSet, TokenLayout, frozen
from jepa_core.weight_files import strip_prefixes
from tests.helpers import ac_checkpoints as made_ac
from tests.helpers import checkpoints as made
from tests.helpers import cjepa_checkpoints as made_cjepa
from tests.helpers import ebjepa_checkpoints as made_eb
from tests.helpers import jepawm_checkpoints as made_wm
from tests.helpers import leveled_checkpoints as made_21
from tests.helpers import lewm_checkpoints as made_lewm
from tests.helpers import table_checkpoints as made_tables

DEMO = Path(cell_layout.__file__).parent

# family name → writes a toy-size checkpoint into a folder and says where; one line per registry line
CHECKPOINTS: dict[str, Callable[[Path], Path]] = {
    "ijepa": made_tables.write_ijepa,
    "vjepa": made_tables.write_vjepa,
    "vjepa2": made.write,
    "vjepa2_ac": made_ac.write,
    "vjepa21": made_21.write,
    "lewm": made_lewm.write,
    "cjepa": made_cjepa.write,
    "ebjepa": made_eb.write,
    "jepawm": made_wm.write,
}
MODEL = "model_state_dict"  # a wrapper around the whole model, which says nothing of its parts


def load(name: str, folder: Path) -> JepaModel:
    if name in registry.DRILL_FAMILIES:
        return registry.family(name)()
    return checkpoint.load(CHECKPOINTS[name](folder))


def test_every_family_has_a_toy_checkpoint():
    assert set(CHECKPOINTS) == set(registry.FAMILIES)


@pytest.mark.parametrize("name", registry.FAMILIES)
def test_every_family_is_found_by_its_own_files(name, tmp_path):
    model = checkpoint.load(CHECKPOINTS[name](tmp_path))

    assert isinstance(model, registry.family(name))
    assert model.report.is_exact


@pytest.mark.parametrize("name", registry.FAMILIES)
def test_every_family_refuses_wrong_weights(name, tmp_path):
    path = CHECKPOINTS[name](tmp_path)
    saved = torch.load(path, weights_only=True)
    part = next((saved[name] for name in ("encoder", "predictor", MODEL) if name in saved), saved)
    first = next(key for key, tensor in part.items() if tensor.ndim == 2)
    part[first] = part[first][:-1].clone()
    torch.save(saved, path)

    with pytest.raises(CheckpointError) as refused:
        checkpoint.load(path)
    assert refused.value.report.reshaped


def is_flat(saved: dict) -> bool:
    """One dictionary of tensors, without parts."""
    return any(isinstance(value, torch.Tensor) for value in saved.values())


def is_named(entry: str, part: str, key: str) -> bool:
    """Does a line of the report mean this tensor of the file?"""
    if part and part != MODEL:
        return entry.startswith(f"{part}/{strip_prefixes(key)}")
    return key in entry or entry.startswith(key.replace(".", "/", 1))


def one_of_each_kind(saved: dict) -> list[tuple[str, str]]:
    """(part, key) of one tensor of every kind in every part: of numbered twins, the last one."""
    kinds = {
        (part, re.sub(r"\d+", "#", key)): (part, key)
        for part, tensors in ({"": saved} if is_flat(saved) else saved).items()
        if isinstance(tensors, dict) and (MODEL not in saved or part == MODEL)
        for key, tensor in tensors.items()
        if isinstance(tensor, torch.Tensor) and not is_unused(key)
    }
    return list(kinds.values())


def is_unused(key: str) -> bool:
    """Of training only: listed as ignored whatever it is called."""
    return key.startswith("regularizer.")


def lose(tensors: dict, key: str) -> None:
    del tensors[key]


def rename(tensors: dict, key: str) -> None:
    tensors[key + "_old"] = tensors.pop(key)


def reshape(tensors: dict, key: str) -> None:
    shape = tensors[key].shape
    tensors[key] = torch.zeros(*shape[:-1], shape[-1] + 1 if shape else 1)


@pytest.mark.parametrize(
    ("damage", "lists"),
    [(lose, ("missing",)), (rename, ("missing", "unexpected")), (reshape, ("reshaped",))],
    ids=["missing", "renamed", "reshaped"],
)
@pytest.mark.parametrize("name", registry.FAMILIES)
def test_every_family_refuses_a_damaged_tensor_of_any_kind_by_name(name, damage, lists, tmp_path):
    path = CHECKPOINTS[name](tmp_path)
    whole = torch.load(path, weights_only=True)
    for part, key in one_of_each_kind(whole):
        saved = {name: dict(value) if isinstance(value, dict) else value for name, value in whole.items()}
        damage(saved[part] if part else saved, key)
        torch.save(saved, path)

        with pytest.raises(CheckpointError) as refused:
            checkpoint.load(path)

        for kind in lists:
            listed = getattr(refused.value.report, kind)
            assert any(is_named(entry, part, key) for entry in listed), f"{key} is not in {kind}: {listed}"


def clip_for(model: JepaModel, frames: int) -> torch.Tensor:
    spec = model.info.input
    return torch.randn(1, spec.channels, frames, spec.size, spec.size)


def can_see(model: JepaModel) -> bool:
    """A file that holds no encoder by design is shown nothing."""
    is_blind = "visual encoder" in model.report.absent_parts
    assert not is_blind or model.info.cannot_see
    return not is_blind


@pytest.mark.parametrize("name", [*registry.FAMILIES, *registry.DRILL_FAMILIES])
def test_every_family_looks_at_a_clip_with_agreeing_shapes(name, tmp_path):
    model = load(name, tmp_path)
    spec = model.info.input
    for frames in (spec.frames, max(2 * spec.tubelet, spec.frames // 2)):
        shape = model.grid(frames)
        layout = TokenLayout(model.info.layout, shape, spec.tubelet, (0.0, 0.0, 64.0, 64.0))
        masks = make_masks(rule_for(MaskRule("future", predict_steps=1), model.info), layout, 0)
        clip = clip_for(model, frames)
        if not can_see(model):
            with pytest.raises(NotAble):
                model.encode(clip)
            with pytest.raises(NotAble):
                model.predict(clip, masks)
            continue

        with torch.inference_mode():
            target = model.encode(clip)
        assert target.shape == (1, layout.n_tokens, model.info.embed_dim)
        motion = motion_for(model.info, frames)
        with torch.inference_mode():
            prediction = model.predict(clip, masks, motion)
        assert prediction.note == ""

        asked = np.concatenate(masks.targets)
        n = len(asked)
        assert prediction.predicted.shape == prediction.target.shape == (1, n, model.info.embed_dim)
        assert prediction.context.shape == (1, len(masks.context), model.info.embed_dim)
        assert torch.isfinite(prediction.predicted).all()
        assert torch.allclose(prediction.target, target[:, asked.tolist()], atol=1e-5)


def motion_for(info: CheckpointInfo, frames: int) -> Motion | None:
    """A body that stands almost still, for the families that predict from what it did."""
    if info.action is None:
        return None
    rows = np.random.default_rng(0).normal(
        0.0, 0.01, (frames, len(info.action.names) + len(info.action.state))
    )
    values = torch.from_numpy(rows.astype(np.float32))[None]
    A = len(info.action.names)
    return Motion(values[:, :-1, :A], values[:, :, A:] if info.action.state else None)


def frames_of(info: CheckpointInfo, count: int, *, has_motion: bool) -> Iterator[Frame]:
    """A source of this family's rate; one frame is one step of its clip."""
    action = info.action
    for seq in range(count):
        rng = np.random.default_rng(seq)
        rgb = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        given = [None, None]
        if action is not None and has_motion:
            given = [
                rng.normal(0.0, 0.01, len(names)).astype(np.float32) for names in (action.names, action.state)
            ]
            given[1] = given[1] if action.state else None
        t_ns = round(seq * 1e9 / (info.input.fps or 4.0))
        yield Frame(seq, seq, t_ns, t_ns, 0, t_ns, frozen(rgb), "made", *given)


@pytest.mark.parametrize("name", [*registry.FAMILIES, *registry.DRILL_FAMILIES])
def test_every_family_is_looked_at_through_the_engine(name, tmp_path):
    model = load(name, tmp_path)
    info = model.info
    if info.cannot_see:
        return  # said before anybody shows it a picture
    engine = Engine(model, EngineOptions(), SystemClock())

    looks = [engine.offer(frame) for frame in frames_of(info, info.input.frames + 2, has_motion=True)]

    look = looks[-1] or looks[-2]
    assert look is not None
    assert look.note == ""
    assert look.metric == info.metric
    assert look.layout.kind == info.layout
    assert look.layout.shape == model.grid(len(look.clip))
    asked = np.unique(np.concatenate(look.masks.targets))
    assert np.flatnonzero(np.isfinite(look.error)).tolist() == asked.tolist()
    assert np.isfinite(look.surprise)
    assert fit_frame(np.zeros((48, 64, 3), np.uint8), info.input.size, info.input.fit)[1] == look.layout.crop
    slots = look.layout.shape[1]
    if info.layout == "slots":
        assert sorted(look.assignment) == list(range(slots))
        assert look.regions is not None
        assert look.regions.shape[0] == slots
        np.testing.assert_allclose(look.regions.sum(0), 1.0, atol=1e-4)
    else:
        assert (look.assignment, look.regions, look.attention) == ((), None, None)


@pytest.mark.parametrize("name", registry.FAMILIES)
def test_every_family_that_needs_a_body_says_so_and_still_looks(name, tmp_path):
    model = load(name, tmp_path)
    if model.info.action is None or model.info.cannot_see:
        return
    engine = Engine(model, EngineOptions(), SystemClock())

    looks = [
        engine.offer(frame) for frame in frames_of(model.info, model.info.input.frames, has_motion=False)
    ]

    look = looks[-1]
    assert look is not None
    assert "this source" in look.note.lower()
    assert not np.isfinite(look.error).any()
    assert np.isfinite(look.pooled[2]).all()
    assert (look.regions is not None) == (model.info.layout == "slots")


@pytest.mark.parametrize("name", [*registry.FAMILIES, *registry.DRILL_FAMILIES])
def test_every_family_gives_the_same_numbers_twice(name, tmp_path):
    model = load(name, tmp_path)
    spec = model.info.input
    n = int(np.prod(model.grid(spec.frames)))
    masks = MaskSet(np.arange(n // 2, dtype=np.int32), (np.arange(n // 2, n, dtype=np.int32),), 0)
    clip = clip_for(model, spec.frames)
    if not can_see(model):
        with pytest.raises(NotAble):
            model.encode(clip)
        return

    with torch.inference_mode():
        assert torch.equal(model.encode(clip), model.encode(clip))
        if "masked" in model.info.abilities:
            one, two = model.predict(clip, masks), model.predict(clip, masks)
            assert torch.equal(one.predicted, two.predicted)
            assert torch.equal(one.target, two.target)


@pytest.mark.parametrize("name", [*registry.FAMILIES, *registry.DRILL_FAMILIES])
def test_every_family_rolls_out_or_says_that_it_cannot(name, tmp_path):
    model = load(name, tmp_path)
    spec = model.info.input
    clip = clip_for(model, spec.frames)

    if "actions" in model.info.abilities:
        action = model.info.action
        state = torch.zeros(spec.frames, len(action.state)) if action.state else None
        memory = model.step(model.begin(clip, state, 3), torch.zeros(3, len(action.names)))
        assert memory.latent.shape[0] == 3
    else:
        with pytest.raises(NotAble):
            model.begin(clip, None, 3)


# --- the toy's known answers -------------------------------------------------------------------------------------


def test_toy_is_not_surprised_by_a_still_scene():
    model = ToyModel()
    still = torch.rand(1, 3, 1, 32, 32).repeat(1, 1, 8, 1, 1)
    masks = make_masks(MaskRule("future"), TokenLayout("grid", (4, 4, 4), 2, (0, 0, 32, 32)), 0)

    prediction = model.predict(still, masks)

    assert token_error(prediction.predicted, prediction.target).max() < 1e-6


def test_toy_errs_by_exactly_the_change():
    model = ToyModel()
    clip = torch.zeros(1, 3, 8, 32, 32)
    clip[:, :, 6:, 8:16, 16:24] = 0.5  # the token at row 1, column 2 of the last step
    masks = make_masks(
        MaskRule("future", predict_steps=1), TokenLayout("grid", (4, 4, 4), 2, (0, 0, 32, 32)), 0
    )

    prediction = model.predict(clip, masks)
    error = token_error(prediction.predicted, prediction.target)[0]

    assert error[1 * 4 + 2] == pytest.approx(0.5)
    assert error.sum() == pytest.approx(0.5)


def test_toy_rollout_adds_its_actions():
    model = ToyModel(has_actions=True)
    memory = model.begin(torch.zeros(1, 3, 8, 32, 32), None, 2)
    action = torch.tensor([[0.5, -0.25], [0.0, 1.0]])

    memory = model.step(model.step(memory, action), action)

    assert torch.allclose(memory.latent[:, 0, :2], 2 * action)
    assert (memory.latent[..., 2] == 0).all()


# --- the demo checkpoint ------------------------------------------------------------------------------------------


def test_demo_checkpoint_loads_and_says_what_it_was_trained_on():
    model = checkpoint.load(DEMO / "cell.pt")

    assert model.report.is_exact
    assert (model.info.input.size, model.info.input.frames, model.info.input.fps) == (64, 12, 15.0)
    assert any("trained on the embedded world only" in note for note in model.info.notes)
    assert (DEMO / "cell.pt").stat().st_size < 5_000_000


def test_demo_checkpoint_carries_the_recipe_that_stands_in_its_script():
    card = json.loads((DEMO / "cell.card.json").read_text())

    assert card["recipe_sha256"] == RECIPE.hash
    assert card["clips"] == sum(stage.clips for stage in RECIPE.stages)
    assert yaml.safe_load((DEMO / "cell.params.yaml").read_text()) == cell_layout.PARAMS


def test_untrained_checkpoint_of_the_same_shape_says_so(tmp_path):
    model = checkpoint.load(make_untrained_checkpoint.write(tmp_path))

    assert model.report.is_exact
    assert any("untrained" in note for note in model.info.notes)


def test_demo_checkpoint_can_be_moved_with_its_companions(tmp_path):
    for name in ("cell.pt", "cell.params.yaml", "cell.card.json"):
        shutil.copy(DEMO / name, tmp_path / name)

    assert checkpoint.examine(tmp_path / "cell.pt")[1].is_exact
