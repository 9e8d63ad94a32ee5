"""Every family that has latents can be looked at: the reference checkpoints through the engine, with every view."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jepa_core import checkpoint
from jepa_core.clock import FakeClock
from jepa_core.engine import Engine
from jepa_core.messages import EngineOptions
from jepa_core.projection import LEAST_TOKENS
from jepa_core.types import Frame, Inspection, LatentView

CASES = Path(__file__).parents[1] / "golden" / "cases"
FILES = {  # case → its file, the layout of its latents
    "ijepa-base": ("jepa-ep7.pth.tar", "grid"),
    "hf-ijepa-a": ("", "grid"),
    "vjepa-resolution": ("jepa-latest.pth.tar", "grid"),
    "vjepa2-rope-gelu": ("*.pt", "grid"),
    "hf-vjepa2-a": ("", "grid"),
    "vjepa21-multilevel": ("*.pt", "grid"),
    "vjepa2ac-rope-base": ("*.pt", "grid"),
    "cjepa-videosaur": ("videosaur.ckpt", "slots"),
    "cjepa-pusht": ("state_dict.pt", "slots"),
    "lewm-hub": ("weights.pt", "global"),
}


def looks(case: str, view: LatentView, frames: int) -> list[Inspection]:
    pattern, _ = FILES[case]
    path = next((CASES / case).glob(pattern)) if pattern else CASES / case
    model = checkpoint.load(path, device="cpu", dtype="float32")
    engine = Engine(model, EngineOptions(view=view, threads=1), FakeClock())
    made = []
    for seq in range(frames):
        rgb = np.random.default_rng(seq // 4).integers(0, 256, (96, 128, 3), dtype=np.uint8)
        rgb[20:50, 10 + seq % 60 : 40 + seq % 60] = (230, 60, 20)
        rgb.setflags(write=False)
        frame = Frame(seq, seq, seq, seq, -1, seq * 250_000_000, rgb, "video:test")
        if (look := engine.offer(frame)) is not None:
            made.append(look)
    return made


@pytest.mark.parametrize("case", FILES)
def test_colours_in_axes_that_stay(case: str):
    made = looks(case, LatentView("pca"), 160 if FILES[case][1] == "global" else 48)
    colored = [look for look in made if look.colors is not None]
    assert len(colored) > 2
    assert len({look.basis for look in colored}) == 1
    basis = colored[0].basis
    assert basis is not None
    assert basis.fitted_on >= LEAST_TOKENS
    assert 1.0 >= basis.explained[0] >= basis.explained[1] >= basis.explained[2] > 0
    last = colored[-1]
    assert last.layout.kind == FILES[case][1]
    assert last.colors is not None
    assert last.colors.shape == (last.layout.n_tokens, 3)
    assert len(np.unique(last.colors, axis=0)) > 1


@pytest.mark.parametrize("case", FILES)
def test_likeness_to_what_was_clicked(case: str):
    [*_, look] = looks(case, LatentView("similarity", at=(64.0, 48.0)), 12)
    assert look.similarity is not None
    assert look.similarity.shape == (look.layout.n_tokens,)
    steps = look.layout.shape[0]
    newest = look.similarity.reshape(steps, -1)[-1]
    assert np.nanmax(newest) == pytest.approx(1.0, abs=1e-5)  # the clicked token itself
    assert np.nanmin(look.similarity) >= -1
    if look.layout.kind != "global":
        assert np.ptp(newest) > 0
    if look.layout.kind == "slots":
        assert look.regions is not None
        np.testing.assert_allclose(look.regions.sum(axis=0), 1, atol=1e-4)


def test_a_file_that_cannot_predict_from_this_source_says_why_and_is_looked_at_all_the_same():
    for case in ("cjepa-videosaur", "cjepa-pusht", "lewm-hub", "vjepa2ac-rope-base", "hf-ijepa-a"):
        [*_, look] = looks(case, LatentView("similarity", at=(64.0, 48.0)), 12)
        assert look.note
        assert not np.isfinite(look.error).any()
        assert look.similarity is not None


def test_slots_that_were_predicted_tell_what_they_looked_at_and_how_alike_they_are():
    path = CASES / "cjepa-pusht" / "state_dict.pt"
    model = checkpoint.load(path, device="cpu", dtype="float32")
    action = model.info.action
    assert action is not None
    views = (
        LatentView("attention", slot=1),
        LatentView("similarity", of="predicted", slot=1),
        LatentView("pca", of="predicted"),
    )
    for view in views:
        engine = Engine(model, EngineOptions(view=view, threads=1), FakeClock())
        look = None
        for seq in range(40):
            random = np.random.default_rng(seq)
            rgb = random.integers(0, 256, (96, 96, 3), dtype=np.uint8)
            done = random.uniform(-1, 1, len(action.names)).astype(np.float32)
            body = random.uniform(-1, 1, len(action.state)).astype(np.float32)
            look = engine.offer(Frame(seq, seq, seq, seq, -1, seq * 100_000_000, rgb, "video:t", done, body))
        assert look is not None
        assert look.note == ""
        assert look.view == view
        steps, slots, _ = look.layout.shape
        if view.kind == "attention":
            assert look.attention is not None
            assert look.attention.shape == (slots, slots)
            assert (look.attention.sum(axis=1) <= 1 + 1e-5).all()
            assert look.similarity is None
        elif view.kind == "similarity":
            assert look.similarity is not None
            np.testing.assert_array_equal(np.isfinite(look.similarity), np.isfinite(look.error))
        else:
            assert look.colors is not None
            assert look.colors.shape == (steps * slots, 3)


def test_predicted_latents_of_a_family_that_predicts_are_there_where_it_predicted():
    for case in ("ijepa-base", "vjepa-resolution", "vjepa2-rope-gelu", "hf-vjepa2-a", "vjepa21-multilevel"):
        view = LatentView("similarity", of="predicted", at=(64.0, 48.0))
        [*_, look] = looks(case, view, 12)
        assert look.similarity is not None
        np.testing.assert_array_equal(np.isfinite(look.similarity), np.isfinite(look.error))
