"""Asks for a checkpoint file or folder and, where it is not beside it, its config. Loads nothing."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from console.dialogs.buttons import standard
from jepa_core.checkpoint_paths import WEIGHTS
from widgets import a11y


@dataclass(frozen=True, slots=True)
class CheckpointChoice:
    path: str
    config: str | None  # None: look beside the file


class OpenCheckpointDialog(QDialog):
    """Path and config of a checkpoint."""

    def __init__(self, parent: QWidget | None = None, path: str = "") -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Open checkpoint"))
        self.setMinimumWidth(560)
        self._path = QLineEdit(path)
        self._path.setPlaceholderText(self.tr("/path/to/vitl.pt, or a folder with config.json"))
        self._config = QLineEdit()
        self._config.setPlaceholderText(self.tr("found by itself when it lies beside the file"))
        self._buttons = standard(
            QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel
        )
        form = QFormLayout()
        form.addRow(self.tr("Checkpoint"), self._line(self._path, self._choose_file, self._choose_folder))
        form.addRow(self.tr("Config"), self._line(self._config, self._choose_config, None))
        words = QLabel(
            self.tr(
                "The file is read without running any code in it. It must match its family tensor by tensor; "
                "otherwise it is refused, with a report."
            )
        )
        words.setWordWrap(True)
        words.setProperty("role", "dim")
        whole = QVBoxLayout(self)
        whole.setSpacing(12)
        whole.setContentsMargins(16, 16, 16, 16)
        whole.addLayout(form)
        whole.addWidget(words)
        whole.addWidget(self._buttons)
        a11y.name(self._path, self.tr("Path of the checkpoint"))
        a11y.name(self._config, self.tr("Path of its config"))
        self._path.textChanged.connect(self._refresh)
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self._refresh()
        self._path.setFocus()

    def choice(self) -> CheckpointChoice:
        return CheckpointChoice(self._path.text().strip(), self._config.text().strip() or None)

    def _line(self, field: QLineEdit, choose_file: object, choose_folder: object) -> QHBoxLayout:
        line = QHBoxLayout()
        line.addWidget(field, 1)
        for text, choose in ((self.tr("File…"), choose_file), (self.tr("Folder…"), choose_folder)):
            if choose is None:
                continue
            button = QPushButton(text)
            a11y.name(
                button,
                self.tr("Choose a file") if choose is not choose_folder else self.tr("Choose a folder"),
            )
            button.clicked.connect(choose)
            line.addWidget(button)
        return line

    def _choose_file(self) -> None:
        weights = " ".join(f"*{ending}" for ending in WEIGHTS)
        path, _ = QFileDialog.getOpenFileName(
            self,
            self.tr("Open a checkpoint"),
            self._path.text(),
            self.tr("Checkpoints") + f" ({weights});;" + self.tr("All files") + " (*)",
        )
        if path:
            self._path.setText(path)

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, self.tr("Open a checkpoint folder"), self._path.text())
        if path:
            self._path.setText(path)

    def _choose_config(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, self.tr("Its config"), self._path.text(), self.tr("Configs") + " (*.yaml *.yml *.json)"
        )
        if path:
            self._config.setText(path)

    def _refresh(self) -> None:
        self._buttons.button(QDialogButtonBox.StandardButton.Open).setEnabled(bool(self._path.text().strip()))


def ask_checkpoint(parent: QWidget, path: str = "") -> CheckpointChoice | None:
    dialog = OpenCheckpointDialog(parent, path)
    try:
        return dialog.choice() if dialog.exec() == QDialog.DialogCode.Accepted else None
    finally:
        dialog.deleteLater()
