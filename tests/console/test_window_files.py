"""Opening things: what a path is, dropping it on the window, recents, checkpoints and their refusal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QLabel

from console import notices
from console.window_files import kind_of
from jepa_core.errors import GaveWay, KeysDiffer, NotAble
from jepa_core.types import MaskRule
from tests.helpers.pipeline import make_report, make_source
from tests.helpers.window import open_window, watch


@pytest.fixture
def opened(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as pair:
        yield pair


def drop(window, *paths):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(9, 9), Qt.DropAction.CopyAction, data, buttons, keys)
    window.dragEnterEvent(enter)
    assert enter.isAccepted()
    window.dropEvent(QDropEvent(QPointF(9, 9), Qt.DropAction.CopyAction, data, buttons, keys))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("clip.mp4", "source"), ("arm.npz", "source"), ("s.h5", "session"), ("s.wmj", "session"), ("vitl.pt", "checkpoint"),
        ("model.safetensors", "checkpoint"), ("world:cell?seed=1", "source"), ("session:/x", "session"),
        ("IN1K-vit.h.14-300e.pth.tar", "checkpoint"), ("lewm_object.ckpt", "checkpoint"),
        ("config.json", "checkpoint"), ("params-pretrain.yaml", "checkpoint"), ("pytorch_model.bin", "checkpoint"),
    ],
)  # fmt: skip
def test_a_path_is_known_by_its_name(name, kind):
    assert kind_of(name) == kind


def test_a_folder_with_a_config_is_a_checkpoint_and_without_one_a_source(tmp_path):
    assert kind_of(str(tmp_path)) == "source"
    (tmp_path / "config.json").write_text("{}")
    assert kind_of(str(tmp_path)) == "checkpoint"


def test_a_dropped_video_is_opened(qtbot, opened):
    window, pipeline = opened

    drop(window, "/clips/a.mp4")

    assert pipeline.asked("open_source")[0][1] == "/clips/a.mp4"
    assert window.state.screen == "live"


def test_a_checkpoint_and_a_video_may_be_dropped_together(qtbot, opened):
    window, pipeline = opened

    drop(window, "/clips/a.mp4", "/models/vitl.pt")

    assert pipeline.asked("examine_checkpoint")[0][1:3] == ("/models/vitl.pt", None)
    assert pipeline.asked("load_checkpoint") == []  # nobody said so yet
    assert pipeline.asked("open_source")[0][1] == "/clips/a.mp4"


def test_what_was_open_is_remembered(qtbot, opened):
    window, pipeline = opened
    window.files.open("/clips/a.mp4")
    pipeline.script_source(make_source("video"))
    pipeline.script_checkpoint()
    qtbot.waitUntil(lambda: window.state.checkpoint is not None)

    assert [row.uri for row in window.desk.settings.recents()] == ["/models/vitl.pt", "/clips/a.mp4"]


def test_a_refused_checkpoint_says_why_and_keeps_its_report(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    report = make_report(matched=300, missing=("predictor.blocks.12.norm1.weight",))
    error = KeysDiffer(
        "12 of 24 predictor blocks are missing from this file.", "Choose the 12-block config.", report=report
    )

    pipeline.say(notices.CheckpointRefused("/models/x.pt", error))
    qtbot.waitUntil(lambda: "keys_differ" in window.desk.banner.codes())

    assert window.state.checkpoint is None
    assert window.commands["report"].isEnabled()
    pipeline.script_checkpoint()
    qtbot.waitUntil(lambda: window.desk.banner.codes() == ())


def test_loading_can_be_cancelled_from_its_card(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    window.models.load("/models/big.pt")
    qtbot.waitUntil(lambda: window.desk.progress.keys == ("load",))

    window.desk.progress._cards["load"].cancelRequested.emit()
    qtbot.waitUntil(lambda: window.desk.progress.keys == ())

    assert pipeline.asked("cancel_load") == [("cancel_load",)]


def test_a_lost_engine_is_said_and_cleared_when_it_is_back(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    pipeline.say(notices.EngineLost("killed by signal 9"))
    qtbot.waitUntil(lambda: "engine_lost" in window.desk.banner.codes())
    pipeline.say(notices.EngineRestored(3.2))
    qtbot.waitUntil(lambda: window.desk.banner.codes() == ())


def test_a_step_down_the_ladder_says_what_changed_and_stays_until_a_person_loads_again(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    smaller = replace(pipeline.checkpoint_info, input=replace(pipeline.checkpoint_info.input, size=192))

    pipeline.say(notices.SteppedDown(GaveWay("Resolution: 256 px → 192 px.", "Load it again."), smaller))
    qtbot.waitUntil(lambda: "ladder" in window.desk.banner.codes())

    assert window.state.checkpoint.input.size == 192
    assert "256 px → 192 px" in " ".join(words.text() for words in window.desk.banner.findChildren(QLabel))
    window.models.load("/models/vitl.pt")
    qtbot.waitUntil(lambda: "ladder" not in window.desk.banner.codes())


def test_a_drawn_region_becomes_the_mask(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    window.panels["picture"].regionDrawn.emit((150.0, 20.0, 100.0, 80.0))
    qtbot.waitUntil(lambda: bool(pipeline.asked("set_mask")))

    rule = pipeline.asked("set_mask")[0][1]
    assert (rule.kind, rule.region) == ("region", (150.0, 20.0, 100.0, 80.0))


def test_a_region_that_the_model_cannot_see_is_not_asked_for(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    view = window.panels["picture"]
    x, y, w, _h = view.inspection.layout.crop
    window.commands["region"].trigger()

    view.regionDrawn.emit((x + w + 2, y, 10.0, 10.0))
    assert pipeline.asked("set_mask") == []
    assert window.commands["region"].isChecked()  # draw again
    assert len(window.desk.toasts.texts()) == 1

    view.regionDrawn.emit((x + 5, y + 5, 40.0, 40.0))
    assert [call[1].kind for call in pipeline.asked("set_mask")] == ["region"]


def test_another_choice_of_masks_puts_the_refusal_of_the_last_one_away(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    pipeline.fail(NotAble("The region lies outside what the model sees.", "Draw it inside."))
    qtbot.waitUntil(lambda: window.desk.banner.codes() == ("not_able",))

    window.panels["layers"].maskRuleChanged.emit(MaskRule("multiblock"))

    assert window.desk.banner.codes() == ()


def test_masks_of_a_recording_are_not_chosen_again(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline, "session")
    card = window.panels["layers"]
    assert not any(radio.isEnabled() for radio in card._rules.values())
    assert "recording" in card._told.text()

    watch(qtbot, window, pipeline, "video")
    assert all(radio.isEnabled() for radio in card._rules.values())
