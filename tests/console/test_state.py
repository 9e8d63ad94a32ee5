"""The shared state of the window: one signal per change."""

from __future__ import annotations

from console.state import AppState


def test_a_change_is_said_once_and_no_change_is_not_said(qtbot):
    state = AppState()
    seen = []
    state.themeChanged.connect(seen.append)

    state.theme = "light"
    state.theme = "light"
    state.theme = "dark"

    assert seen == ["light", "dark"]


def test_nanoseconds_survive_the_signal(qtbot):
    state = AppState()
    seen = []
    state.cursorChanged.connect(seen.append)

    state.cursor_t_ns = 2**62 + 1

    assert seen == [2**62 + 1]


def test_two_states_do_not_share_values(qtbot):
    one, other = AppState(), AppState()

    one.zoom = 2.0

    assert other.zoom == 1.0
