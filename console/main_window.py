"""The window: docks from PANELS, commands from ACTIONS, and the parts that join them to the pipeline.

Builds and wires, nothing else; each concern is a part in a window_*.py file. Lives on the GUI thread and owns every
QObject in it. Never opens a file, never decodes, never waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QApplication, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from console import actions as commands
from console.actions import ACTIONS
from console.bridge import Bridge
from console.config import Config
from console.heartbeat import Heartbeat
from console.notices import FaultCleared, Faulted
from console.panels import PANELS, make
from console.roles import ROLES
from console.settings import Settings
from console.shutdown import Shutdown, Stopped
from console.state import AppState
from console.window_desk import Desk, Finished
from console.window_docks import Docks
from console.window_events import Events
from console.window_files import Files
from console.window_health import HealthSampler
from console.window_keys import KeyRouter
from console.window_latents import Latents
from console.window_library import Library
from console.window_live import Live
from console.window_look import Look
from console.window_models import Models
from console.window_progress import ProgressStack
from console.window_records import Records
from console.window_replay import Replay
from console.window_sheet import Sheet
from console.window_start import Start
from console.window_top import RecordingFrame, TopBar
from console.window_transport import Transport
from widgets import theme as themes
from widgets.banner import FaultBanner
from widgets.claims_page import ClaimsPage
from widgets.frame_view import FrameView
from widgets.models_page import ModelsPage
from widgets.source_card import SourceCard
from widgets.start_page import StartPage
from widgets.toast import ToastArea

if TYPE_CHECKING:
    from console.pipeline import Pipeline

SIZE = (1440, 900)  # logical pixels, first start


class MainWindow(QMainWindow):
    """One pipeline, seen."""

    def __init__(self, pipeline: Pipeline, config: Config, settings: Settings) -> None:
        super().__init__()
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        themes.apply(app, themes.Theme(config.look.theme, config.look.zoom))
        self.state = AppState(self)
        self.state.role = config.person.role
        self.bridge = Bridge(pipeline, self)
        self.heartbeat = Heartbeat(self)
        self.keys = KeyRouter(self, pipeline.clock.now_ns)
        self.panels = {row.id: make(row) for row in PANELS.values()}
        self.commands = commands.build(self, config.look.single_letter_keys)
        self._build()
        self.desk = Desk(
            window=self, pipeline=pipeline, bridge=self.bridge, state=self.state, settings=settings, config=config,
            actions=self.commands, panels=self.panels, toasts=self._toasts, banner=self._banner,
            progress=self._progress,
        )  # fmt: skip
        self.docks = Docks(self, self.panels, self.state, settings)
        self._make_parts()
        self._connect()
        self._restore()

    # building

    def _build(self) -> None:
        self.setObjectName("window")
        self.setAcceptDrops(True)
        self.top = TopBar(self.commands, self)
        self.setMenuWidget(self.top)
        self.start_page = StartPage()
        self._stack = QStackedWidget()
        self._stack.addWidget(self.start_page)
        self._stack.addWidget(self.panels["picture"])
        self.models_page = ModelsPage(ClaimsPage())
        # Unseen, it must not keep the window wide beside the panels of others.
        self.models_page.setMinimumSize(1, 1)
        self._stack.addWidget(self.models_page)
        centre = QWidget()
        layout = QVBoxLayout(centre)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._banner = FaultBanner()
        layout.addWidget(self._banner)
        layout.addWidget(self._stack, 1)
        self.setCentralWidget(centre)
        self._progress = ProgressStack(centre)
        self._toasts = ToastArea(centre)
        self.statusBar().setSizeGripEnabled(False)
        self.statusBar().addWidget(self.panels["health"], 1)
        self._frame = RecordingFrame(self)

    def _make_parts(self) -> None:
        desk = self.desk
        self.live = Live(desk)
        self.events = Events(desk)
        self.models = Models(desk)
        self.sheet = Sheet(desk, self.models)
        self.library = Library(desk, self.models_page, self.sheet.examine)
        self.files = Files(desk, self.sheet.examine, self.models.load)
        self.transport = Transport(desk, self.live)
        self.records = Records(desk, self.live, self.keys)
        self.replay = Replay(desk)
        self.latents = Latents(desk)
        self.look = Look(desk, self.keys, self.docks.reset)
        self.start = Start(desk, self.start_page, self.files.open, self.files.open_demo)
        self.health = HealthSampler(desk, self.top.badge)
        self._shutdown = Shutdown(desk.pipeline, self.bridge.post, also=(self.library.stop,))
        self._is_over = False

    def _connect(self) -> None:
        parts = {
            "window": self, "files": self.files, "models": self.models, "sheet": self.sheet, "library": self.library, "transport": self.transport,
            "records": self.records, "replay": self.replay, "look": self.look, "events": self.events,
            "latents": self.latents,
        }  # fmt: skip
        for row in ACTIONS.values():
            part, method = row.handler.split(".")
            if not row.is_held:
                self.commands[row.id].triggered.connect(getattr(parts[part], method))
        self.bridge.on_notice(Faulted, "banner", self._faulted)
        self.bridge.on_notice(FaultCleared, "banner", self._fault_cleared)
        self.bridge.on_notice(Finished, "window", self.desk.finish)
        self.bridge.on_notice(Stopped, "window", self._stopped)
        self.bridge.receiverFailed.connect(self.desk.fault)
        self.keys.cancelPressed.connect(self.cancel)
        self.state.screenChanged.connect(self._show_screen)
        self.state.roleChanged.connect(self._refresh)
        self.state.recordingChanged.connect(self._show_recording)
        self.state.sourceChanged.connect(self._refresh)
        cast(FrameView, self.panels["picture"]).actionRequested.connect(self._view_action)
        cast(SourceCard, self.panels["source"]).openRequested.connect(self.files.ask_file)
        menu_key = QShortcut(QKeySequence("F10"), self)
        menu_key.activated.connect(self.top.open_menu)
        QApplication.instance().installEventFilter(self.keys)

    def _restore(self) -> None:
        geometry = self.desk.settings.geometry()
        if geometry is None or not self.restoreGeometry(geometry):
            theme = themes.current()
            self.resize(theme.px(SIZE[0]), theme.px(SIZE[1]))
        self.docks.fit()
        self.docks.restore()
        self._show_screen(self.state.screen)
        self.records.refresh()

    # life

    def begin(self) -> None:
        """Listen to the pipeline and measure. After this, facts arrive."""
        self.bridge.start()
        self.heartbeat.start()
        self.start.refresh()

    def cancel(self) -> None:
        """Esc: the nearest thing that runs."""
        if self.look.cancel_region_tool() or self.records.close_question() or self.sheet.cancel():
            return
        if self.models.is_loading:
            self.models.cancel()
        elif self.replay.is_running:
            self.replay.cancel()
        else:
            self.latents.leave_choosing()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stop in order, showing it; the window goes when everything has ended."""
        if self._is_over:
            event.accept()
            return
        if self._shutdown.is_overdue:
            self._end()
            event.accept()
            return
        event.ignore()
        if not self._shutdown.is_running:
            self.keys.let_go()
            self.docks.save()
            self.desk.show_progress("shutdown", self.tr("Ending: everything confirmed stays on disk…"), -1.0)
            self.health.stop()
            self._shutdown.begin()

    def _stopped(self, notice: Stopped) -> None:
        if notice.error is not None:
            self.desk.fault(notice.error)
        self._end()
        self.close()

    def _end(self) -> None:
        self._is_over = True
        self.heartbeat.stop()
        self.bridge.close()
        self.desk.settings.sync()
        app = QApplication.instance()
        if app is not None:
            app.removeEventFilter(self.keys)

    # events of the window itself

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.docks.fit()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        self.files.drag_enter(event)

    def dropEvent(self, event: QDropEvent) -> None:
        self.files.drop(event)

    # what is shown

    def show_screen(self, name: str) -> None:
        """A screen, or a page of the models screen, by its name."""
        if not self.library.show(name):
            self.state.screen = name

    def _show_screen(self, screen: str) -> None:
        pages = {"start": self.start_page, "models": self.models_page}
        self._stack.setCurrentWidget(pages.get(screen, self.panels["picture"]))
        self.top.show_screen(screen)
        self._refresh()
        if screen == "start":
            self.start_page.focus_first()
        elif screen == "models":
            self.models_page.focus_first()
        else:
            self.panels["picture"].setFocus()

    def _refresh(self, _value: object = None) -> None:
        for row in ACTIONS.values():
            if row.id not in OWN_RULES:
                is_here = self.state.screen in row.screens and self.state.role in row.roles
                self.commands[row.id].setEnabled(is_here)
        info = self.state.source
        name = f"{info.name} · " if info is not None else ""
        rec = self.tr("● REC") + " · " if self.state.recording is not None else ""
        role = "" if self.state.role == "operator" else f" · {self.tr(ROLES[self.state.role].title)}"
        self.setWindowTitle(f"{rec}{name}{self.tr('JEPA Console')}{role}")

    def _show_recording(self, session_id: str | None) -> None:
        self._frame.show_recording(session_id is not None)
        self._refresh()

    def _view_action(self, text: str) -> None:
        self.files.ask_file()

    def _faulted(self, notice: Faulted) -> None:
        self.desk.fault(notice.error)

    def _fault_cleared(self, notice: FaultCleared) -> None:
        self.desk.banner_clear(notice.code)


OWN_RULES = frozenset(
    {
        "record",
        "record_stop",
        "near_miss",
        "near_miss_at",
        "bookmark",
        "note",
        "undo",
        "redo",
        "override",
        "unload",
        "report",
        "recompute",
    }
)
