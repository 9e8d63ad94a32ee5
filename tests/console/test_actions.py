"""Every command: unique keys, a text, a tip, a menu."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QWidget

from console.actions import ACTIONS, MENUS, build, is_bare, keys_text
from console.panels import PANELS
from console.roles import ROLES


@pytest.mark.parametrize("role", ROLES)
def test_keys_are_unique_per_role(role):
    keys = [key for row in ACTIONS.values() if role in row.roles for key in row.keys]

    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("row", ACTIONS.values(), ids=lambda row: row.id)
def test_every_command_has_a_text_a_tip_and_a_menu(row):
    assert row.text
    assert row.tip
    assert row.menu in MENUS
    assert row.handler.count(".") == 1


def test_no_single_key_can_stop_a_recording():
    assert ACTIONS["record_stop"].keys == ()
    assert "hold" in keys_text(ACTIONS["record_stop"])


def test_held_keys_are_not_left_to_qts_shortcuts(qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)
    made = build(parent, has_bare_keys=True)

    assert made["override"].shortcuts() == []
    assert made["record"].shortcuts() == []
    assert [key.toString() for key in made["near_miss"].shortcuts()] == ["N"]


def test_single_letters_can_be_switched_off(qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)
    made = build(parent, has_bare_keys=False)

    keys = {key.toString() for action in made.values() for key in action.shortcuts()}
    assert not {key for key in keys if is_bare(key)}
    assert "Ctrl+K" in keys


def test_panels_have_unique_ids_and_known_areas():
    assert {row.area for row in PANELS.values()} <= {"centre", "left", "right", "bottom", "status"}
    assert [row.id for row in PANELS.values() if row.area == "centre"] == ["picture"]


def test_screens_of_later_issues_do_not_appear():
    words = " ".join(row.text.lower() for row in ACTIONS.values())

    for absent in ("compare", "review desk", "present", "doctor", "sessions", "rollout"):
        assert absent not in words
