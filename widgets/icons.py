"""Icons of assets/icons in the colour of a theme role. SVGs say `currentColor`; this fills it in."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QAbstractButton

from widgets.theme import ICON_DIRECTORY, Theme


def icon(name: str, theme: Theme, role: str = "text") -> QIcon:
    """The icon with enabled and disabled colours. An unknown name raises, it is a typing mistake."""
    made = QIcon(_pixmap(name, getattr(theme.tokens, role), theme.px(16)))
    made.addPixmap(_pixmap(name, theme.tokens.faint, theme.px(16)), QIcon.Mode.Disabled)
    return made


def pixmap(name: str, theme: Theme, role: str = "text", size: int = 16) -> QPixmap:
    """The icon as a picture, `size` logical pixels before zoom."""
    return _pixmap(name, getattr(theme.tokens, role), theme.px(size))


def put(button: QAbstractButton, name: str, theme: Theme, role: str = "text") -> None:
    """Give a button its icon in the size of the theme."""
    button.setIcon(icon(name, theme, role))
    button.setIconSize(QSize(theme.px(16), theme.px(16)))


@lru_cache(maxsize=256)
def _pixmap(name: str, color: str, side: int) -> QPixmap:
    text = (ICON_DIRECTORY / f"{name}.svg").read_text(encoding="utf-8").replace("currentColor", color)
    scale = 2  # drawn at twice the size: crisp on screens of up to 200 %
    made = QPixmap(side * scale, side * scale)
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    QSvgRenderer(QByteArray(text.encode())).render(painter, QRectF(0, 0, side * scale, side * scale))
    painter.end()
    made.setDevicePixelRatio(scale)
    return made
