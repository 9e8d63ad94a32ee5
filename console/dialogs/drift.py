"""What a recomputation found, in a window of its own: reproduced or differs, and by how much. Not modal."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from console.dialogs.buttons import standard
from widgets.drift_view import DriftView


class DriftDialog(QDialog):
    """Shows one drift report; the session it speaks of stays untouched."""

    recomputeRequested = Signal()
    frameRequested = Signal(object)  # seq

    def __init__(self, report: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Recorded and recomputed"))
        self.resize(760, 520)
        view = DriftView()
        view.show_report(report)
        view.recomputeRequested.connect(self.recomputeRequested)
        view.frameRequested.connect(self.frameRequested)
        buttons = standard(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(view, 1)
        layout.addWidget(buttons)
