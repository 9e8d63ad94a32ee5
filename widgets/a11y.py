"""Names for screen readers and tips with keys, set in one place so that none is forgotten."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtWidgets import (
    QAbstractItemView,
    QAbstractScrollArea,
    QAbstractSlider,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QScrollBar,
    QTextEdit,
    QToolButton,
    QWidget,
)

CONTROLS = (
    QPushButton,
    QToolButton,
    QCheckBox,
    QRadioButton,
    QComboBox,
    QLineEdit,
    QTextEdit,
    QPlainTextEdit,
    QAbstractSpinBox,
    QAbstractSlider,
    QAbstractItemView,
)


def name(widget: QWidget, accessible_name: str, tip: str = "", keys: str = "") -> QWidget:
    """Say what a control is to a screen reader, and in its tip with its key. Returns the widget."""
    widget.setAccessibleName(accessible_name)
    sentence = tip or accessible_name
    widget.setToolTip(f"{sentence}  ({keys})" if keys else sentence)
    if tip:
        widget.setAccessibleDescription(f"{tip} {keys}".strip())
    return widget


def unnamed_controls(root: QWidget) -> Iterator[QWidget]:
    """Controls below `root` that a screen reader could not announce. Used by the tests of every panel."""
    for widget in (root, *root.findChildren(QWidget)):
        if not isinstance(widget, CONTROLS) or isinstance(widget, QScrollBar):
            continue
        if widget.objectName().startswith("qt_") or _inside(
            widget, (QComboBox, QAbstractSpinBox, QAbstractScrollArea)
        ):
            continue  # parts Qt made for itself; the control around them is the one that is announced
        text = getattr(widget, "text", lambda: "")
        words = text() if isinstance(widget, QPushButton | QToolButton | QCheckBox | QRadioButton) else ""
        if not (widget.accessibleName() or words):
            yield widget


def _inside(widget: QWidget, kinds: tuple[type[QWidget], ...]) -> bool:
    parent = widget.parentWidget()
    if isinstance(parent, QAbstractScrollArea) and parent.viewport() is not widget:
        return isinstance(parent, QAbstractItemView)
    return isinstance(parent, kinds) and not isinstance(parent, QAbstractScrollArea)
