"""Every widget × state × theme × zoom: something is there, nothing is cut off, every control has a name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from PySide6.QtCore import QRect
from PySide6.QtGui import QImage
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractScrollArea,
    QApplication,
    QLabel,
    QPushButton,
    QScrollArea,
    QToolButton,
    QWidget,
)

from tests.widgets.gallery import GALLERY
from widgets import a11y, theme
from widgets.parts import Elided

CASES = [(name, state) for name, (_make, states) in GALLERY.items() for state in states]
LOOKS = [("dark", 1.0), ("light", 1.0), ("dark", 1.5), ("light", 2.0)]


@pytest.fixture
def shown(qtbot, qapp: QApplication, request: pytest.FixtureRequest) -> Iterator[QWidget]:
    (name, state), (look, zoom) = request.param
    theme.apply(qapp, theme.Theme(look, zoom))
    widget = GALLERY[name][0](state)
    qtbot.addWidget(widget)
    widget.show()
    qapp.sendPostedEvents()
    yield widget
    widget.close()
    theme.apply(qapp, theme.Theme())


def every(looks: list[tuple[str, float]]) -> pytest.MarkDecorator:
    params = [(case, look) for case in CASES for look in looks]
    ids = [f"{case[0]}-{case[1]}-{look[0]}-{look[1]}" for case, look in params]
    return pytest.mark.parametrize("shown", params, indirect=True, ids=ids)


@every(LOOKS)
def test_every_widget_in_every_state_shows_something_and_cuts_nothing_off(shown: QWidget) -> None:
    picture = _pixels(shown)

    assert picture.reshape(-1, 3).std(axis=0).max() > 2, "nothing is painted"
    assert list(clipped(shown)) == []


@every([("dark", 1.0)])
def test_every_control_in_every_state_has_a_name_for_screen_readers(shown: QWidget) -> None:
    assert list(a11y.unnamed_controls(shown)) == []


def test_a_label_that_is_too_narrow_is_found(qtbot) -> None:
    box = QWidget()
    qtbot.addWidget(box)
    words = QLabel("these words need more room than that", box)
    words.setGeometry(0, 0, 30, 20)
    box.resize(200, 40)
    box.show()

    assert len(list(clipped(box))) == 1


def clipped(root: QWidget) -> Iterator[str]:
    """What has less room than its words need, or sticks out of its parent."""
    for widget in root.findChildren(QWidget):
        if not widget.isVisible() or _in_scrolled_page(widget):
            continue
        if isinstance(widget, QLabel) and widget.text() and not isinstance(widget, Elided):
            yield from _clipped_label(widget)
        if isinstance(widget, QPushButton | QToolButton) and widget.text():
            need = widget.minimumSizeHint()
            if widget.width() < need.width() - 1 or widget.height() < need.height() - 1:
                yield f"button {widget.text()!r} has {widget.size()}, needs {need}"
        parent = widget.parentWidget()
        if parent is None or not isinstance(widget, QLabel | QAbstractButton) or _scrolls(parent):
            continue
        if not parent.rect().adjusted(-1, -1, 1, 1).contains(QRect(widget.pos(), widget.size())):
            yield f"{type(widget).__name__} {widget.accessibleName()!r} sticks out of {type(parent).__name__}"


def _clipped_label(label: QLabel) -> Iterator[str]:
    room = label.contentsRect()
    if label.wordWrap():
        need = label.heightForWidth(label.width())
        if label.height() < need - 1:
            yield f"words {label.text()!r} have {label.height()} px of height, need {need}"
        return
    widest = max(label.fontMetrics().horizontalAdvance(line) for line in label.text().split("\n"))
    if room.width() < widest - 1:
        yield f"words {label.text()!r} have {room.width()} px, need {widest}"


def _scrolls(widget: QWidget) -> bool:
    parent = widget.parentWidget()
    return isinstance(parent, QAbstractScrollArea) and parent.viewport() is widget


def _in_scrolled_page(widget: QWidget) -> bool:
    """A page that scrolls up and down may be longer than its view, but its own width is still checked."""
    return isinstance(widget, QScrollArea) or widget.objectName().startswith("qt_")


def _pixels(widget: QWidget) -> np.ndarray:
    """(H, W, 3) uint8 of what is on the screen."""
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    raw = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return (
        raw[:, : image.width() * 3].reshape(image.height(), image.width(), 3).copy()
    )  # the image goes, this stays
