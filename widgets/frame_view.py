"""The picture, what lies over it, and which frame each of them belongs to.

Owns nothing but the newest frame and inspection it was shown. Paints the frame's own pixels without copying them
(the QImage borrows the array, so the Frame is kept as long as it is on screen) and never draws a prediction over
another frame without saying so. Never waits, decodes or computes anything per pixel.
"""

from __future__ import annotations

import math

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from jepa_core.types import Box, CheckpointInfo, Frame, Inspection
from widgets import colormaps
from widgets.chips import Piece, paint_caption, paint_chip, paint_dashed, paint_sentence
from widgets.colormaps import Scale
from widgets.frame_layers import FrameLayers
from widgets.frame_words import footer, header, no_map_words, square_words, token_words
from widgets.latent_maps import map_shape
from widgets.latent_words import layer_of, place_words
from widgets.overlays.base import Stage
from widgets.region_tool import RegionTool
from widgets.state_notice import StateNotice
from widgets.theme import Theme, current, follow


class FrameView(QWidget):
    """Shows one frame with the newest look of the model over it."""

    regionDrawn = Signal(object)  # Box in frame pixels
    placeClicked = Signal(object)  # (x, y) in frame pixels, while a layer asks for a place
    actionRequested = Signal(str)  # text of the button of the state card
    inspectionShown = Signal(object)  # Inspection, or None
    tokenHovered = Signal(object)  # str, or None when the cursor left the tokens
    framePainted = Signal(object)  # Frame, the first time it is on the screen

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._frame: Frame | None = None
        self._image = QImage()
        self._inspection: Inspection | None = None
        self._age_ms: float | None = None
        self._info: CheckpointInfo | None = None
        self._title = ""
        self._layers = FrameLayers(frozenset({"error", "masks", "slots"}))
        self._scale, self._color_map = Scale(), colormaps.ERROR
        self._region = RegionTool()
        self._latent_hint, self._takes_clicks = "", False
        self._token: tuple[int, int] | None = None
        self._is_new = False
        self._notice = StateNotice(self)
        self._notice.actionRequested.connect(self.actionRequested)
        self._notice.sizeChanged.connect(self._place_notice)
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAccessibleName(self.tr("Picture"))
        follow(self, self._restyle)
        self.show_state(
            "empty",
            self.tr("No source is open."),
            self.tr(
                "Open a video, a folder of images, a recorded session or the embedded world. You can drop it here."
            ),
            self.tr("Open source"),
        )

    # what is shown

    def show_frame(self, frame: Frame | None) -> None:
        """The newest frame. Its array is borrowed, not copied, until the next one comes."""
        self._frame = frame
        self._is_new = frame is not None
        if frame is None:
            self._image = QImage()
        else:
            height, width, _ = frame.rgb.shape
            self._image = QImage(
                frame.rgb.data, width, height, frame.rgb.strides[0], QImage.Format.Format_RGB888
            )
        self.update()

    def show_inspection(self, inspection: Inspection | None) -> None:
        """The newest look, of whichever frame it is; the header says which and how stale."""
        self._inspection = inspection
        self._layers.prepare(inspection)
        self.setAccessibleDescription(self.description())
        self.inspectionShown.emit(inspection)
        if self._token is not None:
            self.tokenHovered.emit(self.token_words(*self._token))
        self.update()

    def show_ages(self, model_age_ms: float | None) -> None:
        """How old the prediction on screen is, from capture to now."""
        self._age_ms = model_age_ms

    def show_state(
        self, kind: str, text: str = "", hint: str = "", action: str | None = None, details: str = ""
    ) -> None:
        """kind "empty" | "busy" | "error" lays a card over the picture, "live" takes it away."""
        self._notice.setVisible(kind != "live")
        if kind != "live":
            self._notice.show_state(kind, text, hint, action, details)
            self._place_notice()
            self.setAccessibleDescription(f"{text} {hint}".strip())
        self.update()

    def set_title(self, prefix: str) -> None:
        """A word before the frame number, such as "RECORDED"."""
        self._title = prefix
        self.update()

    def set_checkpoint(self, info: CheckpointInfo | None) -> None:
        """Whose looks these are: its input size stands beside the dashed square, its ways in the words."""
        self._info = info
        self.update()

    def set_layers(self, layers: set[str] | frozenset[str]) -> None:
        """Which overlays, named as in the registry, lie over the picture."""
        self._layers.set_names(frozenset(layers))
        self.update()

    def set_scale(self, scale: Scale) -> None:
        """The locked range of the error colours."""
        self._scale = scale
        self.update()

    def set_color_map(self, name: str) -> None:
        """One of colormaps.ERROR_MAPS."""
        if name not in colormaps.ERROR_MAPS:
            raise ValueError(f"{name!r} is not a colour map for errors; there are {colormaps.ERROR_MAPS}")
        self._color_map = name
        self.update()

    def set_region_tool(self, is_on: bool) -> None:
        """Whether the mouse draws a rectangle to hide."""
        self._region.take(is_on)
        self._show_hand()

    def show_region(self, region: Box | None) -> None:
        """The drawn region, frame pixels; kept on the picture while it is the rule."""
        self._region.region = region
        self.update()

    def set_latent_hint(self, text: str, *, takes_clicks: bool) -> None:
        """What is to be said instead of the latents, such as that a recording has none, "" = nothing; and whether a
        click chooses what they are shown for."""
        self._latent_hint, self._takes_clicks = text, takes_clicks
        self._show_hand()

    @property
    def frame(self) -> Frame | None:
        return self._frame

    @property
    def checkpoint(self) -> CheckpointInfo | None:
        """Whose looks these are; in a replay the recorded one."""
        return self._info

    @property
    def inspection(self) -> Inspection | None:
        return self._inspection

    # words

    def description(self) -> str:
        """The picture in words, for a screen reader."""
        words = [text for text, _role, _bold in [*self._header(), *self._footer()]]
        return " ".join([*words, self.gap_text()] if self._is_gap else words)

    def gap_text(self) -> str:
        """What stands where a picture would be, had it been kept."""
        return self.tr(
            "The pixels of this frame were not kept. Its number, its time and its prediction were."
        )

    def staleness(self) -> int | None:
        """Frames between the picture and the newest frame of the prediction; None when there is only one of them."""
        if self._frame is None or self._inspection is None:
            return None
        return self._frame.seq - self._inspection.seq

    def header_text(self) -> str:
        return "".join(text for text, _role, _bold in self._header())

    def footer_text(self) -> str:
        return "".join(text for text, _role, _bold in self._footer())

    def token_words(self, row: int, column: int) -> str | None:
        """The error or the latent of one place in words; None where there is none."""
        if self._inspection is None:
            return None
        if layer := layer_of(self._layers.names):
            return None if self._latent_hint else place_words(self._inspection, layer, row, column)
        return token_words(self._inspection, self._scale, row, column)

    def _header(self, *, is_brief: bool = False) -> list[Piece]:
        """Brief: without what the prediction was made from."""
        if self._frame is None:
            return []
        layer = "" if self._latent_hint else layer_of(self._layers.names)
        shown = self._frame, self._inspection, self._title, self._age_ms
        return header(*shown, layer, self._info, is_brief=is_brief)

    def _footer(self) -> list[Piece]:
        if self._frame is None:
            return []
        if self._inspection is None:
            return [(self._info.cannot_see, "text", False)] if self._info and self._info.cannot_see else []
        words = None if self._token is None else self.token_words(*self._token)
        if words is not None:
            return [(words, "text", False)]
        return footer(self._inspection, layer_of(self._layers.names), self._latent_hint)

    # geometry

    def sizeHint(self) -> QSize:
        theme = current()
        return QSize(theme.px(960), theme.px(620))

    def minimumSizeHint(self) -> QSize:
        theme = current()
        return QSize(theme.px(200), theme.px(150))

    def _strip(self, theme: Theme) -> int:
        """Height kept free above and below the picture for the chips."""
        return theme.px(40)

    def picture_rect(self) -> QRectF:
        """Where the picture lies in the view, logical pixels; the free room when there is none."""
        return self._picture_rect(current())

    def _picture_rect(self, theme: Theme) -> QRectF:
        strip, side = self._strip(theme), theme.px(12)
        room = QRectF(self.rect()).adjusted(side, strip, -side, -strip)
        if self._image.isNull() or room.width() <= 0 or room.height() <= 0:
            return room
        width, height = self._image.width(), self._image.height()
        scale = min(room.width() / width, room.height() / height)
        fit = QRectF(0, 0, round(width * scale), round(height * scale))
        fit.moveCenter(room.center())
        return QRectF(fit.toRect())

    def _stage(self, theme: Theme) -> Stage:
        size = (max(self._image.width(), 1), max(self._image.height(), 1))
        return Stage(self._picture_rect(theme), size, theme, self._scale, self._color_map, self._layers.names)

    def _place_notice(self) -> None:
        theme = current()
        self._notice.resize(min(theme.px(420), max(self.width() - theme.px(16), 1)), self._notice.height())
        self._notice.fit()
        self._notice.move(
            max(0, (self.width() - self._notice.width()) // 2),
            max(0, (self.height() - self._notice.height()) // 2),
        )

    def _restyle(self, _theme: Theme) -> None:
        self.updateGeometry()
        self._place_notice()
        self.update()

    # events

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._place_notice()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_notice()

    def paintEvent(self, _event: QPaintEvent) -> None:
        theme = current()
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.color("canvas"))
        if not self._image.isNull():
            stage = self._stage(theme)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(stage.picture, self._image)
            if self._is_gap:
                paint_sentence(painter, theme, self.gap_text(), stage.picture)
            else:
                self._paint_look(painter, stage)
            self._region.paint(painter, stage)
            strip = self._strip(theme)
            head, foot = self._header(), self._footer()
            ages = [piece for piece in head if piece[1] != "text"] if len(head) > 2 else []
            short = head[: 2 if self._title else 1] + ages  # how stale it is never gives way
            paint_chip(
                painter, theme, [head, self._header(is_brief=True), short], self.width(), strip / 2, mono=True
            )
            paint_chip(painter, theme, [foot, foot[:3], foot[:1]], self.width(), self.height() - strip / 2)
        if self._notice.isVisible() and not self._image.isNull():
            painter.fillRect(self.rect(), theme.color("canvas", 0.6))
        painter.end()
        if self._is_new:
            self._is_new = False
            self.framePainted.emit(self._frame)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._region.is_dragging:
            self._region.move(event.position())
            self.update()
            return
        self._hover(event.position())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or self._image.isNull():
            return
        if self._region.is_on:
            self._region.press(event.position())
        elif self._takes_clicks:
            stage = self._stage(current())
            if stage.picture.contains(event.position()):
                at = stage.to_frame(event.position())
                self.placeClicked.emit((at.x(), at.y()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if not self._region.is_dragging or event.button() != Qt.MouseButton.LeftButton:
            return
        box = self._region.release(event.position(), self._stage(current()))
        self.update()
        if box is not None:
            self.regionDrawn.emit(box)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._set_token(None)

    # painting

    def _paint_look(self, painter: QPainter, stage: Stage) -> None:
        inspection = self._inspection
        if inspection is None:
            return
        painter.save()
        painter.setClipRect(stage.picture)
        self._layers.paint(painter, stage)
        square = stage.box_to_widget(inspection.layout.crop).adjusted(0.5, 0.5, -0.5, -0.5)
        if not self._layers.hides_all:  # the double outline already stands there
            paint_dashed(painter, stage.theme, square)
        shape = map_shape(inspection)
        if self._token is not None and shape is not None:
            row, column = self._token
            cell = stage.cell_transform(inspection.layout, *shape).mapRect(QRectF(column, row, 1, 1))
            for width, role in ((3, "ink_dark"), (1, "ink_light")):
                painter.setPen(QPen(stage.theme.color(role), width))
                painter.drawRect(cell)
        inset = stage.theme.px(14 if self._layers.hides_all else 4)
        if inspection.layout.kind == "global":
            top = QRectF(square.topLeft(), QSizeF(square.width(), stage.theme.px(30)))
            paint_caption(painter, stage.theme, no_map_words(self._info, inspection), top, inset)
        saw = square_words(self._info, inspection, hides_all=self._layers.hides_all)
        paint_caption(painter, stage.theme, saw, square.intersected(stage.picture), inset)
        painter.restore()

    @property
    def _is_gap(self) -> bool:
        return self._frame is not None and self._frame.is_gap

    # cursor and region

    def _hover(self, at: QPointF) -> None:
        inspection = self._inspection
        shape = None if inspection is None else map_shape(inspection)
        if inspection is None or shape is None or self._image.isNull() or self._is_gap:
            return
        stage = self._stage(current())
        if not stage.picture.contains(at):
            self._set_token(None)
            return
        inverse, is_invertible = stage.cell_transform(inspection.layout, *shape).inverted()
        place = inverse.map(at)
        row, column = math.floor(place.y()), math.floor(place.x())
        inside = is_invertible and 0 <= row < shape[0] and 0 <= column < shape[1]
        self._set_token((row, column) if inside else None)

    def _show_hand(self) -> None:
        """The cursor tells what a click does."""
        shape = Qt.CursorShape.PointingHandCursor if self._takes_clicks else Qt.CursorShape.ArrowCursor
        self.setCursor(Qt.CursorShape.CrossCursor if self._region.is_on else shape)
        self.update()

    def _set_token(self, token: tuple[int, int] | None) -> None:
        if token == self._token:
            return
        self._token = token
        self.tokenHovered.emit(None if token is None else self.token_words(*token))
        self.update()
