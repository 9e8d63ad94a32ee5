"""What the colours of the latents mean: the axes beside one of them alone, the scale of likeness, shares of attention.

Shows the same look as the picture. The composite of three axes is not safe for every pair of eyes, so the first axis
stands beside it in one map of rising lightness. Emits `refitRequested`; nothing else refits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from jepa_core.types import Inspection
from widgets import a11y, colormaps, latent_maps
from widgets.latent_words import attention_rows, basis_sentence, why_not
from widgets.overlays.projection import colored_map
from widgets.parts import Card, button, heading, label, row
from widgets.raster import Raster
from widgets.theme import Theme, current, follow

OPAQUE = 255


class LatentLegend(QWidget):
    """The legend of one layer of latents."""

    refitRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layer = ""
        self._inspection: Inspection | None = None
        self._card = Card()
        self._composite, self._first = _MiniMap(), _MiniMap()
        self._composite.setAccessibleName(self.tr("The three axes as red, green and blue"))
        self._first.setAccessibleName(self.tr("The first axis alone, in a map of rising lightness"))
        self._names = [
            label(self.tr("three axes"), role="small"),
            label(self.tr("first axis alone"), role="small"),
        ]
        self._bar = _Bar()
        self._ends = [label(self.tr("≤ 0"), role="small"), label("1", role="small")]
        self._shares = _Shares()
        self._words = label(role="small", wrap=True)
        self._refit = button(self.tr("Fit anew"), on_click=self.refitRequested.emit)
        a11y.name(
            self._refit,
            self.tr("Fit the colours anew"),
            self.tr("New axes from the next looks; colours before and after cannot be compared"),
        )
        self._maps, self._scale = QWidget(), QWidget()
        self._maps_layout = row(
            _stacked(self._composite, self._names[0]), 1, _stacked(self._first, self._names[1]), 1
        )
        self._maps.setLayout(self._maps_layout)
        scale = QVBoxLayout(self._scale)
        scale.setContentsMargins(0, 0, 0, 0)
        scale.addWidget(self._bar)
        scale.addLayout(row(self._ends[0], None, self._ends[1]))
        for part in (self._maps, self._scale, self._shares, self._words):
            self._card.body.addWidget(part)
        self._card.body.addLayout(row(self._refit, None))
        self._layout = QVBoxLayout(self)
        self._layout.addWidget(heading(self.tr("Latents")))
        self._layout.addWidget(self._card)
        self._layout.addStretch(1)
        self.setAccessibleName(self.tr("Latents"))
        follow(self, self._restyle)
        self.show_layer("projection")

    def show_layer(self, layer: str, instead: str = "") -> None:
        """ "projection", "similarity" or "attention"; `instead` is said where nothing can be drawn here at all."""
        self._layer, self._instead = layer, instead
        self._show()

    def show_inspection(self, inspection: Inspection | None) -> None:
        """The look that is on the picture."""
        self._inspection = inspection
        self._show()

    def _show(self) -> None:
        look = self._inspection
        reason = self._instead
        if not reason and look is not None:
            reason = why_not(look, self._layer)
        is_drawn = look is not None and not reason
        self._maps.setVisible(self._layer == "projection" and is_drawn)
        self._scale.setVisible(self._layer == "similarity" and not self._instead)
        self._shares.setVisible(self._layer == "attention" and is_drawn)
        self._refit.setVisible(self._layer == "projection" and not self._instead)
        self._refit.setEnabled(is_drawn)
        if look is None or not is_drawn:
            self._words.setText(_sentence(reason) if reason else self.tr("Comes with the first look."))
            return
        if self._layer == "projection":
            self._show_projection(look)
        elif self._layer == "similarity":
            self._words.setText(
                self.tr("Cosine of each place's latent and the one clicked. Fixed scale; below 0 drawn as 0.")
            )
        else:
            self._shares.show_rows(attention_rows(look))
            slot = (latent_maps.chosen_slot(look) or 0) + 1
            self._words.setText(self.tr("Share of what the prediction of slot {0} looked at.").format(slot))

    def _show_projection(self, look: Inspection) -> None:
        self._composite.show_map(colored_map(look, OPAQUE))
        self._first.show_map(first_axis_map(look))
        if look.basis is not None:
            self._words.setText(basis_sentence(look.basis))

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(12)
        self._layout.setContentsMargins(m, theme.px(8), m, theme.px(4))
        self._layout.setSpacing(theme.px(6))
        self._maps_layout.setSpacing(theme.px(10))


def first_axis_map(inspection: Inspection) -> NDArray[np.uint8] | None:
    """(H', W', 4) uint8 RGBA of the first axis alone, transparent where there is no latent; None without places."""
    colored = colored_map(inspection, OPAQUE)
    if colored is None:
        return None
    alone = np.concatenate(
        [colormaps.table(colormaps.FIRST_AXIS)[colored[..., 0]], colored[..., 3:]], axis=-1
    )
    return np.ascontiguousarray(alone)


class _MiniMap(QWidget):
    """A map by itself, as wide as there is room, cells as they are."""

    def __init__(self) -> None:
        super().__init__()
        self._raster = Raster()
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setSizePolicy(policy)
        follow(self, lambda _theme: self.updateGeometry())

    def show_map(self, rgba: NDArray[np.uint8] | None) -> None:
        self._raster.set(rgba)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(current().px(84), current().px(84))

    def minimumSizeHint(self) -> QSize:
        return QSize(current().px(40), current().px(84))

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self._raster.rgba is None:
            return
        rows, columns, _ = self._raster.rgba.shape
        scale = min(self.width() / columns, self.height() / rows)
        painter = QPainter(self)
        self._raster.paint(painter, QRectF(0, 0, columns * scale, rows * scale))
        painter.end()


class _Bar(QWidget):
    """The scale of likeness."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        follow(self, lambda _theme: self.updateGeometry())

    def sizeHint(self) -> QSize:
        return QSize(current().px(160), current().px(14))

    def paintEvent(self, _event: QPaintEvent) -> None:
        table = colormaps.table(colormaps.SIMILARITY)
        painter = QPainter(self)
        painter.drawImage(QRectF(self.rect()), QImage(table.data, 256, 1, 768, QImage.Format.Format_RGB888))
        painter.end()


class _Shares(QWidget):
    """One line per slot: its number, a bar, its share. The largest first."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[tuple[int, float]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        follow(self, lambda _theme: self.updateGeometry())

    def show_rows(self, rows: list[tuple[int, float]]) -> None:
        is_longer = len(rows) != len(self._rows)
        self._rows = rows
        words = [self.tr("{0} {1:.0f} %").format(self._name(slot), 100 * share) for slot, share in rows]
        self.setAccessibleName(", ".join(words))
        if is_longer:
            self.updateGeometry()
        self.update()

    def _name(self, slot: int) -> str:
        return self.tr("slot {0}").format(slot + 1) if slot >= 0 else self.tr("body, action")

    def sizeHint(self) -> QSize:
        return QSize(current().px(160), current().px(18) * max(len(self._rows), 1))

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = current()
        painter = QPainter(self)
        painter.setFont(theme.font("small"))
        line, name = theme.px(18), theme.px(80)
        share_width = theme.px(44)
        middle = Qt.AlignmentFlag.AlignVCenter
        for n, (slot, share) in enumerate(self._rows):
            top = n * line
            painter.setPen(theme.color("text"))
            painter.drawText(QRectF(0, top, name, line), middle, self._name(slot))
            room = self.width() - name - share_width
            bar = QRectF(name, top + line * 0.3, max(room * min(max(share, 0.0), 1.0), 1.0), line * 0.4)
            painter.fillRect(bar, theme.color("signal"))
            words = self.tr("{0:.0f} %").format(100 * share)
            cell = QRectF(self.width() - share_width, top, share_width, line)
            painter.drawText(cell, middle | Qt.AlignmentFlag.AlignRight, words)
        painter.end()


def _stacked(above: QWidget, below: QWidget) -> QWidget:
    made = QWidget()
    layout = QVBoxLayout(made)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(2)
    layout.addWidget(above)
    layout.addWidget(below)
    return made


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."
