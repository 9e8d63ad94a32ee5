"""What a person may choose: theme, zoom, recording folder, name, single-letter keys. Returns changed settings."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from console.config import Config, user_path
from console.dialogs.buttons import standard
from widgets import a11y


class PreferencesDialog(QDialog):
    """Shows the present settings and gives back what was changed."""

    def __init__(self, config: Config, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Preferences"))
        self.setMinimumWidth(560)
        self._before = config
        self._theme = QComboBox()
        for name, text in (("dark", self.tr("Dark")), ("light", self.tr("Light"))):
            self._theme.addItem(text, name)
        self._theme.setCurrentIndex(self._theme.findData(config.look.theme))
        self._zoom = QSpinBox()
        self._zoom.setRange(80, 200)
        self._zoom.setSingleStep(10)
        self._zoom.setSuffix(" %")
        self._zoom.setValue(round(config.look.zoom * 100))
        self._folder = QLineEdit(str(config.recording.path))
        self._operator = QLineEdit(config.person.name)
        self._letters = QCheckBox(self.tr("Single letters are keys (O, N, M, E, B, T, …)"))
        self._letters.setChecked(config.look.single_letter_keys)
        browse = QPushButton(self.tr("Folder…"))
        browse.clicked.connect(self._choose)
        for control, name, tip in (
            (self._theme, self.tr("Theme"), ""),
            (self._zoom, self.tr("Zoom of the whole window"), ""),
            (self._folder, self.tr("Recording folder"), self.tr("Where new sessions are written")),
            (browse, self.tr("Choose the recording folder"), ""),
            (self._operator, self.tr("Your name in the record"), self.tr("Stands in every event you make")),
            (
                self._letters,
                self.tr("Single-letter keys"),
                self.tr("Off: those commands stay in the palette"),
            ),
        ):
            a11y.name(control, name, tip)
        self._lay_out(browse)

    def changes(self) -> dict[str, Any]:
        """Settings that differ from before, as "section.key" → value."""
        before = self._before
        now = {
            "look.theme": (before.look.theme, self._theme.currentData()),
            "look.zoom": (before.look.zoom, self._zoom.value() / 100),
            "recording.directory": (str(before.recording.path), self._folder.text().strip()),
            "person.operator": (before.person.name, self._operator.text().strip()),
            "look.single_letter_keys": (before.look.single_letter_keys, self._letters.isChecked()),
        }
        return {key: new for key, (old, new) in now.items() if new != old}

    def _lay_out(self, browse: QPushButton) -> None:
        line = QHBoxLayout()
        line.addWidget(self._folder, 1)
        line.addWidget(browse)
        form = QFormLayout()
        form.setVerticalSpacing(10)
        form.addRow(self.tr("Theme"), self._theme)
        form.addRow(self.tr("Zoom"), self._zoom)
        form.addRow(self.tr("Recording folder"), line)
        form.addRow(self.tr("Your name"), self._operator)
        form.addRow(self._letters)
        words = QLabel(self.tr("Kept in {0}").format(user_path()))
        words.setProperty("role", "small")
        words.setWordWrap(True)
        buttons = standard(QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        whole = QVBoxLayout(self)
        whole.setSpacing(12)
        whole.setContentsMargins(16, 16, 16, 16)
        whole.addLayout(form)
        whole.addWidget(words)
        whole.addWidget(buttons)

    def _choose(self) -> None:
        path = QFileDialog.getExistingDirectory(self, self.tr("Recording folder"), self._folder.text())
        if path:
            self._folder.setText(path)
