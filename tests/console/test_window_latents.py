"""Latents on the picture: keys, clicks, levels, what is asked of the engine, and what is said where there are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from console import notices
from jepa_core.types import LatentBasis, LatentView, MaskSet, TokenLayout, frozen
from tests.helpers.pipeline import make_checkpoint, make_report, make_source
from tests.helpers.window import open_window, watch
from tests.widgets.builders import make_seen

BASIS = LatentBasis("3fa96c01be77", (0.41, 0.17, 0.09), 384, -1, (12, 12))
NOTE = "This file has no predictor: features can be looked at, predictions cannot."


@pytest.fixture
def opened(qtbot, tmp_path):
    with open_window(qtbot, tmp_path) as pair:
        yield pair


def press(window, key: str) -> None:
    QTest.keyClick(window, getattr(Qt.Key, f"Key_{key}"))


def views(pipeline) -> list[LatentView]:
    return [call[1] for call in pipeline.asked("set_view")]


def load(qtbot, window, pipeline, **changes):
    pipeline.checkpoint_info = make_checkpoint(**changes)
    pipeline.say(notices.CheckpointLoaded(pipeline.checkpoint_info, make_report()))
    qtbot.waitUntil(lambda: window.state.checkpoint is pipeline.checkpoint_info)


def show(qtbot, window, pipeline, **changes):
    """A look with these fields, of a new frame, on the picture."""
    frame = pipeline.script_frame()
    look = replace(pipeline.script_look(frame), **changes)
    pipeline.looks.take()
    pipeline.looks.put(look)
    qtbot.waitUntil(lambda: window.panels["picture"].inspection is look)
    return look


def colored(n: int = 4 * 64) -> np.ndarray:
    return frozen(np.tile(np.arange(n, dtype=np.uint8)[:, None], (1, 3)))


def click(window, at: tuple[float, float]) -> None:
    """On the picture, at frame pixels."""
    view = window.panels["picture"]
    rect = view.picture_rect()
    x = rect.x() + at[0] * rect.width() / view.frame.rgb.shape[1]
    y = rect.y() + at[1] * rect.height() / view.frame.rgb.shape[0]
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPoint(round(x), round(y)))


def test_p_shows_colours_in_place_of_the_error_and_p_again_brings_it_back(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    press(window, "P")
    assert window.state.layers == {"projection", "masks", "slots"}
    assert views(pipeline) == [LatentView("pca")]
    assert window.commands["layer_projection"].isChecked()
    assert not window.commands["layer_error"].isChecked()
    assert window.panels["layers"].latents.layer == "projection"
    assert window.panels["scale"].latents.isVisibleTo(window)
    assert not window.panels["scale"].error.isVisibleTo(window)

    press(window, "P")
    assert window.state.layers == {"error", "masks", "slots"}
    assert views(pipeline)[-1].kind == "none"
    assert window.panels["scale"].error.isVisibleTo(window)


def test_the_error_takes_the_place_of_the_colours(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    press(window, "P")

    press(window, "E")

    assert window.state.layers == {"error", "masks", "slots"}
    assert window.panels["layers"].latents.layer == ""
    assert views(pipeline)[-1].kind == "none"


def test_what_was_on_before_comes_back_through_two_layers_of_latents(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    for key in ("P", "S", "S"):
        press(window, key)

    assert window.state.layers == {"error", "masks", "slots"}


def test_a_box_of_the_card_leaves_the_layer_of_latents_alone(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    press(window, "P")

    window.panels["layers"]._boxes["masks"].click()

    assert window.state.layers == {"projection", "slots"}


def test_s_asks_for_a_click_which_asks_the_engine(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    view = window.panels["picture"]

    press(window, "S")
    assert views(pipeline) == []  # nothing to compare with yet
    assert "Click a patch" in view.footer_text()
    assert view.cursor().shape() == Qt.CursorShape.PointingHandCursor

    click(window, (200.0, 100.0))
    [asked] = views(pipeline)
    assert asked.kind == "similarity"
    assert asked.at == pytest.approx((200.0, 100.0), abs=1.5)
    assert "comes with the next look" in view.footer_text()

    click(window, (400.0, 300.0))
    assert views(pipeline)[-1].at == pytest.approx((400.0, 300.0), abs=1.5)


def test_the_value_under_the_cursor_is_that_of_the_patch(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    press(window, "S")
    click(window, (150.0, 10.0))
    for _ in range(8):
        pipeline.script_frame()
    similarity = np.linspace(-1, 1, 256, dtype=np.float32)
    look = show(
        qtbot,
        window,
        pipeline,
        view=LatentView("similarity", at=(150.0, 10.0)),
        similarity=frozen(similarity),
    )
    view = window.panels["picture"]

    assert view.token_words(2, 3) == (
        f"row 3, column 4: similarity {similarity[3 * 64 + 2 * 8 + 3]:.2f} to row 1, column 1 of frames "
        f"{look.clip[6]}–{look.clip[7]}"
    )
    assert "latents of frames" in view.header_text()


def test_a_click_outside_the_square_changes_nothing_and_says_so(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    press(window, "S")

    click(window, (20.0, 100.0))

    assert views(pipeline) == []
    assert any("outside the dashed square" in text for text in window.desk.toasts.texts())


def test_esc_puts_similarity_down(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    press(window, "S")
    click(window, (200.0, 100.0))

    press(window, "Escape")

    assert window.state.layers == {"error", "masks", "slots"}
    assert views(pipeline)[-1].kind == "none"
    assert window.panels["picture"].cursor().shape() == Qt.CursorShape.ArrowCursor


def test_without_similarity_a_click_means_nothing(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    click(window, (200.0, 100.0))
    press(window, "P")
    click(window, (200.0, 100.0))

    assert [view.at for view in views(pipeline)] == [None]


def test_a_level_can_be_chosen_only_where_there_are_several(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    press(window, "P")
    choice = window.panels["layers"].latents
    assert not choice._level.isVisibleTo(window)

    load(qtbot, window, pipeline, levels=4, id="21:float32")
    assert choice._level.isVisibleTo(window)
    assert [choice._level.itemData(n) for n in range(choice._level.count())] == [0, 1, 2, -1]
    choice._level.setCurrentIndex(1)
    choice._level.activated.emit(1)

    assert views(pipeline)[-1] == LatentView("pca", level=1)


def test_predicted_latents_can_be_chosen_instead(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    press(window, "P")
    choice = window.panels["layers"].latents

    choice._of.setCurrentIndex(1)
    choice._of.activated.emit(1)

    assert views(pipeline)[-1] == LatentView("pca", of="predicted")


def test_axes_are_told_with_their_id_and_fitted_anew_only_when_asked(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    press(window, "P")
    show(qtbot, window, pipeline, view=LatentView("pca"), colors=colored(), basis=BASIS)

    assert "basis 3fa96c01be77 explains 41\N{NO-BREAK SPACE}%" in window.panels["picture"].footer_text()
    legend = window.panels["scale"].latents
    assert "fitted on 384 tokens of frame 12" in legend._words.text()
    legend._refit.click()

    assert views(pipeline)[-1] == LatentView("pca", fit=1)


def test_a_file_that_predicts_nothing_goes_to_its_colours_and_says_why(qtbot, opened):
    window, pipeline = opened
    pipeline.script_source(make_source())
    load(qtbot, window, pipeline, abilities=frozenset({"temporal"}))

    nothing = MaskSet(frozen(np.arange(256, dtype=np.int32)), (), 0)
    values = {"note": NOTE, "masks": nothing, "error": frozen(np.full(256, np.nan, np.float32))}
    show(qtbot, window, pipeline, **values)
    qtbot.waitUntil(lambda: window.state.layers == {"projection", "masks", "slots"})
    show(qtbot, window, pipeline, view=LatentView("pca"), colors=colored(), basis=BASIS, **values)

    assert views(pipeline) == [LatentView("pca")]
    assert NOTE in window.panels["picture"].footer_text()
    card = window.panels["layers"]
    assert card._told.text() == NOTE
    assert not card._predict.isEnabled()
    assert not card.latents._of.isVisibleTo(window)  # nothing was predicted that could be shown

    press(
        window, "E"
    )  # a person may look at the error all the same: there is none, and the reason stands there
    assert window.panels["picture"].footer_text() == NOTE
    load(qtbot, window, pipeline, id="other:float32")
    assert card._predict.isEnabled()


def test_after_a_file_that_predicts_nothing_one_that_does_brings_the_error_back(qtbot, opened):
    window, pipeline = opened
    pipeline.script_source(make_source())
    load(qtbot, window, pipeline, abilities=frozenset())
    show(qtbot, window, pipeline, note=NOTE)
    qtbot.waitUntil(lambda: "projection" in window.state.layers)

    load(qtbot, window, pipeline, id="other:float32")

    assert window.state.layers == {"error", "masks", "slots"}


def test_a_predictor_that_lacks_its_actions_keeps_the_error_layer(qtbot, opened):
    window, pipeline = opened
    pipeline.script_source(make_source())
    load(qtbot, window, pipeline, abilities=frozenset({"actions"}))

    show(qtbot, window, pipeline, note="This source tells no actions.")

    assert window.state.layers == {"error", "masks", "slots"}
    assert window.panels["picture"].footer_text() == "This source tells no actions."


def test_one_latent_per_frame_has_no_map_and_says_so(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    press(window, "P")
    layout = TokenLayout("global", (4, 1, 1), 1, (140.0, 0.0, 360.0, 360.0))
    masks = MaskSet(frozen(np.arange(3, dtype=np.int32)), (frozen(np.array([3], np.int32)),), 0)
    values = {"layout": layout, "masks": masks, "error": frozen(np.array([np.nan] * 3 + [0.2], np.float32))}

    show(qtbot, window, pipeline, view=LatentView("pca"), colors=colored(4), basis=BASIS, **values)

    assert "one latent per frame: no map to draw" in window.panels["picture"].footer_text()
    assert "One latent per frame: no map to draw." in window.panels["scale"].latents._words.text()


def test_an_object_is_chosen_by_a_click_on_its_region(qtbot, opened):
    window, pipeline = opened
    pipeline.script_source(make_source())
    load(qtbot, window, pipeline, layout="slots", abilities=frozenset({"slots", "actions"}))
    seen = make_seen("none", layout="slots")
    fields = ("layout", "masks", "error", "regions", "attention", "pooled")
    values = {name: getattr(seen, name) for name in fields}
    show(qtbot, window, pipeline, **values)

    window.commands["layer_attention"].trigger()
    assert "Click an object" in window.panels["picture"].footer_text()
    click(window, (450.0, 330.0))  # lower right: slot 3

    assert views(pipeline)[-1] == LatentView("attention", slot=2)
    show(qtbot, window, pipeline, view=views(pipeline)[-1], **values)
    assert window.panels["picture"].footer_text() == "Attention of slot 3"
    assert window.panels["scale"].latents._shares._rows[0] == (2, pytest.approx(0.6))


def test_attention_is_refused_in_words_where_there_are_no_objects(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    window.commands["layer_attention"].trigger()

    assert window.state.layers == {"error", "masks", "slots"}
    assert not window.commands["layer_attention"].isChecked()
    assert any("object slots" in text for text in window.desk.toasts.texts())


def test_a_recording_has_no_latents_and_says_so(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline, "session")

    press(window, "P")

    assert views(pipeline) == []
    assert "Latents are not recorded" in window.panels["picture"].footer_text()
    assert "Latents are not recorded" in window.panels["scale"].latents._words.text()
    press(window, "S")
    click(window, (200.0, 100.0))
    assert views(pipeline) == []


def test_the_replay_says_what_was_shown_of_the_latents(qtbot, opened):
    from console.window_events import label_of
    from sessions import events

    event = events.status(
        "view_changed", t_ns=1, view="pca", of="predicted", level=1, basis={"id": "3fa96c01be77"}
    )
    [item] = events.resolve([event])
    assert label_of(item) == "latents: PCA colours · as predicted · level 2 · basis 3fa96c01be77"


def test_another_source_forgets_the_place(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    press(window, "S")
    click(window, (200.0, 100.0))

    pipeline.script_source(make_source(name="video:other"))
    qtbot.waitUntil(lambda: window.state.source.name == "video:other")

    assert views(pipeline)[-1].kind == "none"
