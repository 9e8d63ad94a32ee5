"""What is seen of the latents: the level, the token that was clicked, colours that stay, and nothing while it is off."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from jepa_core import checkpoint
from jepa_core.clock import CancelToken, FakeClock
from jepa_core.engine import Engine
from jepa_core.engine_client import EngineClient
from jepa_core.engine_host import EngineHost
from jepa_core.engine_process import EngineProcess, LocalEngine
from jepa_core.errors import NotFinite
from jepa_core.families.toy import ToyModel
from jepa_core.frame_ring import FrameRing
from jepa_core.latent_views import Latents, LatentViewer, token_at
from jepa_core.messages import (
    EngineBack,
    EngineOptions,
    FrameHere,
    LoadCheckpoint,
    Loaded,
    Looked,
    LookedAgain,
    Refused,
    SetMask,
    SetView,
)
from jepa_core.projection import LEAST_TOKENS, fit_basis
from jepa_core.types import Frame, Inspection, LatentView, MaskRule, MaskSet, TokenLayout
from tests.helpers import leveled_checkpoints
from tests.helpers.models import LOADER, ScriptedModel

CASES = Path(__file__).parents[1] / "golden" / "cases"
MS = 1_000_000
PCA = LatentView("pca")


def make_frame(seq: int, *, height: int = 64, width: int = 64) -> Frame:
    rgb = np.random.default_rng(seq).integers(0, 256, (height, width, 3), dtype=np.uint8)
    rgb.setflags(write=False)
    return Frame(seq, seq, seq, seq, -1, seq * 250 * MS, rgb, "video:test")


def looks(engine: Engine, frames: range) -> list[Inspection]:
    return [look for seq in frames if (look := engine.offer(make_frame(seq))) is not None]


def toy_engine(view: LatentView = PCA, **options: object) -> Engine:
    return Engine(ToyModel(size=64, fps=4.0), EngineOptions(view=view, **options), FakeClock())


def make_latents(n: int = 320, seq: int = 9, seed: int = 0, **changes: object) -> Latents:
    """A look at 5 steps of 8 × 8 tokens, the last step predicted with a small error."""
    random = np.random.default_rng(seed)
    target = random.standard_normal((n, 6)).astype(np.float32) * [9, 6, 3, 1, 1, 1]
    newest = np.arange(n - 64, n, dtype=np.int32)
    values: dict[str, object] = {
        "target": target.astype(np.float32),
        "predicted": (target[newest] + 0.01).astype(np.float32),
        "layout": TokenLayout("grid", (n // 64, 8, 8), 2, (0.0, 0.0, 80.0, 80.0)),
        "masks": MaskSet(np.arange(n - 64, dtype=np.int32), (newest,), 0),
        "regions": None,
        "seq": seq,
    }
    return Latents(**(values | changes))  # type: ignore[arg-type]


class TestTheTokenThatWasClicked:
    @given(
        row=st.integers(0, 7),
        column=st.integers(0, 7),
        inside=st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)),
        crop=st.tuples(st.floats(-50, 500), st.floats(-50, 500), st.floats(8, 800), st.floats(8, 800)),
    )
    def test_of_a_grid_is_the_one_of_the_newest_step_under_the_place(self, row, column, inside, crop):
        x, y, w, h = crop
        at = (x + (column + inside[0]) * w / 8, y + (row + inside[1]) * h / 8)
        layout = TokenLayout("grid", (5, 8, 8), 2, crop)
        assert token_at(LatentView("similarity", at=at), layout, None) == 4 * 64 + row * 8 + column

    @pytest.mark.parametrize("at", [(-1.0, 5.0), (5.0, 80.0), (81.0, 5.0), None])
    def test_outside_the_square_is_none(self, at):
        layout = TokenLayout("grid", (5, 8, 8), 2, (0.0, 0.0, 80.0, 80.0))
        assert token_at(LatentView("similarity", at=at), layout, None) is None

    def test_of_slots_is_the_one_whose_region_holds_the_place_or_the_chosen_one(self):
        layout = TokenLayout("slots", (3, 4, 1), 1, (0.0, 0.0, 80.0, 80.0))
        regions = np.zeros((4, 2, 2), np.float32)
        regions[1, 0, 0] = regions[3, 0, 1] = regions[2, 1] = 1
        assert token_at(LatentView("similarity", at=(60.0, 10.0)), layout, regions) == 2 * 4 + 3
        assert token_at(LatentView("similarity", at=(60.0, 10.0), slot=2), layout, regions) == 2 * 4 + 2
        assert token_at(LatentView("similarity", slot=2), layout, None) == 2 * 4 + 2
        assert token_at(LatentView("similarity", slot=4), layout, None) is None
        assert token_at(LatentView("similarity", at=(60.0, 10.0)), layout, None) is None

    def test_of_one_latent_per_frame_is_the_newest_wherever_the_click_was(self):
        layout = TokenLayout("global", (3, 1, 1), 1, (0.0, 0.0, 80.0, 80.0))
        assert token_at(LatentView("similarity"), layout, None) == 2


class TestColours:
    def test_come_from_the_first_looks_with_enough_tokens_and_stay(self):
        viewer = LatentViewer()
        small = make_latents(192)
        assert viewer.show(PCA, small).colors is None  # 192 of 256
        first = viewer.show(PCA, make_latents(192, seq=11, seed=1))
        assert first.basis is not None
        assert (first.basis.fitted_on, first.basis.frames) == (384, (9, 11))
        later = viewer.show(PCA, make_latents(seed=5, target=make_latents().target * 30))
        assert later.basis == first.basis
        again = viewer.show(PCA, small)
        both = np.concatenate([small.target, make_latents(192, seq=11, seed=1).target])
        np.testing.assert_array_equal(again.colors, fit_basis(both).colors(small.target))

    def test_of_what_was_predicted_use_the_axes_of_what_was(self):
        viewer = LatentViewer()
        latents = make_latents()
        actual = viewer.show(PCA, latents)
        predicted = viewer.show(LatentView("pca", of="predicted"), latents)
        assert predicted.basis == actual.basis
        assert predicted.colors is not None
        assert actual.colors is not None
        assert (predicted.colors[:-64] == 0).all()
        assert np.abs(predicted.colors[-64:].astype(int) - actual.colors[-64:].astype(int)).max() <= 1

    def test_of_a_token_that_two_masks_predicted_are_those_of_the_mean(self):
        one = make_latents()
        token = one.masks.targets[0][3]
        masks = replace(one.masks, targets=(one.masks.targets[0], np.array([token], np.int32)))
        off = one.target[None, token] + 0.5
        two = replace(one, masks=masks, predicted=np.concatenate([one.predicted, off]))
        mean = one.predicted.copy()
        mean[3] = (one.predicted[3] + off[0]) / 2
        view, viewer = LatentView("pca", of="predicted"), LatentViewer()
        np.testing.assert_array_equal(
            viewer.show(view, two).colors, viewer.show(view, replace(one, predicted=mean)).colors
        )

    def test_are_fitted_anew_only_on_request(self):
        viewer = LatentViewer()
        first = viewer.show(PCA, make_latents()).basis
        other = make_latents(seed=8, seq=30)
        assert viewer.show(PCA, other).basis == first
        anew = viewer.show(LatentView("pca", fit=1), other).basis
        assert anew is not None
        assert first is not None
        assert anew.id != first.id
        assert anew.frames == (30, 30)
        assert viewer.show(LatentView("pca", fit=1), make_latents()).basis == anew

    def test_of_each_level_have_axes_of_their_own(self):
        viewer = LatentViewer()
        low = viewer.show(LatentView("pca", level=0), make_latents(seed=2)).basis
        last = viewer.show(PCA, make_latents(seed=3)).basis
        assert low is not None
        assert last is not None
        assert (low.level, last.level) == (0, -1)
        assert low.id != last.id
        assert viewer.show(LatentView("pca", level=0), make_latents(seed=3)).basis == low

    def test_of_a_prediction_that_was_not_made_are_none(self):
        nothing = replace(make_latents(), masks=MaskSet(np.arange(320, dtype=np.int32), (), 0))
        for latents in (nothing, make_latents(predicted=None)):
            for kind in ("pca", "similarity"):
                shown = LatentViewer().show(LatentView(kind, of="predicted", at=(1.0, 1.0)), latents)
                assert shown.colors is None
                assert shown.similarity is None

    def test_latents_that_are_no_numbers_are_refused_in_words(self):
        latents = make_latents()
        latents.target[5, 1] = np.nan
        with pytest.raises(NotFinite, match="frame 9"):
            LatentViewer().show(PCA, latents)


class TestLikeness:
    def test_is_held_against_the_newest_token_at_the_place(self):
        latents = make_latents()
        shown = LatentViewer().show(LatentView("similarity", at=(35.0, 45.0)), latents)
        assert shown.similarity is not None
        assert int(np.nanargmax(shown.similarity)) == 4 * 64 + 4 * 8 + 3
        by_hand = F.cosine_similarity(
            torch.from_numpy(latents.target), torch.from_numpy(latents.target[None, 291]), dim=-1
        )
        np.testing.assert_allclose(shown.similarity, by_hand.numpy(), atol=1e-6)

    def test_of_predictions_is_held_against_what_was(self):
        latents = make_latents()
        view = LatentView("similarity", of="predicted", at=(35.0, 45.0))
        shown = LatentViewer().show(view, latents)
        assert shown.similarity is not None
        assert np.isnan(shown.similarity[:-64]).all()
        assert shown.similarity[291] == pytest.approx(1, abs=1e-3)


class TestInTheEngine:
    def test_nothing_is_shown_and_no_encoder_runs_while_the_view_is_off(self, monkeypatch):
        model = ScriptedModel()
        engine = Engine(model, EngineOptions(), FakeClock())
        encodes: list[int] = []
        own = model.encode
        monkeypatch.setattr(model, "encode", lambda clip: encodes.append(1) or own(clip))
        made = looks(engine, range(8))
        assert all((look.view, look.colors, look.basis, look.similarity) == (None,) * 4 for look in made)
        assert len(encodes) == len(made)  # those of the prediction itself

    def test_a_view_changes_no_number(self):
        plain, seen = looks(toy_engine(LatentView()), range(16)), looks(toy_engine(), range(16))
        assert seen[-1].colors is not None
        for ours, theirs in zip(seen, plain, strict=True):
            np.testing.assert_array_equal(ours.error, theirs.error)
            np.testing.assert_array_equal(ours.pooled, theirs.pooled)
            assert dict(ours.signals) == dict(theirs.signals)

    def test_same_frames_give_the_same_axes_and_colours(self):
        for ours, theirs in zip(looks(toy_engine(), range(20)), looks(toy_engine(), range(20)), strict=True):
            assert ours.basis == theirs.basis
            assert (ours.colors is None) == (theirs.colors is None)
            if ours.colors is not None:
                np.testing.assert_array_equal(ours.colors, theirs.colors)

    def test_looking_again_at_recorded_crops_gives_the_same_colours(self):
        live = [look for look in looks(toy_engine(), range(20)) if look.colors is not None]
        buffer = toy_engine()
        again = []
        for seq in range(20):
            if buffer.ingest(make_frame(seq)):
                clip = buffer._buffer.clip()
                look = buffer.look_newest()
                if look is not None and clip is not None:
                    again.append((clip.crops(), look))
        fresh = toy_engine()
        for crops, look in again:
            redone = fresh.look(
                crops, look.masks, frames=look.clip, seq=look.seq, t_ns=look.t_ns, box=look.layout.crop
            )
            if look.colors is not None:
                np.testing.assert_array_equal(redone.colors, look.colors)
                assert redone.basis == look.basis
        assert [look.basis for _, look in again if look.colors is not None] == [look.basis for look in live]

    def test_colours_do_not_depend_on_later_frames(self):
        engine = toy_engine()
        first = [look for look in looks(engine, range(16)) if look.colors is not None]
        other = toy_engine()
        looks(other, range(16))
        for seq in range(16, 40):  # another scene follows
            other.offer(replace(make_frame(seq), rgb=np.full((64, 64, 3), seq * 5, np.uint8)))
        same = [look for look in looks(toy_engine(), range(16)) if look.colors is not None]
        assert [look.basis for look in first] == [look.basis for look in same]
        last = looks(other, range(40, 44))[-1]
        assert last.basis == first[-1].basis

    def test_axes_outlive_a_change_of_the_source_and_of_the_view(self):
        engine = toy_engine()
        basis = looks(engine, range(16))[-1].basis
        engine.reset()
        engine.set_view(LatentView())
        assert looks(engine, range(100, 104))[-1].basis is None
        engine.set_view(PCA)
        assert looks(engine, range(104, 112))[-1].basis == basis

    def test_a_level_that_the_checkpoint_does_not_have_is_its_last(self):
        [*_, look] = looks(toy_engine(LatentView("pca", level=2)), range(16))
        assert look.view == PCA
        assert look.basis is not None
        assert look.basis.level == -1

    def test_an_encoder_alone_can_be_looked_at(self):
        engine = Engine(ScriptedModel(has_predictor=False), EngineOptions(view=PCA), FakeClock())
        [*_, look] = looks(engine, range(200))
        assert look.note == "This script has no predictor."
        assert look.colors is not None
        assert look.basis is not None
        assert look.basis.fitted_on >= LEAST_TOKENS


class TestALookMadeAgain:
    def test_shows_another_view_of_the_last_look_with_the_same_numbers(self):
        engine = toy_engine(LatentView())
        [*_, last] = looks(engine, range(16))
        assert not engine.is_asked
        engine.set_view(LatentView("similarity", at=(20.0, 20.0)))
        assert engine.is_asked
        again = engine.look_again()
        assert not engine.is_asked
        assert again is not None
        assert again.similarity is not None
        assert (again.seq, again.step, again.clip, again.masks) == (
            last.seq,
            last.step,
            last.clip,
            last.masks,
        )
        np.testing.assert_array_equal(again.error, last.error)
        np.testing.assert_array_equal(again.pooled, last.pooled)
        assert dict(again.signals) == dict(last.signals)

    def test_does_not_change_the_looks_that_follow(self):
        engine, plain = toy_engine(LatentView()), toy_engine(LatentView())
        looks(engine, range(16)), looks(plain, range(16))
        for at in ((5.0, 5.0), (50.0, 50.0)):
            engine.set_view(LatentView("similarity", at=at))
            engine.look_again()
        for ours, theirs in zip(looks(engine, range(16, 24)), looks(plain, range(16, 24)), strict=True):
            assert (ours.step, ours.masks.seed) == (theirs.step, theirs.masks.seed)
            np.testing.assert_array_equal(ours.error, theirs.error)

    def test_is_not_asked_for_by_the_same_view_or_by_none(self):
        engine = toy_engine()
        looks(engine, range(16))
        engine.set_view(PCA)
        assert not engine.is_asked
        engine.set_view(LatentView())
        assert not engine.is_asked

    def test_is_none_after_a_jump(self):
        engine = toy_engine()
        looks(engine, range(16))
        engine.reset()
        engine.set_view(LatentView("pca", fit=1))
        assert engine.look_again() is None


class TestLevels:
    @pytest.fixture
    def golden(self) -> tuple[Engine, dict[str, np.ndarray]]:
        (path,) = (CASES / "vjepa21-multilevel").glob("*.pt")
        model = checkpoint.load(path, device="cpu", dtype="float32")
        with np.load(CASES / "vjepa21-multilevel" / "io.npz") as arrays:
            return Engine(model, EngineOptions(), FakeClock()), dict(arrays)

    def test_are_the_reference_arrays(self, golden):
        engine, arrays = golden
        assert engine.info.levels == 4
        with torch.inference_mode():
            every = engine._model.every_level(torch.from_numpy(arrays["vid_x"]))
        np.testing.assert_allclose(every.numpy(), arrays["vid_targets"], atol=5e-5)
        for level, reference in enumerate(arrays["vid_enc_levels"]):
            normed = F.layer_norm(torch.from_numpy(reference), reference.shape[-1:])
            width = reference.shape[-1]
            np.testing.assert_allclose(
                every[..., level * width : (level + 1) * width].numpy(), normed.numpy(), atol=5e-5
            )

    @pytest.mark.parametrize("level", [0, 1, 2, -1])
    def test_are_what_is_coloured_without_another_encoder_pass(self, golden, monkeypatch, level):
        engine, _ = golden
        latents: list[np.ndarray] = []
        passes: list[int] = []
        encode = engine._model.every_level
        monkeypatch.setattr(engine._model, "every_level", lambda clip: passes.append(1) or encode(clip))
        show = engine._viewer.show
        monkeypatch.setattr(
            engine._viewer, "show", lambda view, seen: latents.append(seen.target) or show(view, seen)
        )
        engine.set_view(LatentView("pca", level=level))
        made = looks(engine, range(24))
        assert made[-1].basis is not None
        assert made[-1].basis.level == level
        assert made[-1].colors is not None
        assert len(made[-1].colors) == made[-1].layout.n_tokens
        assert len(passes) == len(made)
        by_hand = fit_basis(np.concatenate([part for part in latents[: _n_fitted(made)]]))
        np.testing.assert_array_equal(by_hand.colors(latents[-1]), made[-1].colors)

    @pytest.mark.parametrize("lacks", ["predictor", "target"])
    def test_of_a_file_that_predicts_nothing_are_there_too(self, tmp_path, lacks):
        saved = leveled_checkpoints.content() if lacks == "predictor" else leveled_checkpoints.distilled()
        if lacks == "predictor":
            saved.pop("predictor")
        model = checkpoint.load(leveled_checkpoints.write(tmp_path, saved))
        assert model.info.levels == 4
        engine = Engine(model, EngineOptions(view=LatentView("pca", level=1)), FakeClock())
        [*_, look] = looks(engine, range(40))
        assert look.note
        assert look.colors is not None
        assert look.pooled.shape == (3, model.info.embed_dim)
        assert look.view == LatentView("pca", level=1)

    def test_of_predictions_are_sliced_alike(self, golden):
        engine, _ = golden
        engine.set_view(LatentView("similarity", of="predicted", level=0, at=(32.0, 32.0)))
        [*_, look] = looks(engine, range(12))
        assert look.similarity is not None
        has_value = np.zeros(look.layout.n_tokens, bool)
        has_value[np.concatenate(look.masks.targets)] = True
        np.testing.assert_array_equal(np.isfinite(look.similarity), has_value)


def _n_fitted(made: list[Inspection]) -> int:
    """Looks that the axes waited for."""
    return next(n for n, look in enumerate(made, 1) if look.basis is not None)


class _Heard:
    def __init__(self) -> None:
        self.looks: list[Inspection] = []
        self._settled = threading.Event()
        self.refused: object = None
        self.back = threading.Event()

    def __call__(self, message: object) -> None:
        if isinstance(message, Looked):
            self.looks.append(message.inspection)
        elif isinstance(message, EngineBack):
            self.back.set()
        elif isinstance(message, Loaded | Refused):
            self.refused = message if isinstance(message, Refused) else None
            self._settled.set()

    def wait_until_loaded(self) -> None:
        assert self._settled.wait(120)
        assert self.refused is None


@pytest.fixture
def hosted() -> Iterator[list[tuple[EngineClient, _Heard]]]:
    """The same checkpoint in a process of its own and in this one."""
    made = []
    for hosting in (EngineProcess, LocalEngine):
        heard = _Heard()
        engine = hosting(heard)
        engine.start()
        made.append((engine, heard))
    yield made
    for engine, _ in made:
        engine.stop()


def test_a_view_and_a_mask_rule_that_are_set_while_a_checkpoint_loads_count_and_a_view_needs_no_new_frame():
    told: queue.SimpleQueue[object] = queue.SimpleQueue()
    host = EngineHost(told.put, FakeClock(), loader=LOADER)
    host.handle(LoadCheckpoint("scripted:", None, EngineOptions()))
    host.handle(SetMask(MaskRule("future", 1)))
    host.handle(SetView(LatentView("similarity", at=(9.0, 9.0))))
    thread = threading.Thread(target=host.run)
    thread.start()
    try:
        while not isinstance(told.get(timeout=60), Loaded):
            pass
        for seq in range(4):
            host.handle(FrameHere.of(make_frame(seq), 0, must_answer=True), make_frame(seq).rgb)
        while not isinstance(message := told.get(timeout=60), Looked):
            pass
        host.handle(SetView(LatentView("similarity", at=(25.0, 9.0))))  # nothing new comes from the source
        while not isinstance(again := told.get(timeout=60), LookedAgain):
            pass
    finally:
        host.stop()
        thread.join()
    look = message.inspection
    assert again.inspection.seq == look.seq
    assert again.inspection.view == LatentView("similarity", at=(25.0, 9.0))
    assert look.view == LatentView("similarity", at=(9.0, 9.0))
    assert look.similarity is not None
    assert len(look.masks.targets[0]) == look.layout.n_tokens // 2


def test_axes_outlive_the_death_of_the_engines_process():
    """Fitted once: only a person, or another checkpoint, makes new ones."""
    (path,) = (CASES / "vjepa21-multilevel").glob("*.pt")
    heard = _Heard()
    engine = EngineProcess(heard)
    engine.start()
    ring = FrameRing.create(6, 64 * 64 * 3)

    def show(frames: range) -> None:
        for seq in frames:
            written = ring.write(make_frame(seq).rgb)
            frame = replace(make_frame(seq), rgb=written.rgb)
            engine.offer_and_wait(frame, written.slot, CancelToken())

    try:
        engine.load(str(path), None, EngineOptions(device="cpu", dtype="float32", threads=1, view=PCA))
        heard.wait_until_loaded()
        engine.attach_ring(ring)
        show(range(16))
        before = heard.looks[-1].basis
        assert before is not None
        os.kill(engine.pid, signal.SIGKILL)
        assert heard.back.wait(120)
        show(range(100, 116))
        after = heard.looks[-1]
        engine.attach_ring(None)
    finally:
        ring.close()
        engine.stop()
    assert after.seq > 100
    assert after.basis == before


def test_the_engines_process_and_the_local_engine_give_the_same_colours(hosted):
    (path,) = (CASES / "vjepa21-multilevel").glob("*.pt")
    options = EngineOptions(device="cpu", dtype="float32", threads=1, mask=MaskRule("future", 1))
    told = []
    for engine, heard in hosted:
        engine.load(str(path), None, options)
        heard.wait_until_loaded()
        engine.set_view(LatentView("pca", level=1))
        ring = FrameRing.create(6, 64 * 64 * 3)
        try:
            engine.attach_ring(ring)
            for seq in range(14):
                if seq == 12:
                    engine.set_view(LatentView("similarity", at=(20.0, 20.0)))
                written = ring.write(make_frame(seq).rgb)
                frame = replace(make_frame(seq), rgb=written.rgb)
                assert engine.offer_and_wait(frame, written.slot, CancelToken())
            engine.attach_ring(None)
        finally:
            ring.close()
        told.append(heard.looks)
    apart, local = told
    assert [look.basis for look in apart] == [look.basis for look in local]
    colored = [look for look in apart if look.colors is not None]
    assert colored
    assert apart[-1].similarity is not None
    for ours, theirs in zip(apart, local, strict=True):
        for one, other in ((ours.colors, theirs.colors), (ours.similarity, theirs.similarity)):
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_array_equal(one, other)
                assert not one.flags.writeable
