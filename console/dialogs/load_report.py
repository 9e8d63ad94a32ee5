"""The load report in a window of its own: tensor by tensor, how a file matched its family. Not modal."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from console.dialogs.buttons import standard
from jepa_core.types import CheckpointInfo, LoadReport
from widgets.load_report import LoadReportView


class LoadReportDialog(QDialog):
    """Can stay open beside the window while another file is tried."""

    def __init__(
        self, report: LoadReport, info: CheckpointInfo | None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Load report"))
        self.resize(760, 520)
        view = LoadReportView()
        view.show_report(report, info)
        buttons = standard(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(view, 1)
        layout.addWidget(buttons)
