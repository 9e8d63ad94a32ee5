"""The load report at hundreds of names: grouped, filtered, copied."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from tests.widgets.builders import make_checkpoint, make_long_report, make_report
from widgets.load_report import LoadReportView


def make_view(qtbot, report=None, info=None, **options):
    view = LoadReportView()
    qtbot.addWidget(view)
    view.show_report(report or make_long_report(), info, **options)
    view.show()
    return view


def top(view):
    return [view._tree.topLevelItem(n).text(0) for n in range(view._tree.topLevelItemCount())]


def test_what_refuses_a_file_comes_first_and_is_counted(qtbot):
    view = make_view(qtbot)

    assert top(view)[:3] == ["missing · 144", "unexpected · 2", "of another shape · 1"]


def test_a_hundred_names_are_read_as_a_dozen_blocks(qtbot):
    view = make_view(qtbot)
    group = view._tree.topLevelItem(0)

    assert group.isExpanded()
    assert [group.child(n).text(0) for n in range(2)] == [
        "predictor/blocks.12 · 12 tensors",
        "predictor/blocks.13 · 12 tensors",
    ]


def test_a_filter_opens_what_it_finds_and_counts_it(qtbot):
    view = make_view(qtbot)

    view._filter.setText("blocks.13 bias")

    assert view.shown() == [
        f"predictor/blocks.13.{part}.bias"
        for part in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    ]
    assert view._count.text() == "6 of 158"
    view._filter.setText("")
    assert len(view.shown()) == 158


def test_the_copied_text_holds_every_name_whatever_the_filter_shows(qtbot):
    view = make_view(qtbot)
    view._filter.setText("nothing like this")

    view._copy.click()

    text = QGuiApplication.clipboard().text()
    assert text.count("predictor/blocks.") == 144
    assert "missing\tpredictor/blocks.12.norm1.weight" in text


def test_selected_rows_are_copied_by_their_key(qtbot):
    view = make_view(qtbot)
    item = view._tree.topLevelItem(1).child(0)
    view._tree.setCurrentItem(item)
    view._tree.setFocus()

    QTest.keyClick(view._tree, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)

    assert QGuiApplication.clipboard().text() == "head.weight"


def test_an_examined_file_is_not_called_loaded(qtbot):
    view = make_view(qtbot, make_report(), make_checkpoint(), is_loaded=False)

    assert view._verdict.text() == "✓ Can be loaded: 588 of 588 tensors matched"
    assert view._empty.isVisible()


def test_saving_is_asked_for_and_done_elsewhere(qtbot):
    view = make_view(qtbot)

    with qtbot.waitSignal(view.saveRequested):
        view._save.click()
