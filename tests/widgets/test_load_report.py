"""The load report at hundreds of names: grouped, filtered, copied."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from tests.widgets.builders import make_checkpoint, make_long_report, make_report
from widgets.load_report import LoadReportView


def make_view(keep, report=None, info=None, **options):
    view = keep(LoadReportView())
    view.show_report(report or make_long_report(), info, **options)
    view.show()
    return view


def top(view):
    return [view._tree.topLevelItem(n).text(0) for n in range(view._tree.topLevelItemCount())]


def test_what_refuses_a_file_comes_first_and_is_counted(keep):
    view = make_view(keep)

    assert top(view)[:3] == ["missing · 144", "unexpected · 2", "of another shape · 1"]


def test_a_hundred_names_are_read_as_a_dozen_blocks(keep):
    view = make_view(keep)
    group = view._tree.topLevelItem(0)

    assert group.isExpanded()
    assert [group.child(n).text(0) for n in range(2)] == [
        "predictor/blocks.12 · 12 tensors",
        "predictor/blocks.13 · 12 tensors",
    ]


def test_a_filter_opens_what_it_finds_and_counts_it(keep):
    view = make_view(keep)

    view._filter.setText("blocks.13 bias")

    assert view.shown() == [
        f"predictor/blocks.13.{part}.bias"
        for part in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    ]
    assert view._count.text() == "6 of 158"
    view._filter.setText("")
    assert len(view.shown()) == 158


def test_the_copied_text_holds_every_name_whatever_the_filter_shows(keep):
    view = make_view(keep)
    view._filter.setText("nothing like this")

    view._copy.click()

    text = QGuiApplication.clipboard().text()
    assert text.count("predictor/blocks.") == 144
    assert "missing\tpredictor/blocks.12.norm1.weight" in text


def test_selected_rows_are_copied_by_their_key(keep):
    view = make_view(keep)
    item = view._tree.topLevelItem(1).child(0)
    view._tree.setCurrentItem(item)
    view._tree.setFocus()

    QTest.keyClick(view._tree, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)

    assert QGuiApplication.clipboard().text() == "head.weight"


def test_an_examined_file_is_not_called_loaded(keep):
    view = make_view(keep, make_report(), make_checkpoint(), is_loaded=False)

    assert view._verdict.text() == "✓ Can be loaded: 588 of 588 tensors matched"
    assert view._empty.isVisible()


def test_saving_is_asked_for_and_done_elsewhere(keep, qtbot):
    view = make_view(keep)

    with qtbot.waitSignal(view.saveRequested):
        view._save.click()


def test_on_a_card_that_says_the_facts_only_tensors_are_listed_and_all_is_copied(keep):
    view = keep(LoadReportView(is_compact=True))
    view.show_report(make_long_report())

    assert top(view) == ["missing · 144", "unexpected · 2", "of another shape · 1", "ignored by design · 4"]
    assert "taken from elsewhere\tpositions = rotary" in view.text()
    assert "sha256" in view.text()
