"""Cards, tables and bars say what they were told, and ask in the words of the contract."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from jepa_core.errors import KeysDiffer
from jepa_core.types import MaskRule, TokenLayout
from tests.widgets import system_states
from tests.widgets.builders import make_checkpoint, make_health, make_inspection, make_report, make_source
from tests.widgets.gallery import COMMANDS, SECOND, make_rows
from widgets import toast
from widgets.banner import FaultBanner
from widgets.color_scale import ColorScale
from widgets.command_palette import CommandPalette
from widgets.drift_view import DriftView
from widgets.event_list import EventList
from widgets.health_strip import HealthStrip
from widgets.layers_card import LayersCard
from widgets.load_report import LoadReportView
from widgets.model_card import ModelCard
from widgets.recording_badge import RecordingBadge
from widgets.shortcut_sheet import ShortcutSheet
from widgets.signal_table import SignalTable
from widgets.source_card import SourceCard
from widgets.start_page import RecentItem, RecoveryItem, StartPage
from widgets.toast import ToastArea
from widgets.transport_bar import TransportBar


def words(widget: QWidget) -> str:
    """Everything that is written on it now."""
    texts = [
        label.accessibleName() or label.text()
        for label in widget.findChildren(QLabel)
        if label.isVisibleTo(widget)
    ]
    return " | ".join(text.replace("\N{NO-BREAK SPACE}", " ") for text in texts)


def button(widget: QWidget, text: str) -> QPushButton:
    return next(
        made for made in widget.findChildren(QPushButton) if text in (made.text(), made.accessibleName())
    )


def test_transport_asks_to_pause_only_while_it_plays(qtbot) -> None:
    bar = TransportBar()
    qtbot.addWidget(bar)
    bar.show_capabilities(is_seekable=True, is_live=False)
    bar.show_transport(True, 1.0, False)
    with qtbot.waitSignal(bar.pauseRequested):
        bar._play.click()
    bar.show_transport(False, 1.0, False)
    with qtbot.waitSignal(bar.playRequested):
        bar._play.click()


def test_transport_shows_a_position_without_asking_for_it(qtbot) -> None:
    bar = TransportBar()
    qtbot.addWidget(bar)
    bar.resize(1000, 40)
    asked: list[int] = []
    bar.seekRequested.connect(asked.append)
    bar.show_capabilities(is_seekable=True, is_live=False)

    bar.show_position(118, 300, 3_933_000_000, (0, 10 * SECOND))

    assert asked == []
    assert "118 / 299 · 00:00:03.933" in words(bar)


def test_a_live_source_can_neither_be_stepped_nor_sought(qtbot) -> None:
    bar = TransportBar()
    qtbot.addWidget(bar)
    bar.show_capabilities(is_seekable=False, is_live=True)
    bar.show_transport(True, 1.0, False)
    assert not bar._on.isEnabled()
    assert not bar._seek.isEnabled()
    assert "capture goes on" in bar._play.accessibleName()


def test_health_shows_what_was_measured_and_a_dash_for_the_rest(qtbot) -> None:
    strip = HealthStrip()
    qtbot.addWidget(strip)
    strip.resize(2000, 40)
    strip.show_health(
        replace(make_health(), rates={"capture": 29.97}, disk_free=-1, disk_seconds=-1.0), "cpu"
    )
    told = strip.description().replace("\N{NO-BREAK SPACE}", " ")
    assert "capture 30.0 Hz" in told
    assert "model –" in told
    assert "disk free –" in told
    assert "skipped by model 214" in told


def test_health_turns_red_and_says_so_when_rows_lost_their_pixels(qtbot) -> None:
    strip = HealthStrip()
    qtbot.addWidget(strip)
    strip.show_health(replace(make_health(), gaps=3))
    assert strip._state.accessibleName() == "attention"
    assert strip._items["gaps"].value.property("tone") == "bad"


def test_a_narrow_strip_hides_the_least_urgent_and_keeps_it_in_the_tip(qtbot) -> None:
    strip = HealthStrip()
    qtbot.addWidget(strip)
    strip.resize(700, 40)
    strip.show()
    strip.show_health(make_health(), "cpu")
    assert strip._items["overlay"].isVisible()
    assert not strip._items["device"].isVisible()
    assert "cpu 2.4 GB" in strip.toolTip()


def test_source_card_says_what_is_open(qtbot) -> None:
    card = SourceCard()
    qtbot.addWidget(card)
    card.show_source(make_source(), "playing")
    assert "bench camera, front.mp4" in words(card)
    assert "1920 × 1080" in words(card)
    card.show_source(None)
    with qtbot.waitSignal(card.openRequested):
        button(card, "Open source").click()


def test_model_card_counts_tensors_and_tells_every_note(qtbot) -> None:
    card = ModelCard()
    qtbot.addWidget(card)
    card.show_checkpoint(
        make_checkpoint(notes=("untrained demo weights: errors mean nothing",)), make_report()
    )
    told = words(card)
    assert "✓ 100 % of 588 tensors matched" in told
    assert "sha256 9c1e…44b0" in told
    assert "△ untrained demo weights: errors mean nothing" in told
    assert "no actions" in told


def test_model_card_tells_why_a_file_was_refused(qtbot) -> None:
    card = ModelCard()
    qtbot.addWidget(card)
    report = make_report(matched=580, missing=("a", "b"), reshaped=("c",))
    card.show_refused(KeysDiffer("2 tensors are missing.", "Choose another file."), report)
    told = words(card)
    assert "Refused" in told
    assert "580 matched · 2 missing · 1 of another shape" in told
    assert "2 tensors are missing." not in told  # the banner says it; here it is the tip
    assert "2 tensors are missing." in card._title.toolTip()
    with qtbot.waitSignal(card.detailsRequested):
        button(card, "Load report").click()


def test_loading_can_be_cancelled(qtbot) -> None:
    card = ModelCard()
    qtbot.addWidget(card)
    card.show_loading(0.4, "reading")
    with qtbot.waitSignal(card.cancelRequested):
        button(card, "Cancel loading").click()


@pytest.mark.parametrize("kind", ["future", "multiblock"])
def test_choosing_a_rule_sends_the_whole_rule(qtbot, kind: str) -> None:
    card = LayersCard()
    qtbot.addWidget(card)
    card.show_rule(
        MaskRule("region", region=(1.0, 2.0, 3.0, 4.0), seed=5),
        TokenLayout("grid", (8, 4, 4), 2, (0, 0, 1, 1)),
    )
    with qtbot.waitSignal(card.maskRuleChanged) as sent:
        card._rules[kind].click()
    assert sent.args[0] == MaskRule(kind, region=(1.0, 2.0, 3.0, 4.0), seed=5)


def test_a_region_is_asked_for_before_it_is_a_rule(qtbot) -> None:
    card = LayersCard()
    qtbot.addWidget(card)
    sent: list[MaskRule] = []
    card.maskRuleChanged.connect(sent.append)

    with qtbot.waitSignal(card.regionToolToggled) as tool:
        card._rules["region"].click()
    nothing_yet = list(sent)
    card.show_region_drawn((10.0, 20.0, 30.0, 40.0))

    assert tool.args == [True]
    assert nothing_yet == []
    assert sent == [MaskRule("region", region=(10.0, 20.0, 30.0, 40.0))]


def test_as_many_steps_can_be_predicted_as_leave_one_for_the_context(qtbot) -> None:
    card = LayersCard()
    qtbot.addWidget(card)
    card.show_rule(MaskRule(), TokenLayout("grid", (8, 4, 4), 2, (0, 0, 1, 1)))
    assert card._predict.maximum() == 7


def test_showing_a_rule_or_layers_sends_nothing_back(qtbot) -> None:
    card = LayersCard()
    qtbot.addWidget(card)
    sent: list[object] = []
    card.maskRuleChanged.connect(sent.append)
    card.layersChanged.connect(sent.append)
    card.show_rule(MaskRule("multiblock", seed=9), None)
    card.set_layers({"error"})
    assert sent == []
    card.toggle_layer("masks")
    assert sent == [frozenset({"error", "masks"})]


def test_the_error_scale_is_locked_until_a_person_unlocks_it(qtbot) -> None:
    scale = ColorScale()
    qtbot.addWidget(scale)
    assert not scale._high.isEnabled()
    scale._lock.setChecked(False)
    with qtbot.waitSignal(scale.scaleChanged) as changed:
        scale._high.setValue(0.5)
    assert (changed.args[0].low, changed.args[0].high) == (0.0, 0.5)


def test_signals_are_not_given_percentiles_without_a_calibration(qtbot) -> None:
    table = SignalTable()
    qtbot.addWidget(table)
    table.show_inspection(make_inspection())
    assert "Not calibrated" in words(table)
    table.set_percentiles({"surprise": 99.2})
    table.show_inspection(make_inspection())
    assert "p99.2" in words(table)
    assert "Not calibrated" not in words(table)


def test_events_are_filtered_by_kind_and_words_and_jumped_to(qtbot) -> None:
    view = EventList()
    qtbot.addWidget(view)
    view.set_events(make_rows())
    view._kind.setCurrentIndex(view._kind.findData("near miss"))
    assert [item.id for item in view.shown()] == ["c", "d"]
    view._search.setText("sev 2")
    assert [item.id for item in view.shown()] == ["c"]
    with qtbot.waitSignal(view.eventActivated) as activated:
        view._view.activated.emit(view._filter.index(0, 0))
    assert activated.args == ["c"]


def test_events_that_are_added_keep_the_place_in_the_list(qtbot) -> None:
    view = EventList()
    qtbot.addWidget(view)
    rows = make_rows()
    view.set_events(rows[:3])
    resets: list[bool] = []
    view._model.modelReset.connect(lambda: resets.append(True))
    view.set_events(rows)
    assert len(view.shown()) == 5
    assert resets == []


def test_a_monitor_alarm_is_called_a_flag(qtbot) -> None:
    view = EventList()
    qtbot.addWidget(view)
    view.set_events(make_rows()[:1])
    told = str(view._filter.index(0, 0).data(Qt.ItemDataRole.AccessibleTextRole))
    assert told.startswith("flag")
    assert "near miss" not in told


def test_palette_finds_by_letters_and_runs_with_enter(qtbot) -> None:
    palette = CommandPalette()
    qtbot.addWidget(palette)
    palette.set_commands(COMMANDS)
    palette.show()
    qtbot.keyClicks(palette._line, "theme")
    assert palette.shown() == ["theme"]
    with qtbot.waitSignal(palette.commandChosen) as chosen:
        qtbot.keyClick(palette._line, Qt.Key.Key_Return)
    assert chosen.args == ["theme"]


def test_palette_does_not_run_what_cannot_run_now(qtbot) -> None:
    palette = CommandPalette()
    qtbot.addWidget(palette)
    palette.set_commands(COMMANDS)
    palette.show()
    ran: list[str] = []
    palette.commandChosen.connect(ran.append)
    qtbot.keyClicks(palette._line, "near")
    qtbot.keyClick(palette._line, Qt.Key.Key_Return)
    assert palette.shown() == ["near_miss"]
    assert ran == []


def test_sheet_lists_what_has_keys(qtbot) -> None:
    sheet = ShortcutSheet()
    qtbot.addWidget(sheet)
    sheet.set_commands(COMMANDS)
    assert "theme" not in sheet.shown()
    sheet._search.setText("mask")
    assert sheet.shown() == ["masks"]


def test_start_page_recovers_first(qtbot) -> None:
    page = StartPage()
    qtbot.addWidget(page)
    page.show_recents(
        [RecentItem("/a.mp4", "a.mp4"), RecentItem("/b.pt", "b.pt", "checkpoint", is_missing=True)]
    )
    page.show_recoveries([RecoveryItem("/rec/x.wmj", "x.wmj", "0 events lost")])
    with qtbot.waitSignal(page.recoverRequested) as recover:
        button(page, "Recover x.wmj").click()
    with qtbot.waitSignal(page.openRequested) as opened:
        button(page, "Open a.mp4").click()
    assert recover.args == ["/rec/x.wmj"]
    assert opened.args == ["/a.mp4"]
    assert not button(page, "Gone b.pt").isEnabled()


def test_the_same_fault_twice_is_one_card_and_it_can_be_put_away(qtbot) -> None:
    banner = FaultBanner()
    qtbot.addWidget(banner)
    for _ in range(2):
        banner.show_fault("disk_full", "The disk is full", "0 B left.", "Free some space.")
    assert banner.codes() == ("disk_full",)
    banner.clear_fault("disk_full")
    assert banner.isHidden()


def test_toasts_go_by_themselves(qtbot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(toast.STAY_MS, "info", 5)
    window = QWidget()
    qtbot.addWidget(window)
    window.resize(900, 600)
    area = ToastArea(window)
    window.show()
    area.show_toast("one")
    area.show_toast("one")
    assert area.texts() == ("one",)
    qtbot.waitUntil(lambda: area.texts() == ())
    assert area.isHidden()


def test_badge_says_rec_and_for_how_long(qtbot) -> None:
    badge = RecordingBadge()
    qtbot.addWidget(badge)
    badge.show_recording(8047 * SECOND)
    assert badge.accessibleName() == "REC 02:14:07"
    badge.show_off()
    assert badge.isHidden()


def test_load_report_lists_every_difference_and_copies_it(qtbot) -> None:
    view = LoadReportView()
    qtbot.addWidget(view)
    view.show_report(
        make_report(matched=586, missing=("enc.a",), reshaped=("enc.b: expected (1,), file has (2,)",))
    )
    text = view.text()
    assert "✗ Refused: 586 of 588 tensors matched, 1 missing, 1 of another shape" in text
    assert "missing\tenc.a" in text
    assert "of another shape\tenc.b: expected (1,), file has (2,)" in text


def test_drift_says_reproduced_only_when_the_report_does(qtbot) -> None:
    view = DriftView()
    qtbot.addWidget(view)
    view.show_report({"verdict": "reproduced", "max_difference": 0.0})
    assert "✓ reproduced · largest difference 0" in words(view)
    view.show_report({"verdict": "differs", "max_difference": 0.25, "first_differing_seq": 4118})
    assert "✗ differs · largest difference 0.25" in words(view)
    with qtbot.waitSignal(view.frameRequested) as asked:
        button(view, "Go to the first differing frame").click()
    assert asked.args == [4118]


def test_an_endless_source_has_no_seek_bar(qtbot) -> None:
    bar = TransportBar()
    qtbot.addWidget(bar)
    bar.show_capabilities(is_seekable=True, is_live=False)

    bar.show_position(40, -1, 0)
    assert not bar._seek.isVisibleTo(bar)

    bar.show_position(40, 166, 0)
    assert bar._seek.isVisibleTo(bar)


@pytest.mark.parametrize(
    ("info", "boxes", "radios", "told"),
    [
        (system_states.OBJECTS, {"error", "slots"}, set(), "what was done between them"),
        (system_states.ONE_LATENT, set(), set(), "what was done between them"),
        (system_states.ARM, {"error", "masks"}, set(), "what was done between them"),
        (system_states.BLIND, set(), set(), "Nothing is shown"),
        (system_states.CARDS["encoder alone"], {"error", "masks"}, set(), "predicts nothing"),
        (system_states.CARDS["picture"], {"error", "masks"}, {"multiblock", "region"}, "Random blocks"),
        (make_checkpoint(), {"error", "masks"}, {"future", "multiblock", "region"}, "predicted"),
    ],
)
def test_layers_card_offers_what_the_checkpoint_can_do_and_nothing_else(
    qtbot, info, boxes, radios, told
) -> None:
    card = LayersCard()
    qtbot.addWidget(card)
    card.show_checkpoint(info)

    assert {name for name, box in card._boxes.items() if not box.isHidden()} == boxes
    assert {kind for kind, radio in card._rules.items() if not radio.isHidden()} == radios
    assert told in card._told.text()
    assert card._no_map.isHidden() == bool(boxes)


def test_layers_card_offers_everything_again_without_a_checkpoint(qtbot) -> None:
    card = LayersCard()
    qtbot.addWidget(card)
    card.show_checkpoint(system_states.ONE_LATENT)
    card.show_checkpoint(None)
    assert {kind for kind, radio in card._rules.items() if not radio.isHidden()} == {
        "future",
        "multiblock",
        "region",
    }


def test_number_of_predicted_steps_stays_a_choice_for_systems_that_act(qtbot) -> None:
    card = LayersCard()
    qtbot.addWidget(card)
    card.show_checkpoint(system_states.OBJECTS)
    card.show_rule(
        MaskRule("multiblock", predict_steps=2), TokenLayout("slots", (4, 4, 1), 1, (0.0, 0.0, 9.0, 9.0))
    )
    chosen: list[MaskRule] = []
    card.maskRuleChanged.connect(chosen.append)

    card._predict.setValue(3)

    assert (chosen[-1].kind, chosen[-1].predict_steps) == ("future", 3)
    assert card._of.text() == "of 4 steps"


def test_colour_scale_says_what_its_numbers_measure(qtbot) -> None:
    scale = ColorScale()
    qtbot.addWidget(scale)
    assert scale._measure.isHidden()
    scale.show_metric("l2")
    assert scale._measure.text() == "mean squared difference per feature"
