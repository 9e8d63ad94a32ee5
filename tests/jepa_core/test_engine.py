"""The engine gives the same numbers for the same frames, however they arrive, and knows which frames they were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from jepa_core import barcode
from jepa_core.clock import FakeClock
from jepa_core.engine import Engine, spread
from jepa_core.errors import DeviceLost, NotAble, NotFinite
from jepa_core.messages import EngineOptions
from jepa_core.preprocess import fit_frame
from jepa_core.signals import SIGNALS
from jepa_core.types import Frame, Inspection, MaskRule, MaskSet
from tests.helpers.models import ScriptedModel

MS = 1_000_000


def make_frame(seq: int, *, height: int = 48, width: int = 64, media_ns: int | None = None) -> Frame:
    rgb = np.random.default_rng(seq).integers(0, 256, (height, width, 3), dtype=np.uint8)
    rgb.setflags(write=False)
    pts_ns = seq * 100 * MS if media_ns is None else media_ns
    return Frame(seq, seq, 10**9 + seq, 10**9 + seq, -1, pts_ns, rgb, "video:test")


def make_engine(model: ScriptedModel | None = None, **options: object) -> Engine:
    return Engine(model or ScriptedModel(), EngineOptions(**options), FakeClock())


def looks(engine: Engine, frames: range) -> list[Inspection]:
    return [look for seq in frames if (look := engine.offer(make_frame(seq))) is not None]


def assert_equal(ours: Inspection, theirs: Inspection) -> None:
    np.testing.assert_array_equal(ours.error, theirs.error)
    np.testing.assert_array_equal(ours.pooled, theirs.pooled)
    assert dict(ours.signals) == dict(theirs.signals)
    assert ours.clip == theirs.clip


def test_a_look_is_made_every_stride_frames_once_the_future_can_be_predicted():
    made = looks(make_engine(), range(12))
    assert [look.seq for look in made] == [3, 5, 7, 9, 11]
    assert [look.step for look in made] == [0, 1, 2, 3, 4]
    assert [look.clip for look in made[:2]] == [(0, 1, 2, 3), (0, 1, 2, 3, 4, 5)]
    assert made[-1].clip == (4, 5, 6, 7, 8, 9, 10, 11)


def test_stride_can_be_set():
    assert [look.seq for look in looks(make_engine(stride=3), range(12))] == [5, 8, 11]


def test_error_lies_at_the_predicted_tokens_and_is_nan_elsewhere():
    look = looks(make_engine(), range(8))[-1]
    assert look.layout.shape == (4, 2, 2)
    expected = np.full(16, np.nan)
    expected[8:] = 0.25 + np.arange(8, 16) / 256  # the newest two of four time steps
    np.testing.assert_allclose(look.error, expected, rtol=1e-6)
    assert look.surprise == pytest.approx(np.nanmean(expected))


def test_every_registered_signal_is_there_and_finite():
    look = looks(make_engine(), range(8))[-1]
    assert set(look.signals) == set(SIGNALS)
    assert all(np.isfinite(value) for value in look.signals.values())


def test_same_frames_give_the_same_bits():
    for ours, theirs in zip(looks(make_engine(), range(20)), looks(make_engine(), range(20)), strict=True):
        assert_equal(ours, theirs)


def test_looking_again_at_recorded_crops_gives_the_same_bits():
    live = looks(make_engine(mask=MaskRule("multiblock", seed=5)), range(20))[-1]
    again = make_engine()
    fitted = [fit_frame(make_frame(seq).rgb, 32) for seq in live.clip]
    recomputed = again.look(
        np.stack([crop for crop, _ in fitted]),
        live.masks,
        frames=live.clip,
        seq=live.seq,
        t_ns=live.t_ns,
        box=fitted[-1][1],
        step=live.step,
    )
    assert_equal(recomputed, live)
    assert recomputed.layout == live.layout


@pytest.mark.parametrize("metric", ["l1", "l2", "smooth_l1", "cosine"])
def test_surprise_means_the_same_in_every_metric(metric: str):
    look = looks(make_engine(metric=metric), range(8))[-1]
    reference = looks(make_engine(), range(8))[-1]
    assert look.metric == metric
    assert look.surprise == reference.surprise
    assert np.array_equal(look.error, reference.error, equal_nan=True) == (metric == "l1")


def test_results_are_read_only_numpy_and_no_tensor_leaves():
    look = looks(make_engine(), range(8))[-1]
    for name in ("error", "pooled"):
        array = getattr(look, name)
        assert type(array) is np.ndarray
        assert array.dtype == np.float32
        assert not array.flags.writeable
    assert look.pooled.shape == (3, 4)
    parts = [getattr(look, name) for name in Inspection.__slots__] + list(look.signals.values())
    assert not any(isinstance(part, torch.Tensor) for part in parts)


def test_a_new_mask_rule_holds_from_the_next_look():
    engine = make_engine()
    looks(engine, range(4))
    engine.set_mask(MaskRule("region", region=(8.0, 0.0, 24.0, 24.0)))
    look = looks(engine, range(4, 6))[-1]
    assert look.masks.seed == -1
    assert np.isfinite(look.error[::4]).all()  # the top left token, in every time step


def test_masks_count_their_looks_from_the_reset():
    engine = make_engine(mask=MaskRule("multiblock", generator="long", seed=100))
    first = [look.masks.seed for look in looks(engine, range(8))]
    engine.reset()
    assert [look.masks.seed for look in looks(engine, range(8))] == first


def test_reset_forgets_the_frames_but_not_the_step():
    engine = make_engine()
    looks(engine, range(8))
    engine.reset()
    made = looks(engine, range(50, 54))
    assert [look.clip for look in made] == [(50, 51, 52, 53)]
    assert made[0].step == 3


def test_another_picture_size_is_another_source():
    engine = make_engine()
    looks(engine, range(8))
    assert engine.offer(make_frame(8, height=60, width=60)) is None
    assert engine.clip_frames == 0


def test_media_time_decides_the_clip_not_the_count_of_frames():
    engine = make_engine()
    made = [
        look for n in range(40) if (look := engine.offer(make_frame(n, media_ns=n * 25 * MS))) is not None
    ]
    assert made[-1].clip == (11, 15, 19, 23, 27, 31, 35, 39)


def test_frame_that_is_already_the_right_size_is_copied_out_of_its_slot():
    engine = make_engine(ScriptedModel(size=28))
    pixels = np.zeros((32, 32, 3), np.uint8)  # 28 px wants the short side at 32: nothing is resized
    engine.ingest(Frame(0, 0, 0, 0, -1, 0, pixels, "x"))
    engine.ingest(Frame(1, 1, 1, 1, -1, 100 * MS, pixels, "x"))
    pixels[:] = 255
    clip = engine._buffer.clip()
    assert clip is not None
    assert clip.crops().max() == 0


def test_prediction_with_nan_is_an_error_and_the_next_look_goes_on():
    engine = make_engine(ScriptedModel(nan_at=1))
    assert engine.offer(make_frame(0)) is None
    looks(engine, range(1, 4))
    with pytest.raises(NotFinite, match="frame 5"):
        looks(engine, range(4, 6))
    assert [look.seq for look in looks(engine, range(6, 8))] == [7]


def test_rule_that_does_not_fit_is_an_error_in_words():
    engine = make_engine(mask=MaskRule("region", region=None))
    with pytest.raises(NotAble):
        looks(engine, range(4))


def test_released_engine_says_so():
    engine = make_engine()
    engine.release()
    with pytest.raises(DeviceLost, match="unloaded"):
        looks(engine, range(4))


def test_tokens_in_several_targets_are_averaged():
    targets = (np.array([1, 2], np.int32), np.array([2, 4], np.int32))
    masks = MaskSet(np.array([0], np.int32), targets, 0)
    error = spread(np.array([0.1, 0.2, 0.4, 0.5], np.float32), masks, 6)
    np.testing.assert_allclose(error, [np.nan, 0.1, 0.3, np.nan, 0.5, np.nan], rtol=1e-6)
    assert error.dtype == np.float32


def test_drill_reads_the_barcode_of_the_newest_frame():
    engine = make_engine(reads_barcode=True)
    for seq in range(4):
        rgb = np.zeros((120, 160, 3), np.uint8)
        barcode.paint(rgb, 1000 + seq)
        look = engine.offer(Frame(seq, seq, seq, seq, -1, seq * 100 * MS, rgb, "world:test"))
    assert look is not None
    assert look.signals["barcode"] == 1003


def test_looks_that_were_due_and_never_made_are_counted():
    engine = make_engine()
    for seq in range(8):  # four looks fall due, one is made
        engine.ingest(make_frame(seq))
    engine.look_newest()

    assert engine.looks_let_go == 3


def test_a_model_that_keeps_up_lets_no_look_go():
    engine = make_engine()
    looks(engine, range(12))

    assert engine.looks_let_go == 0


def test_model_without_a_predictor_is_looked_at_with_a_sentence_and_no_error():
    look = looks(make_engine(ScriptedModel(has_predictor=False)), range(8))[-1]

    assert look.note == "This script has no predictor."
    assert not np.isfinite(look.error).any()
    assert look.masks.targets == ()
    assert len(look.masks.context) == look.layout.n_tokens
    assert np.isnan(look.signals["surprise"])
    assert np.isnan(look.pooled[:2]).all()
    assert np.isfinite(look.pooled[2]).all()


def test_actions_of_the_source_reach_the_model_in_whole_blocks():
    model = ScriptedModel(action=6, tubelet=1, frames=3)
    engine = make_engine(model)
    made = [
        engine.offer(replace(make_frame(seq), action=np.array([seq, -seq], np.float32))) for seq in range(7)
    ]

    newest = made[-1]
    assert newest is not None
    assert newest.clip == (0, 3, 6)  # blocks of six numbers are three source actions of two
    motion = model.motions[-1]
    assert motion is not None
    assert motion.actions is not None
    assert motion.actions.tolist() == [[[0, 0, 1, -1, 2, -2], [3, -3, 4, -4, 5, -5]]]


def test_source_without_actions_leaves_them_unknown():
    model = ScriptedModel(action=6)
    looks(make_engine(model), range(8))
    assert model.motions[-1] is not None
    assert model.motions[-1].actions is None
