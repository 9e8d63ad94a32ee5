"""The colour bar of the error map. Its range is locked: it only changes when a person unlocks and sets it."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QBrush, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from widgets import a11y, colormaps, icons
from widgets.colormaps import Scale
from widgets.parts import Card, heading, label, pad_field, row
from widgets.theme import Theme, current, follow


class _Bar(QWidget):
    """The gradient with a hatched end for what lies above the scale."""

    def __init__(self) -> None:
        super().__init__()
        self._map = colormaps.ERROR
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        follow(self, lambda _theme: self.updateGeometry())

    def set_map(self, name: str) -> None:
        self._map = name
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(current().px(160), current().px(14))

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = current()
        table = colormaps.table(self._map)
        painter = QPainter(self)
        image = QImage(table.data, 256, 1, 256 * 3, QImage.Format.Format_RGB888)
        clipped = theme.px(14)
        body = QRectF(self.rect()).adjusted(0, 0, -clipped, 0)
        painter.drawImage(body, image)
        end = QRectF(body.right(), 0, clipped, self.height())
        painter.drawImage(end, image, QRectF(255, 0, 1, 1))
        painter.fillRect(end, QBrush(theme.color("ink_dark", 0.55), Qt.BrushStyle.FDiagPattern))
        painter.end()


class ColorScale(QWidget):
    """Range, lock, map. Emits only what a person changed."""

    scaleChanged = Signal(object)  # Scale
    scaleLocked = Signal(bool)
    colorMapChanged = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scale = Scale()
        self._card = Card()
        self._bar = _Bar()
        self._low, self._high = self._box(0.0), self._box(1.0)
        self._words = label(role="small", wrap=True)
        self._measure = label(role="small", wrap=True)
        self._lock = QToolButton()
        self._lock.setObjectName("lock")
        self._lock.setCheckable(True)
        self._lock.setChecked(True)
        self._lock.setProperty("role", "flat")
        self._lock.toggled.connect(self._set_locked)
        self._map = QComboBox()
        for name in colormaps.ERROR_MAPS:
            self._map.addItem(colormaps.TITLES[name], name)
        self._map.activated.connect(self._map_chosen)
        a11y.name(self._low, self.tr("Lower end of the error scale"))
        a11y.name(self._high, self.tr("Upper end of the error scale"))
        a11y.name(self._map, self.tr("Colour map of the error"))
        self._card.body.addWidget(self._bar)
        self._card.body.addLayout(row(self._low, None, self._lock, None, self._high))
        self._card.body.addWidget(self._words)
        self._card.body.addWidget(self._measure)
        self._card.body.addWidget(self._map)
        self._layout = QVBoxLayout(self)
        self._layout.addWidget(heading(self.tr("Error scale")))
        self._layout.addWidget(self._card)
        self._layout.addStretch(1)
        self.setAccessibleName(self.tr("Error scale"))
        follow(self, self._restyle)
        self._set_locked(True)
        self.show_scale(self._scale)
        self.show_metric("")

    def show_scale(self, scale: Scale, words: str = "") -> None:
        """The range in use and where it comes from, such as "calibration c-0311"."""
        self._scale = scale
        for box, value in ((self._low, scale.low), (self._high, scale.high)):
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)
        self._words.setText(
            words or self.tr("expected → surprised · not calibrated: fixed range, no percentiles")
        )

    def show_metric(self, metric: str) -> None:
        """What the numbers of the scale measure, as Inspection.metric; "" = not known yet."""
        words = {
            "l1": self.tr("mean absolute difference per feature"),
            "l2": self.tr("mean squared difference per feature"),
            "smooth_l1": self.tr("smooth absolute difference per feature"),
            "cosine": self.tr("one minus the cosine"),
        }.get(metric, "")
        self._measure.setText(words)
        self._measure.setVisible(bool(words))

    @property
    def scale(self) -> Scale:
        return self._scale

    def _box(self, value: float) -> QDoubleSpinBox:
        made = QDoubleSpinBox()
        made.setRange(-100.0, 100.0)
        made.setDecimals(2)
        made.setSingleStep(0.05)
        made.setValue(value)
        made.setKeyboardTracking(False)
        made.valueChanged.connect(self._range_edited)
        return made

    def _set_locked(self, is_locked: bool) -> None:
        self._low.setEnabled(not is_locked)
        self._high.setEnabled(not is_locked)
        words = self.tr("The scale is locked; press to change it") if is_locked else self.tr("Lock the scale")
        a11y.name(self._lock, words)
        icons.put(self._lock, "lock" if is_locked else "unlock", current())
        self.scaleLocked.emit(is_locked)

    def _range_edited(self) -> None:
        if self._high.value() <= self._low.value():
            return
        self._scale = Scale(self._low.value(), self._high.value())
        self.scaleChanged.emit(self._scale)

    def _map_chosen(self, n: int) -> None:
        name = str(self._map.itemData(n))
        self._bar.set_map(name)
        self.colorMapChanged.emit(name)

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(12)
        self._layout.setContentsMargins(m, theme.px(8), m, theme.px(4))
        self._layout.setSpacing(theme.px(6))
        for box in (self._low, self._high):
            box.setFixedWidth(theme.px(80))
            pad_field(box, theme)
        icons.put(self._lock, "lock" if self._lock.isChecked() else "unlock", theme)
