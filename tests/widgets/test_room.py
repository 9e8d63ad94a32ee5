"""Words have the room they need: at every zoom, with paths no line is long enough for, where the width is small."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtWidgets import QApplication, QLabel, QWidget

from widgets import theme as themes
from widgets.frame_view import FrameView
from widgets.theme import Theme
from widgets.toast import ToastArea
from widgets.words import BREAK, LONG_WORD, breakable, unbroken

PATH = "/home/ada/Documents/jepa-sessions/20261122T114407Z-5be1f00a/20261122T114407Z_5be1f00a.wmj"
LONG = f"Recording to {PATH}; whatever is marked from now on is on disk before the screen says that it is"


@pytest.fixture(params=[1.0, 1.5])
def zoom(request):
    app = QApplication.instance()
    before = themes.current()
    themes.apply(app, Theme("dark", request.param))
    yield request.param
    themes.apply(app, before)


def cut(widget: QWidget) -> list[str]:
    """Labels that are lower than their words, or narrower than one of them."""
    return [
        label.text()
        for label in widget.findChildren(QLabel)
        if label.isVisible()
        and label.wordWrap()
        and (
            label.height() < label.heightForWidth(label.width())
            or label.width() < label.minimumSizeHint().width()
        )
    ]


def test_a_toast_is_as_high_as_its_wrapped_words(qtbot, zoom) -> None:
    host = QWidget()
    qtbot.addWidget(host)
    host.resize(1280, 720)
    host.show()
    area = ToastArea(host)

    area.show_toast(LONG, "ok")
    area.show_toast(LONG + ".", "error", "Detail: " + LONG)

    assert cut(area) == []
    assert area.geometry().top() >= 0


def test_a_notice_on_the_picture_grows_with_its_sentence(qtbot, zoom) -> None:
    view = FrameView()
    qtbot.addWidget(view)
    view.resize(520, 620)
    view.show()

    view.show_state("error", LONG, LONG, "Open source")
    assert cut(view) == []

    view.resize(440, 700)
    assert cut(view) == []


@given(st.text() | st.text("abc/_- ·"))
def test_breaks_change_no_letter_and_leave_no_long_word(text: str) -> None:
    text = text.replace(BREAK, "").replace("\N{NO-BREAK SPACE}", " ")

    broken = breakable(text)

    assert unbroken(broken) == text
    assert all(len(word) <= LONG_WORD for part in broken.split() for word in part.split(BREAK))


def test_a_dot_between_facts_never_begins_a_line() -> None:
    assert breakable("30 fps · 166 frames") == "30 fps\N{NO-BREAK SPACE}· 166 frames"
