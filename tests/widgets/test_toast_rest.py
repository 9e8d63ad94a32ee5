"""A message on the screen costs nothing while it stands there: the engine needs the core that a busy window takes."""

from __future__ import annotations

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from widgets.toast import ToastArea


class CountingArea(ToastArea):
    """Counts the layouts it is asked for."""

    requests = 0

    def event(self, event: QEvent) -> bool:
        self.requests += event.type() == QEvent.Type.LayoutRequest
        return super().event(event)


def test_a_shown_toast_lets_the_window_rest(qtbot: QtBot) -> None:
    host = QWidget()
    host.resize(800, 600)
    qtbot.addWidget(host)
    area = CountingArea(host)
    host.show()
    area.show_toast("The session is on disk. " * 8, "ok", "details")
    qtbot.wait(100)
    settled = area.requests

    qtbot.wait(200)

    assert area.requests == settled


def test_a_toast_that_is_shown_later_still_fits_its_words(qtbot: QtBot) -> None:
    host = QWidget()
    host.resize(800, 600)
    qtbot.addWidget(host)
    area = ToastArea(host)
    area.show_toast("The session is on disk. " * 8, "ok")
    host.show()
    qtbot.wait(100)

    layout = area.layout()
    assert layout is not None
    assert area.height() == layout.totalHeightForWidth(area.width())
