"""Names for screen readers and tips with keys, set in one place so that none is forgotten."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtWidgets import (
    QAbstractItemView,
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
    """Controls below `root`, as far as they are shown, that a screen reader could not announce."""
    for widget in (root, *root.findChildren(QWidget)):
        if not isinstance(widget, CONTROLS) or isinstance(widget, QScrollBar):
            continue
        if (widget is not root and not widget.isVisibleTo(root)) or _is_part_of_a_control(widget, root):
            continue
        is_worded = isinstance(widget, QPushButton | QToolButton | QCheckBox | QRadioButton)
        if not (widget.accessibleName() or (is_worded and widget.text())):
            yield widget


def _is_part_of_a_control(widget: QWidget, root: QWidget) -> bool:
    """Qt builds its controls of smaller ones (the field of a spin box, the list of a combo box); the whole is named."""
    parent = widget.parentWidget()
    while parent is not None and parent is not root.parentWidget():
        if isinstance(parent, QComboBox | QAbstractSpinBox | QLineEdit | QAbstractItemView):
            return True
        parent = parent.parentWidget()
    return False
