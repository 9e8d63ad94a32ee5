"""A list of checkpoints: filter, keys, and a choice that stays where it was."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton

from widgets.model_list import ModelList, ModelRow

ROWS = [
    ModelRow("a", "vitl.pt", "V-JEPA 2", "V-JEPA 2 · ViT-L/16", "5.1 GB", "ok", "✓ matches"),
    ModelRow("b", "half.pt", "V-JEPA 2", "V-JEPA 2 · ViT-L/16", "4.1 GB", "bad", "✗ refused"),
    ModelRow("c", "lewm", "LeWorldModel", "LeWorldModel · ViT-t", "72.0 MB"),
]


def make_list(keep, rows=ROWS):
    made = keep(ModelList("Checkpoints"))
    made.set_rows(rows)
    made.resize(500, 300)
    made.show()
    return made


def test_the_first_row_is_chosen_and_told(keep, qtbot):
    made = keep(ModelList("Checkpoints"))

    with qtbot.waitSignal(made.selected) as told:
        made.set_rows(ROWS)

    assert told.args == ["a"]
    assert made.key == "a"


def test_arrows_move_and_enter_opens_once(keep):
    made = make_list(keep)
    opened = []
    made.activated.connect(opened.append)
    made.focus_list()

    QTest.keyClick(made._view, Qt.Key.Key_Down)
    QTest.keyClick(made._view, Qt.Key.Key_Return)

    assert opened == ["b"]


def test_every_typed_word_must_occur_and_the_system_too(keep):
    made = make_list(keep)

    made.set_filter(words="vit v-jepa half")
    assert [row.key for row in made.shown()] == ["b"]
    made.set_filter(system="LeWorldModel")
    assert [row.key for row in made.shown()] == ["c"]
    assert made.key == "c"
    made.set_filter(system="LeWorldModel", words="nothing")
    assert made.shown() == []
    assert made.key == ""
    assert made._nothing.isVisible()


def test_enter_in_the_filter_opens_what_is_left(keep, qtbot):
    made = make_list(keep)
    made.set_filter(words="lewm")

    with qtbot.waitSignal(made.activated) as told:
        QTest.keyClick(made._search, Qt.Key.Key_Return)

    assert told.args == ["c"]


def test_a_row_that_says_something_new_keeps_the_choice(keep):
    made = make_list(keep)
    made.select("b")

    made.set_rows([ROWS[0], replace(ROWS[1], state_text="42 %", fraction=0.42), ROWS[2]])

    assert made.key == "b"
    assert made.shown()[1].fraction == 0.42


def test_the_choice_survives_other_rows_and_goes_to_the_first_when_it_is_gone(keep):
    made = make_list(keep)
    made.select("c")

    made.set_rows([*ROWS, ModelRow("d", "new.pt")])
    assert made.key == "c"
    made.set_rows(ROWS[:2])
    assert made.key == "a"


def test_a_notice_stands_in_place_of_rows_with_its_next_step(keep, qtbot):
    made = make_list(keep)
    made.show_notice("empty", "Nothing is here.", "Do this.", "Do it")

    assert not made._search.isVisible()
    with qtbot.waitSignal(made.actionRequested):
        next(each for each in made.findChildren(QPushButton) if each.text() == "Do it").click()
    made.set_rows(ROWS)
    assert made._search.isVisible()


def test_letters_typed_over_the_list_go_to_the_filter(keep):
    made = make_list(keep)
    made.focus_list()

    QTest.keyClicks(made._view, "le")

    assert made._search.text() == "le"
    assert [row.key for row in made.shown()] == ["c"]
    QTest.keyClick(made._view, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    assert made._search.text() == "le"
