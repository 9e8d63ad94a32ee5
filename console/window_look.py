"""How the window looks: screens, layers, theme, zoom, layout, role, palette, key sheet, screenshot, preferences."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from PySide6.QtCore import QCoreApplication, QObject, Qt
from PySide6.QtGui import QGuiApplication, QPixmap
from PySide6.QtWidgets import QApplication, QDialog, QMainWindow, QMessageBox

from console import actions as commands
from console import config as configuration
from console.actions import ACTIONS, keys_text, text_of
from console.dialogs.preferences import PreferencesDialog
from console.window_desk import Desk
from console.window_keys import KeyRouter
from jepa_core.errors import ConsoleError, WriteFailed
from jepa_core.types import Inspection
from widgets import theme as themes
from widgets.command_palette import CommandItem, CommandPalette
from widgets.frame_view import FrameView
from widgets.layers_card import LayersCard
from widgets.legend import Legend
from widgets.overlays.base import settled
from widgets.shortcut_sheet import ShortcutSheet

ZOOM_STEP = 0.1


class Look(QObject):
    """Appearance only: nothing here reaches a source, a model or a record."""

    def __init__(self, desk: Desk, keys: KeyRouter, reset_layout: Callable[[], None]) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._keys = keys
        self._reset_layout = reset_layout
        self._view = cast(FrameView, desk.panels["picture"])
        self._card = cast(LayersCard, desk.panels["layers"])
        self._scale = cast(Legend, desk.panels["scale"]).error
        self._card.layersChanged.connect(self._set_layers)
        self._card.regionToolToggled.connect(self._region_tool)
        self._scale.scaleChanged.connect(self._view.set_scale)
        self._scale.colorMapChanged.connect(self._view.set_color_map)
        self._scale.show_scale(self._scale.scale)
        self._view.inspectionShown.connect(self._show_metric)
        desk.state.layersChanged.connect(self._show_layers)
        desk.state.themeChanged.connect(self._apply_theme)
        desk.state.zoomChanged.connect(self._apply_theme)
        keys.has_bare_keys = desk.config.look.single_letter_keys
        desk.state.theme = desk.config.look.theme
        desk.state.zoom = desk.config.look.zoom
        desk.state.layers = settled(frozenset(desk.config.look.layers), frozenset())
        self._show_layers(desk.state.layers)

    # screens and roles

    def show_start(self) -> None:
        self._desk.state.screen = "start"

    def show_live(self) -> None:
        self._desk.state.screen = "live"

    def show_replay(self) -> None:
        self._desk.state.screen = "replay"

    def show_models(self) -> None:
        self._desk.state.screen = "models"

    def be_operator(self) -> None:
        self._desk.state.role = "operator"

    def be_reviewer(self) -> None:
        if self._desk.pipeline.is_recording:
            self._desk.say(
                self.tr("A recording is running: overrides and near misses must stay within reach."),
                "warning",
            )
            return
        self._desk.state.role = "reviewer"

    def reset_layout(self) -> None:
        self._reset_layout()
        self._desk.say(self.tr("Every panel is back in its place."))

    def toggle_full_screen(self) -> None:
        window = cast(QMainWindow, self._desk.window)
        if window.isFullScreen():
            window.showNormal()
        else:
            window.showFullScreen()
        self._desk.actions["full_screen"].setChecked(window.isFullScreen())

    # layers and the region tool

    def toggle_error(self) -> None:
        self._toggle_layer("error")

    def toggle_masks(self) -> None:
        """What part of the picture is what: hidden regions, or of a system that sees objects their slots."""
        info = self._view.checkpoint
        self._toggle_layer("slots" if info is not None and info.layout == "slots" else "masks")

    def toggle_region_tool(self) -> None:
        self._region_tool(self._desk.actions["region"].isChecked())

    def cancel_region_tool(self) -> bool:
        """True if the tool was in the hand."""
        if not self._desk.actions["region"].isChecked():
            return False
        self._region_tool(False)
        return True

    def _region_tool(self, is_on: bool) -> None:
        self._desk.actions["region"].setChecked(is_on)
        self._view.set_region_tool(is_on)

    def _toggle_layer(self, name: str) -> None:
        before = self._desk.state.layers
        self._desk.state.layers = settled(before ^ {name}, before)

    def _set_layers(self, layers: frozenset[str]) -> None:
        """What the card's boxes say; the layers it has no box for stay."""
        before = self._desk.state.layers
        self._desk.state.layers = settled((before - self._card.names) | layers, before)

    def _show_layers(self, layers: frozenset[str]) -> None:
        self._view.set_layers(layers)
        self._card.set_layers(layers)
        self._desk.actions["layer_error"].setChecked("error" in layers)
        self._desk.actions["layer_masks"].setChecked("masks" in layers)

    def _show_metric(self, look: Inspection | None) -> None:
        self._scale.show_metric("" if look is None else look.metric)

    # theme and zoom

    def toggle_theme(self) -> None:
        self._desk.state.theme = "light" if self._desk.state.theme == "dark" else "dark"
        self._keep({"look.theme": self._desk.state.theme})

    def zoom_in(self) -> None:
        self._zoom_to(self._desk.state.zoom + ZOOM_STEP)

    def zoom_out(self) -> None:
        self._zoom_to(self._desk.state.zoom - ZOOM_STEP)

    def zoom_reset(self) -> None:
        self._zoom_to(1.0)

    def _zoom_to(self, zoom: float) -> None:
        low, high = themes.ZOOM_RANGE
        self._desk.state.zoom = round(min(max(zoom, low), high), 2)
        self._keep({"look.zoom": self._desk.state.zoom})

    def _apply_theme(self, _value: object = None) -> None:
        app = cast(QApplication, QApplication.instance())
        themes.apply(app, themes.Theme(self._desk.state.theme, self._desk.state.zoom))

    # palette, keys, about

    def show_palette(self) -> None:
        palette = CommandPalette(self._desk.window)
        palette.set_commands(
            [
                CommandItem(
                    id=row.id,
                    text=text_of(row),
                    keys=keys_text(row),
                    group=QCoreApplication.translate("menus", row.menu),
                    enabled=self._desk.actions[row.id].isEnabled(),
                )
                for row in ACTIONS.values()
                if row.id != "palette" and not row.is_held
            ]
        )
        palette.commandChosen.connect(self._run)
        palette.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        palette.open()

    def show_shortcuts(self) -> None:
        sheet = ShortcutSheet(self._desk.window)
        sheet.set_commands(
            [
                CommandItem(
                    id=row.id, text=text_of(row), keys=keys_text(row),
                    group=QCoreApplication.translate("menus", row.menu), enabled=True,
                )
                for row in ACTIONS.values()
                if keys_text(row) and self._desk.state.role in row.roles
            ]
        )  # fmt: skip
        sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        sheet.show()

    def show_about(self) -> None:
        box = QMessageBox(self._desk.window)
        box.setWindowTitle(self.tr("About"))
        box.setText(self.tr("JEPA Console"))
        box.setInformativeText(
            self.tr(
                "Shows what a JEPA world model believes about a scene, and keeps a record of it. It is advisory and "
                "not a safety function: it stops no machine, and a low surprise does not mean that a scene is harmless."
            )
        )
        box.open()

    def _run(self, command_id: str) -> None:
        action = self._desk.actions.get(command_id)
        if action is not None and action.isEnabled():
            action.trigger()

    # screenshots

    def save_screenshot(self) -> None:
        """Beside the recordings, named by the moment."""
        picture: QPixmap = self._desk.window.grab()
        folder = self._desk.recordings() / "screenshots"
        path = folder / time.strftime("%Y%m%dT%H%M%S.png")
        self._desk.off_thread("screenshot", lambda: _save(picture.toImage(), path), self._saved)

    def copy_screenshot(self) -> None:
        QGuiApplication.clipboard().setPixmap(self._desk.window.grab())
        self._desk.say(self.tr("A picture of the window is on the clipboard."), "ok")

    def _saved(self, path: Path) -> None:
        self._desk.say(self.tr("Saved {0}").format(path), "ok")

    # preferences

    def ask_preferences(self) -> None:
        dialog = PreferencesDialog(self._desk.config, self._desk.window)
        try:
            changes = dialog.changes() if dialog.exec() == QDialog.DialogCode.Accepted else {}
        finally:
            dialog.deleteLater()
        if changes:
            self.take_preferences(changes)

    def take_preferences(self, changes: dict[str, object]) -> None:
        """Use them now and keep them in the user's file."""
        if not self._keep(changes):
            return
        look = self._desk.config.look
        self._desk.state.theme, self._desk.state.zoom = look.theme, look.zoom
        self._keys.has_bare_keys = look.single_letter_keys
        commands.bind_keys(self._desk.actions, look.single_letter_keys)

    def _keep(self, values: dict[str, object]) -> bool:
        try:
            self._desk.config = configuration.changed(self._desk.config, values)
            configuration.save_user(values)
        except ConsoleError as error:
            self._desk.fault(error)
            return False
        return True


def _save(picture: object, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not picture.save(str(path)):  # type: ignore[attr-defined]
        raise WriteFailed(
            f"The screenshot could not be written to {path}.", "Choose another recording folder."
        )
    return path
