"""Asks for a source by address: a path or an embedded world. Returns the address and opens nothing."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from console.dialogs.buttons import standard
from widgets import a11y


class OpenSourceDialog(QDialog):
    """A path (video, folder of pictures, trajectory, session) or the embedded world with its seed."""

    def __init__(self, parent: QWidget | None = None, address: str = "") -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Open source"))
        self.setMinimumWidth(520)
        self._is_path = QRadioButton(
            self.tr("A video, a folder of pictures, a trajectory (.npz) or a session")
        )
        self._is_world = QRadioButton(self.tr("The embedded world, simulated on this computer"))
        self._path = QLineEdit("" if address.startswith("world:") else address)
        self._path.setPlaceholderText(self.tr("/path/to/clip.mp4"))
        browse_file = QPushButton(self.tr("File…"))
        browse_folder = QPushButton(self.tr("Folder…"))
        self._seed = QSpinBox()
        self._seed.setRange(0, 2**31 - 1)
        self._seed.setValue(1)
        self._barcode = QCheckBox(self.tr("Paint the frame number into the picture as a barcode"))
        self._buttons = standard(
            QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel
        )
        a11y.name(self._is_path, self.tr("Open a path"))
        a11y.name(self._is_world, self.tr("Open the embedded world"))
        a11y.name(self._path, self.tr("Path of the source"))
        a11y.name(browse_file, self.tr("Choose a file"))
        a11y.name(browse_folder, self.tr("Choose a folder"))
        a11y.name(self._seed, self.tr("Seed of the world"), self.tr("The same seed gives the same scene"))
        a11y.name(self._barcode, self.tr("Barcode of the frame number"))
        self._lay_out(browse_file, browse_folder)
        browse_file.clicked.connect(self._choose_file)
        browse_folder.clicked.connect(self._choose_folder)
        self._path.textChanged.connect(self._refresh)
        self._path.textEdited.connect(self._choose_path)
        self._is_path.toggled.connect(self._refresh)
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        (self._is_world if address.startswith("world:") else self._is_path).setChecked(True)
        self._refresh()
        self._path.setFocus()

    def address(self) -> str:
        """What `open_source` takes."""
        if self._is_world.isChecked():
            return f"world:cell?seed={self._seed.value()}" + (
                "&barcode=1" if self._barcode.isChecked() else ""
            )
        return self._path.text().strip()

    def _lay_out(self, browse_file: QPushButton, browse_folder: QPushButton) -> None:
        line = QHBoxLayout()
        line.addWidget(self._path, 1)
        line.addWidget(browse_file)
        line.addWidget(browse_folder)
        world = QFormLayout()
        world.addRow(QLabel(self.tr("Seed")), self._seed)
        world.addRow(self._barcode)
        whole = QVBoxLayout(self)
        whole.setSpacing(12)
        whole.setContentsMargins(16, 16, 16, 16)
        whole.addWidget(self._is_path)
        whole.addLayout(line)
        whole.addSpacing(8)
        whole.addWidget(self._is_world)
        whole.addLayout(world)
        whole.addWidget(self._buttons)

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Open a source"), self._path.text())
        if path:
            self._take(path)

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, self.tr("Open a folder of pictures"), self._path.text())
        if path:
            self._take(path)

    def _take(self, path: str) -> None:
        self._choose_path()
        self._path.setText(path)

    def _choose_path(self) -> None:
        self._is_path.setChecked(True)

    def _refresh(self) -> None:
        is_world = self._is_world.isChecked()
        self._seed.setEnabled(is_world)
        self._barcode.setEnabled(is_world)
        open_button = self._buttons.button(QDialogButtonBox.StandardButton.Open)
        open_button.setEnabled(is_world or bool(self._path.text().strip()))


def ask_source(parent: QWidget, address: str = "") -> str:
    """The chosen address, or an empty string."""
    dialog = OpenSourceDialog(parent, address)
    try:
        return dialog.address() if dialog.exec() == QDialog.DialogCode.Accepted else ""
    finally:
        dialog.deleteLater()
